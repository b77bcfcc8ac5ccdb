with
shell_candidate as (
    select
        be_candidate.profile_class,
        be_candidate.designation,
        be_candidate.ra_deg,
        be_candidate.dec_deg,
        be_candidate.shell_type,
        profile_class.shell_fwhm_km_s,
        profile_class.shell_asymmetry,
        profile_class.violet_red_ratio,
        profile_class.e_violet_red_ratio,
        be_candidate.ew_halpha_a,
        be_candidate.e_ew_halpha_a,
        inspection_tally.profile_class_by_eye is not null as by_eye,
        profile_class.evidence,
        star.is_simulated
    from be_candidate
    join star using (star_id)
    left join profile_class using (spectrum_id)
    left join inspection_tally using (star_id)
)
