-- 3 · What people said about each star. The latest judgement of each inspector counts. The class is the one that most inspectors give, or
-- the latest of those with equally many votes; the shell type is the latest one given by an inspector who gives that class.
with
latest as (
    select *
    from inspection
    qualify row_number() over (partition by star_id, inspector order by inspected_at desc, inspection_id desc) = 1
),
votes as (
    select
        star_id,
        profile_class,
        shell_type,
        inspected_at,
        inspection_id,
        sum(case when is_be then 1 else 0 end) over (partition by star_id) as n_be,
        sum(case when not is_be then 1 else 0 end) over (partition by star_id) as n_not_be,
        count(*) over (partition by star_id, profile_class) as n_votes,
        max(inspected_at) over (partition by star_id, profile_class) as last_at,
        max(inspection_id) over (partition by star_id, profile_class) as last_id
    from latest
),
bare as (
    select
        star_id,
        n_be,
        n_not_be,
        profile_class as profile_class_by_eye,
        case when profile_class is not null then shell_type end as shell_type_by_eye
    from votes
    qualify row_number() over (
        partition by star_id
        order by profile_class is null, n_votes desc, last_at desc, last_id desc, inspected_at desc, inspection_id desc
    ) = 1
),
final as (
    select bare.*, star.is_simulated
    from bare
    left join star using (star_id)
)
select * from final
