-- 90 · New candidates of spectral type later than O8 and earlier than A2, not of class I or II. No type, no entry.
with
candidates as (select * from new_candidate),
types as (select * from spectral_type where is_adopted),
final as (
    select
        candidates.*,
        types.spectral_type,
        types.reference as spectral_type_reference,
        types.subtype_min,
        types.subtype_max,
        types.luminosity_min
    from candidates
    join types using (star_id)
    where passes_subtype(types.subtype_min, types.subtype_max)
      and passes_luminosity(types.luminosity_min)
      and passes_normal_type(types.is_peculiar)
)
select * from final
