-- 30 · Drops hidden late types, whose Mg b is strong, and stars whose H-alpha absorption is too strong for a B star.
--: step = "early_by_lines"
--: of = "spectrum"
--: label = "Early type by H-alpha and Mg b"
--: [30]
--: quantity = "EW(H-alpha)"
--: unit = "Angstrom"
--: value = "line_measurement.ew_halpha_a"
--: side = "below"
--: parameter = "ew_halpha_max_a"
--: decided_by = "H-alpha is not measured: `becat measure`, or another spectrum where its pixels are masked"
--: stage = "measure"
--: slider = [-5, 20, 0.1]
--: [31]
--: quantity = "EW(Mg b)"
--: unit = "Angstrom"
--: value = "line_measurement.ew_mgb_a"
--: side = "below"
--: parameter = "ew_mgb_max_a"
--: asked = "spectrum.has_blue or line_measurement.ew_mgb_a is not null"
--: decided_by = "Mg b is not measured: `becat measure`, or another spectrum where its pixels are masked"
--: slider = [0, 5, 0.05]
with
by_temperature as (select * from {previous}),
widths as (
    select
        spectrum_id, ew_halpha_a, e_ew_halpha_a, ew_mgb_a, e_ew_mgb_a, n_peaks, fwhm_halpha_km_s, nebular_significance
    from line_measurement
    where {may_pass line_measurement}   -- before the join: few are left
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
    where {passes}
)
select * from final
