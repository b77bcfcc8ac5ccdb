-- 200 · Every spectrum with all that the selection asks: the values, which tests it passes, and the first that it fails
-- (NULL: none). rank_in_star 1 marks the spectrum that stands for its star: the one that gets farthest through the steps
-- asked of spectra, then the one of highest S/N. Spectra without a position belong to no star.
-- Score and profile are looked up spectrum by spectrum, so that a question for one star reads little.
with
types as (select * from spectral_type where is_adopted),
measured as (
    select
        spectrum.spectrum_id,
        spectrum.star_id,
        spectrum.designation,
        spectrum.ra_deg,
        spectrum.dec_deg,
        spectrum.mjd,
        spectrum.has_blue,
        spectrum.snr_b,
        spectrum.snr_r,
        spectrum.teff_k,
        line_measurement.ew_halpha_a,
        line_measurement.ew_mgb_a,
        line_measurement.nebular_significance,
        line_measurement.fwhm_halpha_km_s,
        (
            select max(be_score.be_probability)
            from be_score
            join model on model.model_id is not distinct from be_score.model_id    -- with `=` DuckDB would compare every row
            where model.is_current and be_score.spectrum_id = spectrum.spectrum_id
        ) as be_probability,
        (
            select max(profile_class.profile_class)
            from profile_class
            where profile_class.spectrum_id = spectrum.spectrum_id
        ) as profile_class
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
        measured.mjd,
        measured.has_blue,
        measured.snr_b,
        measured.snr_r,
        measured.teff_k,
        measured.ew_halpha_a,
        measured.ew_mgb_a,
        measured.nebular_significance,
        measured.fwhm_halpha_km_s,
        infrared_colour.q_mag,
        infrared_colour.hk0_mag,
        infrared_colour.kw10_mag,
        measured.be_probability,
        coalesce(inspection_tally.n_be, 0) as n_be,
        coalesce(inspection_tally.n_not_be, 0) as n_not_be,
        coalesce(inspection_tally.profile_class_by_eye, measured.profile_class) as profile_class,
        coalesce(literature_flag.n_cbe_lists, 0) > 0 as is_known_be,
        literature_flag.cbe_list,
        literature_flag.herbig_list,
        literature_flag.hii_list,
        types.spectral_type,
        types.subtype_min,
        types.subtype_max,
        types.luminosity_min,
        types.is_peculiar
    from measured
    left join infrared_colour on infrared_colour.star_id = measured.star_id
    left join inspection_tally on inspection_tally.star_id = measured.star_id
    left join literature_flag on literature_flag.star_id = measured.star_id
    left join types on types.star_id = measured.star_id
),
tested as (
    select
        *,
        coalesce(passes_snr_r(snr_r), false) as passes_10,
        coalesce(passes_snr_b(snr_b, has_blue), false) as passes_11,
        passes_teff(teff_k) as passes_20,
        coalesce(passes_halpha(ew_halpha_a), false) as passes_30,
        coalesce(passes_mgb(ew_mgb_a, has_blue), false) as passes_31,
        passes_q(q_mag) as passes_40,
        coalesce(passes_be_probability(be_probability), false) as passes_50,
        passes_inspection(n_be, n_not_be) as passes_60,
        coalesce(passes_emission(profile_class), false) as passes_70,
        herbig_list is null as passes_80,
        hii_list is null as passes_81,
        not is_nebular(nebular_significance, fwhm_halpha_km_s) as passes_82,
        coalesce(passes_earliest(subtype_max), false) as passes_90,
        coalesce(passes_latest(subtype_min), false) as passes_91,
        passes_luminosity(luminosity_min) as passes_92,
        passes_normal_type(is_peculiar) as passes_93,
        coalesce(passes_hk(hk0_mag), false) as passes_100,
        coalesce(passes_kw1(kw10_mag), false) as passes_101,
        not is_known_be and parameter('exclude_contaminants') = 1 as asks_80
    from evidence
),
of_spectrum as (
    select
        *,
        case
            when not passes_10 then 10
            when not passes_11 then 11
            when not passes_20 then 20
            when not passes_30 then 30
            when not passes_31 then 31
            when not passes_40 then 40
            when not passes_50 then 50
            when not passes_60 then 60
        end as failed_test_of_spectrum
    from tested
),
final as (
    select
        *,
        case
            when failed_test_of_spectrum is not null then failed_test_of_spectrum
            when not passes_70 then 70
            when is_known_be then null
            when asks_80 and not passes_80 then 80
            when asks_80 and not passes_81 then 81
            when asks_80 and not passes_82 then 82
            when not passes_90 then 90
            when not passes_91 then 91
            when not passes_92 then 92
            when not passes_93 then 93
            when not passes_100 then 100
            when not passes_101 then 101
        end as failed_test,
        row_number() over (
            partition by star_id order by coalesce(failed_test_of_spectrum, 999) desc, snr_r desc, spectrum_id
        ) as rank_in_star
    from of_spectrum
)
select * from final
