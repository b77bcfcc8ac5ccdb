-- Near misses of the classifier
-- Stars that pass the first four steps and whose best spectrum lies less than a given margin below the probability asked for.
select step_40_q_index.star_id, designation, max(be_probability) as be_probability, min(ew_halpha_a) as ew_halpha_a
from step_40_q_index
join current_score using (spectrum_id)
group by step_40_q_index.star_id, designation
having max(be_probability) < (select value from selection_parameter where name = 'be_probability_min')
   and max(be_probability) > (select value from selection_parameter where name = 'be_probability_min') - cast(:margin as real)
order by be_probability desc
