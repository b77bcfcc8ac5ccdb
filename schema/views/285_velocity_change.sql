-- 285 · Whether a star's radial velocity changes from night to night. rv_floor_error_km_s is added to the error of each night. Each survey has
-- its own mean, because zero points differ; where exposures of one night scatter by more than their errors, all errors are enlarged by as
-- much. rv_change_probability is the probability of so large a chi-square for a constant star. The largest difference is that between the
-- night whose velocity is most certainly high (velocity minus two errors) and the one most certainly low. velocity_result is changes,
-- constant, or unknown, and decided_by says what is missing then: wings of H-alpha move with the disc, so where EW, highest peak or V/R
-- may have changed, by change_part_significance_min standard deviations, they say nothing about the star. The peaks' separation and the core
-- do not decide: an orbit changes them as well.
with
velocities as (
    select
        star_id,
        survey,
        night,
        cast(rv_km_s as double) as rv_km_s,
        1.0 / power(cast(e_rv_km_s as double), 2) as weight,
        case when rv_method like 'H-alpha%' then 1 else 0 end as is_of_halpha,
        rv_primary_km_s - rv_secondary_km_s as lines_km_s,
        (rv_primary_km_s - rv_secondary_km_s) / sqrt(power(e_rv_primary_km_s, 2) + power(e_rv_secondary_km_s, 2)) as lines_sigma
    from epoch
    where counts and night is not null and (e_rv_km_s > 0 or rv_secondary_km_s is not null)
),
nights as (
    select
        star_id,
        survey,
        count(weight) as n_velocities,
        sum(weight * rv_km_s) / sum(weight) as rv_km_s,
        sum(weight) as weight_of_noise,
        chi2_about_mean(rv_km_s, weight) as chi2_within,
        max(is_of_halpha) as is_of_halpha,
        min(rv_km_s) as rv_min_km_s,
        max(rv_km_s) as rv_max_km_s,
        count(lines_km_s) as n_double_lined,
        min(lines_km_s) as lines_min_km_s,
        max(lines_km_s) as lines_max_km_s,
        min(lines_sigma) as lines_min_sigma,
        max(lines_sigma) as lines_max_sigma
    from velocities
    group by star_id, survey, night
),
with_floor as (
    select
        *,
        1.0 / (1.0 / weight_of_noise + power(parameter('rv_floor_error_km_s'), 2)) as weight,
        sqrt(1.0 / weight_of_noise + power(parameter('rv_floor_error_km_s'), 2)) as e_km_s
    from nights
),
ranked as (
    select
        *,
        row_number() over (partition by star_id, survey order by rv_km_s - 2.0 * e_km_s desc nulls last) as from_highest,
        row_number() over (partition by star_id, survey order by rv_km_s + 2.0 * e_km_s nulls last) as from_lowest
    from with_floor
),
of_survey as (
    select
        star_id,
        cast(sum(n_velocities) as bigint) as n_velocities,
        count(weight) as n_nights,
        sum(chi2_within) as chi2_within,
        cast(sum(greatest(n_velocities - 1, 0)) as bigint) as degrees_within,
        chi2_about_mean(rv_km_s, weight) as chi2_between,
        greatest(count(weight) - 1, 0) as degrees_between,
        sum(weight * rv_km_s) as weight_km_s,
        sum(weight) as weight,
        max(is_of_halpha) as is_of_halpha,
        min(rv_min_km_s) as rv_min_km_s,
        max(rv_max_km_s) as rv_max_km_s,
        max(case when from_highest = 1 then rv_km_s end) - max(case when from_lowest = 1 then rv_km_s end) as difference_km_s,
        max(case when from_highest = 1 then e_km_s end) as e_highest_km_s,
        max(case when from_lowest = 1 then e_km_s end) as e_lowest_km_s,
        cast(sum(n_double_lined) as bigint) as n_double_lined,
        min(lines_min_km_s) as lines_min_km_s,
        max(lines_max_km_s) as lines_max_km_s,
        min(lines_min_sigma) as lines_min_sigma,
        max(lines_max_sigma) as lines_max_sigma
    from ranked
    group by star_id, survey
),
of_star as (
    select
        star_id,
        cast(sum(n_velocities) as bigint) as n_velocities,
        cast(sum(n_nights) as bigint) as n_nights,
        sum(chi2_within) as chi2_within,
        cast(sum(degrees_within) as bigint) as degrees_within,
        sum(chi2_between) as chi2_between,
        cast(sum(degrees_between) as bigint) as degrees_between,
        sum(weight_km_s) / sum(weight) as rv_mean_km_s,
        max(is_of_halpha) as is_of_halpha,
        min(rv_min_km_s) as rv_min_km_s,
        max(rv_max_km_s) as rv_max_km_s,
        max(case when degrees_between > 0 then difference_km_s end) as rv_difference_km_s,
        max(
            case
                when degrees_between > 0
                then difference_km_s / sqrt(e_highest_km_s * e_highest_km_s + e_lowest_km_s * e_lowest_km_s)
            end
        ) as difference_sigma,
        cast(sum(n_double_lined) as bigint) as n_double_lined,
        min(lines_min_km_s) as lines_min_km_s,
        max(lines_max_km_s) as lines_max_km_s,
        min(lines_min_sigma) as lines_min_sigma,
        max(lines_max_sigma) as lines_max_sigma
    from of_survey
    group by star_id
),
scattered as (      -- how much wider than their errors exposures of a night scatter, squared, if certainly so
    select
        *,
        case
            when chi2_sigma(chi2_within, degrees_within) > parameter('change_part_significance_min') then chi2_within / degrees_within
            else 1.0
        end as scatter
    from of_star
),
tested as (
    select
        *,
        case when degrees_between > 0 then chi2_between / scatter when scatter = 1.0 then chi2_within end as rv_chi2,
        case when degrees_between > 0 then degrees_between when scatter = 1.0 then degrees_within end as degrees
    from scattered
),
significant as (select *, chi2_sigma(rv_chi2, degrees) as rv_change_sigma from tested),
judged as (
    select
        significant.*,
        case when rv_change_sigma is not null then normal_cdf(-rv_change_sigma) end as rv_change_probability,
        coalesce(
            significant.is_of_halpha = 1
            and greatest(
                star_change.ew_change_sigma,
                star_change.peak_flux_change_all_exposures_sigma,
                star_change.violet_red_ratio_change_sigma,
                case when star_change.n_epochs < 4 then star_change.violet_red_ratio_change_all_exposures_sigma end      -- of few, one may be right
            ) > parameter('change_part_significance_min'),
            false
        ) as follows_disc
    from significant
    left join star_change on star_change.star_id = significant.star_id
),
final as (
    select
        judged.star_id,
        star.designation,
        star.ra_deg,
        star.dec_deg,
        star.is_simulated,
        case
            when judged.rv_change_probability is null or judged.follows_disc then 'unknown'
            when judged.rv_change_probability <= parameter('rv_change_probability_max')
                and judged.rv_difference_km_s >= parameter('rv_difference_min_km_s')
            then 'changes'
            else 'constant'
        end as velocity_result,
        case
            when judged.follows_disc then 'H-alpha changes, and its wings give the velocity: velocities from other lines'
            when judged.n_velocities > 1 and judged.rv_change_probability is null and judged.scatter > 1.0
            then 'exposures of one night scatter by more than their errors: a second night'
            when judged.rv_change_probability is null then 'no two velocities that can be compared: a second spectrum'
        end as decided_by,
        judged.n_velocities,
        judged.n_nights,
        judged.rv_mean_km_s,
        judged.rv_min_km_s,
        judged.rv_max_km_s,
        judged.rv_chi2,
        judged.rv_change_sigma,
        judged.rv_change_probability,
        judged.rv_difference_km_s,
        judged.difference_sigma / sqrt(judged.scatter) as rv_difference_sigma,
        judged.n_double_lined,
        judged.lines_min_km_s,
        judged.lines_max_km_s,
        judged.n_double_lined >= parameter('double_lined_epochs_min') as has_double_lines,
        coalesce(
            judged.lines_min_sigma <= -parameter('double_line_significance_min')
            and judged.lines_max_sigma >= parameter('double_line_significance_min'),
            false
        ) as lines_swap
    from judged
    left join star on star.star_id = judged.star_id
)
select * from final
