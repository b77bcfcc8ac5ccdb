-- 234 · Zero points of the velocities of each night, plate and spectrograph of LAMOST, for each arm: by how much its constant stars deviate
-- from their own means over all nights. A star is constant if no night deviates by velocity_constant_sigma errors, to which
-- velocity_zero_point_scatter_km_s is added, since zero points themselves scatter. With fewer than velocity_zero_point_stars_min such stars
-- there is no zero point.
with
velocities as (
    select
        spectrum.star_id, spectrum.survey, spectrum.spectrograph, spectrum.plan_id,
        cast(floor(spectrum.mjd) as bigint) as night, 'blue' as arm,
        cast(radial_velocity.rv_blue_km_s as double) as rv_km_s,
        1.0 / (
            power(cast(radial_velocity.e_rv_blue_km_s as double), 2) + power(parameter('velocity_zero_point_scatter_km_s'), 2)
        ) as weight
    from spectrum
    join radial_velocity using (spectrum_id)
    where spectrum.survey like 'LAMOST%' and spectrum.coadd and spectrum.star_id is not null and passes_snr_r(spectrum.snr_r)
      and radial_velocity.rv_blue_km_s is not null
    union all
    select
        spectrum.star_id, spectrum.survey, spectrum.spectrograph, spectrum.plan_id,
        cast(floor(spectrum.mjd) as bigint) as night, 'red' as arm,
        cast(radial_velocity.rv_halpha_wing_km_s as double) as rv_km_s,
        1.0 / (
            power(cast(radial_velocity.e_rv_halpha_wing_km_s as double), 2)
            + power(parameter('velocity_zero_point_scatter_km_s'), 2)
        ) as weight
    from spectrum
    join radial_velocity using (spectrum_id)
    where spectrum.survey like 'LAMOST%' and spectrum.coadd and spectrum.star_id is not null and passes_snr_r(spectrum.snr_r)
      and radial_velocity.halpha_wing_of = 'absorption'
),
visits as (
    select
        star_id, survey, arm, spectrograph, plan_id, night,
        sum(weight * rv_km_s) / sum(weight) as rv_km_s,
        sum(weight) as weight
    from velocities
    group by star_id, survey, arm, spectrograph, plan_id, night
),
means as (
    select
        star_id, survey, arm,
        count(*) as n_visits,
        sum(weight * rv_km_s) / sum(weight) as mean_km_s
    from visits
    group by star_id, survey, arm
),
deviations as (
    select
        visits.*,
        visits.rv_km_s - means.mean_km_s as deviation_km_s
    from visits
    join means
        on visits.star_id = means.star_id and visits.survey = means.survey and visits.arm = means.arm
    where means.n_visits > 1
),
extremes as (
    select star_id, survey, arm, max(abs(deviation_km_s) * sqrt(weight)) as largest_sigma
    from deviations
    group by star_id, survey, arm
),
constant as (
    select star_id, survey, arm
    from extremes
    where largest_sigma < parameter('velocity_constant_sigma')
),
offsets as (
    select
        deviations.survey, deviations.spectrograph, deviations.plan_id, deviations.night, deviations.arm,
        count(*) as n_stars,
        sum(deviations.weight) as weight,
        sum(deviations.weight * deviations.deviation_km_s) / sum(deviations.weight) as offset_km_s,
        sum(deviations.weight * power(deviations.deviation_km_s, 2))
        - power(sum(deviations.weight * deviations.deviation_km_s), 2) / sum(deviations.weight) as chi2
    from deviations
    join constant
        on deviations.star_id = constant.star_id and deviations.survey = constant.survey and deviations.arm = constant.arm
    group by deviations.survey, deviations.spectrograph, deviations.plan_id, deviations.night, deviations.arm
),
final as (
    select
        survey, spectrograph, plan_id, night, arm, n_stars, offset_km_s,
        sqrt(greatest(chi2 / (n_stars - 1), 1.0) / weight) as e_offset_km_s
    from offsets
    where n_stars > 1 and n_stars >= parameter('velocity_zero_point_stars_min')
)
select * from final
