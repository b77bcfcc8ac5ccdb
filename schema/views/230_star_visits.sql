-- 230 · How often and over what time each star was observed, and whether its EW(H-alpha) varies. Spectra whose S/N is too low do not count,
-- and telluric water is subtracted. A visit is a night: for LAMOST a day of MJD, for others what is more than half a day after the previous
-- spectrum. The widths are those of coadds where the star has one, so that no exposure counts twice. The significance is that of chi-square
-- about the weighted mean, converted to standard deviations of a normal variable (Wilson & Hilferty 1931).
with
good as not materialized (      -- a query for one star reads only its rows
    select spectrum_id, star_id, survey, mjd, coadd
    from spectrum
    where star_id is not null and passes_snr_r(snr_r)
),
elsewhere as (      -- nights of other observatories, which may span midnight UTC: more than half a day apart
    select star_id, mjd, mjd - lag(mjd) over (partition by star_id order by mjd) as gap_d
    from good
    where survey not like 'LAMOST%'
),
nights_elsewhere as (
    select star_id, count(case when coalesce(gap_d, 1) > 0.5 then mjd end) as n_nights
    from elsewhere
    group by star_id
),
visits as not materialized (
    select
        star_id,
        count(*) as n_spectra,
        count(distinct case when survey like 'LAMOST%' then floor(mjd) end) as n_nights,
        min(mjd) as mjd_first,
        max(mjd) as mjd_last,
        max(mjd) - min(mjd) as baseline_d,
        max(case when coadd then 1 else 0 end) as has_coadd
    from good
    group by star_id
),
widths as (
    select
        good.star_id,
        cast(coalesce(line_measurement.ew_halpha_dry_a, line_measurement.ew_halpha_a) as double) as ew_a,
        1.0 / power(cast(coalesce(line_measurement.e_ew_halpha_dry_a, line_measurement.e_ew_halpha_a) as double), 2) as weight
    from good
    join visits using (star_id)
    join line_measurement using (spectrum_id)
    where line_measurement.e_ew_halpha_a > 0
      and line_measurement.ew_halpha_a is not null
      and (good.coadd or visits.has_coadd = 0)
),
moments as (
    select
        star_id,
        count(*) as n_ew,
        sum(weight * ew_a) / sum(weight) as ew_mean_a,
        min(ew_a) as ew_min_a,
        max(ew_a) as ew_max_a,
        sum(weight * ew_a * ew_a) - sum(weight * ew_a) * sum(weight * ew_a) / sum(weight) as chi2
    from widths
    group by star_id
),
significance as (
    select
        *,
        case
            when n_ew > 1 then
                (power(greatest(chi2, 0.0) / (n_ew - 1), 1.0 / 3.0) - 1.0 + 2.0 / (9.0 * (n_ew - 1)))
                / sqrt(2.0 / (9.0 * (n_ew - 1)))
        end as ew_variability_sigma
    from moments
),
final as (
    select
        star.star_id,
        star.designation,
        star.ra_deg,
        star.dec_deg,
        star.is_simulated,
        visits.n_spectra,
        visits.n_nights + coalesce(nights_elsewhere.n_nights, 0) as n_visits,
        visits.mjd_first,
        visits.mjd_last,
        visits.baseline_d,
        significance.n_ew,
        significance.ew_mean_a,
        significance.ew_min_a,
        significance.ew_max_a,
        significance.chi2 as ew_chi2,
        significance.ew_variability_sigma
    from visits
    join star using (star_id)
    left join significance using (star_id)
    left join nights_elsewhere using (star_id)
)
select * from final
