-- Stars common with published lists
-- Emission stars of this catalogue in each list, beside the number printed in the paper. No number of ours: the list has not
-- been fetched. A star may be in several lists.
-- needs: spectrum, be_score, literature_match
-- of: literature_match, literature_catalogue
with
found as (
    select literature_match.object_class, literature_match.catalogue_id, count(distinct literature_match.star_id) as n_stars
    from literature_match
    join emission_star using (star_id)
    join literature_catalogue using (catalogue_id)
    where literature_match.is_best
      and literature_match.object_class in ('CBe', 'Herbig Ae/Be', 'H II region')
      and literature_catalogue.object_class <> 'spectral types'
    group by literature_match.object_class, literature_match.catalogue_id
),
printed as (
    select
        case split_part(name, '_', 1) when 'cbe' then 'CBe' when 'herbig' then 'Herbig Ae/Be' else 'H II region' end
            as object_class,
        regexp_replace(name, '^(cbe|herbig|hii)_', '') as catalogue_id,
        cast(value as bigint) as published
    from published_value
    where place = 'table 4'
),
final as (
    select
        object_class,
        case when literature_catalogue.n_rows is not null then coalesce(found.n_stars, 0) end as n_stars,
        printed.published,
        literature_catalogue.reference,
        literature_catalogue.bibcode,
        catalogue_id
    from found
    full join printed using (object_class, catalogue_id)
    left join literature_catalogue using (catalogue_id)
)
select * from final order by object_class = 'H II region', object_class = 'Herbig Ae/Be', bibcode, catalogue_id
