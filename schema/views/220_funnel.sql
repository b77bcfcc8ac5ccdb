-- 220 · How many spectra and stars are left after each step. A star is left if one of its spectra passes all steps so far. After the step
-- emission the best spectrum of each star represents it, and the spectra counted are those in emission of these stars. There the known Be
-- stars branch off (branch known) and the new ones go on (branch new); classical_be is the sum of both.
with
likely as (select spectrum_id, be_probability, model_id from be_score where {may_pass current_score}),    -- few, before the join
current_score as (
    select likely.spectrum_id, likely.be_probability
    from likely
    join current_model using (model_id)
),
-- funnel
final as (
    select step, name, cast(coalesce(spectra, 0) as bigint) as spectra, cast(stars as bigint) as stars, branch
    from counts
    order by step
)
select * from final
