-- 232 · A name for each star that has one in addition to its designation: SIMBAD's name, otherwise that in the list of its adopted spectral
-- type, otherwise that of the nearest object in the literature. A bare number is preceded by the name of its catalogue.
with
names as (
    select star_id, catalogue_id, object_name, case catalogue_id when 'simbad' then 0 else 2 end as preference, separation_arcsec
    from literature_match
    where is_best
    union all
    select star_id, catalogue_id, object_name, case catalogue_id when 'simbad' then 0 else 1 end, separation_arcsec
    from spectral_type
    where is_adopted
),
chosen as (
    select *
    from names
    where object_name <> ''
    qualify row_number() over (partition by star_id order by preference, separation_arcsec, catalogue_id, object_name) = 1
),
final as (
    select
        star.star_id,
        star.designation,
        star.ra_deg,
        star.dec_deg,
        star.is_simulated,
        case
            when chosen.catalogue_id = 'kharchenko_roeser_2009' then 'ASCC ' || chosen.object_name
            else chosen.object_name
        end as star_name,
        chosen.catalogue_id
    from chosen
    join star using (star_id)
    where chosen.object_name <> star.designation
)
select * from final
