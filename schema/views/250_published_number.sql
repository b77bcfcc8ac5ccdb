-- 250 · Each count and constant printed in Wang et al. 2022 beside ours. Ours is NULL where the catalogue cannot hold it.
with
steps as (select * from funnel),
kinds as (select * from outcome),
lists as (
    select literature_match.catalogue_id, literature_match.object_class, count(distinct emission_star.star_id) as stars
    from emission_star
    join literature_match using (star_id)
    where literature_match.is_best
    group by literature_match.catalogue_id, literature_match.object_class
),
classes as (select profile_class, count(*) as stars from be_candidate group by profile_class),
visits as (
    select sum(case when star_visits.n_visits = 1 then 1 else 0 end) as single
    from classical_be
    join star_visits using (star_id)
),
model as (select * from kinematic_model where is_default),
ours as (
    select 'spectra_good_snr' as name, cast(spectra as double) as value from steps where step = 10
    union all select 'stars_good_snr', stars from steps where step = 10
    union all select 'spectra_teff', spectra from steps where step = 20
    union all select 'spectra_early_by_lines', spectra from steps where step = 30
    union all select 'spectra_q_index', spectra from steps where step = 40
    union all
    select 'spectra_rejected_by_q', sum(case step when 30 then spectra when 40 then -spectra else 0 end) from steps
    union all select 'be_by_classifier', stars from steps where step = 50
    union all select 'be_candidate', stars from kinds where name = 'be_candidate'
    union all select 'class_emission', coalesce(sum(stars), 0) from classes where profile_class = 'emission'
    union all
    select 'class_emission_with_shell', coalesce(sum(stars), 0) from classes where profile_class = 'emission with shell'
    union all
    select 'class_absorption_with_shell', coalesce(sum(stars), 0) from classes where profile_class = 'absorption with shell'
    union all select 'known_be', stars from kinds where name = 'known_be'
    union all
    select 'new_candidate', sum(case name when 'emission_star' then stars when 'known_be' then -stars else 0 end) from kinds
    union all select 'typed_candidate', stars from steps where step = 90
    union all
    select 'typed_with_infrared', count(*) from typed_candidate join infrared_colour using (star_id) where h_mag is not null
    and k_mag is not null and j_mag is not null and w1_mag is not null
    union all select 'new_cbe', stars from kinds where name = 'new_cbe'
    union all select 'herbig_by_infrared', coalesce(sum(case when by_infrared then 1 else 0 end), 0) from herbig_aebe
    union all select 'classical_be', stars from kinds where name = 'classical_be'
    union all select 'oe_star', stars from kinds where name = 'oe_star'
    union all select 'cluster_member_be', stars from kinds where name = 'cluster_member_be'
    union all select 'single_visit', coalesce(single, 0) from visits
    union all select 'with_kinematics', count(*) from runaway_by_model where is_default
    union all select 'runaway', stars from kinds where name = 'runaway'
    union all select 'maxwellian_b_km_s', maxwellian_b_km_s from model
    union all select 'runaway_limit_km_s', v_limit_km_s from runaway_limit where is_default
    union all select 'solar_u_km_s', u_sun_km_s from model
    union all select 'solar_v_km_s', v_sun_km_s from model
    union all select 'solar_w_km_s', w_sun_km_s from model
    union all select 'r0_kpc', r0_kpc from model
    union all select 'theta0_km_s', theta0_km_s from model
    union all select 'z_sun_pc', z_sun_pc from model
    union all
    select 'colour_magnitude_new', count(*) from colour_magnitude join classical_be using (star_id) where is_new
    union all
    select 'colour_magnitude_known', count(*) from colour_magnitude join classical_be using (star_id) where not is_new
    union all
    select
        case object_class when 'CBe' then 'cbe_' when 'Herbig Ae/Be' then 'herbig_' else 'hii_' end || catalogue_id,
        stars
    from lists
),
final as (
    select
        published_value.name,
        published_value.place,
        published_value.value as published,
        ours.value as ours,
        published_value.unit,
        published_value.description
    from published_value
    left join ours using (name)
)
select * from final
