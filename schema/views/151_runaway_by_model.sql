-- 151 · Peculiar tangential velocity of each classical Be star in every kinematic model, and whether it is a runaway in that model. Stars
-- whose parallax is too uncertain for a distance are left out.
with
be_stars as (select * from classical_be),
solutions as (
    select star_id, source_id, ruwe, pmra_mas_yr, e_pmra_mas_yr, pmdec_mas_yr, e_pmdec_mas_yr, parallax_mas, e_parallax_mas
    from astrometry
    where coalesce(ruwe, 0) <= parameter('ruwe_max')
      and (parallax_mas is null or coalesce(parallax_mas / nullif(e_parallax_mas, 0) >= parameter('parallax_over_error_min'), true))
      and coalesce(separation_arcsec, 0) <= parameter('gaia_radius_max_arcsec')
),
final as (
    select
        be_stars.star_id,
        be_stars.designation,
        be_stars.ra_deg,
        be_stars.dec_deg,
        be_stars.is_simulated,
        be_stars.is_new,
        kinematics.kinematic_model,
        runaway_limit.is_default,
        solutions.source_id,
        solutions.pmra_mas_yr,
        solutions.e_pmra_mas_yr,
        solutions.pmdec_mas_yr,
        solutions.e_pmdec_mas_yr,
        solutions.parallax_mas,
        solutions.e_parallax_mas,
        solutions.ruwe,
        kinematics.v_tp_km_s,
        kinematics.e_v_tp_km_s,
        kinematics.z_pc,
        kinematics.e_z_pc,
        runaway_limit.v_limit_km_s,
        kinematics.v_tp_km_s > runaway_limit.v_limit_km_s as is_runaway,
        normal_cdf((kinematics.v_tp_km_s - runaway_limit.v_limit_km_s) / kinematics.e_v_tp_km_s) as runaway_probability
    from be_stars
    join solutions using (star_id)
    join kinematics using (star_id)
    join runaway_limit using (kinematic_model)
)
select * from final
