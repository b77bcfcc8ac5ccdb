-- 100 · New classical Be stars: new candidates of the right type with the dereddened colours of a classical Be star.
--: step = "infrared"
--: of = "star"
--: label = "Infrared colours of a classical Be star"
--: printed = "new_cbe"
--: [100]
--: quantity = "(H - K)0"
--: unit = "mag"
--: column = "hk0_mag"
--: value = """star_hk0(photometry.h_mag, photometry.k_mag, photometry.tmass_quality, photometry.tmass_separation_arcsec, reddening.ebv_mag)"""
--: side = "below"
--: parameter = "cbe_hk_max_mag"
--: missing = "colours_unknown_pass"
--: decided_by = "no dereddened colour: `becat fetch tmass gaia_distance reddening`"
--: slider = [-0.5, 1.5, 0.01]
--: [101]
--: quantity = "(K - W1)0"
--: unit = "mag"
--: column = "kw10_mag"
--: value = """star_kw10(photometry.k_mag, photometry.tmass_quality, photometry.tmass_separation_arcsec, photometry.w1_mag, photometry.allwise_quality, photometry.allwise_separation_arcsec, reddening.ebv_mag)"""
--: side = "below"
--: parameter = "cbe_kw1_max_mag"
--: missing = "colours_unknown_pass"
--: decided_by = "no dereddened colour: `becat fetch tmass allwise gaia_distance reddening`"
--: slider = [-0.5, 2, 0.01]
with
typed as (select * from {previous}),
final as (
    select * from typed where {passes}
)
select * from final
