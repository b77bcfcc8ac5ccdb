-- 211 · Every star: the first step that it fails (NULL: none, it is a classical Be star), by the spectrum that gets
-- farthest; the value, the threshold and the margin (positive passes).
with
stars as (select star_id, designation, ra_deg, dec_deg from star),
steps as (select * from verdict_step where rank_in_star = 1 and is_verdict),
final as (
    select
        stars.star_id,
        stars.designation,
        stars.ra_deg,
        stars.dec_deg,
        steps.spectrum_id,
        case when not steps.passed then steps.step end as step,
        case when not steps.passed then steps.name end as name,
        steps.quantity,
        steps.value,
        steps.threshold,
        steps.margin,
        steps.unit,
        steps.detail,
        steps.passed as is_classical_be
    from stars
    join steps using (star_id)
)
select * from final
