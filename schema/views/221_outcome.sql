-- 221 · How many stars the selection names, by kind.
with
candidates as (
    select
        *,
        passes_emission(profile_class) as is_emission,
        n_cbe_lists > 0 as is_known,
        passes_contaminants(herbig_list, hii_list, nebular_significance, fwhm_halpha_km_s) as is_clean,
        passes_type(subtype_min, subtype_max, luminosity_min, is_peculiar) as is_typed,
        has_cbe_colours(hk0_mag, kw10_mag) as is_infrared,
        is_herbig_by_infrared(
            hk0_mag, kw10_mag, n_cbe_lists, subtype_min, subtype_max, luminosity_min, is_peculiar
        ) as is_herbig,
        is_o_type(subtype_max) as is_o
    from be_candidate
),
counts as (
    select
        count(*) as be_candidate,
        count(case when is_emission then 1 end) as emission_star,
        count(case when is_emission and is_known then 1 end) as known_be,
        count(case when is_emission and not is_known and is_clean then 1 end) as new_candidate,
        count(case when is_emission and not is_known and is_clean and is_typed then 1 end) as typed_candidate,
        count(case when is_emission and not is_known and is_clean and is_typed and is_infrared then 1 end) as new_cbe,
        count(case when is_emission and (is_herbig or herbig_list is not null) then 1 end) as herbig_aebe,
        count(case when is_emission and is_herbig then 1 end) as herbig_by_infrared,
        count(case when is_emission and is_o then 1 end) as oe_star
    from candidates
),
final as (
    select 'be_candidate' as name, be_candidate as stars from counts
    union all select 'emission_star', emission_star from counts
    union all select 'known_be', known_be from counts
    union all select 'new_candidate', new_candidate from counts
    union all select 'typed_candidate', typed_candidate from counts
    union all select 'new_cbe', new_cbe from counts
    union all select 'classical_be', known_be + new_cbe from counts
    union all select 'herbig_aebe', herbig_aebe from counts
    union all select 'herbig_by_infrared', herbig_by_infrared from counts
    union all select 'oe_star', oe_star from counts
    union all select 'cluster_member_be', count(*) from cluster_member_be
    union all select 'runaway', count(*) from runaway
)
select * from final
