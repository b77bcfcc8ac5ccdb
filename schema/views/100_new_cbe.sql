-- 100 · New classical Be stars: new candidates of the right type with the colours of a classical Be star.
with
typed as (select * from typed_candidate),
infrared as (select * from infrared_class where infrared_class = 'classical Be'),
final as (
    select
        typed.star_id,
        typed.designation,
        typed.ra_deg,
        typed.dec_deg,
        typed.spectrum_id,
        typed.n_spectra,
        typed.ew_halpha_a,
        typed.be_probability,
        typed.profile_type,
        typed.spectral_type,
        typed.spectral_type_reference,
        infrared.ebv_mag,
        infrared.hk0_mag,
        infrared.kw10_mag,
        infrared.cbe_colour_probability
    from typed
    join infrared using (star_id)
)
select * from final
