-- 287 · Candidate Be stars with evidence of a companion: each piece in its column, none hidden in a score (binary_evidence says what each means). RUWE alone is
-- weak: one bright star in ten has it above the limit. First those whose velocity changes, the least probable to be constant before the others.
with
candidates as (select star_id from be_candidate),
final as (
    select binary_evidence.*
    from binary_evidence
    join candidates on candidates.star_id = binary_evidence.star_id
    where binary_evidence.evidence is not null
    order by coalesce(binary_evidence.velocity_changes, false) desc, binary_evidence.rv_change_probability, binary_evidence.star_id
)
select * from final
