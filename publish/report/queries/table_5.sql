-- Oe stars
-- Emission stars whose published type is O, of any luminosity class. A star may be here and in Table 6 or 7.
-- needs: spectrum, be_score, profile_class, spectral_type
-- of: star
with
final as (
    select
        oe_star.designation,
        star_name.star_name,
        oe_star.ra_deg,
        oe_star.dec_deg,
        oe_star.spectral_type,
        oe_star.spectral_type_reference,
        oe_star.ew_halpha_a,
        oe_star.e_ew_halpha_a,
        oe_star.snr_r,
        star.is_simulated
    from oe_star
    join star using (star_id)
    left join star_name using (star_id)
)
select * from final order by ra_deg, designation
