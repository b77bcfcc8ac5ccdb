-- 3 · What people said of each star: the latest word of each inspector counts; the class is the latest one given.
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
classes as (
    select star_id, profile_class as profile_class_by_eye, shell_type as shell_type_by_eye
    from latest
    where profile_class is not null
    qualify row_number() over (partition by star_id order by inspected_at desc, inspection_id desc) = 1
),
final as (
    select tally.*, classes.profile_class_by_eye, classes.shell_type_by_eye
    from tally
    left join classes using (star_id)
)
select * from final
