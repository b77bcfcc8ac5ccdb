-- 1 · The tests in order, each of one quantity, with the parameter that decides it, its current value, and what would decide the test where
-- there are no data. asked_of tells whether the test applies to each spectrum, or to each star by its best spectrum in emission.
-- is_lower_limit: values above the threshold pass (NULL: values outside a range pass; the upper end of the range is given). The tests are
-- declared in the views of the steps.
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
