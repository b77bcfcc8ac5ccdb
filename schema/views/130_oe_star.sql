-- 130 · Emission stars whose published type is O, whatever their luminosity class. One may be in new_cbe or known_be too.
with
emission as (select * from emission_star),
types as (select * from spectral_type where is_adopted),
final as (
    select
        emission.star_id,
        emission.designation,
        emission.ra_deg,
        emission.dec_deg,
        emission.spectrum_id,
        emission.ew_halpha_a,
        types.spectral_type,
        types.reference as spectral_type_reference
    from emission
    join types using (star_id)
    where types.subtype_max < parameter('subtype_o_max')
)
select * from final
