-- 10 · Spectra that are good enough to judge: S/N above 10 in both arms.
--: step = "good_snr"
--: of = "spectrum"
--: label = "S/N in both arms"
--: [10]
--: quantity = "S/N, red arm"
--: value = "spectrum.snr_r"
--: side = "above"
--: parameter = "snr_min"
--: decided_by = "no S/N of the red arm: load a general catalogue with `becat load`"
--: slider = [0, 100, 1]
--: [11]
--: quantity = "S/N, blue arm"
--: value = "spectrum.snr_b"
--: side = "above"
--: parameter = "snr_min"
--: asked = "spectrum.has_blue"
--: decided_by = "no S/N of the blue arm: load a general catalogue with `becat load`"
with
spectra as (
    select
        spectrum_id, star_id, designation, ra_deg, dec_deg, survey, coadd, mjd, has_blue, snr_b, snr_r, teff_k,
        rv_km_s, quality, resolving_power, is_simulated
    from spectrum
),
final as (
    select * from spectra where {passes}
)
select * from final
