-- 2 · Probability of Be of each spectrum, by the model that is current. Were two models current, the one whose id sorts last counts.
with
current_model as (select max(model_id) as model_id from model where is_current),
final as (
    select be_score.spectrum_id, be_score.be_probability, be_score.model_id, be_score.provider
    from be_score
    join current_model using (model_id)
)
select * from final
