-- 232 · Whether the core of H-alpha changes between epochs: evidence for a shell line, since the core of a photosphere never changes. Cores
-- are compared within one survey, the one with the most spectra of the star. The significance is that of chi-square about the weighted
-- mean, converted to standard deviations of a normal variable (Wilson & Hilferty 1931). A star with two absorption cores is a binary and
-- proves nothing.
with
cores as (
    select
        spectrum.star_id,
        spectrum.survey,
        cast(profile_class.core_flux as double) as core_flux,
        1.0 / (
            cast(profile_class.e_core_flux as double) * profile_class.e_core_flux
            + parameter('profile_change_error') * parameter('profile_change_error')
        ) as weight,
        case when profile_class.has_two_cores then 1 else 0 end as two_cores
    from spectrum
    join profile_class using (spectrum_id)
    where spectrum.star_id is not null
      and profile_class.core_flux is not null
      and profile_class.e_core_flux > 0
      and passes_snr_r(spectrum.snr_r)
),
moments as (
    select
        star_id,
        survey,
        count(*) as n_cores,
        min(core_flux) as core_flux_min,
        max(core_flux) as core_flux_max,
        max(two_cores) as two_cores,
        sum(weight * core_flux * core_flux) - sum(weight * core_flux) * sum(weight * core_flux) / sum(weight) as chi2
    from cores
    group by star_id, survey
),
best_sampled as (
    select *
    from moments
    where n_cores > 1
    qualify row_number() over (partition by star_id order by n_cores desc, survey) = 1
),
significance as (
    select
        *,
        (power(greatest(chi2, 0.0) / (n_cores - 1), 1.0 / 3.0) - 1.0 + 2.0 / (9.0 * (n_cores - 1)))
        / sqrt(2.0 / (9.0 * (n_cores - 1))) as core_change_sigma
    from best_sampled
),
final as (
    select
        star.star_id,
        star.designation,
        star.ra_deg,
        star.dec_deg,
        star.is_simulated,
        significance.survey,
        significance.n_cores,
        significance.core_flux_min,
        significance.core_flux_max,
        significance.core_change_sigma,
        significance.two_cores = 1 as has_two_cores,
        significance.core_change_sigma > parameter('profile_change_significance')
            and significance.two_cores = 0 as core_changes
    from significance
    join star using (star_id)
)
select * from final
