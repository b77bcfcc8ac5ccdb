-- 240 · How the runaways depend on the kinematic model: how many each model finds, and how many of them the default also finds. n_unknown
-- counts the stars without a velocity in that model, and decided_by tells what would supply one.
with
velocities as (select * from runaway_by_model),
by_default as (select star_id, is_runaway as is_default_runaway from velocities where is_default),
counted as (
    select
        velocities.kinematic_model,
        max(velocities.v_limit_km_s) as v_limit_km_s,
        count(*) as n_stars,
        sum(case when velocities.is_runaway then 1 else 0 end) as n_runaways,
        sum(case when velocities.is_runaway and by_default.is_default_runaway then 1 else 0 end) as n_shared,
        sum(velocities.runaway_probability) as n_expected,
        count(case when velocities.v_tp_km_s is null then 1 end) as n_unknown
    from velocities
    left join by_default using (star_id)
    group by velocities.kinematic_model
),
final as (
    select
        counted.*,
        case
            when counted.n_unknown = 0 then null
            when kinematic_model.distance_source = 'Bailer-Jones' then 'no distance: `becat fetch gaia_distance`'
            when kinematic_model.distance_source = 'zero point'
                then 'no zero point of the parallax: `becat fetch gaia` again, or outside of 6 < G < 21'
            else 'no positive parallax'
        end as decided_by
    from counted
    join kinematic_model using (kinematic_model)
)
select * from final
