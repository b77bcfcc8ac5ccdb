-- 235 · The heliocentric velocity of each spectrum. All spectra of a star in a survey use one method, so that epochs can be compared: the
-- method whose velocities have the largest total weight. If the wings can jump in one spectrum, no error of the star's wing velocities in
-- the survey is smaller than the jump. Zero points of the night are subtracted where they are known; otherwise velocity_night_elements is
-- part of the error. Wavelengths in the Earth's frame are corrected for the motion of the Earth; where the frame is not known, there is no
-- velocity. The release's velocity is given beside it.
with
measured as (      -- each is named once, so that a query for one star reads only its rows
    select
        radial_velocity.spectrum_id, radial_velocity.rv_blue_km_s, radial_velocity.e_rv_blue_km_s,
        radial_velocity.rv_halpha_wing_km_s, radial_velocity.e_rv_halpha_wing_km_s, radial_velocity.halpha_wing_of, radial_velocity.wing_jump_km_s,
        radial_velocity.rv_hei_6680_km_s, radial_velocity.e_rv_hei_6680_km_s,
        radial_velocity.rv_primary_km_s, radial_velocity.e_rv_primary_km_s,
        radial_velocity.rv_secondary_km_s, radial_velocity.e_rv_secondary_km_s,
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
    from spectrum
    join radial_velocity on radial_velocity.spectrum_id = spectrum.spectrum_id
    left join star on star.star_id = spectrum.star_id
),
ways as (      -- the ways to a velocity: each spectrum three times
    select 'blue arm' as way, 'blue' as arm
    union all
    select 'H-alpha wings', 'red'
    union all
    select 'He I 6678', 'red'
),
candidates as (
    select
        measured.*,
        ways.arm,
        ways.way,
        ways.way || case when ways.way = 'H-alpha wings' then ', ' || measured.halpha_wing_of else '' end as method,
        case ways.way
            when 'blue arm' then measured.rv_blue_km_s
            when 'H-alpha wings' then measured.rv_halpha_wing_km_s
            else measured.rv_hei_6680_km_s
        end as method_rv_km_s,
        case ways.way
            when 'blue arm' then measured.e_rv_blue_km_s
            when 'H-alpha wings' then measured.e_rv_halpha_wing_km_s
            else measured.e_rv_hei_6680_km_s
        end as e_spectrum_rv_km_s,
        case when ways.way = 'H-alpha wings' then measured.wing_jump_km_s end as jump_km_s
    from measured
    cross join ways
),
with_jump as (      -- what one exposure shows of the line's peaks holds for all
    select *, greatest(e_spectrum_rv_km_s, max(jump_km_s) over (partition by star_id, survey, way)) as e_method_rv_km_s
    from candidates
),
weighed as (
    select
        *,
        sum(case when method_rv_km_s is not null and e_method_rv_km_s > 0 then 1.0 / (e_method_rv_km_s * e_method_rv_km_s) end)
            over (partition by star_id, survey, method) as weight
    from with_jump
),
ranked as (
    select
        *,
        weight is not null and star_id is not null
            and rank() over (partition by star_id, survey order by weight desc nulls last, method) = 1
            and method_rv_km_s is not null as is_adopted
    from weighed
),
adopted as (
    select
        *,
        case when is_adopted then method_rv_km_s end as rv_km_s,
        case when is_adopted then e_method_rv_km_s end as e_rv_km_s,
        case when is_adopted then method end as rv_method,
        case when is_adopted then arm end as adopted_arm
    from ranked
    qualify row_number() over (partition by star_id, spectrum_id order by is_adopted desc, method) = 1
),
final as (
    select
        adopted.spectrum_id,
        adopted.star_id,
        adopted.mjd,
        adopted.is_simulated,
        adopted.rv_km_s + adopted.heliocentric_correction_km_s - coalesce(zero.offset_km_s, 0.0) as rv_km_s,
        case
            when adopted.heliocentric_correction_km_s is not null
                then sqrt(power(cast(adopted.e_rv_km_s as double), 2) + power(coalesce(zero.e_offset_km_s, adopted.night_error_km_s), 2))
        end as e_rv_km_s,
        adopted.rv_method,
        zero.offset_km_s as rv_zero_point_km_s,
        adopted.heliocentric_correction_km_s,
        adopted.rv_release_km_s,
        adopted.e_rv_release_km_s,
        adopted.rv_primary_km_s + adopted.heliocentric_correction_km_s - coalesce(blue_zero.offset_km_s, 0.0) as rv_primary_km_s,
        sqrt(
            power(cast(adopted.e_rv_primary_km_s as double), 2)
            + power(coalesce(blue_zero.e_offset_km_s, adopted.night_error_km_s), 2)
        ) as e_rv_primary_km_s,
        adopted.rv_secondary_km_s + adopted.heliocentric_correction_km_s - coalesce(blue_zero.offset_km_s, 0.0) as rv_secondary_km_s,
        sqrt(
            power(cast(adopted.e_rv_secondary_km_s as double), 2)
            + power(coalesce(blue_zero.e_offset_km_s, adopted.night_error_km_s), 2)
        ) as e_rv_secondary_km_s
    from adopted
    left join velocity_offset as zero
        on adopted.survey = zero.survey and adopted.spectrograph = zero.spectrograph and adopted.plan_id = zero.plan_id
        and floor(adopted.mjd) = zero.night and adopted.adopted_arm = zero.arm
    left join velocity_offset as blue_zero
        on adopted.survey = blue_zero.survey and adopted.spectrograph = blue_zero.spectrograph
        and adopted.plan_id = blue_zero.plan_id and floor(adopted.mjd) = blue_zero.night and blue_zero.arm = 'blue'
)
select * from final
