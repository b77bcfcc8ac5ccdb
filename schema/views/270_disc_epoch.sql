-- 270 · Epochs of the disc of each star: its spectra that are good enough, with what H-alpha showed. The width is the one without telluric water; the class is
-- the measured one, on a second look where the classifier sees a Be star, as the selection takes it; the height of the highest peak is given where it is
-- one of emission. e_core_flux holds the continuum and the zero level too. counts: exposures, where a
-- night of a survey has any that is good enough, else its coadds, so that no photon counts twice. night is the day of MJD at LAMOST, elsewhere that on
-- which the night began, a night ending where the star was not seen for half a day. Ask for one star_id: it is quick.
with
good as (      -- each is named once, so that a question for one star reads its rows alone
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
        case when profile_class.n_emission_peaks > 0 then line_measurement.peak_flux end as peak_flux,
        case when profile_class.n_emission_peaks > 0 then line_measurement.e_peak_flux end as e_peak_flux,
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
