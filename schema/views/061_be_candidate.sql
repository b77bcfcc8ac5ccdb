-- 61 · Candidate Be stars: stars with a spectrum that passes all steps. The best one, by S/N, stands for the star; with it
-- come the evidence of the profile, the literature, the spectral type and the infrared colours for the steps that follow.
-- Asked in another order than the steps, the rarest first: few spectra have the score of a Be star.
with
likely as (select spectrum_id, be_probability, model_id from be_score where passes_be_probability(be_probability)),
scores as (
    select likely.spectrum_id, likely.be_probability
    from likely
    join model using (model_id)
    where model.is_current
),
measured as (
    select
        scores.spectrum_id,
        scores.be_probability,
        spectrum.star_id,
        spectrum.has_blue,
        spectrum.snr_b,
        spectrum.snr_r,
        spectrum.teff_k,
        line_measurement.ew_halpha_a,
        line_measurement.e_ew_halpha_a,
        line_measurement.ew_mgb_a,
        line_measurement.n_peaks,
        line_measurement.fwhm_halpha_km_s,
        line_measurement.nebular_significance
    from scores
    join spectrum on spectrum.spectrum_id = scores.spectrum_id
    join line_measurement on line_measurement.spectrum_id = scores.spectrum_id
    where spectrum.star_id is not null
),
early as (
    select *
    from measured
    where passes_snr(snr_b, snr_r, has_blue)
      and passes_teff(teff_k)
      and passes_halpha(ew_halpha_a)
      and passes_mgb(ew_mgb_a, has_blue)
),
magnitudes as (
    select
        early.*,
        near_tmass(photometry.j_mag, photometry.tmass_separation_arcsec) as j_mag,
        near_tmass(photometry.h_mag, photometry.tmass_separation_arcsec) as h_mag,
        near_tmass(photometry.k_mag, photometry.tmass_separation_arcsec) as k_mag,
        near_allwise(photometry.w1_mag, photometry.allwise_separation_arcsec) as w1_mag,
        reddening.ebv_mag,
        coalesce(tally.n_be, 0) as n_be,
        coalesce(tally.n_not_be, 0) as n_not_be,
        tally.profile_class_by_eye,
        tally.shell_type_by_eye
    from early
    left join photometry on photometry.star_id = early.star_id
    left join reddening on reddening.star_id = photometry.star_id
    left join inspection_tally as tally on tally.star_id = early.star_id
),
colours as (
    select
        *,
        reddening_free_q(j_mag, h_mag, k_mag) as q_mag,
        dereddened_hk(h_mag, k_mag, ebv_mag) as hk0_mag,
        dereddened_kw1(k_mag, w1_mag, ebv_mag) as kw10_mag
    from magnitudes
),
passing as (select * from colours where passes_q(q_mag) and passes_inspection(n_be, n_not_be)),
ranked as (
    select *, count(*) over (partition by star_id) as n_spectra
    from passing
    qualify row_number() over (partition by star_id order by snr_r desc, spectrum_id) = 1
),
types as (select * from spectral_type where is_adopted),
final as (
    select
        star.star_id,
        star.designation,
        star.ra_deg,
        star.dec_deg,
        ranked.spectrum_id,
        ranked.n_spectra,
        ranked.snr_r,
        ranked.ew_halpha_a,
        ranked.e_ew_halpha_a,
        ranked.n_peaks,
        ranked.q_mag,
        ranked.be_probability,
        ranked.n_be,
        ranked.n_not_be,
        coalesce(ranked.profile_class_by_eye, profile_class.profile_class) as profile_class,
        profile_class.profile_type,
        coalesce(ranked.shell_type_by_eye, profile_class.shell_type) as shell_type,
        ranked.nebular_significance,
        ranked.fwhm_halpha_km_s,
        coalesce(literature_flag.n_cbe_lists, 0) as n_cbe_lists,
        literature_flag.cbe_list,
        literature_flag.herbig_list,
        literature_flag.hii_list,
        types.spectral_type,
        types.reference as spectral_type_reference,
        types.subtype_min,
        types.subtype_max,
        types.luminosity_min,
        types.is_peculiar,
        ranked.ebv_mag,
        ranked.hk0_mag,
        ranked.kw10_mag
    from ranked
    join star on star.star_id = ranked.star_id
    left join profile_class on profile_class.spectrum_id = ranked.spectrum_id
    left join literature_flag on literature_flag.star_id = ranked.star_id
    left join types on types.star_id = ranked.star_id
)
select * from final
