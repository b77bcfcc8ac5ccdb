-- New classical Be stars
-- Magnitudes are observed; the colours with 0 are corrected for extinction. cbe_colour_probability: that the true colours are
-- those of a classical Be star, given the errors of photometry and reddening.
-- needs: spectrum, be_score, profile_class, spectral_type, photometry, reddening
-- of: star, photometry, reddening
with
final as (
    select
        new_cbe.designation,
        star_name.star_name,
        new_cbe.ra_deg,
        new_cbe.dec_deg,
        new_cbe.spectral_type,
        new_cbe.spectral_type_reference,
        photometry.j_mag,
        photometry.e_j_mag,
        photometry.h_mag,
        photometry.e_h_mag,
        photometry.k_mag,
        photometry.e_k_mag,
        photometry.w1_mag,
        photometry.e_w1_mag,
        reddening.ebv_mag,
        reddening.e_ebv_mag,
        infrared_class.hk0_mag,
        infrared_class.e_hk0_mag,
        infrared_class.kw10_mag,
        infrared_class.e_kw10_mag,
        infrared_class.cbe_colour_probability,
        star.is_simulated
    from new_cbe
    join star using (star_id)
    left join star_name using (star_id)
    left join photometry using (star_id)
    left join reddening using (star_id)
    left join infrared_class using (star_id)
)
select * from final order by ra_deg, designation
