-- 60 · Judgements by eye: drops a star that more people called not Be than Be.
--: step = "inspection"
--: of = "spectrum"
--: label = "Not rejected by eye"
--: printed = "be_candidate"
--: [60]
--: quantity = "votes for Be minus votes against"
--: column = "n_for_less_against"
--: value = "coalesce(inspection_tally.n_be, 0) - coalesce(inspection_tally.n_not_be, 0)"
--: side = "at_least"
--: parameter = "inspection_required"
--: threshold = 0
--: passes = "passes_inspection(inspection_tally.n_be, inspection_tally.n_not_be)"
--: known = "inspection_tally.n_be + inspection_tally.n_not_be > 0"
--: missing = "passes"
--: decided_by = "nobody has looked: judge it at /inspect of `becat serve`"
with
by_classifier as (select * from {previous}),
tally as (select star_id, n_be, n_not_be from inspection_tally),
final as (
    select by_classifier.*, coalesce(tally.n_be, 0) as n_be, coalesce(tally.n_not_be, 0) as n_not_be
    from by_classifier
    left join tally using (star_id)
    where {passes}
)
select * from final
