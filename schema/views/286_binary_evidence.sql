-- 286 · The evidence for a companion, star by star, each piece separately: whether the velocity changes (velocity_change), double lines and
-- whether they swap, whether the core of H-alpha changes alone, the period of the velocity, Gaia's RUWE and its own flag of non-single
-- stars, and published lists of spectroscopic binaries. The core changes alone if it changes by core_change_significance_min standard
-- deviations, and without the exposure that deviates most still by change_part_significance_min, while EW, highest peak and V/R stay within
-- change_part_significance_min: the two lines of a double-lined star part and blend.
-- The core of a disc changes as well, so stars with emission or a shell line at any epoch are not examined for it. evidence names the
-- pieces, NULL where there is none; what has not been examined is NULL, not no. A query for one star_id is fast.
with
listed as (
    select star_id, count(distinct catalogue_id) as n_sb_lists, min(catalogue_id) as sb_list
    from literature_match
    where object_class = 'spectroscopic binary' and is_best
    group by star_id
),
loaded as (select count(*) as n_lists from literature_catalogue where n_rows > 0 and object_class = 'spectroscopic binary'),
found as (
    select
        star.star_id,
        star.designation,
        star.ra_deg,
        star.dec_deg,
        star.is_simulated,
        coalesce(velocity_change.velocity_result, 'unknown') as velocity_result,
        case when velocity_change.star_id is null then 'no velocity: spectra that give one' else velocity_change.decided_by end as decided_by,
        coalesce(velocity_change.n_velocities, 0) as n_velocities,
        velocity_change.rv_mean_km_s,
        velocity_change.rv_min_km_s,
        velocity_change.rv_max_km_s,
        velocity_change.rv_change_probability,
        velocity_change.rv_difference_km_s,
        velocity_change.rv_difference_sigma,
        coalesce(velocity_change.n_double_lined, 0) as n_double_lined,
        coalesce(velocity_change.has_double_lines, false) as has_double_lines,
        coalesce(velocity_change.lines_swap, false) as lines_swap,
        star_change.core_flux_change_all_exposures_sigma,
        case
            when star_change.n_emission = 0 and star_change.n_shell = 0
            then star_change.core_flux_change_all_exposures_sigma > parameter('core_change_significance_min')
                and star_change.core_flux_change_sigma > parameter('change_part_significance_min')
                and greatest(
                    star_change.ew_change_sigma, star_change.peak_flux_change_all_exposures_sigma, star_change.violet_red_ratio_change_sigma
                ) <= parameter('change_part_significance_min')
        end as core_changes_alone,
        velocity_period.period_d,
        velocity_period.e_period_d,
        velocity_period.semi_amplitude as semi_amplitude_km_s,
        velocity_period.e_semi_amplitude as e_semi_amplitude_km_s,
        velocity_period.false_alarm_probability,
        astrometry.ruwe,
        gaia_parameters.non_single_star,
        coalesce(listed.n_sb_lists, case when loaded.n_lists > 0 then 0 end) as n_sb_lists,
        listed.sb_list
    from star
    left join velocity_change on velocity_change.star_id = star.star_id
    left join star_change on star_change.star_id = star.star_id
    left join (
        select star_id, period_d, e_period_d, semi_amplitude, e_semi_amplitude, false_alarm_probability
        from star_period
        where quantity = 'rv_km_s'
    ) as velocity_period on velocity_period.star_id = star.star_id
    left join astrometry on astrometry.star_id = star.star_id
    left join gaia_parameters on gaia_parameters.star_id = star.star_id
    left join listed on listed.star_id = star.star_id
    cross join loaded
),
tested as (
    select
        *,
        case when velocity_result <> 'unknown' then velocity_result = 'changes' end as velocity_changes,
        false_alarm_probability <= parameter('period_false_alarm_max') as has_period,
        ruwe > parameter('ruwe_binary_min') as has_high_ruwe,
        non_single_star > 0 as is_non_single_in_gaia,
        n_sb_lists > 0 as is_in_sb_list
    from found
),
words as (
    select
        *,
        case when velocity_changes then 'velocity changes, ' else '' end
        || case when lines_swap then 'double lines that swap, ' when has_double_lines then 'double lines, ' else '' end
        || case when core_changes_alone then 'core changes alone, ' else '' end
        || case when velocity_changes and has_period then 'period, ' else '' end
        || case when is_non_single_in_gaia then 'non-single in Gaia, ' else '' end
        || case when is_in_sb_list then 'published binary, ' else '' end
        || case when has_high_ruwe then 'RUWE, ' else '' end as named
    from tested
),
final as (
    select
        star_id,
        designation,
        ra_deg,
        dec_deg,
        is_simulated,
        case when named <> '' then substr(named, 1, length(named) - 2) end as evidence,
        velocity_result,
        decided_by,
        velocity_changes,
        rv_change_probability,
        rv_difference_km_s,
        rv_difference_sigma,
        n_velocities,
        rv_mean_km_s,
        rv_min_km_s,
        rv_max_km_s,
        has_double_lines,
        lines_swap,
        n_double_lined,
        core_changes_alone,
        core_flux_change_all_exposures_sigma,
        has_period,
        period_d,
        e_period_d,
        semi_amplitude_km_s,
        e_semi_amplitude_km_s,
        false_alarm_probability,
        has_high_ruwe,
        ruwe,
        is_non_single_in_gaia,
        non_single_star,
        is_in_sb_list,
        n_sb_lists,
        sb_list
    from words
)
select * from final
