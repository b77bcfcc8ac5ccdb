-- 260 · How the lists compared with `becat compare` agree with ours. Completeness is the fraction of their stars with a spectrum here that
-- are also ours; purity is the fraction of our stars that are in the list. The rates are given for all stars, by the class in the list, by
-- S/N of the red arm and by G. Only the list has classes, so there is no purity by class.
with
parts as (
    select list, compared_view, found_by, star_id, 1 as part_order, 'all' as part, '' as bin, null as in_bin from list_comparison
    union all
    select list, compared_view, found_by, star_id, 2, 'class of the list', listed_class, null
    from list_comparison
    where listed_class is not null
    union all
    select
        list, compared_view, found_by, star_id, 3, 'S/N',
        case
            when snr_r < 10 then 'below 10'
            when snr_r < 20 then '10 to 20'
            when snr_r < 50 then '20 to 50'
            when snr_r < 100 then '50 to 100'
            else '100 and above'
        end,
        snr_r
    from list_comparison
    where snr_r is not null
    union all
    select
        list, compared_view, found_by, star_id, 4, 'G',
        case
            when g_mag < 9 then 'below 9'
            when g_mag < 11 then '9 to 11'
            when g_mag < 13 then '11 to 13'
            when g_mag < 15 then '13 to 15'
            else '15 and above'
        end,
        g_mag
    from list_comparison
    where g_mag is not null
),
counts as (
    select
        list,
        compared_view,
        part_order,
        part,
        bin,
        min(in_bin) as bin_from,
        count(case when found_by = 'both' then 1 end) as n_both,
        count(case when found_by = 'only in the list' and star_id is not null then 1 end) as n_missed,
        count(case when found_by = 'only in the list' and star_id is null then 1 end) as n_not_observed,
        count(case when found_by = 'only here' then 1 end) as n_only_here
    from parts
    group by list, compared_view, part_order, part, bin
),
final as (
    select
        *,
        case when n_both + n_missed > 0 then 1.0 * n_both / (n_both + n_missed) end as completeness,
        case when part <> 'class of the list' and n_both + n_only_here > 0 then 1.0 * n_both / (n_both + n_only_here) end as purity
    from counts
)
select * from final
