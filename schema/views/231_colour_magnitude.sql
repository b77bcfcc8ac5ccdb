-- 231 · Gaia colour-magnitude diagram: stars with a BP/RP excess factor within its limits and a positive parallax. Absolute magnitude from
-- 1/parallax; corrected for extinction where the reddening is known.
with
photometric as (
    select
        star_id,
        g_mag,
        bp_mag - rp_mag as bp_rp_mag,
        bp_rp_excess_factor
    from photometry
    where bp_rp_excess_factor
        >= parameter('excess_factor_min_constant')
        + parameter('excess_factor_min_quadratic') * (bp_mag - rp_mag) * (bp_mag - rp_mag)
      and bp_rp_excess_factor
        <= parameter('excess_factor_max_constant')
        + parameter('excess_factor_max_quadratic') * (bp_mag - rp_mag) * (bp_mag - rp_mag)
),
solutions as (
    select star_id, parallax_mas, e_parallax_mas
    from astrometry
    where parallax_mas > 0
      and coalesce(ruwe, 0) <= parameter('ruwe_max')
      and coalesce(separation_arcsec, 0) <= parameter('gaia_radius_max_arcsec')
),
final as (
    select
        star.star_id,
        star.designation,
        star.ra_deg,
        star.dec_deg,
        star.is_simulated,
        photometric.bp_rp_mag,
        photometric.g_mag + 5 + 5 * log10(solutions.parallax_mas / 1000) as abs_g_mag,
        5 / ln(10) * solutions.e_parallax_mas / solutions.parallax_mas as e_abs_g_mag,
        photometric.bp_rp_mag
            - reddening_of('extinction_ratio_bp', 'extinction_ratio_rp') * parameter('r_v') * reddening.ebv_mag as bp_rp0_mag,
        photometric.g_mag + 5 + 5 * log10(solutions.parallax_mas / 1000)
            - parameter('extinction_ratio_g') * parameter('r_v') * reddening.ebv_mag as abs_g0_mag,
        reddening.ebv_mag
    from photometric
    join solutions using (star_id)
    join star using (star_id)
    left join reddening using (star_id)
)
select * from final
