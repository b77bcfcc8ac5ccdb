-- 210 · Every test of every spectrum: value, threshold, margin (positive passes), and whether it passes. result says pass, fail,
-- unknown (no data: decided_by says what would decide; passed says what the selection does meanwhile) or not asked: Mg b without a
-- blue arm, the tests of new stars for a star known as classical Be. rank_in_star 1 is the spectrum that stands for its star. Ask
-- for one star_id: it is quick.
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
        case tests.test
            -- each test: when {test} then {threshold}
        end as threshold,
        case tests.test
            -- each test: when {test} then {is_lower}
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
        case tests.test
            -- each test: when {test} then knows_{test}
            when 110 then failed_test is null or is_refused
        end as is_known,
        case tests.test
            -- each test of spectrum: when {test} then {asked}
            -- each test of star: when {test} then not is_known_be and {asked}
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
            when not is_known then 'unknown'
            when passed then 'pass'
            else 'fail'
        end as result,
        case when is_asked and not is_known then decided_by end as decided_by,
        coalesce(failed_test, 110) = test as is_verdict,
        is_refused
    from judged
)
select * from final
