-- 282 · Whether a star's H-alpha changes: for every star the significance of the change of each quantity, from chi-square about the
-- weighted mean over the epochs that count, converted to standard deviations of a normal variable (Wilson & Hilferty 1931). EW(H-alpha) is
-- compared over all epochs; peaks and core, which depend on the resolution, over those of the instrument with the most epochs. V/R and
-- separation of profiles with two peaks are not compared with those of profiles with three or more, which have other outer peaks, nor a
-- core between two peaks with the deepest point of a line that shows no two peaks. A cosmic ray left in an exposure moves peaks and core: a
-- difference that a single exposure alone shows does not count as a change of V/R, separation or core, nor, of three or more, of the
-- highest peak, whose significance is that without it; profile_change_all_exposures_sigma is the largest with all exposures. Coadds are trusted. change_chance is the probability that
-- chance gives so large a change in any star of the catalogue and in any of the quantities. change_result is changes, constant (within the
-- errors), or unknown: too few epochs to decide. A query for one star_id is fast.
with
epochs as (      -- each of these is named once: what is named twice DuckDB computes for all stars, even in a query for one
    select
        star_id,
        mjd,
        row_number() over (partition by star_id, night order by mjd, spectrum_id) as place_in_night,
        profile_class,
        case
            when survey like 'LAMOST%' then survey
            else survey || ', R ' || cast(cast(round(exp(round(4.0 * ln(resolving_power)) / 4.0)) as integer) as varchar)
        end as instrument,
        cast(ew_halpha_a as double) as ew_a,
        case when ew_halpha_a is not null and e_ew_halpha_a > 0 then 1.0 / power(e_ew_halpha_a, 2) end as ew_weight,
        cast(peak_flux as double) as peak,
        case when peak_flux is not null and e_peak_flux > 0 then 1.0 / power(e_peak_flux, 2) end as peak_weight,
        cast(violet_red_ratio as double) as vr,
        case when violet_red_ratio is not null and e_violet_red_ratio > 0 then 1.0 / power(e_violet_red_ratio, 2) end as vr_weight,
        cast(peak_separation_km_s as double) as separation,
        case
            when peak_separation_km_s is not null and e_peak_separation_km_s > 0 then 1.0 / power(e_peak_separation_km_s, 2)
        end as separation_weight,
        cast(core_flux as double) as core,
        case when core_flux is not null and e_core_flux > 0 then 1.0 / power(e_core_flux, 2) end as core_weight,
        case when violet_red_ratio is not null then 1 else 0 end as is_between_peaks,
        coalesce(n_emission_peaks, 0) as n_peaks,
        case when not coadd then 1 end as of_exposure
    from disc_epoch
    where counts and mjd is not null
),
with_means as (
    select
        *,
        sum(peak_weight) over (partition by star_id, instrument) as peak_weights,
        sum(peak_weight * peak) over (partition by star_id, instrument)
        / sum(peak_weight) over (partition by star_id, instrument) as peak_mean,
        sum(vr_weight) over (partition by star_id, instrument, n_peaks) as vr_weights,
        sum(vr_weight * vr) over (partition by star_id, instrument, n_peaks)
        / sum(vr_weight) over (partition by star_id, instrument, n_peaks) as vr_mean,
        sum(separation_weight) over (partition by star_id, instrument, n_peaks) as separation_weights,
        sum(separation_weight * separation) over (partition by star_id, instrument, n_peaks)
        / sum(separation_weight) over (partition by star_id, instrument, n_peaks) as separation_mean,
        sum(core_weight) over (partition by star_id, instrument, is_between_peaks) as core_weights,
        sum(core_weight * core) over (partition by star_id, instrument, is_between_peaks)
        / sum(core_weight) over (partition by star_id, instrument, is_between_peaks) as core_mean
    from epochs
),
with_shares as (      -- by how much chi-square falls without this exposure
    select
        *,
        case
            when peak_weights > peak_weight
            then of_exposure * peak_weight * power(peak - peak_mean, 2) * peak_weights / (peak_weights - peak_weight)
        end as peak_share,
        case
            when vr_weights > vr_weight then of_exposure * vr_weight * power(vr - vr_mean, 2) * vr_weights / (vr_weights - vr_weight)
        end as vr_share,
        case
            when separation_weights > separation_weight
            then of_exposure * separation_weight * power(separation - separation_mean, 2)
                * separation_weights / (separation_weights - separation_weight)
        end as separation_share,
        case
            when core_weights > core_weight
            then of_exposure * core_weight * power(core - core_mean, 2) * core_weights / (core_weights - core_weight)
        end as core_share
    from with_means
),
of_instrument as (
    select
        star_id,
        instrument,
        count(*) as n_spectra,
        count(case when place_in_night = 1 then 1 end) as n_nights,
        min(mjd) as mjd_first,
        max(mjd) as mjd_last,
        count(ew_weight) as n_ew,
        min(case when ew_weight > 0 then ew_a end) as ew_min_a,
        max(case when ew_weight > 0 then ew_a end) as ew_max_a,
        sum(ew_weight) as weight,      -- and, for mean, chi-square and trend, its sums with the width and with days from 2009-06-18
        sum(ew_weight * ew_a) as weight_a,
        sum(ew_weight * ew_a * ew_a) as weight_a2,
        sum(ew_weight * (mjd - 55000.0)) as weight_d,
        sum(ew_weight * (mjd - 55000.0) * (mjd - 55000.0)) as weight_d2,
        sum(ew_weight * (mjd - 55000.0) * ew_a) as weight_d_a,
        count(peak_weight) as n_peak,
        min(case when peak_weight > 0 then peak end) as peak_flux_min,
        max(case when peak_weight > 0 then peak end) as peak_flux_max,
        chi2_about_mean(peak, peak_weight) as chi2_peak,
        case when count(peak_weight) > 2 then max(peak_share) end as peak_share,      -- of two, nobody knows which is right
        count(vr_weight) - count(distinct case when vr_weight > 0 then n_peaks end) as degrees_vr,
        min(case when vr_weight > 0 then vr end) as violet_red_ratio_min,
        max(case when vr_weight > 0 then vr end) as violet_red_ratio_max,
        max((vr - 1.0) * sqrt(vr_weight)) as vr_above_sigma,
        max((1.0 - vr) * sqrt(vr_weight)) as vr_below_sigma,
        sum(vr_weight * power(vr - vr_mean, 2)) as chi2_vr,
        max(vr_share) as vr_share,
        count(separation_weight) - count(distinct case when separation_weight > 0 then n_peaks end) as degrees_separation,
        min(case when separation_weight > 0 then separation end) as peak_separation_min_km_s,
        max(case when separation_weight > 0 then separation end) as peak_separation_max_km_s,
        sum(separation_weight * power(separation - separation_mean, 2)) as chi2_separation,
        max(separation_share) as separation_share,
        count(core_weight) - count(distinct case when core_weight > 0 then is_between_peaks end) as degrees_core,
        min(case when core_weight > 0 then core end) as core_flux_min,
        max(case when core_weight > 0 then core end) as core_flux_max,
        sum(core_weight * power(core - core_mean, 2)) as chi2_core,
        max(core_share) as core_share,
        count(case when profile_class like 'emission%' then 1 end) as n_emission,
        count(case when profile_class like 'absorption%' then 1 end) as n_absorption,
        count(case when profile_class like '%shell' then 1 end) as n_shell,
        count(case when profile_class in ('emission', 'absorption') then 1 end) as n_without_shell,
        min(case when profile_class like 'emission%' then mjd end) as mjd_first_emission,
        max(case when profile_class like 'emission%' then mjd end) as mjd_last_emission,
        min(case when profile_class like 'absorption%' then mjd end) as mjd_first_absorption,
        max(case when profile_class like 'absorption%' then mjd end) as mjd_last_absorption
    from with_shares
    group by star_id, instrument
),
best_sampled as (      -- the row of the instrument with most spectra, with what is of all instruments
    select
        star_id,
        instrument,
        cast(sum(n_spectra) over (partition by star_id) as bigint) as n_epochs,
        cast(sum(n_nights) over (partition by star_id) as bigint) as n_nights,
        min(mjd_first) over (partition by star_id) as mjd_first,
        max(mjd_last) over (partition by star_id) as mjd_last,
        cast(sum(n_ew) over (partition by star_id) as bigint) as n_ew,
        min(ew_min_a) over (partition by star_id) as ew_min_a,
        max(ew_max_a) over (partition by star_id) as ew_max_a,
        sum(weight) over (partition by star_id) as weight,
        sum(weight_a) over (partition by star_id) as weight_a,
        sum(weight_a2) over (partition by star_id) as weight_a2,
        sum(weight_d) over (partition by star_id) as weight_d,
        sum(weight_d2) over (partition by star_id) as weight_d2,
        sum(weight_d_a) over (partition by star_id) as weight_d_a,
        cast(sum(n_emission) over (partition by star_id) as bigint) as n_emission,
        cast(sum(n_absorption) over (partition by star_id) as bigint) as n_absorption,
        cast(sum(n_shell) over (partition by star_id) as bigint) as n_shell,
        cast(sum(n_without_shell) over (partition by star_id) as bigint) as n_without_shell,
        min(mjd_first_emission) over (partition by star_id) as mjd_first_emission,
        max(mjd_last_emission) over (partition by star_id) as mjd_last_emission,
        min(mjd_first_absorption) over (partition by star_id) as mjd_first_absorption,
        max(mjd_last_absorption) over (partition by star_id) as mjd_last_absorption,
        peak_flux_min,
        peak_flux_max,
        violet_red_ratio_min,
        violet_red_ratio_max,
        vr_above_sigma,
        vr_below_sigma,
        peak_separation_min_km_s,
        peak_separation_max_km_s,
        core_flux_min,
        core_flux_max,
        supported_sigma(chi2_peak, n_peak - 1, peak_share) as peak_flux_change_sigma,
        supported_sigma(chi2_vr, degrees_vr, vr_share) as violet_red_ratio_change_sigma,
        supported_sigma(chi2_separation, degrees_separation, separation_share) as peak_separation_change_sigma,
        supported_sigma(chi2_core, degrees_core, core_share) as core_flux_change_sigma,
        chi2_sigma(chi2_peak, n_peak - 1) as peak_flux_change_all_exposures_sigma,
        chi2_sigma(chi2_vr, degrees_vr) as violet_red_ratio_change_all_exposures_sigma,
        chi2_sigma(chi2_core, degrees_core) as core_flux_change_all_exposures_sigma,
        greatest(
            chi2_sigma(chi2_peak, n_peak - 1),
            chi2_sigma(chi2_vr, degrees_vr), chi2_sigma(chi2_separation, degrees_separation), chi2_sigma(chi2_core, degrees_core)
        ) as profile_change_all_exposures_sigma
    from of_instrument
    qualify row_number() over (partition by star_id order by n_spectra desc, instrument) = 1
),
sums as (
    select
        *,
        weight_a / weight as ew_mean_a,
        case when n_ew > 0 then greatest(weight_a2 - weight_a * weight_a / weight, 0.0) end as ew_chi2
    from best_sampled
),
of_star as (select *, chi2_sigma(ew_chi2, n_ew - 1) as ew_change_sigma from sums),
trials as (select count(*) as n_stars from star),      -- at least as many as can be looked at, and known without reading them
moments as (
    select
        of_star.*,
        greatest(
            ew_change_sigma,
            peak_flux_change_sigma,
            violet_red_ratio_change_sigma,
            peak_separation_change_sigma,
            core_flux_change_sigma
        ) as change_sigma,
        trials.n_stars,
        trials.n_stars * (
            case when ew_change_sigma is null then 0 else 1 end
            + case when peak_flux_change_sigma is null then 0 else 1 end
            + case when violet_red_ratio_change_sigma is null then 0 else 1 end
            + case when peak_separation_change_sigma is null then 0 else 1 end
            + case when core_flux_change_sigma is null then 0 else 1 end
        ) as n_trials,
        case when mjd_last - mjd_first > 0.5 then weight * weight_d2 - weight_d * weight_d end as determinant
    from of_star
    cross join trials
),
judged as (
    select
        moments.*,
        case when change_sigma is not null then chance_in_trials(change_sigma, n_trials) end as change_chance,
        coalesce(chance_in_trials(profile_change_all_exposures_sigma, 5 * n_stars) <= parameter('change_chance_max'), false) as is_of_one_exposure,
        365.25 * (weight * weight_d_a - weight_d * weight_a) / determinant as ew_trend_a_yr,
        365.25 * sqrt(weight / determinant) as e_ew_trend_a_yr
    from moments
),
final as (
    select
        judged.star_id,
        star.designation,
        star.ra_deg,
        star.dec_deg,
        star.is_simulated,
        judged.n_epochs,
        judged.n_nights,
        judged.mjd_first,
        judged.mjd_last,
        judged.mjd_last - judged.mjd_first as baseline_d,
        case
            when judged.change_sigma is null then 'unknown'
            when judged.change_chance <= parameter('change_chance_max') then 'changes'
            when judged.is_of_one_exposure then 'unknown'
            else 'constant'
        end as change_result,
        case
            when judged.n_epochs = 1 then 'one epoch: a second one'
            when judged.change_sigma is null and not judged.is_of_one_exposure
                then 'no quantity measured at two epochs: more spectra, or better ones'
            when judged.is_of_one_exposure and coalesce(judged.change_chance, 1.0) > parameter('change_chance_max')
                then 'one exposure alone differs, in its peaks or core: another exposure of that time'
        end as decided_by,
        judged.change_sigma,
        judged.change_chance,
        case judged.change_sigma
            when judged.ew_change_sigma then 'EW(H-alpha)'
            when judged.peak_flux_change_sigma then 'height of the highest peak'
            when judged.violet_red_ratio_change_sigma then 'V/R'
            when judged.core_flux_change_sigma then 'core'
            when judged.peak_separation_change_sigma then 'peak separation'
        end as surest_quantity,
        judged.n_trials,
        judged.n_ew,
        judged.ew_mean_a,
        judged.ew_min_a,
        judged.ew_max_a,
        judged.ew_chi2,
        judged.ew_change_sigma,
        judged.ew_trend_a_yr,
        judged.e_ew_trend_a_yr,
        judged.instrument,
        judged.peak_flux_min,
        judged.peak_flux_max,
        judged.peak_flux_change_sigma,
        judged.peak_flux_change_all_exposures_sigma,
        judged.violet_red_ratio_min,
        judged.violet_red_ratio_max,
        judged.violet_red_ratio_change_sigma,
        judged.violet_red_ratio_change_all_exposures_sigma,
        judged.vr_above_sigma,
        judged.vr_below_sigma,
        judged.peak_separation_min_km_s,
        judged.peak_separation_max_km_s,
        judged.peak_separation_change_sigma,
        judged.core_flux_min,
        judged.core_flux_max,
        judged.core_flux_change_sigma,
        judged.core_flux_change_all_exposures_sigma,
        judged.profile_change_all_exposures_sigma,
        judged.n_emission,
        judged.n_absorption,
        judged.n_shell,
        judged.n_without_shell,
        judged.mjd_first_emission,
        judged.mjd_last_emission,
        judged.mjd_first_absorption,
        judged.mjd_last_absorption
    from judged
    left join star on star.star_id = judged.star_id
)
select * from final
