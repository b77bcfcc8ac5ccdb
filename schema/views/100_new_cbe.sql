-- 100 · New classical Be stars: new candidates of the right type with the dereddened colours of a classical Be star.
with
typed as (select * from typed_candidate),
final as (
    select * from typed where has_cbe_colours(hk0_mag, kw10_mag)
)
select * from final
