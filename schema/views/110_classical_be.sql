-- 110 · All classical Be stars: the emission stars of known_be, and those that pass all tests of new_cbe.
with
emission as (select * from emission_star),
final as (
    select *, not ({branch}) as is_new
    from emission
    where {branch}
       or ({passes of star})
)
select * from final
