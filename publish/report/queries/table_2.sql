-- Be spectra for a training sample
-- Spectra that people called Be at /inspect (label_source people): what `becat train --catalog` learns from. Where nobody has
-- looked yet, the paper's first step instead: early-type spectra with a peak in H-alpha that the classifier calls Be and nobody
-- has confirmed (label_source classifier). Look at those before you train on them.
-- needs: spectrum, line_measurement, be_score
-- of: spectrum
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
chosen as (
    select spectrum_id, 'people' as label_source from people where is_be
    union all
    select spectrum_id, 'classifier' from step_60_inspection where n_peaks > 0 and not exists (from people)
),
final as (
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
        chosen.label_source,
        spectrum.is_simulated
    from chosen
    join spectrum using (spectrum_id)
    left join current_score using (spectrum_id)
    left join line_measurement using (spectrum_id)
)
select * from final order by ra_deg, spectrum_id
