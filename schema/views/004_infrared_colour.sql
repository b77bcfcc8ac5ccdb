-- 4 · Infrared colours of each star: Q free of reddening, and H-K, K-W1 corrected for extinction. A counterpart beyond the
-- matching radius counts as no photometry; no reddening gives no corrected colour.
with
near as (
    select
        *,
        coalesce(tmass_separation_arcsec, 0) <= parameter('tmass_radius_max_arcsec') as is_tmass_near,
        coalesce(allwise_separation_arcsec, 0) <= parameter('allwise_radius_max_arcsec') as is_allwise_near
    from photometry
),
counterpart as (
    select
        near.star_id,
        case when near.is_tmass_near then near.j_mag end as j_mag,
        case when near.is_tmass_near then near.h_mag end as h_mag,
        case when near.is_tmass_near then near.k_mag end as k_mag,
        case when near.is_allwise_near then near.w1_mag end as w1_mag,
        near.e_h_mag,
        near.e_k_mag,
        near.e_w1_mag,
        reddening.ebv_mag,
        reddening.e_ebv_mag,
        parameter('r_v') * reddening.ebv_mag as av_mag
    from near
    left join reddening using (star_id)
),
final as (
    select
        *,
        reddening_free_q(j_mag, h_mag, k_mag) as q_mag,
        h_mag - k_mag - reddening_of('extinction_ratio_h', 'extinction_ratio_k') * av_mag as hk0_mag,
        k_mag - w1_mag - reddening_of('extinction_ratio_k', 'extinction_ratio_w1') * av_mag as kw10_mag
    from counterpart
)
select * from final
