-- Peculiar velocities of the runaway classical Be stars
-- Errors are propagated with Gaia's covariances; the printed ones are about v_tp times the relative error of the parallax.
-- z = r sin b + 20.5 pc, the formula of the paper: its printed column z does not follow from it. runaway_probability: that the
-- true velocity is above the limit.
-- needs: spectrum, be_score, profile_class, astrometry, kinematics
-- of: star, astrometry, kinematics
with
final as (
    select
        runaway.designation,
        runaway.ra_deg,
        runaway.dec_deg,
        runaway.pmra_mas_yr,
        runaway.e_pmra_mas_yr,
        runaway.pmdec_mas_yr,
        runaway.e_pmdec_mas_yr,
        runaway.parallax_mas,
        runaway.e_parallax_mas,
        runaway.v_tp_km_s,
        runaway.e_v_tp_km_s,
        runaway.v_limit_km_s,
        runaway.runaway_probability,
        runaway.z_pc,
        runaway.e_z_pc,
        runaway.is_new,
        star.is_simulated
    from runaway
    join star using (star_id)
)
select * from final order by ra_deg, designation
