-- 61 · Candidate Be stars: stars with a spectrum that passes all steps. The best one, by S/N, stands for the star.
with
spectra as (select * from step_60_inspection where star_id is not null),
ranked as (
    select
        star_id,
        spectrum_id,
        be_probability,
        model_id,
        q_mag,
        ew_halpha_a,
        n_be,
        n_not_be,
        snr_r,
        count(*) over (partition by star_id) as n_spectra
    from spectra
    qualify row_number() over (partition by star_id order by snr_r desc, spectrum_id) = 1
),
final as (
    select
        ranked.star_id,
        star.designation,
        star.ra_deg,
        star.dec_deg,
        ranked.spectrum_id,
        ranked.n_spectra,
        ranked.snr_r,
        ranked.ew_halpha_a,
        ranked.q_mag,
        ranked.be_probability,
        ranked.model_id,
        ranked.n_be,
        ranked.n_not_be,
        coalesce(inspection_tally.profile_class_by_eye, profile_class.profile_class) as profile_class,
        profile_class.profile_type,
        coalesce(inspection_tally.shell_type_by_eye, profile_class.shell_type) as shell_type,
        is_nebular(line_measurement.nebular_significance, line_measurement.fwhm_halpha_km_s) as is_nebular
    from ranked
    join star using (star_id)
    left join profile_class on profile_class.spectrum_id = ranked.spectrum_id
    left join line_measurement on line_measurement.spectrum_id = ranked.spectrum_id
    left join inspection_tally on inspection_tally.star_id = ranked.star_id
)
select * from final
