-- 220 · How many spectra and stars are left after each step. A star is left when one of its spectra passes all steps to
-- there; from step 70 on stars are judged, and the spectra are those of step 60 that these stars have.
with
good as materialized (      -- read once, for the steps 10 to 40
    select spectrum_id, star_id, has_blue, snr_r, passes_teff(teff_k) as is_hot
    from spectrum
    where coalesce(passes_snr(snr_b, snr_r, has_blue), false)    -- so DuckDB does not take them for few
),
good_stars as (select star_id, bool_or(is_hot) as is_hot from good group by star_id),
widths as (
    select spectrum_id, ew_mgb_a, nebular_significance, fwhm_halpha_km_s
    from line_measurement
    where passes_halpha(ew_halpha_a) and coalesce(is_mgb_weak(ew_mgb_a), true)
),
likely as (select spectrum_id, model_id from be_score where passes_be_probability(be_probability)),
scores as (select likely.spectrum_id from likely join model using (model_id) where model.is_current),
early_spectra as materialized (      -- with what be_candidate asks of them, so that it need not be read anew
    select
        good.star_id,
        good.spectrum_id,
        good.snr_r,
        widths.nebular_significance,
        widths.fwhm_halpha_km_s,
        photometry.h_mag,
        photometry.k_mag,
        photometry.w1_mag,
        photometry.tmass_separation_arcsec,
        photometry.allwise_separation_arcsec,
        inspection_tally.profile_class_by_eye,
        case
            when not passes_q(
                reddening_free_q(
                    near_tmass(photometry.j_mag, photometry.tmass_separation_arcsec),
                    near_tmass(photometry.h_mag, photometry.tmass_separation_arcsec),
                    near_tmass(photometry.k_mag, photometry.tmass_separation_arcsec)
                )
            ) then 30
            when scores.spectrum_id is null then 40
            when not passes_inspection(inspection_tally.n_be, inspection_tally.n_not_be) then 50
            else 60
        end as reached
    from good
    join widths on widths.spectrum_id = good.spectrum_id
    left join photometry on photometry.star_id = good.star_id
    left join scores on scores.spectrum_id = good.spectrum_id
    left join inspection_tally on inspection_tally.star_id = good.star_id
    where good.is_hot and (widths.ew_mgb_a is not null or not good.has_blue)
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
candidate_stars as (      -- the stars of be_candidate, each with its best spectrum
    select *, count(*) over (partition by star_id) as n_spectra
    from early_spectra
    where reached = 60 and star_id is not null
    qualify row_number() over (partition by star_id order by snr_r desc, spectrum_id) = 1
),
colours as (
    select
        candidate_stars.*,
        near_tmass(candidate_stars.h_mag, candidate_stars.tmass_separation_arcsec) as near_h_mag,
        near_tmass(candidate_stars.k_mag, candidate_stars.tmass_separation_arcsec) as near_k_mag,
        near_allwise(candidate_stars.w1_mag, candidate_stars.allwise_separation_arcsec) as near_w1_mag,
        reddening.ebv_mag
    from candidate_stars
    left join reddening on reddening.star_id = candidate_stars.star_id
),
types as (select * from spectral_type where is_adopted),
candidates as (
    select
        colours.n_spectra,
        passes_emission(coalesce(colours.profile_class_by_eye, profile_class.profile_class)) as passes_70,
        coalesce(literature_flag.n_cbe_lists, 0) = 0
            and passes_contaminants(
                literature_flag.herbig_list,
                literature_flag.hii_list,
                colours.nebular_significance,
                colours.fwhm_halpha_km_s
            ) as passes_80,
        passes_type(types.subtype_min, types.subtype_max, types.luminosity_min, types.is_peculiar) as passes_90,
        has_cbe_colours(
            dereddened_hk(colours.near_h_mag, colours.near_k_mag, colours.ebv_mag),
            dereddened_kw1(colours.near_k_mag, colours.near_w1_mag, colours.ebv_mag)
        ) as passes_100
    from colours
    left join profile_class on profile_class.spectrum_id = colours.spectrum_id
    left join literature_flag on literature_flag.star_id = colours.star_id
    left join types on types.star_id = colours.star_id
),
counts as (
    select 0 as step, 'spectra' as name, (select count(*) from spectrum) as spectra, (select count(*) from star) as stars
    union all
    select 10, 'good_snr', (select count(*) from good), (select count(star_id) from good_stars)
    union all
    select 20, 'teff', (select count(*) from good where is_hot), (select count(star_id) from good_stars where is_hot)
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
