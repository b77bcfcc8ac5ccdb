-- 20 · Late A and F stars go, by their LASP temperature; a star without one stays.
with
good_snr as (select * from step_10_good_snr),
final as (
    select * from good_snr where passes_teff(teff_k)
)
select * from final
