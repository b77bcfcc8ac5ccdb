-- 80 · Emission stars that no list calls classical Be, without those that are known to be something else.
with
emission as (select * from emission_star),
flags as (select * from literature_flag),
final as (
    select emission.*
    from emission
    left join flags using (star_id)
    where coalesce(flags.n_cbe_lists, 0) = 0
      and (
          parameter('exclude_contaminants') = 0
          or (coalesce(flags.n_herbig_lists, 0) = 0 and coalesce(flags.n_hii_lists, 0) = 0 and not emission.is_nebular)
      )
)
select * from final
