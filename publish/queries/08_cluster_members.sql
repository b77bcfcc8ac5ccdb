-- Classical Be stars in open clusters
-- Members by position, proper motion and parallax (section 6.1 and Table 8), youngest cluster first.
select star_id, designation, cluster, membership_probability, log_age_yr, distance_pc, is_new, is_simulated
from cluster_member_be
order by log_age_yr, cluster
