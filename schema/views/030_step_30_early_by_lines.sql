-- 30 · Hidden late types go: their Mg b is strong. So do lines of H-alpha that are too strong for a B star.
with
by_temperature as (select * from step_20_teff),
widths as (
    select
        spectrum_id, ew_halpha_a, e_ew_halpha_a, ew_mgb_a, e_ew_mgb_a, n_peaks, fwhm_halpha_km_s, nebular_significance
    from line_measurement
    where passes_halpha(ew_halpha_a) and coalesce(is_mgb_weak(ew_mgb_a), true)   -- before the join: few are left
),
final as (
    select
        by_temperature.*,
        widths.ew_halpha_a,
        widths.e_ew_halpha_a,
        widths.ew_mgb_a,
        widths.e_ew_mgb_a,
        widths.n_peaks,
        widths.fwhm_halpha_km_s,
        widths.nebular_significance
    from by_temperature
    join widths using (spectrum_id)
    where widths.ew_mgb_a is not null or not by_temperature.has_blue
)
select * from final
