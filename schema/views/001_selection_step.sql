-- 1 · The tests in their order, one quantity each, with the parameter that decides it. Steps 10 to 60 are asked of each
-- spectrum, 70 to 100 of each star.
with
final as (
    select 10 as test, 10 as step, 'good_snr' as name, 'S/N, red arm' as quantity, '' as unit, 'snr_min' as parameter
    union all select 11, 10, 'good_snr', 'S/N, blue arm', '', 'snr_min'
    union all select 20, 20, 'teff', 'LASP temperature', 'K', 'teff_late_max_k'
    union all select 30, 30, 'early_by_lines', 'EW(H-alpha)', 'Angstrom', 'ew_halpha_max_a'
    union all select 31, 30, 'early_by_lines', 'EW(Mg b)', 'Angstrom', 'ew_mgb_max_a'
    union all select 40, 40, 'q_index', 'Q of 2MASS', 'mag', 'q_late_min_mag'
    union all select 50, 50, 'be_probability', 'probability of Be', '', 'be_probability_min'
    union all select 60, 60, 'inspection', 'people for less against Be', '', 'inspection_required'
    union all select 70, 70, 'emission', 'class of the H-alpha profile', '', null
    union all select 80, 80, 'contaminant', 'Herbig Ae/Be lists', '', null
    union all select 81, 80, 'contaminant', 'H II region lists', '', null
    union all select 82, 80, 'contaminant', 'nebular lines', '', 'nebular_significance_max'
    union all select 90, 90, 'spectral_type', 'latest subtype allowed', '', 'subtype_earliest'
    union all select 91, 90, 'spectral_type', 'earliest subtype allowed', '', 'subtype_latest'
    union all select 92, 90, 'spectral_type', 'luminosity class', '', 'luminosity_class_min'
    union all select 93, 90, 'spectral_type', 'normal star', '', null
    union all select 100, 100, 'infrared', '(H - K)0', 'mag', 'cbe_hk_max_mag'
    union all select 101, 100, 'infrared', '(K - W1)0', 'mag', 'cbe_kw1_max_mag'
    union all select 110, 110, 'classical_be', 'outcome', '', null
)
select * from final
