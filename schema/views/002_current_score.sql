-- 2 · Probability of Be for each spectrum, from the model that decides.
with
final as (
    select be_score.spectrum_id, be_score.be_probability, be_score.model_id, be_score.provider
    from be_score
    join current_model using (model_id)
)
select * from final
