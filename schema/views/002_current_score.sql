-- 2 · Probability of Be of each spectrum, by the model that is current.
with
final as (
    select be_score.spectrum_id, be_score.be_probability, be_score.model_id, be_score.provider
    from be_score
    join model using (model_id)
    where model.is_current
)
select * from final
