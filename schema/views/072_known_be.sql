-- 72 · Emission stars that a published list calls classical Be. is_contested: another list calls the star something else.
--: step = "known_be"
--: of = "star"
--: label = "Known classical Be stars: a branch"
--: printed = "known_be"
--: branch = "coalesce(literature_flag.n_cbe_lists, 0) > 0"
with
emission as (select * from emission_star),
final as (
    select *, herbig_list is not null or hii_list is not null as is_contested
    from emission
    where {branch}
)
select * from final
