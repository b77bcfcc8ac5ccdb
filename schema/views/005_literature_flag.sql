-- 5 · What the published lists of Be stars, Herbig stars and H II regions call each star. Lists published after known_until_year do not
-- count, so that a newer list does not change the paper's numbers.
with
matches as (
    select literature_match.star_id, literature_match.catalogue_id, literature_match.object_class
    from literature_match
    join literature_catalogue using (catalogue_id)
    where literature_match.is_best
      and coalesce(try_cast(substr(literature_catalogue.bibcode, 1, 4) as integer) <= parameter('known_until_year'), true)
      and literature_catalogue.object_class in ('CBe', 'Herbig Ae/Be', 'H II region', 'emission-line star', 'mixed')
),
bare as (
    select
        star_id,
        count(distinct case when object_class = 'CBe' then catalogue_id end) as n_cbe_lists,
        count(distinct case when object_class = 'Herbig Ae/Be' then catalogue_id end) as n_herbig_lists,
        count(distinct case when object_class = 'H II region' then catalogue_id end) as n_hii_lists,
        min(case when object_class = 'CBe' then catalogue_id end) as cbe_list,
        min(case when object_class = 'Herbig Ae/Be' then catalogue_id end) as herbig_list,
        min(case when object_class = 'H II region' then catalogue_id end) as hii_list
    from matches
    group by star_id
),
final as (
    select bare.*, star.is_simulated
    from bare
    left join star using (star_id)
)
select * from final
