-- Classical Be stars in open clusters
-- The parameters are those of the cluster.
-- needs: spectrum, be_score, profile_class, astrometry, cluster_match
-- of: star, cluster
with
final as (
    select
        cluster_member_be.designation,
        cluster_member_be.ra_deg,
        cluster_member_be.dec_deg,
        cluster_member_be.cluster,
        cluster_member_be.membership_probability,
        cluster_member_be.rv_km_s,
        cluster_member_be.e_rv_km_s,
        cluster_member_be.distance_pc,
        cluster_member_be.e_distance_pc,
        cluster_member_be.log_age_yr,
        cluster_member_be.e_log_age_yr,
        cluster_member_be.fe_h,
        cluster_member_be.e_fe_h,
        cluster_member_be.av_mag,
        cluster_member_be.e_av_mag,
        cluster_member_be.is_new,
        star.is_simulated
    from cluster_member_be
    join star using (star_id)
)
select * from final order by ra_deg, designation
