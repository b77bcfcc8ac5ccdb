-- 210 · Every test of every spectrum: value, threshold, margin (positive passes), and whether it passes. is_asked is false
-- where the selection does not ask: Mg b without a blue arm, the tests of new stars for a star known as classical Be.
-- rank_in_star 1 is the spectrum that stands for its star. Ask for one star_id: it is quick.
with
verdicts as (select * from spectrum_verdict),
tests as (select * from selection_step),
limits as (select name, value from selection_parameter),
judged as (
    select
        verdicts.star_id,
        verdicts.spectrum_id,
        verdicts.designation,
        verdicts.ra_deg,
        verdicts.dec_deg,
        verdicts.rank_in_star,
        verdicts.failed_test,
        tests.test,
        tests.step,
        tests.name,
        tests.quantity,
        tests.unit,
        case tests.test
            when 10 then snr_r
            when 11 then snr_b
            when 20 then teff_k
            when 30 then ew_halpha_a
            when 31 then ew_mgb_a
            when 40 then q_mag
            when 50 then be_probability
            when 60 then n_be - n_not_be
            when 82 then nebular_significance
            when 90 then subtype_max
            when 91 then subtype_min
            when 92 then luminosity_min
            when 100 then hk0_mag
            when 101 then kw10_mag
        end as value,
        case
            when tests.test = 20 and 2 * teff_k < parameter('teff_late_min_k') + parameter('teff_late_max_k')
                then parameter('teff_late_min_k')
            when tests.test = 60 then 0
            else limits.value
        end as threshold,
        tests.test in (10, 11, 50, 60, 90, 92) or (
            tests.test = 20 and 2 * teff_k >= parameter('teff_late_min_k') + parameter('teff_late_max_k')
        ) as is_lower_limit,
        case tests.test
            when 70 then profile_class
            when 80 then herbig_list
            when 81 then hii_list
            when 90 then spectral_type
            when 91 then spectral_type
            when 92 then spectral_type
            when 93 then spectral_type
            when 110 then
                case
                    when failed_test is not null then 'no classical Be star'
                    when is_known_be then 'known classical Be star: ' || cbe_list
                    else 'new classical Be star'
                end
        end as detail,
        case tests.test
            when 10 then passes_10
            when 11 then passes_11
            when 20 then passes_20
            when 30 then passes_30
            when 31 then passes_31
            when 40 then passes_40
            when 50 then passes_50
            when 60 then passes_60
            when 70 then passes_70
            when 80 then passes_80
            when 81 then passes_81
            when 82 then passes_82
            when 90 then passes_90
            when 91 then passes_91
            when 92 then passes_92
            when 93 then passes_93
            when 100 then passes_100
            when 101 then passes_101
            when 110 then failed_test is null
        end as passed,
        case
            when tests.test in (11, 31) then has_blue
            when tests.step = 80 then asks_80
            when tests.step in (90, 100) then not is_known_be
            else true
        end as is_asked
    from verdicts
    cross join tests
    left join limits on limits.name = tests.parameter
),
final as (
    select
        star_id,
        spectrum_id,
        designation,
        ra_deg,
        dec_deg,
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
        coalesce(failed_test, 110) = test as is_verdict
    from judged
)
select * from final
