-- Known classical Be stars
-- Emission stars that a published list calls classical Be. is_contested: another list calls the star Herbig Ae/Be or H II region.
-- needs: spectrum, be_score, profile_class, literature_match
-- of: star
with
final as (
    select
        known_be.designation,
        star_name.star_name,
        known_be.ra_deg,
        known_be.dec_deg,
        known_be.spectral_type,
        known_be.spectral_type_reference,
        known_be.cbe_list,
        known_be.n_cbe_lists,
        known_be.is_contested,
        known_be.ew_halpha_a,
        known_be.e_ew_halpha_a,
        star.is_simulated
    from known_be
    join star using (star_id)
    left join star_name using (star_id)
)
select * from final order by ra_deg, designation
