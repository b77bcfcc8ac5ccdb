-- 235 · The heliocentric velocity of each spectrum. All spectra of a star in a survey use one method, so that epochs can be compared: the
-- method whose velocities have the largest total weight. Zero points of the night are subtracted where they are known; otherwise
-- velocity_night_elements is part of the error. Where the wavelengths are as seen from the Earth, its motion is corrected for; where it is
-- not known which they are, there is no velocity. The release's velocity is given beside it.
with
measured as not materialized (      -- a query for one star reads only its rows
    select
        radial_velocity.*,
        spectrum.star_id, spectrum.survey, spectrum.spectrograph, spectrum.plan_id, spectrum.mjd, spectrum.is_simulated,
        case
            when spectrum.survey like 'LAMOST%'
                then parameter('velocity_night_elements') * 299792.458 / coalesce(spectrum.resolving_power, 7500.0)
            else 0.0
        end as night_error_km_s,
        spectrum.rv_km_s as rv_release_km_s, spectrum.e_rv_km_s as e_rv_release_km_s,
        case
            when spectrum.survey like 'LAMOST%' or spectrum.bss_vhel_km_s <> 0 then 0.0
            when spectrum.bss_rqvh_km_s is not null then cast(spectrum.bss_rqvh_km_s as double)
            when spectrum.bss_vhel_km_s = 0
                then heliocentric_correction_km_s(spectrum.mjd, coalesce(spectrum.ra_deg, star.ra_deg), coalesce(spectrum.dec_deg, star.dec_deg))
        end as heliocentric_correction_km_s
    from radial_velocity
    join spectrum using (spectrum_id)
    left join star using (star_id)
),
candidates as (
    select spectrum_id, star_id, survey, 'blue arm' as rv_method, 'blue' as arm, rv_blue_km_s as rv_km_s, e_rv_blue_km_s as e_rv_km_s
    from measured
    union all
    select spectrum_id, star_id, survey, 'H-alpha wings, ' || halpha_wing_of, 'red', rv_halpha_wing_km_s, e_rv_halpha_wing_km_s
    from measured
    union all
    select spectrum_id, star_id, survey, 'He I 6678', 'red', rv_hei_6680_km_s, e_rv_hei_6680_km_s
    from measured
),
weights as (
    select star_id, survey, rv_method, sum(1.0 / (e_rv_km_s * e_rv_km_s)) as weight
    from candidates
    where rv_km_s is not null and e_rv_km_s > 0 and star_id is not null
    group by star_id, survey, rv_method
),
methods as (
    select *
    from weights
    qualify row_number() over (partition by star_id, survey order by weight desc, rv_method) = 1
),
adopted as (
    select candidates.*
    from candidates
    join methods
        on candidates.star_id = methods.star_id and candidates.survey = methods.survey
        and candidates.rv_method = methods.rv_method
    where candidates.rv_km_s is not null
),
final as (
    select
        measured.spectrum_id,
        measured.star_id,
        measured.mjd,
        measured.is_simulated,
        adopted.rv_km_s + measured.heliocentric_correction_km_s - coalesce(zero.offset_km_s, 0.0) as rv_km_s,
        case
            when measured.heliocentric_correction_km_s is not null
                then sqrt(power(cast(adopted.e_rv_km_s as double), 2) + power(coalesce(zero.e_offset_km_s, measured.night_error_km_s), 2))
        end as e_rv_km_s,
        adopted.rv_method,
        zero.offset_km_s as rv_zero_point_km_s,
        measured.heliocentric_correction_km_s,
        measured.rv_release_km_s,
        measured.e_rv_release_km_s,
        measured.rv_primary_km_s + measured.heliocentric_correction_km_s - coalesce(blue_zero.offset_km_s, 0.0) as rv_primary_km_s,
        sqrt(
            power(cast(measured.e_rv_primary_km_s as double), 2)
            + power(coalesce(blue_zero.e_offset_km_s, measured.night_error_km_s), 2)
        ) as e_rv_primary_km_s,
        measured.rv_secondary_km_s + measured.heliocentric_correction_km_s - coalesce(blue_zero.offset_km_s, 0.0) as rv_secondary_km_s,
        sqrt(
            power(cast(measured.e_rv_secondary_km_s as double), 2)
            + power(coalesce(blue_zero.e_offset_km_s, measured.night_error_km_s), 2)
        ) as e_rv_secondary_km_s
    from measured
    left join adopted on measured.spectrum_id = adopted.spectrum_id
    left join velocity_zero_point as zero
        on measured.survey = zero.survey and measured.spectrograph = zero.spectrograph and measured.plan_id = zero.plan_id
        and floor(measured.mjd) = zero.night and adopted.arm = zero.arm
    left join velocity_zero_point as blue_zero
        on measured.survey = blue_zero.survey and measured.spectrograph = blue_zero.spectrograph
        and measured.plan_id = blue_zero.plan_id and floor(measured.mjd) = blue_zero.night and blue_zero.arm = 'blue'
)
select * from final
