-- 240 · How the runaways depend on the kinematic model: how many each finds, and how many of them the default finds too.
with
velocities as (select * from runaway_by_model),
by_default as (select star_id, is_runaway as is_default_runaway from velocities where is_default),
final as (
    select
        velocities.kinematic_model,
        max(velocities.v_limit_km_s) as v_limit_km_s,
        count(*) as n_stars,
        sum(case when velocities.is_runaway then 1 else 0 end) as n_runaways,
        sum(case when velocities.is_runaway and by_default.is_default_runaway then 1 else 0 end) as n_shared,
        sum(velocities.runaway_probability) as n_expected
    from velocities
    left join by_default using (star_id)
    group by velocities.kinematic_model
)
select * from final
