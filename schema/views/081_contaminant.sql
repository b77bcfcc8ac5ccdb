-- 81 · Emission stars that a list calls Herbig Ae/Be or H II region, or whose spectrum is nebular.
with
emission as (select * from emission_star),
final as (
    select
        star_id,
        designation,
        ra_deg,
        dec_deg,
        spectrum_id,
        herbig_list,
        hii_list,
        is_nebular(nebular_significance, fwhm_halpha_km_s) as is_nebular,
        n_cbe_lists > 0 as is_known_be
    from emission
    where herbig_list is not null
       or hii_list is not null
       or is_nebular(nebular_significance, fwhm_halpha_km_s)
)
select * from final
