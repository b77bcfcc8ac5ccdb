-- Runaway classical Be stars
-- Peculiar tangential velocity above the limit of the default kinematic model (section 6.2 and Table 9), fastest first.
select star_id, designation, v_tp_km_s, e_v_tp_km_s, v_limit_km_s, runaway_probability, z_pc, is_new, is_simulated
from runaway
order by v_tp_km_s desc
