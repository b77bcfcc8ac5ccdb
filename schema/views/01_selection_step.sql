-- 01 · The tests in their order. Steps 10 to 60 are asked of each spectrum, 70 to 100 of each star.
with
final as (
    select 10 as step, 'good_snr' as name, 'S/N in both arms' as title, '' as unit
    union all select 20, 'teff', 'No late A or F star by LASP temperature', 'K'
    union all select 30, 'early_by_lines', 'Early type by EW(H-alpha) and EW(Mg b)', 'Angstrom'
    union all select 40, 'q_index', 'No K or M star by 2MASS colours', 'mag'
    union all select 50, 'be_probability', 'Be by the classifier', ''
    union all select 60, 'inspection', 'Not rejected by eye', ''
    union all select 70, 'emission', 'H-alpha in emission without a shell line', ''
    union all select 80, 'contaminant', 'Not in a Herbig or H II list, not nebular', ''
    union all select 90, 'spectral_type', 'Later than O8, earlier than A2, not class I or II', ''
    union all select 100, 'infrared', 'Dereddened infrared colours of a classical Be star', 'mag'
)
select * from final
