-- 6 · The published spectral type of each star that the selection uses.
with
final as (select * from spectral_type where is_adopted)
select * from final
