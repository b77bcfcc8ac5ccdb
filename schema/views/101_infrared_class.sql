-- 101 · What the dereddened colours say about each star with J, H, K, W1 and reddening: classical Be, Herbig Ae/Be or neither, and the
-- probability of each, from the errors of photometry and reddening (the colours share K and E(B-V)). An error of zero means that none was
-- given, so there is no probability.
with
errors as (
    select
        *,
        nullif(e_h_mag, 0) * e_h_mag as variance_h,
        nullif(e_k_mag, 0) * e_k_mag as variance_k,
        nullif(e_w1_mag, 0) * e_w1_mag as variance_w1,
        reddening_of('extinction_ratio_h', 'extinction_ratio_k') * parameter('r_v') * coalesce(e_ebv_mag, 0) as e_hk_reddening,
        reddening_of('extinction_ratio_k', 'extinction_ratio_w1') * parameter('r_v') * coalesce(e_ebv_mag, 0)
            as e_kw1_reddening
    from infrared_colour
    where hk0_mag is not null and kw10_mag is not null
),
colours as (
    select
        *,
        sqrt(variance_h + variance_k + e_hk_reddening * e_hk_reddening) as e_hk0_mag,
        sqrt(variance_k + variance_w1 + e_kw1_reddening * e_kw1_reddening) as e_kw10_mag,
        e_hk_reddening * e_kw1_reddening - variance_k as covariance_mag2
    from errors
),
standardised as (
    select
        *,
        (parameter('cbe_hk_max_mag') - hk0_mag) / e_hk0_mag as cbe_x,
        (parameter('cbe_kw1_max_mag') - kw10_mag) / e_kw10_mag as cbe_y,
        (hk0_mag - parameter('herbig_hk_min_mag')) / e_hk0_mag as herbig_x,
        (kw10_mag - parameter('herbig_kw1_min_mag')) / e_kw10_mag as herbig_y,
        asin(greatest(-1.0, least(1.0, covariance_mag2 / (e_hk0_mag * e_kw10_mag)))) as angle
    from colours
),
final as (
    select
        star.star_id,
        star.designation,
        star.ra_deg,
        star.dec_deg,
        star.is_simulated,
        standardised.ebv_mag,
        standardised.hk0_mag,
        standardised.e_hk0_mag,
        standardised.kw10_mag,
        standardised.e_kw10_mag,
        case
            when has_cbe_colours(hk0_mag, kw10_mag) then 'classical Be'
            when has_herbig_colours(hk0_mag, kw10_mag) then 'Herbig Ae/Be'
            else 'neither'
        end as infrared_class,
        binormal_cdf(cbe_x, cbe_y, angle) as cbe_colour_probability,
        binormal_cdf(herbig_x, herbig_y, angle) as herbig_colour_probability
    from standardised
    join star using (star_id)
)
select * from final
