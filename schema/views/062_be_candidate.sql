-- 62 · Candidate Be stars: stars with a spectrum that passes the steps up to the inspection. The best one, by S/N, stands for the star.
with
candidates as not materialized (select * from candidate_spectrum),
best as (      -- columns by name: SQLite has no qualify, and what stands for it adds one to a star
    select star_id, spectrum_id, count(*) over (partition by star_id) as n_spectra
    from candidates
    qualify row_number() over (partition by star_id order by snr_r desc, spectrum_id) = 1
),
final as (
    select candidates.*, best.n_spectra
    from candidates
    join best on best.star_id = candidates.star_id and best.spectrum_id = candidates.spectrum_id
)
select * from final
