-- 2 · Probability of Be for each spectrum, from the model that decides.
with
bare as (
    select be_score.spectrum_id, be_score.be_probability, be_score.model_id, be_score.provider
    from be_score
    join current_model using (model_id)
),
final as (
    select bare.*, spectrum.is_simulated
    from bare
    left join spectrum using (spectrum_id)
)
select * from final
