-- 211 · Every star: the first step that it fails (NULL: none, it is a classical Be star), by the spectrum that gets farthest, with the
-- value, the threshold and the margin (positive passes). result is unknown where the star fails only tests for which it has no data:
-- decided_by tells what would decide the first of them.
with
stars as (select star_id, designation, ra_deg, dec_deg, is_simulated from star),
steps as (select * from verdict_step where rank_in_star = 1 and is_verdict),
final as (
    select
        stars.star_id,
        stars.designation,
        stars.ra_deg,
        stars.dec_deg,
        stars.is_simulated,
        steps.spectrum_id,
        case when not steps.passed then steps.step end as step,
        case when not steps.passed then steps.name end as name,
        steps.quantity,
        steps.value,
        steps.threshold,
        steps.margin,
        steps.unit,
        steps.detail,
        steps.passed as is_classical_be,
        case when steps.passed then 'pass' when steps.is_refused then 'fail' else 'unknown' end as result,
        steps.decided_by
    from stars
    join steps using (star_id)
)
select * from final
