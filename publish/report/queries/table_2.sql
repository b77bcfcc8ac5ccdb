-- Be spectra for a training sample
-- Spectra that people called Be at /inspect (label_source people): what `becat train --catalog` learns from. Where nobody has
-- looked yet, the paper's first step instead: early-type spectra with a peak in H-alpha that the classifier calls Be and nobody
-- has confirmed (label_source classifier). Look at those before you train on them.
-- needs: spectrum, line_measurement, be_score
-- of: spectrum
-- part: training_spectrum
select training_spectrum.* exclude (is_simulated), label_source, is_simulated
from training_spectrum
join (
    select spectrum_id, 'people' as label_source from people where is_be
    union all
    select spectrum_id, 'classifier' from step_60_inspection where n_peaks > 0 and not exists (from people)
) using (spectrum_id)
order by ra_deg, spectrum_id
