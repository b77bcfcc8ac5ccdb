-- 285 · Whether a star's radial velocity changes: chi-square about the mean of the velocities that count, to whose errors
-- rv_floor_error_km_s is added. Each survey has its own mean, because their zero points differ. rv_change_probability is the probability
-- that a constant star has so large a chi-square. The largest difference is between the epoch whose velocity is most certainly the highest
-- (velocity minus two errors) and the one whose velocity is most certainly the lowest. velocity_result is changes, constant, or unknown,
-- where no two velocities can be compared.
with
velocities as (
    select
        star_id,
        survey,
        mjd,
        cast(rv_km_s as double) as rv_km_s,
        sqrt(power(e_rv_km_s, 2) + power(parameter('rv_floor_error_km_s'), 2)) as e_km_s,
        rv_primary_km_s - rv_secondary_km_s as lines_km_s,
        (rv_primary_km_s - rv_secondary_km_s) / sqrt(power(e_rv_primary_km_s, 2) + power(e_rv_secondary_km_s, 2)) as lines_sigma
    from epoch
    where counts and (e_rv_km_s > 0 or rv_secondary_km_s is not null)
),
ranked as (
    select
        *,
        row_number() over (partition by star_id, survey order by rv_km_s - 2.0 * e_km_s desc nulls last, mjd) as from_highest,
        row_number() over (partition by star_id, survey order by rv_km_s + 2.0 * e_km_s nulls last, mjd) as from_lowest
    from velocities
),
of_survey as (
    select
        star_id,
        count(e_km_s) as n_velocities,
        sum(rv_km_s / (e_km_s * e_km_s)) as weight_km_s,
        sum(1.0 / (e_km_s * e_km_s)) as weight,
        chi2_about_mean(rv_km_s, 1.0 / (e_km_s * e_km_s)) as chi2,
        min(rv_km_s) as rv_min_km_s,
        max(rv_km_s) as rv_max_km_s,
        max(case when from_highest = 1 then rv_km_s end) - max(case when from_lowest = 1 then rv_km_s end) as difference_km_s,
        max(case when from_highest = 1 then e_km_s end) as e_highest_km_s,
        max(case when from_lowest = 1 then e_km_s end) as e_lowest_km_s,
        count(lines_km_s) as n_double_lined,
        min(lines_km_s) as lines_min_km_s,
        max(lines_km_s) as lines_max_km_s,
        min(lines_sigma) as lines_min_sigma,
        max(lines_sigma) as lines_max_sigma
    from ranked
    group by star_id, survey
),
of_star as (
    select
        star_id,
        cast(sum(n_velocities) as bigint) as n_velocities,
        cast(sum(greatest(n_velocities - 1, 0)) as bigint) as degrees,
        sum(weight_km_s) / sum(weight) as rv_mean_km_s,
        min(rv_min_km_s) as rv_min_km_s,
        max(rv_max_km_s) as rv_max_km_s,
        sum(case when n_velocities > 1 then chi2 end) as rv_chi2,
        max(case when n_velocities > 1 then difference_km_s end) as rv_difference_km_s,
        max(
            case
                when n_velocities > 1
                then difference_km_s / sqrt(e_highest_km_s * e_highest_km_s + e_lowest_km_s * e_lowest_km_s)
            end
        ) as rv_difference_sigma,
        cast(sum(n_double_lined) as bigint) as n_double_lined,
        min(lines_min_km_s) as lines_min_km_s,
        max(lines_max_km_s) as lines_max_km_s,
        min(lines_min_sigma) as lines_min_sigma,
        max(lines_max_sigma) as lines_max_sigma
    from of_survey
    group by star_id
),
tested as (select *, chi2_sigma(rv_chi2, degrees) as rv_change_sigma from of_star),
judged as (
    select *, case when rv_change_sigma is not null then normal_cdf(-rv_change_sigma) end as rv_change_probability from tested
),
final as (
    select
        judged.star_id,
        star.designation,
        star.ra_deg,
        star.dec_deg,
        star.is_simulated,
        case
            when judged.rv_change_probability is null then 'unknown'
            when judged.rv_change_probability <= parameter('rv_change_probability_max')
                and judged.rv_difference_km_s >= parameter('rv_difference_min_km_s')
            then 'changes'
            else 'constant'
        end as velocity_result,
        judged.n_velocities,
        judged.rv_mean_km_s,
        judged.rv_min_km_s,
        judged.rv_max_km_s,
        judged.rv_chi2,
        judged.rv_change_sigma,
        judged.rv_change_probability,
        judged.rv_difference_km_s,
        judged.rv_difference_sigma,
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
