-- 120 · Herbig Ae/Be stars among the emission stars: by their infrared colours (and a type that passes), or in a list.
with
emission as (select * from emission_star),
flags as (select star_id, herbig_list from literature_flag where n_herbig_lists > 0),
types as (select * from spectral_type where is_adopted),
colours as (select * from infrared_class),
judged as (
    select
        emission.star_id,
        emission.designation,
        emission.ra_deg,
        emission.dec_deg,
        emission.spectrum_id,
        types.spectral_type,
        colours.hk0_mag,
        colours.kw10_mag,
        colours.herbig_colour_probability,
        flags.herbig_list,
        coalesce(
            colours.infrared_class = 'Herbig Ae/Be'
            and passes_subtype(types.subtype_min, types.subtype_max)
            and passes_luminosity(types.luminosity_min)
            and passes_normal_type(types.is_peculiar),
            false
        ) as by_infrared,
        flags.herbig_list is not null as by_literature
    from emission
    left join flags using (star_id)
    left join types using (star_id)
    left join colours using (star_id)
),
final as (
    select * from judged where by_infrared or by_literature
)
select * from final
