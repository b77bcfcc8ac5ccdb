-- 30 · Hidden late types go: their Mg b is strong. So do lines of H-alpha that are too strong for a B star.
with
by_temperature as (select * from step_20_teff),
widths as (
    select spectrum_id, ew_halpha_a, e_ew_halpha_a, ew_mgb_a, e_ew_mgb_a, n_peaks
    from line_measurement
),
final as (
    select by_temperature.*, widths.ew_halpha_a, widths.e_ew_halpha_a, widths.ew_mgb_a, widths.e_ew_mgb_a, widths.n_peaks
    from by_temperature
    join widths using (spectrum_id)
    where passes_halpha(widths.ew_halpha_a) and passes_mgb(widths.ew_mgb_a, by_temperature.has_blue)
)
select * from final
