-- 81 · Emission stars that are known, or seen by their spectrum, to be something else than a classical Be star.
with
emission as (select * from emission_star),
flags as (select * from literature_flag),
final as (
    select
        emission.star_id,
        emission.designation,
        emission.ra_deg,
        emission.dec_deg,
        emission.spectrum_id,
        flags.herbig_list,
        flags.hii_list,
        emission.is_nebular,
        coalesce(flags.n_cbe_lists, 0) > 0 as is_known_be
    from emission
    left join flags using (star_id)
    where flags.herbig_list is not null or flags.hii_list is not null or emission.is_nebular
)
select * from final
