-- 70 · Candidates with H-alpha in emission; the class given by eye goes before the measured one.
with
candidates as (select * from be_candidate),
final as (
    select * from candidates where passes_emission(profile_class)
)
select * from final
