-- 130 · Emission stars whose published type is O, whatever their luminosity class. A star may also be in new_cbe or known_be.
with
emission as (select * from emission_star),
final as (
    select * from emission where is_o_type(subtype_max)
)
select * from final
