-- 1 · The tests in their order, one quantity each, with the parameter that decides it and its value in force, and what would decide it
-- where there are no data. asked_of: of each spectrum, or of each star by its best spectrum in emission. is_lower_limit: what passes is
-- above the threshold (NULL: outside of a range, whose upper end stands here). Each step's own view declares them.
with
tests(test, step, name, asked_of, quantity, unit, parameter, fixed_threshold, is_lower_limit, decided_by) as (
    values
        -- each test: ({test}, {step}, '{name}', '{of}', {quantity}, {unit}, {parameter}, {fixed}, {is_lower}, {decided_by}),
        (110, 110, 'classical_be', null, 'outcome', '', null, null, false, '')
),
final as (
    select
        tests.test,
        tests.step,
        tests.name,
        tests.asked_of,
        tests.quantity,
        tests.unit,
        tests.parameter,
        coalesce(tests.fixed_threshold, selection_parameter.value) as threshold,
        tests.is_lower_limit,
        tests.decided_by
    from tests
    left join selection_parameter on selection_parameter.name = tests.parameter
)
select * from final
