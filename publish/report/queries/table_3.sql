-- Non-Be spectra for a training sample
-- Spectra that people called not Be at /inspect (label_source people). Where nobody has looked yet: as many early-type spectra
-- that the classifier calls not Be as there are in Table 2, drawn by a fixed rule (label_source classifier).
-- needs: spectrum, line_measurement, be_score
-- of: spectrum
-- part: training_spectrum
select training_spectrum.* exclude (is_simulated), label_source, is_simulated
from training_spectrum
join (
    select spectrum_id, 'people' as label_source from people where not is_be
    union all
    (
        select spectrum_id, 'classifier'
        from step_40_q_index
        join current_score using (spectrum_id)
        where not passes_be_probability(current_score.be_probability) and not exists (from people)
        order by (48271 * (spectrum_id % 2147483647)) % 2147483647, spectrum_id    -- a shuffle that is the same every time
        limit (select count(*) from step_60_inspection where n_peaks > 0)
    )
) using (spectrum_id)
order by ra_deg, spectrum_id
