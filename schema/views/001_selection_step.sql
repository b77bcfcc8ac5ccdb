-- 1 · The tests in their order, one quantity each, with the parameter that decides it. Steps 10 to 60 are asked of each
-- spectrum, 70 to 100 of each star.
with
tests(test, step, name, quantity, unit, parameter) as (
    values
        (10, 10, 'good_snr', 'S/N, red arm', '', 'snr_min'),
        (11, 10, 'good_snr', 'S/N, blue arm', '', 'snr_min'),
        (20, 20, 'teff', 'LASP temperature', 'K', 'teff_late_max_k'),
        (30, 30, 'early_by_lines', 'EW(H-alpha)', 'Angstrom', 'ew_halpha_max_a'),
        (31, 30, 'early_by_lines', 'EW(Mg b)', 'Angstrom', 'ew_mgb_max_a'),
        (40, 40, 'q_index', 'Q of 2MASS', 'mag', 'q_late_min_mag'),
        (50, 50, 'be_probability', 'probability of Be', '', 'be_probability_min'),
        (60, 60, 'inspection', 'people for less against Be', '', 'inspection_required'),
        (70, 70, 'emission', 'class of the H-alpha profile', '', null),
        (80, 80, 'contaminant', 'Herbig Ae/Be lists', '', null),
        (81, 80, 'contaminant', 'H II region lists', '', null),
        (82, 80, 'contaminant', 'nebular lines', '', 'nebular_significance_max'),
        (90, 90, 'spectral_type', 'latest subtype allowed', '', 'subtype_earliest'),
        (91, 90, 'spectral_type', 'earliest subtype allowed', '', 'subtype_latest'),
        (92, 90, 'spectral_type', 'luminosity class', '', 'luminosity_class_min'),
        (93, 90, 'spectral_type', 'normal star', '', null),
        (100, 100, 'infrared', '(H - K)0', 'mag', 'cbe_hk_max_mag'),
        (101, 100, 'infrared', '(K - W1)0', 'mag', 'cbe_kw1_max_mag'),
        (110, 110, 'classical_be', 'outcome', '', null)
),
final as (select * from tests)
select * from final
