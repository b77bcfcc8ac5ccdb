-- 10 · Spectra that are good enough to judge: S/N above 10 in both arms.
with
spectra as (
    select
        spectrum_id, star_id, designation, ra_deg, dec_deg, survey, coadd, mjd, has_blue, snr_b, snr_r, teff_k,
        rv_km_s, quality, is_simulated
    from spectrum
),
final as (
    select * from spectra where passes_snr(snr_b, snr_r, has_blue)
)
select * from final
