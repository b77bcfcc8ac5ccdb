-- Why was this star rejected?
-- Each test of the spectrum that represents the star: value, threshold, margin. Give part of the designation.
select verdict_step.star_id, verdict_step.designation, step, name, quantity, value, threshold, margin, unit, detail, passed, is_verdict, is_simulated
from verdict_step
where rank_in_star = 1
  and star_id in (select star_id from star where designation like '%' || :designation || '%' limit 5)
order by verdict_step.star_id, test
