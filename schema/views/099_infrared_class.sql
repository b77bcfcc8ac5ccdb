-- 99 · What the dereddened colours say of each star with J, H, K, W1 and reddening: classical Be, Herbig Ae/Be or neither;
-- and the probability of each, from the errors of photometry and reddening.
with
colours as (
    select
        *,
        asin(covariance_mag2 / (e_hk0_mag * e_kw10_mag)) as angle
    from infrared_colour
    where hk0_mag is not null and kw10_mag is not null
),
final as (
    select
        colours.star_id,
        star.designation,
        star.ra_deg,
        star.dec_deg,
        colours.ebv_mag,
        colours.hk0_mag,
        colours.e_hk0_mag,
        colours.kw10_mag,
        colours.e_kw10_mag,
        case
            when has_cbe_colours(hk0_mag, kw10_mag) then 'classical Be'
            when has_herbig_colours(hk0_mag, kw10_mag) then 'Herbig Ae/Be'
            else 'neither'
        end as infrared_class,
        binormal_cdf(
            (parameter('cbe_hk_max_mag') - hk0_mag) / e_hk0_mag, (parameter('cbe_kw1_max_mag') - kw10_mag) / e_kw10_mag, angle
        ) as cbe_colour_probability,
        binormal_cdf(
            (hk0_mag - parameter('herbig_hk_min_mag')) / e_hk0_mag, (kw10_mag - parameter('herbig_kw1_min_mag')) / e_kw10_mag,
            angle
        ) as herbig_colour_probability
    from colours
    join star using (star_id)
)
select * from final
