-- 210 · Every test of every spectrum: value, threshold, margin (positive passes), and whether it passes. result is pass, fail, unknown (no
-- data: decided_by tells what would decide, and passed how the selection treats it meanwhile) or not asked: Mg b without a blue arm, and
-- the tests of new stars for a star known as classical Be. rank_in_star 1 is the spectrum that represents its star. A query for one star_id
-- is fast.
with
verdicts as (select * from spectrum_verdict),
tests as (select * from selection_step),
judged as (
    select
        verdicts.star_id,
        verdicts.spectrum_id,
        verdicts.designation,
        verdicts.ra_deg,
        verdicts.dec_deg,
        verdicts.is_simulated,
        verdicts.rank_in_star,
        verdicts.failed_test,
        verdicts.is_refused,
        tests.test,
        tests.step,
        tests.name,
        tests.quantity,
        tests.unit,
        tests.decided_by,
        case tests.test
            -- each test with value: when {test} then {value}
        end as value,
        case
            -- each test with low: when tests.test = {test} and coalesce(2 * {value} < low_{test} + tests.threshold, true) then low_{test}
            else tests.threshold
        end as threshold,
        case
            -- each test with low: when tests.test = {test} then 2 * {value} >= low_{test} + tests.threshold
            else tests.is_lower_limit
        end as is_lower_limit,
        case tests.test
            -- each test with detail: when {test} then {detail}
            when 110 then
                case
                    when failed_test is null and is_known_be then 'known classical Be star: ' || cbe_list
                    when failed_test is null then 'new classical Be star'
                    when is_refused then 'no classical Be star'
                    else 'not decided'
                end
        end as detail,
        case tests.test
            -- each test: when {test} then passes_{test}
            when 110 then failed_test is null
        end as passed,
        case tests.test      -- NULL: the value itself shows it
            -- each test with known: when {test} then knows_{test}
            when 110 then failed_test is null or is_refused
        end as is_known,
        case
            when tests.asked_of = 'star' and is_known_be then false
            -- each test with asked: when tests.test = {test} then asks_{test}
            else true
        end as is_asked
    from verdicts
    cross join tests
),
final as (
    select
        star_id,
        spectrum_id,
        designation,
        ra_deg,
        dec_deg,
        is_simulated,
        rank_in_star,
        test,
        step,
        name,
        quantity,
        value,
        threshold,
        case when is_lower_limit then value - threshold else threshold - value end as margin,
        unit,
        detail,
        passed,
        is_asked,
        case
            when not is_asked then 'not asked'
            when not coalesce(is_known, value is not null) then 'unknown'
            when passed then 'pass'
            else 'fail'
        end as result,
        case when is_asked and not coalesce(is_known, value is not null) then decided_by end as decided_by,
        coalesce(failed_test, 110) = test as is_verdict,
        is_refused
    from judged
)
select * from final
