-- Known classical Be stars
-- Emission stars that a published list calls classical Be (Table 6), with the list and the spectral type.
select star_id, designation, ra_deg, dec_deg, spectral_type, cbe_list, n_cbe_lists, ew_halpha_a, be_probability, is_simulated
from known_be
order by designation
