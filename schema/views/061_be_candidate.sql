-- 61 · Candidate Be stars: stars with a spectrum that passes all steps. The best one, by S/N, stands for the star; with it
-- come the evidence of the profile, the literature, the spectral type and the infrared colours for the steps that follow.
with
spectra as (select * from step_60_inspection where star_id is not null),
ranked as (
    select *, count(*) over (partition by star_id) as n_spectra
    from spectra
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
        coalesce(inspection_tally.profile_class_by_eye, profile_class.profile_class) as profile_class,
        profile_class.profile_type,
        coalesce(inspection_tally.shell_type_by_eye, profile_class.shell_type) as shell_type,
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
    left join inspection_tally on inspection_tally.star_id = ranked.star_id
    left join literature_flag on literature_flag.star_id = ranked.star_id
    left join types on types.star_id = ranked.star_id
)
select * from final
