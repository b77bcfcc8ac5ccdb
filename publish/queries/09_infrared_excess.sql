-- Infrared colours against the criteria
-- Candidates with dereddened colours, what the colours say, and with what probability (section 5.3 of the paper).
select infrared_class.star_id, infrared_class.designation, infrared_class.hk0_mag, infrared_class.kw10_mag, infrared_class, cbe_colour_probability, herbig_colour_probability, infrared_class.is_simulated
from infrared_class
join be_candidate using (star_id)
order by herbig_colour_probability desc
