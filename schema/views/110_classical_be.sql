-- 110 · All classical Be stars: those known before and the new ones.
with
final as (
    select
        star_id, designation, ra_deg, dec_deg, spectrum_id, n_spectra, ew_halpha_a, be_probability, profile_type,
        spectral_type, false as is_new
    from known_be
    union all
    select
        star_id, designation, ra_deg, dec_deg, spectrum_id, n_spectra, ew_halpha_a, be_probability, profile_type,
        spectral_type, true as is_new
    from new_cbe
)
select * from final
