-- Near misses of the classifier
-- Stars that pass the first four steps and whose best spectrum lies less than a margin (default: 0.5) below the required probability.
-- The equivalent width is that of the strongest emission among the spectra within that margin.
select step_40_q_index.star_id, designation, max(be_probability) as be_probability, min(ew_halpha_a) as ew_halpha_a,
    min(step_40_q_index.is_simulated) as is_simulated
from current_score
join step_40_q_index using (spectrum_id)
where be_probability > (select value from selection_parameter where name = 'be_probability_min') - cast(coalesce(nullif(:margin, ''), 0.5) as real)
group by step_40_q_index.star_id, designation
having max(be_probability) < (select value from selection_parameter where name = 'be_probability_min')
order by be_probability desc
limit 500
