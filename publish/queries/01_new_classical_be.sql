-- New classical Be stars
-- Stars that pass every step of the selection and are in no list of Be stars (section 5 and Table 7 of the paper), strongest emission first.
select star_id, designation, ra_deg, dec_deg, spectral_type, ew_halpha_a, be_probability, hk0_mag, kw10_mag, is_simulated
from new_cbe
order by ew_halpha_a
