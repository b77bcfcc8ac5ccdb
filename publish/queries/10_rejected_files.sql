-- Which inputs were rejected, and why?
-- Counts by stage and reason; the files themselves are in rejected_input.
select stage, reason, count(*) as n
from rejected_input
group by stage, reason
order by n desc
