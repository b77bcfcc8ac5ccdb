-- Non-Be spectra for a training sample
-- Spectra that people called not Be at /inspect (label_source people). Where nobody has looked yet: as many early-type spectra
-- that the classifier calls not Be as there are in Table 2, drawn by a fixed rule (label_source classifier).
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
refused as (
    select spectrum_id
    from step_40_q_index
    join current_score using (spectrum_id)
    where not passes_be_probability(current_score.be_probability) and not exists (from people)
    order by (48271 * (spectrum_id % 2147483647)) % 2147483647, spectrum_id    -- a shuffle that is the same every time
    limit (select count(*) from step_60_inspection where n_peaks > 0)
),
chosen as (
    select spectrum_id, 'people' as label_source from people where not is_be
    union all
    select spectrum_id, 'classifier' from refused
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
