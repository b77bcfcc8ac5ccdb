-- 130 · Emission stars whose published type is O, whatever their luminosity class. One may be in new_cbe or known_be too.
with
emission as (select * from emission_star),
final as (
    select * from emission where is_o_type(subtype_max)
)
select * from final
