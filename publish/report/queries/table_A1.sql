-- Candidates with a shell line on H-alpha emission
-- Types: 1 symmetric and narrow, 2 symmetric and broad, 3 asymmetric shell line.
-- The class is the measured one, or that given by eye where somebody looked (by_eye); evidence is what made a core a shell line.
-- needs: spectrum, be_score, profile_class
-- of: star, profile_class
-- part: shell_candidate
select * exclude (profile_class)
from shell_candidate
where profile_class = 'emission with shell'
order by ra_deg, designation
