-- 61 · Spectra that pass the steps up to the inspection, with the evidence for the later steps: profile, literature, spectral type,
-- infrared colours. The tests are made in a different order from the steps, the rarest result first, because few spectra have the score of a Be
-- star. A query for one star reads only its rows in every table.
with
likely as (select spectrum_id, be_probability, model_id from be_score where {may_pass current_score}),
scores as (
    select likely.spectrum_id, likely.be_probability
    from likely
    join current_model using (model_id)
),
measured as (
    select
        scores.spectrum_id,
        scores.be_probability,
        spectrum.star_id,
        spectrum.mjd,
        spectrum.is_simulated,
        -- each column of spectrum: spectrum.{column},
        -- each column of line_measurement: line_measurement.{column},
        line_measurement.e_ew_halpha_a,
        line_measurement.n_peaks
    from scores
    join spectrum on spectrum.spectrum_id = scores.spectrum_id      -- a condition on star_id here would keep DuckDB from reading only one star
    join line_measurement on line_measurement.spectrum_id = scores.spectrum_id
),
early as materialized (select * from measured where {passes to 60 within line_measurement current_score}),
evidence as (      -- from each further table only the rows of these few
    select
        early.*,
        -- each column but line_measurement current_score: {source}.{column},
        inspection_tally.shell_type_by_eye,
        literature_flag.n_cbe_lists,
        literature_flag.cbe_list,
        adopted_type.reference as spectral_type_reference,
        profile_class.profile_type,
        profile_class.shell_type,
        star.designation,
        star.ra_deg,
        star.dec_deg
    from early
    join star on star.star_id = early.star_id
    -- each source but line_measurement current_score: left join (select found.*, wanted.of_star from {source} as found join (select distinct {key}, star_id as of_star from early where star_id is not null) as wanted using ({key})) as {source} on {source}.{key} = early.{key} and {source}.of_star = early.star_id
),
passing as (select * from evidence where {passes to 60 beyond line_measurement current_score}),
final as (
    select
        star_id,
        designation,
        ra_deg,
        dec_deg,
        is_simulated,
        spectrum_id,
        mjd,
        snr_r,
        ew_halpha_a,
        e_ew_halpha_a,
        n_peaks,
        {value 40} as q_mag,
        be_probability,
        coalesce(n_be, 0) as n_be,
        coalesce(n_not_be, 0) as n_not_be,
        {value 70} as profile_class,
        profile_type,
        coalesce(shell_type_by_eye, shell_type) as shell_type,
        profile_class_by_eye,
        nebular_significance,
        forbidden_line_significance,
        resolving_power,
        fwhm_halpha_km_s,
        coalesce(n_cbe_lists, 0) as n_cbe_lists,
        cbe_list,
        herbig_list,
        hii_list,
        spectral_type,
        spectral_type_reference,
        subtype_min,
        subtype_max,
        luminosity_min,
        is_peculiar,
        -- each value but q_mag n_for_less_against hk0_mag kw10_mag: {computed},
        -- each column but current_score inspection_tally profile_class literature_flag adopted_type reddening j_mag h_mag k_mag w1_mag tmass_quality tmass_separation_arcsec allwise_quality allwise_separation_arcsec ew_halpha_a ew_mgb_a nebular_significance forbidden_line_significance fwhm_halpha_km_s: {column},
        ebv_mag,
        {value 100} as hk0_mag,
        {value 101} as kw10_mag
    from passing
)
select * from final
