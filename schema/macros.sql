-- The tests of the selection and the formulas behind them, one macro each. Step views, funnel and verdict use
-- the same macro, so they cannot disagree. Plain SQL; every threshold comes from selection_parameter.

-- Value in force of a threshold.
create or replace macro parameter(parameter_name) as (
    select value from selection_parameter where name = parameter_name
);

-- Step 10. S/N in both arms; a spectrum without a blue arm by its instrument is judged by the red arm alone.
create or replace macro passes_snr_r(snr_r) as (snr_r > parameter('snr_min'));
create or replace macro passes_snr_b(snr_b, has_blue) as (not has_blue or snr_b > parameter('snr_min'));
create or replace macro passes_snr(snr_b, snr_r, has_blue) as (passes_snr_r(snr_r) and passes_snr_b(snr_b, has_blue));

-- Step 20. LASP temperature outside the late types; stars to which LASP gives none (hot, or below 3100 K) pass.
create or replace macro passes_teff(teff_k) as (
    teff_k is null or teff_k < parameter('teff_late_min_k') or teff_k > parameter('teff_late_max_k')
);

-- Step 30. Both equivalent widths small; one that could not be measured does not pass, save Mg b without a blue arm.
create or replace macro passes_halpha(ew_halpha_a) as (ew_halpha_a < parameter('ew_halpha_max_a'));
create or replace macro is_mgb_weak(ew_mgb_a) as (ew_mgb_a < parameter('ew_mgb_max_a'));
create or replace macro passes_mgb(ew_mgb_a, has_blue) as (coalesce(is_mgb_weak(ew_mgb_a), not has_blue));

-- Step 40. No K or M star by the reddening-free 2MASS colour Q; no photometry passes.
create or replace macro reddening_free_q(j_mag, h_mag, k_mag) as (
    (j_mag - h_mag) - parameter('q_reddening_ratio') * (h_mag - k_mag)
);
create or replace macro passes_q(q_mag) as (q_mag is null or q_mag < parameter('q_late_min_mag'));

-- Step 50. The classifier says Be; a spectrum without a score does not pass.
create or replace macro passes_be_probability(be_probability) as (be_probability >= parameter('be_probability_min'));

-- Step 60. What people said: more "not Be" than "Be" excludes; with inspection_required more "Be" is asked for.
create or replace macro passes_inspection(n_be, n_not_be) as (
    coalesce(n_not_be, 0) <= coalesce(n_be, 0)
    and (parameter('inspection_required') = 0 or coalesce(n_be, 0) > coalesce(n_not_be, 0))
);

-- Step 70. The H-alpha profile is in emission; one with a shell line on emission counts if the switch is on.
create or replace macro passes_emission(profile_class) as (
    profile_class = 'emission'
    or (profile_class = 'emission with shell' and parameter('shell_on_emission_counts') = 1)
);

-- Step 80. H-alpha of an H II region: forbidden lines beside it, and narrow.
create or replace macro is_nebular(nebular_significance, fwhm_halpha_km_s) as (
    coalesce(
        nebular_significance > parameter('nebular_significance_max')
        and fwhm_halpha_km_s < parameter('nebular_fwhm_max_km_s'),
        false
    )
);

-- Neither in a Herbig or H II list nor nebular, while the switch is on.
create or replace macro passes_contaminants(herbig_list, hii_list, nebular_significance, fwhm_halpha_km_s) as (
    parameter('exclude_contaminants') = 0
    or (herbig_list is null and hii_list is null and not is_nebular(nebular_significance, fwhm_halpha_km_s))
);

-- Step 90. Later than O8 and earlier than A2 in any part of the range that the type allows; not class I or II.
create or replace macro passes_earliest(subtype_max) as (subtype_max > parameter('subtype_earliest'));
create or replace macro passes_latest(subtype_min) as (subtype_min < parameter('subtype_latest'));
create or replace macro passes_luminosity(luminosity_min) as (
    luminosity_min is null or luminosity_min > parameter('luminosity_class_min')
);
create or replace macro passes_normal_type(is_peculiar) as (
    parameter('exclude_peculiar_types') = 0 or not coalesce(is_peculiar, false)
);

create or replace macro passes_type(subtype_min, subtype_max, luminosity_min, is_peculiar) as (
    passes_earliest(subtype_max)
    and passes_latest(subtype_min)
    and passes_luminosity(luminosity_min)
    and passes_normal_type(is_peculiar)
);
-- An O type, wholly: 'OB' is none.
create or replace macro is_o_type(subtype_max) as (subtype_max < parameter('subtype_o_max'));

-- Colour excess of two bands per magnitude of A_V.
create or replace macro reddening_of(ratio_blue, ratio_red) as (parameter(ratio_blue) - parameter(ratio_red));

-- Magnitudes of counterparts within the matching radius; a source farther away is none of the star's.
create or replace macro near_tmass(mag, separation_arcsec) as (
    case when coalesce(separation_arcsec, 0) <= parameter('tmass_radius_max_arcsec') then mag end
);
create or replace macro near_allwise(mag, separation_arcsec) as (
    case when coalesce(separation_arcsec, 0) <= parameter('allwise_radius_max_arcsec') then mag end
);
-- H - K and K - W1 corrected for extinction.
create or replace macro dereddened_hk(h_mag, k_mag, ebv_mag) as (
    h_mag - k_mag - reddening_of('extinction_ratio_h', 'extinction_ratio_k') * (parameter('r_v') * ebv_mag)
);
create or replace macro dereddened_kw1(k_mag, w1_mag, ebv_mag) as (
    k_mag - w1_mag - reddening_of('extinction_ratio_k', 'extinction_ratio_w1') * (parameter('r_v') * ebv_mag)
);

-- Step 100. Colours of a classical Be star, of a Herbig Ae/Be star.
create or replace macro passes_hk(hk0_mag) as (hk0_mag < parameter('cbe_hk_max_mag'));
create or replace macro passes_kw1(kw10_mag) as (kw10_mag < parameter('cbe_kw1_max_mag'));
create or replace macro has_cbe_colours(hk0_mag, kw10_mag) as (passes_hk(hk0_mag) and passes_kw1(kw10_mag));
create or replace macro has_herbig_colours(hk0_mag, kw10_mag) as (
    hk0_mag > parameter('herbig_hk_min_mag') and kw10_mag > parameter('herbig_kw1_min_mag')
);

create or replace macro is_herbig_by_infrared(
    hk0_mag, kw10_mag, n_cbe_lists, subtype_min, subtype_max, luminosity_min, is_peculiar
) as (
    coalesce(
        n_cbe_lists = 0
        and has_herbig_colours(hk0_mag, kw10_mag)
        and passes_type(subtype_min, subtype_max, luminosity_min, is_peculiar),
        false
    )
);

-- Probability that a standard normal variable is below x; error below 1e-7 (Abramowitz & Stegun 1964, 7.1.26).
create or replace macro normal_tail(t, x) as (
    0.5 * t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    * exp(-0.5 * x * x)
);
create or replace macro normal_cdf(x) as (
    case
        when x >= 0 then 1.0 - normal_tail(1.0 / (1.0 + 0.3275911 * 0.7071067811865476 * x), x)
        else normal_tail(1.0 / (1.0 - 0.3275911 * 0.7071067811865476 * x), x)
    end
);

-- One point of the integral over the angle in Drezner & Wesolowsky 1990 (J. Stat. Comput. Simul. 35, 101) that takes the
-- bivariate normal distribution from correlation 0 to sin(angle).
create or replace macro binormal_point(x, y, sine) as (
    exp(-(x * x + y * y - 2.0 * x * y * sine) / (2.0 * (1.0 - sine * sine)))
);
-- Probability that two standard normal variables with correlation sin(angle) are below x and y: Gauss-Legendre rule of
-- six points; error below 1e-4 for correlations between -0.8 and 0.8.
create or replace macro binormal_cdf(x, y, angle) as (
    normal_cdf(x) * normal_cdf(y)
    + angle / 12.566370614359172 * (
        0.1713244923791704 * (
            binormal_point(x, y, sin(angle * 0.0337652428984240)) + binormal_point(x, y, sin(angle * 0.9662347571015760))
        )
        + 0.3607615730481386 * (
            binormal_point(x, y, sin(angle * 0.1693953067668677)) + binormal_point(x, y, sin(angle * 0.8306046932331323))
        )
        + 0.4679139345726910 * (
            binormal_point(x, y, sin(angle * 0.3806904069584016)) + binormal_point(x, y, sin(angle * 0.6193095930415984))
        )
    )
);
