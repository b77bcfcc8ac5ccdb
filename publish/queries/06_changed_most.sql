-- Be stars that changed most
-- Candidates whose H-alpha changes significantly between epochs, most significant change first, with the kind of change.
select star_id, designation, kind_of_change, change_sigma, n_epochs, n_nights, baseline_d, ew_min_a, ew_max_a,
    violet_red_ratio_min, violet_red_ratio_max, mjd_first_emission, mjd_last_emission, is_simulated
from variable_be
where change_result = 'changes'
order by change_sigma desc
