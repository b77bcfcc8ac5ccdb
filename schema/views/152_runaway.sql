-- 152 · Runaway classical Be stars: faster than the limit in the default kinematic model.
with
final as (
    select
        star_id, designation, ra_deg, dec_deg, is_simulated, is_new, pmra_mas_yr, e_pmra_mas_yr, pmdec_mas_yr, e_pmdec_mas_yr,
        parallax_mas, e_parallax_mas, ruwe, v_tp_km_s, e_v_tp_km_s, v_limit_km_s, runaway_probability, z_pc, e_z_pc
    from runaway_by_model
    where is_default and is_runaway
)
select * from final
