-- The tests of the selection and the formulas behind them, one macro each. Step views, funnel and verdict use
-- the same macro, so they cannot disagree. Plain SQL; every threshold comes from selection_parameter.

-- Value in force of a threshold.
create or replace macro parameter(parameter_name) as (
    select value from selection_parameter where name = parameter_name
);

-- What people said: more "not Be" than "Be" excludes; with inspection_required, more "Be" than "not Be" is required.
create or replace macro passes_inspection(n_be, n_not_be) as (
    coalesce(n_not_be, 0) <= coalesce(n_be, 0)
    and (parameter('inspection_required') = 0 or coalesce(n_be, 0) > coalesce(n_not_be, 0))
);

-- Class of a profile: the one given by eye, otherwise the measured one. Where the rules see only absorption and the classifier sees
-- a Be star, the second look with lower thresholds counts; where that finds nothing either, the rules cannot classify the profile.
create or replace macro candidate_class(by_eye, second_look, be_probability) as (
    coalesce(
        by_eye,
        case
            when second_look like 'weak %' and be_probability >= parameter('be_probability_min') then substr(second_look, 6)
            when second_look like 'weak %' then 'absorption'
            when second_look = 'absorption' and be_probability >= parameter('be_probability_min') then 'unclassified'
            else second_look
        end
    )
);
-- The profile is in emission; one with a shell line on emission, or one that is unclassified, counts if its switch is on.
create or replace macro passes_emission(profile_class) as (
    profile_class = 'emission'
    or (profile_class = 'emission with shell' and parameter('shell_on_emission_counts') = 1)
    or (profile_class = 'unclassified' and parameter('unclassified_passes') = 1)
);

-- H-alpha as narrow as that of an H II region once the width of the instrument is subtracted; a line of unknown width may be.
create or replace macro may_be_nebular(fwhm_halpha_km_s, resolving_power) as (
    coalesce(
        fwhm_halpha_km_s * fwhm_halpha_km_s - coalesce(power(299792.458 / resolving_power, 2), 0)
        < parameter('nebular_fwhm_max_km_s') * parameter('nebular_fwhm_max_km_s'),
        true
    )
);
-- Nebular: as narrow as that, with forbidden lines beside it, in emission or over-subtracted with the sky: all together or one of them.
create or replace macro is_nebular(nebular_significance, forbidden_line_significance, fwhm_halpha_km_s, resolving_power) as (
    may_be_nebular(fwhm_halpha_km_s, resolving_power)
    and (
        coalesce(abs(nebular_significance) > parameter('nebular_significance_max'), false)
        or coalesce(abs(forbidden_line_significance) > parameter('forbidden_line_significance_max'), false)
    )
);

-- Whether a published list of a class has been loaded: otherwise, being in none says nothing.
create or replace macro are_lists_loaded(wanted_class) as (
    exists (
        select 1 from literature_catalogue
        where literature_catalogue.n_rows > 0 and literature_catalogue.object_class in (wanted_class, 'mixed')
    )
);

-- A normal star: not a subdwarf, white dwarf, Wolf-Rayet, B[e] or Herbig star, if the switch is on.
create or replace macro passes_normal_type(is_peculiar) as (
    parameter('exclude_peculiar_types') = 0 or not coalesce(is_peculiar, false)
);
-- An O type, and nothing later: 'OB' is not one.
create or replace macro is_o_type(subtype_max) as (subtype_max < parameter('subtype_o_max'));

-- Colour excess of two bands per magnitude of A_V.
create or replace macro reddening_of(ratio_blue, ratio_red) as (parameter(ratio_blue) - parameter(ratio_red));

-- Magnitudes that can be trusted: of a counterpart within the matching radius, measured and not an upper limit (ph_qual, one letter
-- per band: A to D of 2MASS in J, H, Ks, A to C of AllWISE in W1). Without a flag a magnitude is trusted.
create or replace macro is_near_tmass(separation_arcsec) as (
    coalesce(separation_arcsec, 0) <= parameter('tmass_radius_max_arcsec')
);
create or replace macro is_good_tmass(quality, letters) as (coalesce(quality glob letters, true));
create or replace macro is_good_allwise(quality, separation_arcsec) as (
    coalesce(separation_arcsec, 0) <= parameter('allwise_radius_max_arcsec') and coalesce(quality glob '[A-C]*', true)
);
create or replace macro good_tmass(mag, quality, letters, separation_arcsec) as (
    case when is_near_tmass(separation_arcsec) and is_good_tmass(quality, letters) then mag end
);
create or replace macro good_allwise(mag, quality, separation_arcsec) as (
    case when is_good_allwise(quality, separation_arcsec) then mag end
);
-- The colour J - H free of reddening.
create or replace macro reddening_free_q(j_mag, h_mag, k_mag) as (
    (j_mag - h_mag) - parameter('q_reddening_ratio') * (h_mag - k_mag)
);
-- H - K and K - W1 corrected for extinction.
create or replace macro dereddened_hk(h_mag, k_mag, ebv_mag) as (
    h_mag - k_mag - reddening_of('extinction_ratio_h', 'extinction_ratio_k') * (parameter('r_v') * ebv_mag)
);
create or replace macro dereddened_kw1(k_mag, w1_mag, ebv_mag) as (
    k_mag - w1_mag - reddening_of('extinction_ratio_k', 'extinction_ratio_w1') * (parameter('r_v') * ebv_mag)
);

-- The same for a star, if all of its magnitudes can be trusted.
create or replace macro star_q(j_mag, h_mag, k_mag, quality, separation_arcsec) as (
    case
        when is_near_tmass(separation_arcsec) and is_good_tmass(quality, '[A-D][A-D][A-D]*')
        then reddening_free_q(j_mag, h_mag, k_mag)
    end
);
create or replace macro star_hk0(h_mag, k_mag, quality, separation_arcsec, ebv_mag) as (
    case
        when is_near_tmass(separation_arcsec) and is_good_tmass(quality, '?[A-D][A-D]*')
        then dereddened_hk(h_mag, k_mag, ebv_mag)
    end
);
create or replace macro star_kw10(
    k_mag, quality, separation_arcsec, w1_mag, allwise_quality, allwise_separation_arcsec, ebv_mag
) as (
    case
        when is_near_tmass(separation_arcsec)
            and is_good_tmass(quality, '??[A-D]*')
            and is_good_allwise(allwise_quality, allwise_separation_arcsec)
        then dereddened_kw1(k_mag, w1_mag, ebv_mag)
    end
);

-- Colours of a Herbig Ae/Be star.
create or replace macro has_herbig_colours(hk0_mag, kw10_mag) as (
    hk0_mag > parameter('herbig_hk_min_mag') and kw10_mag > parameter('herbig_kw1_min_mag')
);

-- Tests that other queries ask too, as the steps declare them.
create or replace macro passes_snr_r(snr_r) as ({test 10});
create or replace macro passes_snr(snr_b, snr_r, has_blue) as ({passes of step 10});
create or replace macro passes_teff(teff_k) as ({test 20});
create or replace macro passes_q(q_mag) as ({test 40});
create or replace macro passes_be_probability(be_probability) as ({test 50});
create or replace macro passes_type(subtype_min, subtype_max, luminosity_min, is_peculiar) as (
    {passes of step 90}
);
create or replace macro has_cbe_colours(hk0_mag, kw10_mag) as ({passes of step 100});

-- A Herbig star by its colours that no list calls classical Be.
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

-- Chi-square of measurements about their mean, each weighted by 1/error^2: an aggregate.
create or replace macro chi2_about_mean(x, weight) as (
    greatest(sum(weight * x * x) - sum(weight * x) * sum(weight * x) / sum(weight), 0.0)
);
-- Significance of chi-square, as standard deviations of a normal variable; for large values, on the safe side (Wilson & Hilferty 1931).
create or replace macro chi2_sigma(chi2, degrees) as (
    case
        when degrees > 0
        then (power(chi2 / degrees, 1.0 / 3.0) - 1.0 + 2.0 / (9.0 * degrees)) / sqrt(2.0 / (9.0 * degrees))
    end
);
-- Significance of chi-square without the value whose share in it is the largest, if it is significant with it and the share is given.
create or replace macro supported_sigma(chi2, degrees, largest) as (
    case
        when largest is null
            or chi2_sigma(chi2, degrees) <= parameter('change_part_significance_min')
        then chi2_sigma(chi2, degrees)
        else chi2_sigma(greatest(chi2 - largest, 0.0), degrees - 1)
    end
);
-- Probability that chance alone gives so large a significance in any of the given number of trials: Bonferroni's bound, valid whether
-- or not they are independent.
create or replace macro chance_in_trials(sigma, trials) as (least(1.0, trials * normal_cdf(-sigma)));

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

-- Ecliptic longitude of the Earth seen from the Sun, radians (J2000), with the equation of the centre to second order in the
-- eccentricity (Simon et al. 1994, A&A 282, 663: mean longitude, perihelion and eccentricity of the Earth-Moon barycentre).
create or replace macro earth_longitude_rad(mjd) as (
    radians(100.466457 + 0.9856091 * (mjd - 51544.5))
    + 0.0334172 * sin(radians(357.529109 + 0.9856003 * (mjd - 51544.5)))
    + 0.000349 * sin(2 * radians(357.529109 + 0.9856003 * (mjd - 51544.5)))
);
-- What the Earth's motion around the Sun adds to a velocity measured from the Earth to make it heliocentric, km/s: good to 0.05 km/s for the
-- Earth's centre; the Earth's rotation, up to 0.46 km/s, is left out.
create or replace macro heliocentric_correction_km_s(mjd, ra_deg, dec_deg) as (
    29.7889 * (
        cos(radians(dec_deg)) * cos(radians(ra_deg)) * (-sin(earth_longitude_rad(mjd)) - 0.016285)
        + (cos(radians(dec_deg)) * sin(radians(ra_deg)) * 0.917482 + sin(radians(dec_deg)) * 0.397777)
        * (cos(earth_longitude_rad(mjd)) - 0.003742)
    )
);
