-- 140 · Classical Be stars that are members of an open cluster, with the cluster's parameters; the likeliest cluster of each.
with
be_stars as (select * from classical_be),
members as (
    select *
    from cluster_match
    where membership_probability > parameter('membership_probability_min')
      and (
          method = 'source_id'
          or (
              coalesce(abs(pm_difference_sigma), 0) <= parameter('cluster_difference_max_sigma')
              and coalesce(abs(parallax_difference_sigma), 0) <= parameter('cluster_difference_max_sigma')
          )
      )
    qualify row_number() over (partition by star_id order by membership_probability desc, cluster, catalogue_id) = 1
),
final as (
    select
        be_stars.star_id,
        be_stars.designation,
        be_stars.ra_deg,
        be_stars.dec_deg,
        be_stars.is_new,
        members.cluster,
        members.catalogue_id as member_list,
        members.method,
        members.membership_probability,
        cluster.rv_km_s,
        cluster.e_rv_km_s,
        cluster.distance_pc,
        cluster.e_distance_pc,
        cluster.log_age_yr,
        cluster.e_log_age_yr,
        cluster.fe_h,
        cluster.e_fe_h,
        cluster.av_mag,
        cluster.e_av_mag
    from be_stars
    join members using (star_id)
    left join cluster using (cluster)
)
select * from final
