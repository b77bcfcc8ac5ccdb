-- 50 · Spectra whose H-alpha profile is that of a Be star, by the current model.
with
early_type as (select * from step_40_q_index),
scores as (
    select spectrum_id, be_probability, model_id
    from current_score
    where passes_be_probability(be_probability)
),
final as (
    select early_type.*, scores.be_probability, scores.model_id
    from early_type
    join scores using (spectrum_id)
)
select * from final
