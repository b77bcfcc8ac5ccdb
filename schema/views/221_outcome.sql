-- 221 · How many stars the selection names, by kind.
with
final as (
    select 'be_candidate' as name, count(*) as stars from be_candidate
    union all select 'emission_star', count(*) from emission_star
    union all select 'known_be', count(*) from known_be
    union all select 'new_cbe', count(*) from new_cbe
    union all select 'classical_be', count(*) from classical_be
    union all select 'herbig_aebe', count(*) from herbig_aebe
    union all select 'contaminant', count(*) from contaminant
    union all select 'oe_star', count(*) from oe_star
    union all select 'cluster_member_be', count(*) from cluster_member_be
    union all select 'runaway', count(*) from runaway
)
select * from final
