-- 3 · What people said of each star: the latest word of each inspector counts; the class is the one that most of them give, of as
-- many the latest one.
with
latest as (
    select *
    from inspection
    qualify row_number() over (partition by star_id, inspector order by inspected_at desc, inspection_id desc) = 1
),
tally as (
    select
        star_id,
        sum(case when is_be then 1 else 0 end) as n_be,
        sum(case when not is_be then 1 else 0 end) as n_not_be
    from latest
    group by star_id
),
votes as (
    select star_id, profile_class, count(*) as n_votes, max(inspected_at) as last_at, max(inspection_id) as last_id
    from latest
    where profile_class is not null
    group by star_id, profile_class
),
classes as (
    select star_id, profile_class as profile_class_by_eye
    from votes
    qualify row_number() over (partition by star_id order by n_votes desc, last_at desc, last_id desc) = 1
),
shells as (
    select latest.star_id, latest.shell_type as shell_type_by_eye
    from latest
    join classes on classes.star_id = latest.star_id and classes.profile_class_by_eye = latest.profile_class
    qualify row_number() over (partition by latest.star_id order by latest.inspected_at desc, latest.inspection_id desc) = 1
),
final as (
    select tally.*, classes.profile_class_by_eye, shells.shell_type_by_eye
    from tally
    left join classes using (star_id)
    left join shells using (star_id)
)
select * from final
