-- 233 · What changed: how many good spectra of each candidate show which class of H-alpha profile, and when emission was first and last
-- seen. Be stars come and go: a star is a Be star if any epoch shows it. The class of an epoch is the measured one, on a second look if the
-- classifier sees a Be star, as in the selection; a class given by eye belongs to the star and is not used here.
with
candidates as (select star_id, designation, ra_deg, dec_deg, is_simulated from be_candidate),
epochs as (
    select
        spectrum.star_id,
        spectrum.mjd,
        candidate_class(
            null, coalesce(profile_class.profile_class_on_second_look, profile_class.profile_class), current_score.be_probability
        ) as profile_class
    from spectrum
    join profile_class using (spectrum_id)
    left join current_score using (spectrum_id)
    where spectrum.star_id in (select star_id from candidates)
      and profile_class.profile_class is not null
      and passes_snr_r(spectrum.snr_r)
),
counted as (
    select
        star_id,
        count(*) as n_epochs,
        count(case when profile_class = 'emission' then 1 end) as n_emission,
        count(case when profile_class = 'emission with shell' then 1 end) as n_emission_with_shell,
        count(case when profile_class = 'absorption with shell' then 1 end) as n_absorption_with_shell,
        count(case when profile_class = 'absorption' then 1 end) as n_absorption,
        count(case when profile_class = 'unclassified' then 1 end) as n_unclassified,
        count(distinct profile_class) as n_classes,
        min(case when profile_class like 'emission%' then mjd end) as mjd_first_emission,
        max(case when profile_class like 'emission%' then mjd end) as mjd_last_emission
    from epochs
    group by star_id
),
final as (
    select
        candidates.*,
        counted.n_epochs,
        counted.n_emission,
        counted.n_emission_with_shell,
        counted.n_absorption_with_shell,
        counted.n_absorption,
        counted.n_unclassified,
        counted.mjd_first_emission,
        counted.mjd_last_emission,
        counted.n_classes > 1 as class_changes
    from candidates
    join counted using (star_id)
)
select * from final
