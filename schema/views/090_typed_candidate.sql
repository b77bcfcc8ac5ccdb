-- 90 · New candidates of spectral type later than O8 and earlier than A2, not of class I or II. No type, no entry.
with
candidates as (select * from new_candidate),
final as (
    select * from candidates where passes_type(subtype_min, subtype_max, luminosity_min, is_peculiar)
)
select * from final
