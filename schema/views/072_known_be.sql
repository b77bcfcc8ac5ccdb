-- 72 · Emission stars that a published list calls classical Be. is_contested: another list calls it something else.
with
emission as (select * from emission_star),
final as (
    select *, herbig_list is not null or hii_list is not null as is_contested
    from emission
    where n_cbe_lists > 0
)
select * from final
