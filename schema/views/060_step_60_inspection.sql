-- 60 · What people said on looking: a star that more of them called not Be than Be goes.
with
by_classifier as (select * from step_50_be_probability),
tally as (select star_id, n_be, n_not_be from inspection_tally),
final as (
    select by_classifier.*, coalesce(tally.n_be, 0) as n_be, coalesce(tally.n_not_be, 0) as n_not_be
    from by_classifier
    left join tally using (star_id)
    where passes_inspection(tally.n_be, tally.n_not_be)
)
select * from final
