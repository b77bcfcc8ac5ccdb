-- 110 · All classical Be stars: those known before and the new ones.
with
final as (
    select
        star_id, designation, ra_deg, dec_deg, spectrum_id, n_spectra, snr_r, ew_halpha_a, be_probability, profile_type,
        spectral_type, ebv_mag, hk0_mag, kw10_mag, false as is_new
    from known_be
    union all
    select
        star_id, designation, ra_deg, dec_deg, spectrum_id, n_spectra, snr_r, ew_halpha_a, be_probability, profile_type,
        spectral_type, ebv_mag, hk0_mag, kw10_mag, true as is_new
    from new_cbe
)
select * from final
