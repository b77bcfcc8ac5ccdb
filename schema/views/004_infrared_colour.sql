-- 4 · Infrared colours of each star: the reddening-free Q, and H-K and K-W1 corrected for extinction. A counterpart beyond the matching
-- radius counts as no photometry; without reddening there is no corrected colour.
with
counterpart as (
    select
        photometry.star_id,
        good_tmass(photometry.j_mag, photometry.tmass_quality, '[A-D]*', photometry.tmass_separation_arcsec) as j_mag,
        good_tmass(photometry.h_mag, photometry.tmass_quality, '?[A-D]*', photometry.tmass_separation_arcsec) as h_mag,
        good_tmass(photometry.k_mag, photometry.tmass_quality, '??[A-D]*', photometry.tmass_separation_arcsec) as k_mag,
        good_allwise(photometry.w1_mag, photometry.allwise_quality, photometry.allwise_separation_arcsec) as w1_mag,
        photometry.e_h_mag,
        photometry.e_k_mag,
        photometry.e_w1_mag,
        reddening.ebv_mag,
        reddening.e_ebv_mag,
        parameter('r_v') * reddening.ebv_mag as av_mag
    from photometry
    left join reddening using (star_id)
),
bare as (
    select
        *,
        reddening_free_q(j_mag, h_mag, k_mag) as q_mag,
        dereddened_hk(h_mag, k_mag, ebv_mag) as hk0_mag,
        dereddened_kw1(k_mag, w1_mag, ebv_mag) as kw10_mag
    from counterpart
),
final as (
    select bare.*, star.is_simulated
    from bare
    left join star using (star_id)
)
select * from final
