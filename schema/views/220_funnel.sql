-- 220 · How many spectra and stars are left after each step. A star is left when one of its spectra passes all steps to there.
with
by_snr_and_temperature as (
    select
        star_id,
        case
            when not coalesce(passes_snr(snr_b, snr_r, has_blue), false) then 0
            when not passes_teff(teff_k) then 10
            else 20
        end as reached
    from spectrum
),
first_stars as (
    select
        star_id,
        max(reached) as reached,
        count(*) as n_0,
        sum(case when reached >= 10 then 1 else 0 end) as n_10,
        sum(case when reached >= 20 then 1 else 0 end) as n_20
    from by_snr_and_temperature
    group by star_id
),
first_counts as (
    select
        sum(n_0) as spectra_0,
        count(star_id) as stars_0,
        sum(n_10) as spectra_10,
        count(case when reached >= 10 then star_id end) as stars_10,
        sum(n_20) as spectra_20,
        count(case when reached >= 20 then star_id end) as stars_20
    from first_stars
),
counts as (
    select 0 as step, 'spectra' as name, spectra_0 as spectra, stars_0 as stars, 'All spectra in the catalogue' as description
    from first_counts
    union all
    select 10, 'good_snr', spectra_10, stars_10, 'S/N above the limit in both arms' from first_counts
    union all
    select 20, 'teff', spectra_20, stars_20, 'No late A or F star by LASP temperature' from first_counts
    union all
    select 30, 'early_by_lines', count(*), count(distinct star_id), 'Early type by EW(H-alpha) and EW(Mg b)'
    from step_30_early_by_lines
    union all
    select 40, 'q_index', count(*), count(distinct star_id), 'No K or M star by 2MASS colours' from step_40_q_index
    union all
    select 50, 'be_probability', count(*), count(distinct star_id), 'Be by the classifier' from step_50_be_probability
    union all
    select 60, 'inspection', count(*), count(distinct star_id), 'Not rejected by eye' from step_60_inspection
    union all
    select 70, 'emission', sum(n_spectra), count(*), 'H-alpha in emission without a shell line' from emission_star
    union all
    select 80, 'contaminant', sum(n_spectra), count(*), 'Not known as Be, Herbig Ae/Be or H II, not nebular' from new_candidate
    union all
    select 90, 'spectral_type', sum(n_spectra), count(*), 'Later than O8, earlier than A2, not of class I or II'
    from typed_candidate
    union all
    select 100, 'infrared', sum(n_spectra), count(*), 'Infrared colours of a classical Be star' from new_cbe
),
final as (
    select step, name, cast(coalesce(spectra, 0) as bigint) as spectra, cast(stars as bigint) as stars, description
    from counts
    order by step
)
select * from final
