-- 280 · Epochs of each star: what its disc showed (disc_epoch) and how fast it moved (epoch_velocity), spectrum by spectrum. counts marks
-- the spectra that count, so that no photon counts twice.
with
final as (
    select
        disc_epoch.*,
        epoch_velocity.rv_km_s,
        epoch_velocity.e_rv_km_s,
        epoch_velocity.rv_method,
        epoch_velocity.rv_release_km_s,
        epoch_velocity.e_rv_release_km_s,
        epoch_velocity.rv_primary_km_s,
        epoch_velocity.e_rv_primary_km_s,
        epoch_velocity.rv_secondary_km_s,
        epoch_velocity.e_rv_secondary_km_s
    from disc_epoch
    left join epoch_velocity on epoch_velocity.spectrum_id = disc_epoch.spectrum_id and epoch_velocity.star_id = disc_epoch.star_id
)
select * from final
