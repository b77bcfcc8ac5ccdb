-- 220 · How many spectra and stars are left after each step. A star is left when one of its spectra passes all steps to
-- there; from step 70 on stars are judged, and the spectra are those of step 60 that these stars have.
with
all_spectra as (
    select
        star_id,
        case
            when not coalesce(passes_snr(snr_b, snr_r, has_blue), false) then 0
            when not passes_teff(teff_k) then 10
            else 20
        end as reached
    from spectrum
),
all_stars as (
    select
        star_id,
        max(reached) as reached,
        count(*) as spectra_0,
        count(case when reached >= 10 then 1 end) as spectra_10,
        count(case when reached >= 20 then 1 end) as spectra_20
    from all_spectra
    group by star_id
),
early_spectra as (
    select
        step_30_early_by_lines.star_id,
        case
            when not passes_q(infrared_colour.q_mag) then 30
            when not coalesce(passes_be_probability(current_score.be_probability), false) then 40
            when not passes_inspection(inspection_tally.n_be, inspection_tally.n_not_be) then 50
            else 60
        end as reached
    from step_30_early_by_lines
    left join infrared_colour on infrared_colour.star_id = step_30_early_by_lines.star_id
    left join current_score on current_score.spectrum_id = step_30_early_by_lines.spectrum_id
    left join inspection_tally on inspection_tally.star_id = step_30_early_by_lines.star_id
),
early_stars as (
    select
        star_id,
        max(reached) as reached,
        count(*) as spectra_30,
        count(case when reached >= 40 then 1 end) as spectra_40,
        count(case when reached >= 50 then 1 end) as spectra_50,
        count(case when reached >= 60 then 1 end) as spectra_60
    from early_spectra
    group by star_id
),
candidates as (
    select
        n_spectra,
        passes_emission(profile_class) as passes_70,
        n_cbe_lists = 0
            and passes_contaminants(herbig_list, hii_list, nebular_significance, fwhm_halpha_km_s) as passes_80,
        passes_type(subtype_min, subtype_max, luminosity_min, is_peculiar) as passes_90,
        has_cbe_colours(hk0_mag, kw10_mag) as passes_100
    from be_candidate
),
counts as (
    select 0 as step, 'spectra' as name, sum(spectra_0) as spectra, count(star_id) as stars from all_stars
    union all
    select 10, 'good_snr', sum(spectra_10), count(case when reached >= 10 then star_id end) from all_stars
    union all
    select 20, 'teff', sum(spectra_20), count(case when reached >= 20 then star_id end) from all_stars
    union all
    select 30, 'early_by_lines', sum(spectra_30), count(star_id) from early_stars
    union all
    select 40, 'q_index', sum(spectra_40), count(case when reached >= 40 then star_id end) from early_stars
    union all
    select 50, 'be_probability', sum(spectra_50), count(case when reached >= 50 then star_id end) from early_stars
    union all
    select 60, 'inspection', sum(spectra_60), count(case when reached >= 60 then star_id end) from early_stars
    union all
    select 70, 'emission', sum(n_spectra), count(*) from candidates where passes_70
    union all
    select 80, 'contaminant', sum(n_spectra), count(*) from candidates where passes_70 and passes_80
    union all
    select 90, 'spectral_type', sum(n_spectra), count(*) from candidates where passes_70 and passes_80 and passes_90
    union all
    select 100, 'infrared', sum(n_spectra), count(*)
    from candidates
    where passes_70 and passes_80 and passes_90 and passes_100
),
final as (
    select step, name, cast(coalesce(spectra, 0) as bigint) as spectra, cast(stars as bigint) as stars
    from counts
    order by step
)
select * from final
