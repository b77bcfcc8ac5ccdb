-- 1 · The tests in their order, one quantity each, with the parameter that decides it, and what would decide it where there are no
-- data. Each step's own view declares them.
with
tests(test, step, name, quantity, unit, parameter, decided_by) as (
    values
        -- each test: ({test}, {step}, '{name}', {quantity}, {unit}, {parameter}, {decided_by}),
        (110, 110, 'classical_be', 'outcome', '', null, '')
),
final as (select * from tests)
select * from final
