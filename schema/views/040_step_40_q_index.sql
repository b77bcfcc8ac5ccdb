-- 40 · Drops late types that are still among the early ones: K and M stars have Q of 0.4 or more. Without photometry: passes, flagged.
--: step = "q_index"
--: of = "spectrum"
--: label = "No K or M star by 2MASS colours"
--: [40]
--: quantity = "Q of 2MASS"
--: unit = "mag"
--: column = "q_mag"
--: value = """star_q(photometry.j_mag, photometry.h_mag, photometry.k_mag, photometry.tmass_quality, photometry.tmass_separation_arcsec)"""
--: side = "below"
--: parameter = "q_late_min_mag"
--: missing = "q_unknown_passes"
--: decided_by = "no 2MASS magnitudes: `becat fetch tmass`"
--: slider = [-0.5, 1, 0.01]
with
early_by_lines as (select * from {previous}),
final as (
    select
        early_by_lines.*,
        {value 40} as q_mag,
        {value 40} is null as lacks_q,
        reddening.ebv_mag,
        {value 100} as hk0_mag,
        {value 101} as kw10_mag
    from early_by_lines
    left join photometry using (star_id)
    left join reddening using (star_id)
    where {passes}
)
select * from final
