-- 72 · Emission stars that a published list calls classical Be. is_contested: another list calls it something else.
with
emission as (select * from emission_star),
flags as (select * from literature_flag where n_cbe_lists > 0),
types as (select star_id, spectral_type, reference as spectral_type_reference from spectral_type where is_adopted),
final as (
    select
        emission.star_id,
        emission.designation,
        emission.ra_deg,
        emission.dec_deg,
        emission.spectrum_id,
        emission.n_spectra,
        emission.ew_halpha_a,
        emission.be_probability,
        emission.profile_type,
        types.spectral_type,
        types.spectral_type_reference,
        flags.cbe_list,
        flags.n_cbe_lists,
        flags.n_herbig_lists > 0 or flags.n_hii_lists > 0 as is_contested
    from emission
    join flags using (star_id)
    left join types using (star_id)
)
select * from final
