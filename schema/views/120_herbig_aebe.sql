-- 120 · Herbig Ae/Be stars among the emission stars: by their infrared colours (with a type that passes), or in a list.
with
emission as (select * from emission_star),
judged as (
    select
        star_id,
        designation,
        ra_deg,
        dec_deg,
        is_simulated,
        spectrum_id,
        spectral_type,
        hk0_mag,
        kw10_mag,
        herbig_list,
        is_herbig_by_infrared(
            hk0_mag, kw10_mag, n_cbe_lists, subtype_min, subtype_max, luminosity_min, is_peculiar
        ) as by_infrared,
        herbig_list is not null as by_literature
    from emission
),
final as (
    select * from judged where by_infrared or by_literature
)
select * from final
