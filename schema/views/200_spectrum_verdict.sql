-- 200 · Every spectrum with everything that the selection tests: the values; which tests apply (asks_; tests without such a column always
-- apply); which tests it passes; whether there are data (knows_; otherwise the value shows it); the lower end of a range (low_); and the
-- first test that it fails (NULL: none). is_refused: it fails a test for which there are data, whatever else is unknown. rank_in_star 1
-- marks the spectrum that represents its star: the one that gets farthest through the steps for spectra, and of these the one with the
-- highest S/N. Spectra without a position belong to no star. Score and profile are looked up spectrum by spectrum, so that a query for one
-- star reads little.
with
measured as (
    select
        spectrum.spectrum_id,
        spectrum.star_id,
        spectrum.designation,
        spectrum.ra_deg,
        spectrum.dec_deg,
        spectrum.is_simulated,
        spectrum.mjd,
        -- each column of spectrum: spectrum.{column},
        -- each column of line_measurement: line_measurement.{column},
        (
            select max(be_score.be_probability)
            from be_score
            join current_model
                on current_model.model_id is not distinct from be_score.model_id    -- with `=` DuckDB would compare every row
            where be_score.spectrum_id = spectrum.spectrum_id
        ) as be_probability,
        (
            select max(coalesce(profile_class.profile_class_on_second_look, profile_class.profile_class))
            from profile_class
            where profile_class.spectrum_id = spectrum.spectrum_id
        ) as second_look
    from spectrum
    left join line_measurement on line_measurement.spectrum_id = spectrum.spectrum_id
),
evidence as (
    select
        measured.spectrum_id,
        measured.star_id,
        measured.designation,
        measured.ra_deg,
        measured.dec_deg,
        measured.is_simulated,
        measured.mjd,
        -- each column of spectrum: measured.{column},
        -- each column of line_measurement: measured.{column},
        measured.be_probability,
        coalesce(inspection_tally.n_be, 0) as n_be,
        coalesce(inspection_tally.n_not_be, 0) as n_not_be,
        inspection_tally.profile_class_by_eye,
        candidate_class(inspection_tally.profile_class_by_eye, measured.second_look, measured.be_probability) as profile_class,
        -- each value: {computed},
        -- each column but line_measurement current_score profile_class inspection_tally photometry reddening: {source}.{column},
        literature_flag.cbe_list,
        -- each test with asked: {asked} as asks_{test},
        {branch} as is_known_be
    from measured
    -- each source but line_measurement current_score profile_class: left join {source} on {source}.{key} = measured.{key}
),
tested as (
    select
        *
        -- each test: , {passes} as passes_{test}
        -- each test with known: , {known} as knows_{test}
        -- each test with low: , {low} as low_{test}
    from evidence
),
of_spectrum as (
    select
        *,
        case
            -- each test of spectrum: when not passes_{test} then {test}
        end as failed_test_of_spectrum,
        -- each test of spectrum: {refuses} or
        false as is_refused_spectrum,
        -- each test of star: {refuses} or
        false as is_refused_star
    from tested
),
final as (
    select
        *,
        case
            when failed_test_of_spectrum is not null then failed_test_of_spectrum
            when is_known_be then null
            -- each test of star: when not passes_{test} then {test}
        end as failed_test,
        is_refused_spectrum or (is_refused_star and not is_known_be) as is_refused,
        row_number() over (
            partition by star_id order by coalesce(failed_test_of_spectrum, 999) desc, snr_r desc, spectrum_id
        ) as rank_in_star
    from of_spectrum
)
select * from final
