-- 230 · How often and how long each star was seen, and whether its EW(H-alpha) varies. A visit is a day of MJD (at LAMOST a
-- night). The widths are those of coadds where the star has one, so that no exposure counts twice; the significance is
-- that of chi-square about the weighted mean, as standard deviations of a normal variable (Wilson & Hilferty 1931).
with
visits as (
    select
        star_id,
        count(*) as n_spectra,
        count(distinct floor(mjd)) as n_visits,
        min(mjd) as mjd_first,
        max(mjd) as mjd_last,
        max(mjd) - min(mjd) as baseline_d,
        max(case when coadd then 1 else 0 end) as has_coadd
    from spectrum
    where star_id is not null
    group by star_id
),
widths as (
    select
        spectrum.star_id,
        cast(line_measurement.ew_halpha_a as double) as ew_a,
        1.0 / (cast(line_measurement.e_ew_halpha_a as double) * line_measurement.e_ew_halpha_a) as weight
    from spectrum
    join visits using (star_id)
    join line_measurement using (spectrum_id)
    where line_measurement.e_ew_halpha_a > 0
      and line_measurement.ew_halpha_a is not null
      and (spectrum.coadd or visits.has_coadd = 0)
      and passes_snr_r(spectrum.snr_r)
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
        visits.n_spectra,
        visits.n_visits,
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
)
select * from final
