-- 81 · Emission stars that a list calls Herbig Ae/Be or H II region, or whose spectrum is nebular.
with
emission as (select * from emission_star),
final as (
    select
        star_id,
        designation,
        ra_deg,
        dec_deg,
        is_simulated,
        spectrum_id,
        herbig_list,
        hii_list,
        is_nebular(
            nebular_significance, forbidden_line_significance, fwhm_halpha_km_s, resolving_power
        ) as is_nebular,
        {branch} as is_known_be
    from emission
    where herbig_list is not null
       or hii_list is not null
       or is_nebular(nebular_significance, forbidden_line_significance, fwhm_halpha_km_s, resolving_power)
)
select * from final
