-- 283 · Be stars in time: every candidate Be star, the most significant change first, with the kind of change in words: emission appears,
-- emission goes (EW(H-alpha), peak or core changes, and with it the class of the profile), V/R reversal, shell phase, brightening or fading
-- (a trend of EW(H-alpha) that makes up at least half of its chi-square), or the quantity that varies without any of these. change_result
-- is unknown, not constant, for a star with one epoch.
with
candidates as (select star_id from be_candidate),
changes as (select star_change.* from star_change join candidates on candidates.star_id = star_change.star_id),
tested as (
    select
        changes.*,
        coalesce(chance_in_trials(greatest(ew_change_sigma, peak_flux_change_sigma, core_flux_change_sigma), n_trials), 1.0)
        <= parameter('change_chance_max') as strength_changes,
        coalesce(chance_in_trials(ew_change_sigma, n_trials), 1.0) <= parameter('change_chance_max') as ew_changes,
        coalesce(chance_in_trials(violet_red_ratio_change_sigma, n_trials), 1.0) <= parameter('change_chance_max') as vr_changes,
        coalesce(chance_in_trials(core_flux_change_sigma, n_trials), 1.0) <= parameter('change_chance_max') as core_changes,
        case
            when power(ew_trend_a_yr / e_ew_trend_a_yr, 2) >= 0.5 * ew_chi2 then ew_trend_a_yr / e_ew_trend_a_yr
        end as ew_trend_sigma
    from changes
),
kinds as (
    select
        tested.*,
        case when strength_changes and mjd_first_absorption < mjd_last_emission then 'emission appears, ' else '' end
        || case when strength_changes and mjd_first_emission < mjd_last_absorption then 'emission goes, ' else '' end
        || case
            when vr_changes
                and vr_above_sigma >= parameter('change_part_significance_min')
                and vr_below_sigma >= parameter('change_part_significance_min')
            then 'V/R reversal, '
            else ''
        end
        || case when core_changes and n_shell > 0 and n_without_shell > 0 then 'shell phase, ' else '' end
        || case
            when ew_changes and ew_trend_sigma <= -parameter('change_part_significance_min') then 'brightening, '
            when ew_changes and ew_trend_sigma >= parameter('change_part_significance_min') then 'fading, '
            else ''
        end as named
    from tested
),
final as (
    select
        star_id,
        designation,
        ra_deg,
        dec_deg,
        is_simulated,
        change_result,
        case
            when change_result <> 'changes' then null
            when named = '' then surest_quantity || ' varies'
            else substr(named, 1, length(named) - 2)
        end as kind_of_change,
        decided_by,
        change_sigma,
        change_chance,
        surest_quantity,
        n_epochs,
        n_nights,
        mjd_first,
        mjd_last,
        baseline_d,
        ew_mean_a,
        ew_min_a,
        ew_max_a,
        ew_chi2,
        ew_change_sigma,
        ew_trend_a_yr,
        e_ew_trend_a_yr,
        instrument,
        peak_flux_min,
        peak_flux_max,
        peak_flux_change_sigma,
        violet_red_ratio_min,
        violet_red_ratio_max,
        violet_red_ratio_change_sigma,
        peak_separation_min_km_s,
        peak_separation_max_km_s,
        peak_separation_change_sigma,
        core_flux_min,
        core_flux_max,
        core_flux_change_sigma,
        n_emission,
        n_absorption,
        n_shell,
        mjd_first_emission,
        mjd_last_emission,
        mjd_first_absorption,
        mjd_last_absorption
    from kinds
    order by change_sigma desc nulls last, star_id
)
select * from final
