-- 140 · Classical Be stars that are members of an open cluster, with the parameters of the most probable cluster. Proper motion and
-- parallax agree; where they are not known (is_motion_known), only a member found by its Gaia source_id counts. The limit on RUWE is that
-- for runaways.
with
be_stars as (select * from classical_be),
members as (
    select
        cluster_match.*,
        pm_difference_sigma is not null and parallax_difference_sigma is not null as is_motion_known
    from cluster_match
    left join astrometry on astrometry.star_id = cluster_match.star_id
    where membership_probability > parameter('membership_probability_min')
      and coalesce(astrometry.ruwe, 0) <= parameter('ruwe_max')
      and coalesce(abs(pm_difference_sigma) <= parameter('cluster_difference_max_sigma'), method = 'source_id')
      and coalesce(abs(parallax_difference_sigma) <= parameter('cluster_difference_max_sigma'), method = 'source_id')
    qualify row_number() over (partition by cluster_match.star_id order by membership_probability desc, cluster, catalogue_id) = 1
),
final as (
    select
        be_stars.star_id,
        be_stars.designation,
        be_stars.ra_deg,
        be_stars.dec_deg,
        be_stars.is_simulated,
        be_stars.is_new,
        members.cluster,
        members.catalogue_id as member_list,
        members.method,
        members.membership_probability,
        members.is_motion_known,
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
