-- 270 · Epochs of the disc of each star: its good spectra, with what H-alpha shows. The width is that without telluric water. The class is
-- the measured one, on a second look if the classifier sees a Be star, as in the selection. The height of the highest peak is given if it
-- is emission. e_core_flux includes the continuum and the zero level. counts: exposures count if a night of a survey has any that are good
-- enough, otherwise its coadds, so that no photon counts twice. night is the day of MJD for LAMOST; elsewhere it is the day on which the
-- night began, and a night ends where the star was not observed for half a day. A query for one star_id is fast.
with
good as (      -- each is named once, so that a query for one star reads only its rows
    select spectrum_id, star_id, designation, is_simulated, survey, coadd, resolving_power, mjd, snr_r, continuum_error_red
    from spectrum
    where star_id is not null and passes_snr_r(snr_r)
),
after_gap as (
    select
        *,
        case
            when survey like 'LAMOST%' then floor(mjd)
            when coalesce(mjd - lag(mjd) over (partition by star_id, survey order by mjd, spectrum_id), 1) > 0.5 then floor(mjd)
        end as begins
    from good
),
nights as (
    select
        spectrum_id,
        star_id,
        designation,
        is_simulated,
        survey,
        coadd,
        resolving_power,
        mjd,
        snr_r,
        continuum_error_red,
        case
            when mjd is not null
            then cast(max(begins) over (partition by star_id, survey order by mjd, spectrum_id) as integer)
        end as night
    from after_gap
),
counted as (
    select
        *,
        not coadd or max(case when coadd then 0 else 1 end) over (partition by star_id, survey, night) = 0 as counts
    from nights
),
final as (
    select
        counted.star_id,
        counted.spectrum_id,
        counted.designation,
        counted.is_simulated,
        counted.survey,
        counted.coadd,
        counted.resolving_power,
        counted.mjd,
        counted.night,
        counted.counts,
        counted.snr_r,
        coalesce(line_measurement.ew_halpha_dry_a, line_measurement.ew_halpha_a) as ew_halpha_a,
        coalesce(line_measurement.e_ew_halpha_dry_a, line_measurement.e_ew_halpha_a) as e_ew_halpha_a,
        case when profile_class.n_emission_peaks > 0 and line_measurement.peak_flux > 1 + parameter('profile_height_min') then line_measurement.peak_flux end as peak_flux,
        case when profile_class.n_emission_peaks > 0 and line_measurement.peak_flux > 1 + parameter('profile_height_min') then line_measurement.e_peak_flux end as e_peak_flux,
        profile_class.n_emission_peaks,
        profile_class.violet_red_ratio,
        profile_class.e_violet_red_ratio,
        profile_class.peak_separation_km_s,
        profile_class.e_peak_separation_km_s,
        profile_class.core_flux,
        sqrt(
            power(profile_class.e_core_flux, 2)
            + power(coalesce(counted.continuum_error_red, 0) * profile_class.core_flux, 2)
            + power(parameter('ew_zero_level_error') * (profile_class.core_flux - 1), 2)
        ) as e_core_flux,
        line_measurement.fwhm_halpha_km_s,
        line_measurement.e_fwhm_halpha_km_s,
        candidate_class(
            null, coalesce(profile_class.profile_class_on_second_look, profile_class.profile_class), current_score.be_probability
        ) as profile_class
    from counted
    left join line_measurement on line_measurement.spectrum_id = counted.spectrum_id
    left join profile_class on profile_class.spectrum_id = counted.spectrum_id
    left join current_score on current_score.spectrum_id = counted.spectrum_id
)
select * from final
