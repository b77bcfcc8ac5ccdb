-- 80 · Emission stars that no list calls classical Be, without those that a list or their spectrum says are something else.
with
emission as (select * from emission_star),
final as (
    select *
    from emission
    where n_cbe_lists = 0
      and passes_contaminants(herbig_list, hii_list, nebular_significance, fwhm_halpha_km_s)
)
select * from final
