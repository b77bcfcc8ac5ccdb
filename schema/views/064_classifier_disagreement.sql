-- 64 · Spectra that one classifier calls Be and the other does not: inspecting these by eye helps most.
with
scores as (
    select
        be_score.spectrum_id,
        max(case when model.network = 'resnet18' then be_score.be_probability end) as be_probability_resnet18,
        max(case when model.network = 'profile' then be_score.be_probability end) as be_probability_profile,
        max(case when model.network = 'both' then be_score.be_probability end) as be_probability_both
    from be_score
    join model on model.model_id = be_score.model_id
    where model.is_current
    group by be_score.spectrum_id
),
final as (
    select
        spectrum.star_id,
        spectrum.designation,
        scores.spectrum_id,
        spectrum.is_simulated,
        spectrum.snr_r,
        scores.be_probability_resnet18,
        scores.be_probability_profile,
        scores.be_probability_both,
        abs(scores.be_probability_resnet18 - scores.be_probability_profile) as difference
    from scores
    join spectrum on spectrum.spectrum_id = scores.spectrum_id
    where (scores.be_probability_resnet18 >= parameter('be_probability_min'))
        <> (scores.be_probability_profile >= parameter('be_probability_min'))
)
select * from final
