-- Be stars whose H-alpha emission varies
-- Candidates with several visits, by the significance with which EW(H-alpha) changes between them.
select star_visits.star_id, star_visits.designation, n_visits, baseline_d, ew_min_a, ew_max_a, ew_variability_sigma, star_visits.is_simulated
from star_visits
join be_candidate using (star_id)
where n_ew > 1
order by ew_variability_sigma desc
