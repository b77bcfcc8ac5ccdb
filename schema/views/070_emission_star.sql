-- 70 · Candidates with H-alpha in emission in any spectrum that passes: Be stars come and go. The best of these spectra represents the
-- star; n_spectra counts them. A class given by eye takes precedence over the measured one; a candidate that the rules call absorption even
-- on the second look is unclassified, and stays.
--: step = "emission"
--: of = "spectrum"
--: label = "H-alpha in emission"
--: printed = "class_emission"
--: [70]
--: quantity = "class of the H-alpha profile"
--: column = "profile_class"
--: detail = "candidate_class(inspection_tally.profile_class_by_eye, coalesce(profile_class.profile_class_on_second_look, profile_class.profile_class), current_score.be_probability)"
--: passes = "passes_emission({value})"
--: known = "{value} <> 'unclassified'"
--: decided_by = "the rules cannot place the profile: judge it at /inspect of `becat serve`"
with
in_emission as (select * from candidate_spectrum where {passes}),
final as (
    select *, count(*) over (partition by star_id) as n_spectra
    from in_emission
    qualify row_number() over (partition by star_id order by snr_r desc, spectrum_id) = 1
)
select * from final
