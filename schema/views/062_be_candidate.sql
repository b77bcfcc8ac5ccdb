-- 62 · Candidate Be stars: stars with a spectrum that passes the steps up to the inspection. The spectrum with the highest S/N represents
-- the star.
with
candidates as (select * from candidate_spectrum),
final as (
    select *, count(*) over (partition by star_id) as n_spectra
    from candidates
    qualify row_number() over (partition by star_id order by snr_r desc, spectrum_id) = 1
)
select * from final
