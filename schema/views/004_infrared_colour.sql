-- 4 · Infrared colours of each star: Q free of reddening, and H-K, K-W1 corrected for extinction, with errors. A
-- counterpart beyond the matching radius counts as no photometry; no reddening gives no corrected colour.
with
counterpart as (
    select
        star_id,
        case when coalesce(tmass_separation_arcsec, 0) <= parameter('tmass_radius_max_arcsec') then j_mag end as j_mag,
        case when coalesce(tmass_separation_arcsec, 0) <= parameter('tmass_radius_max_arcsec') then h_mag end as h_mag,
        case when coalesce(tmass_separation_arcsec, 0) <= parameter('tmass_radius_max_arcsec') then k_mag end as k_mag,
        case when coalesce(allwise_separation_arcsec, 0) <= parameter('allwise_radius_max_arcsec') then w1_mag end as w1_mag,
        e_h_mag,
        e_k_mag,
        e_w1_mag
    from photometry
),
extinction as (
    select
        counterpart.*,
        reddening.ebv_mag,
        reddening.e_ebv_mag,
        parameter('r_v') * (parameter('extinction_ratio_h') - parameter('extinction_ratio_k')) as hk_per_ebv,
        parameter('r_v') * (parameter('extinction_ratio_k') - parameter('extinction_ratio_w1')) as kw1_per_ebv
    from counterpart
    left join reddening using (star_id)
),
final as (
    select
        star_id,
        j_mag,
        h_mag,
        k_mag,
        w1_mag,
        ebv_mag,
        reddening_free_q(j_mag, h_mag, k_mag) as q_mag,
        h_mag - k_mag - hk_per_ebv * ebv_mag as hk0_mag,
        k_mag - w1_mag - kw1_per_ebv * ebv_mag as kw10_mag,
        sqrt(e_h_mag * e_h_mag + e_k_mag * e_k_mag + hk_per_ebv * hk_per_ebv * coalesce(e_ebv_mag * e_ebv_mag, 0))
            as e_hk0_mag,
        sqrt(e_k_mag * e_k_mag + e_w1_mag * e_w1_mag + kw1_per_ebv * kw1_per_ebv * coalesce(e_ebv_mag * e_ebv_mag, 0))
            as e_kw10_mag,
        hk_per_ebv * kw1_per_ebv * coalesce(e_ebv_mag * e_ebv_mag, 0) - e_k_mag * e_k_mag as covariance_mag2
    from extinction
)
select * from final
