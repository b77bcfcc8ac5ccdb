-- 110 · All classical Be stars: the emission stars of known_be, and those that pass the three tests of new_cbe.
with
emission as (select * from emission_star),
final as (
    select *, n_cbe_lists = 0 as is_new
    from emission
    where n_cbe_lists > 0
       or (
           passes_contaminants(herbig_list, hii_list, nebular_significance, fwhm_halpha_km_s)
           and passes_type(subtype_min, subtype_max, luminosity_min, is_peculiar)
           and has_cbe_colours(hk0_mag, kw10_mag)
       )
)
select * from final
