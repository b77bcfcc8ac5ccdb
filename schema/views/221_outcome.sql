-- 221 · How many stars the selection finds, by kind.
with
candidates as materialized (select *, {passes of step 70} as is_emission from candidate_spectrum),
emission as (
    select *
    from candidates
    where is_emission
    qualify row_number() over (partition by star_id order by snr_r desc, spectrum_id) = 1
),
judged as (
    select
        {branch} as is_known,
        -- each step of star: {condition} as passes_{step},
        herbig_list is not null as is_herbig_listed,
        is_herbig_by_infrared(
            hk0_mag, kw10_mag, n_cbe_lists, subtype_min, subtype_max, luminosity_min, is_peculiar
        ) as is_herbig,
        is_o_type(subtype_max) as is_o
    from emission
),
counts as (
    select
        count(*) as emission_star,
        count(case when is_known then 1 end) as known_be,
        -- each step of star: count(case when not is_known and {to_here} then 1 end) as {view},
        count(case when is_herbig or is_herbig_listed then 1 end) as herbig_aebe,
        count(case when is_herbig then 1 end) as herbig_by_infrared,
        count(case when is_o then 1 end) as oe_star
    from judged
),
final as (
    select 'be_candidate' as name, count(distinct star_id) as stars from candidates
    union all select 'emission_star', emission_star from counts
    union all select 'known_be', known_be from counts
    -- each step of star: union all select '{view}', {view} from counts
    union all select 'classical_be', known_be + {last_view} from counts
    union all select 'herbig_aebe', herbig_aebe from counts
    union all select 'herbig_by_infrared', herbig_by_infrared from counts
    union all select 'oe_star', oe_star from counts
    union all select 'cluster_member_be', count(*) from cluster_member_be
    union all select 'runaway', count(*) from runaway
)
select * from final
