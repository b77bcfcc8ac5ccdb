-- 20 · Drops late A and F stars by their LASP temperature; a star without one stays.
--: step = "teff"
--: of = "spectrum"
--: label = "No late A or F star by temperature"
--: [20]
--: quantity = "LASP temperature"
--: unit = "K"
--: value = "spectrum.teff_k"
--: side = "outside"
--: parameter = ["teff_late_min_k", "teff_late_max_k"]
--: missing = "teff_unknown_passes"
--: decided_by = "no LASP temperature: load a catalogue of stellar parameters with `becat load`"
--: slider = [[3000, 8000, 100], [6000, 15000, 100]]
with
good_snr as (select * from {previous}),
final as (
    select * from good_snr where {passes}
)
select * from final
