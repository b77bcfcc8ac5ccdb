-- 50 · Spectra whose H-alpha profile is that of a Be star, according to the classifier that decides (be_classifier).
--: step = "be_probability"
--: of = "spectrum"
--: label = "Be by the classifier"
--: [50]
--: quantity = "probability of Be"
--: value = "current_score.be_probability"
--: side = "at_least"
--: parameter = "be_probability_min"
--: decided_by = "no score: `becat score`, with --all if an earlier step fails"
--: stage = "score"
--: slider = [0, 1, 0.01]
with
early_type as (select * from {previous}),
scores as (
    select spectrum_id, be_probability, model_id
    from current_score
    where {may_pass current_score}
),
final as (
    select early_type.*, scores.be_probability, scores.model_id
    from early_type
    join scores using (spectrum_id)
    where {passes}
)
select * from final
