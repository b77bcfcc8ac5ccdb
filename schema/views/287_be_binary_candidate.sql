-- 287 · Candidate Be stars with evidence of a companion: each piece in its own column, none hidden in a score (binary_evidence explains
-- each). RUWE alone is weak evidence: one bright star in ten is above the limit. Stars whose velocity changes come first, ordered by the
-- probability of being constant, the smallest first.
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
