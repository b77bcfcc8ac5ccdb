-- 250 · Each count and constant printed in Wang et al. 2022 beside ours. Ours is NULL where a catalogue cannot contain it. is_copied: a
-- constant taken from the paper, whose agreement means nothing.
with
steps as materialized (select step, name, spectra, stars, branch from funnel),
kinds as (select name, stars from outcome),
be_stars as materialized (select star_id, is_new from classical_be),
velocities as materialized (
    select count(*) as n_stars, count(case when is_runaway then 1 end) as n_runaways
    from runaway_by_model
    where is_default
),
model as (select * from kinematic_model where is_default),
ours as (
    select 'spectra_' || name as name, cast(spectra as double) as value from steps
    union all select 'stars_' || name, stars from steps
    union all select 'rejected_' || name, lag(spectra) over (order by step) - spectra from steps where name not in ('known_be', 'classical_be')
    -- candidates after inspection by eye are counted once somebody has looked
    union all select name, stars from kinds where name <> 'be_candidate' or exists (select 1 from inspection)
    union all select 'class_' || replace(profile_class, ' ', '_'), count(*) from be_candidate group by profile_class
    union all
    select
        case literature_match.object_class when 'CBe' then 'cbe_' when 'Herbig Ae/Be' then 'herbig_' else 'hii_' end
        || literature_match.catalogue_id,
        count(distinct literature_match.star_id)
    from literature_match
    join emission_star using (star_id)
    where literature_match.is_best and literature_match.object_class in ('CBe', 'Herbig Ae/Be', 'H II region')
    group by literature_match.object_class, literature_match.catalogue_id
    union all
    select 'typed_with_infrared', count(*) from typed_candidate where hk0_mag is not null and kw10_mag is not null
    union all select 'single_visit', count(*) from star_visits join be_stars using (star_id) where n_visits = 1
    union all
    select case when be_stars.is_new then 'colour_magnitude_new' else 'colour_magnitude_known' end, count(*)
    from colour_magnitude
    join be_stars using (star_id)
    group by be_stars.is_new
    union all select 'with_kinematics', n_stars from velocities
    union all select 'runaway_rate', case when n_stars > 0 then 1.0 * n_runaways / n_stars end from velocities
    union all select 'runaway_limit_km_s', v_limit_km_s from runaway_limit where is_default
    union all select 'maxwellian_b_km_s', maxwellian_b_km_s from model
    union all select 'solar_u_km_s', u_sun_km_s from model
    union all select 'solar_v_km_s', v_sun_km_s from model
    union all select 'solar_w_km_s', w_sun_km_s from model
    union all select 'r0_kpc', r0_kpc from model
    union all select 'theta0_km_s', theta0_km_s from model
    union all select 'z_sun_pc', z_sun_pc from model
),
final as (
    select
        published_value.name,
        published_value.place,
        published_value.value as published,
        case when published_value.name like 'class_%' then coalesce(ours.value, 0) else ours.value end as ours,
        published_value.unit,
        published_value.description,
        coalesce(published_value.name in (
            'maxwellian_b_km_s', 'solar_u_km_s', 'solar_v_km_s', 'solar_w_km_s', 'r0_kpc', 'theta0_km_s', 'z_sun_pc'
        ), false) as is_copied
    from published_value
    left join ours using (name)
    order by is_copied, place, name
)
select * from final
