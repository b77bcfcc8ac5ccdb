-- Candidates with a shell line on H-alpha absorption
-- Types: 1 emission above the continuum, 2 emission below it, 3 narrow absorption only.
-- The class is the measured one, or that given by eye where somebody looked (by_eye); evidence is what made a core a shell line.
-- needs: spectrum, be_score, profile_class
-- of: star, profile_class
-- part: shell_candidate
select * exclude (profile_class)
from shell_candidate
where profile_class = 'absorption with shell'
order by ra_deg, designation
