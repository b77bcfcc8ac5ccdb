-- Profile classes of the candidates
-- How many candidates show emission, emission with a shell line, absorption with a shell line (section 4.2 of the paper).
select profile_class, shell_type, count(*) as stars, round(avg(ew_halpha_a), 2) as mean_ew_halpha_a
from be_candidate
group by profile_class, shell_type
order by stars desc
