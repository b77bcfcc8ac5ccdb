with
people as (
    select spectrum.spectrum_id, arg_max(inspection.is_be, inspection.inspected_at) as is_be
    from inspection
    join spectrum
        on spectrum.star_id = inspection.star_id
        and coalesce(inspection.spectrum_id, spectrum.spectrum_id) = spectrum.spectrum_id
    where inspection.is_be is not null
    group by spectrum.spectrum_id
),
training_spectrum as (
    select
        spectrum.spectrum_id,
        spectrum.designation,
        spectrum.ra_deg,
        spectrum.dec_deg,
        spectrum.mjd,
        spectrum.snr_r,
        current_score.be_probability,
        line_measurement.ew_halpha_a,
        line_measurement.e_ew_halpha_a,
        spectrum.is_simulated
    from spectrum
    left join current_score using (spectrum_id)
    left join line_measurement using (spectrum_id)
)
