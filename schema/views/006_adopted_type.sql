-- 6 · The published spectral type of each star that the selection uses.
with
bare as (select * from spectral_type where is_adopted),
final as (
    select bare.*, star.is_simulated
    from bare
    left join star using (star_id)
)
select * from final
