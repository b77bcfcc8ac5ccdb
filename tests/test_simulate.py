"""Simulated profiles against outside truth: analytic kernels, specutils, MILES and high-resolution spectra."""

from __future__ import annotations

import csv
from functools import cache

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import find_peaks
from specutils import SpectralRegion, Spectrum
from specutils.analysis import equivalent_width

from becat.schema.lines import LINES, air_to_vacuum
from becat.simulate.disc import disc_emission, draw_disc
from becat.simulate.disc_free import FIRST, DiscFree, first_stars
from becat.simulate.draw import distributions, draw
from becat.simulate.instrument import observe, resolution_sigma_km_s, variance_of_means, water_opacity
from becat.simulate.photosphere import HALPHA_A, draw_star, photosphere
from becat.simulate.sample import GENERATORS, Hosts, kind_names, sample_injected, sample_profiles, window_wavelength_a
from becat.simulate.systems import draw_systems, render
from becat.simulate.testing.photon_counting import FINE_A
from becat.simulate.testing.third_generator import KINDS, photosphere_of, ring_emission
from becat.simulate.velocity import VelocityGrid, fourier_gaussian, fourier_rotation, multiply

GRID = VelocityGrid(6506.0, 1080)
BE_KINDS = {name for name, kind in distributions()["kinds"].items() if kind["label"] == 1}
THIRD = distributions("third_distributions.toml")


@pytest.mark.parametrize("limb_darkening", [0.0, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("v_sin_i", [60.0, 150.0, 350.0])
def test_rotation_kernel_has_the_known_first_zero(v_sin_i, limb_darkening):
    """Dravins et al. 1990, A&A 228, 218: v sin i times the frequency of the first zero depends on limb darkening only."""
    kernel = fourier_rotation(GRID, np.array([v_sin_i]), np.array([limb_darkening]))[0].real
    frequency = GRID.frequency / (2 * np.pi)
    first = np.flatnonzero(kernel < 0)[0]
    zero = np.interp(0, [kernel[first], kernel[first - 1]], [frequency[first], frequency[first - 1]])
    e = limb_darkening
    expected = 0.610 + 0.062 * e + 0.027 * e**2 + 0.012 * e**3 + 0.004 * e**4
    assert kernel[0] == pytest.approx(1, abs=1e-5)
    assert zero * v_sin_i == pytest.approx(expected, rel=0.01)


def test_rotation_kernel_without_limb_darkening_is_a_half_ellipse():
    """Its full width at half maximum is the square root of three times v sin i."""
    delta = np.zeros((1, GRID.n_pixels))
    delta[0, 540] = 1
    kernel = multiply(delta, fourier_rotation(GRID, np.array([300.0]), np.array([0.0])))[0]
    inside = np.flatnonzero(kernel > kernel.max() / 2)
    assert len(inside) * GRID.step_km_s == pytest.approx(np.sqrt(3) * 300, abs=2 * GRID.step_km_s)


def test_injected_width_is_what_specutils_measures():
    rng = np.random.default_rng(3)
    disc = draw_disc(rng, 12, {"scattered_fraction": {"value": 0.0}})
    ew_a = np.geomspace(0.2, 60, 12)
    light = disc_emission(disc, ew_a, rng.uniform(-200, 200, 12), GRID, rng)
    region = SpectralRegion(6525 * u.AA, 6605 * u.AA)
    for row in range(12):
        spectrum = Spectrum(flux=(1 + light[row]) * u.one, spectral_axis=GRID.wavelength_a * u.AA)
        measured = equivalent_width(spectrum, continuum=1, regions=region).to_value(u.AA)
        assert measured == pytest.approx(-ew_a[row], rel=2e-3)


@pytest.mark.parametrize("inclination_deg", [35.0, 60.0, 80.0])
@pytest.mark.parametrize("outer_radius", [2.5, 6.0, 15.0])
def test_peaks_stand_at_the_speed_of_the_outer_rim(inclination_deg, outer_radius):
    """Horne & Marsh 1986: separation = 2 v sin i / sqrt(R_out) for a thin disc, a little less once smeared."""
    rng = np.random.default_rng(1)
    ranges = {
        "inclination_deg": inclination_deg, "outer_radius": outer_radius, "orbital_speed_km_s": 500.0,
        "turbulence_km_s": 8.0, "asymmetry": 0.0, "scattered_fraction": 0.0, "thickness": 0.0, "emissivity_index": 1.5,
    }  # fmt: skip
    disc = draw_disc(rng, 1, {name: {"value": value} for name, value in ranges.items()})
    light = disc_emission(disc, np.array([10.0]), np.zeros(1), GRID, rng)
    smooth = multiply(light, fourier_gaussian(GRID, np.array([8.0])))[0]
    peaks, _ = find_peaks(smooth, prominence=0.15 * smooth.max())
    expected = 2 * 500 * np.sin(np.radians(inclination_deg)) / np.sqrt(outer_radius)
    assert disc["peak_separation_km_s"][0] == pytest.approx(expected)
    assert len(peaks) == 2
    assert (peaks[1] - peaks[0]) * GRID.step_km_s == pytest.approx(expected, rel=0.13, abs=12)


def test_density_wave_makes_one_peak_higher():
    rng = np.random.default_rng(1)
    for asymmetry, higher in ((0.5, "red"), (-0.5, "blue")):
        disc = draw_disc(rng, 1, {"asymmetry": {"value": asymmetry}, "inclination_deg": {"value": 60.0}})
        light = disc_emission(disc, np.array([10.0]), np.zeros(1), GRID, rng)[0]
        blue, red = light[GRID.wavelength_a < HALPHA_A].sum(), light[GRID.wavelength_a > HALPHA_A].sum()
        assert (red > blue) == (higher == "red")


def test_shift_moves_the_line_by_its_doppler_shift():
    star = draw_star("slow", np.random.default_rng(2), 3)
    rv_km_s = np.array([-300.0, 0.0, 250.0])
    flux = photosphere(star, rv_km_s, GRID)
    near = np.abs(GRID.wavelength_a - HALPHA_A) < 9
    bottom = GRID.wavelength_a[near][np.argmin(flux[:, near], axis=1)]
    assert bottom == pytest.approx(HALPHA_A * (1 + rv_km_s / 299792.458), abs=0.2)


@given(
    drawn=st.sampled_from([(generator, kind) for generator in GENERATORS for kind in kind_names(generator)]),
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 12),
)
@settings(max_examples=11, deadline=None)
def test_any_profile_is_finite_and_labelled_by_what_can_be_seen(drawn, seed, n):
    generator, kind = drawn
    found = sample_profiles(n, np.random.default_rng(seed), generator, kinds=[kind])
    assert found.flux.shape == found.ivar.shape == (n, len(window_wavelength_a()))
    assert found.flux.dtype == found.ivar.dtype == np.float32
    assert np.isfinite(found.flux).all() and np.isfinite(found.ivar).all() and (found.ivar >= 0).all()
    assert found.label.dtype == np.int8
    visible = (found.truth["feature_significance_marginal"] >= 5) & (found.truth["disc_free_significance"] >= 5)
    assert (visible | (found.label != 1)).all()
    assert (found.label == 0).all() if kind not in BE_KINDS else (found.label != 0).all()
    assert (found.truth["feature_significance"] >= found.truth["feature_significance_marginal"] - 1e-6).all()
    assert (np.abs(found.truth["rv_km_s"]) <= (600 if generator == "c" else 300)).all()
    assert (found.truth["v_sin_i_km_s"] <= 550).all()


def _against_all(kind, n=200, snr=100.0, seed=99):
    """Significance of what a system of this kind has and no star without a disc, at the medium-resolution survey's resolution."""
    rng = np.random.default_rng(seed)
    systems = draw_systems(kind, rng, np.zeros(n))
    for star, _, _ in systems.stars:
        star["line_scatter"][:] = 0  # no disc makes metal lines: the library does not hold how they scatter
    flux = render(systems, GRID, rng)[0]
    power = rng.uniform(6200, 8200, n)
    seen = 1 - multiply(1 - flux, fourier_gaussian(GRID, resolution_sigma_km_s(power)))
    return FIRST.significance(seen, GRID.pixel, _observed(n, power, snr))


def _observed(n, resolving_power, snr, noise_correlation=0.0):
    """What the label rule needs to know of an observation with the medium-resolution survey's pixels."""
    known = {"rv_km_s": 0.0, "resolving_power": resolving_power, "snr": snr, "step_a": 0.14}
    return {name: value * np.ones(n) for name, value in (known | {"noise_correlation": noise_correlation}).items()}


@pytest.mark.parametrize("kind", ["absorption", "absorption_core", "supergiant", "late", "weak", "composite"])
def test_a_star_outside_the_library_is_not_evidence_of_a_disc(kind):
    assert (_against_all(kind) < 5).mean() >= 0.98


def test_few_double_lined_binaries_outside_the_library_look_like_a_disc():
    assert (_against_all("sb2") < 5).mean() > 0.85


def test_clear_emission_is_evidence_and_a_bare_core_often_is_not():
    assert (_against_all("emission_clear") > 20).all()
    assert (
        _against_all("shell_absorption") < 5
    ).mean() < 0.15  # whose cores an irregular line of another star explains
    assert (_against_all("shell_absorption", snr=15.0) < 5).mean() > 0.5
    assert np.median(_against_all("emission_weak", snr=20.0)) < np.median(_against_all("emission_weak", snr=200.0))


def test_what_water_or_the_sky_may_make_is_no_evidence_of_a_disc():
    """A star without a disc behind a wet sky, or with a badly subtracted sky line on it, looks like one; wider emission of that size does not."""
    star = render(draw_systems("absorption", np.random.default_rng(2), np.zeros(40)), GRID, np.random.default_rng(3))[0]
    sigma_a = HALPHA_A / 7500 / 2.3548
    residual = 0.04 * np.exp(-0.5 * ((GRID.wavelength_a - 6555.430) / sigma_a) ** 2)
    wider = 0.04 * np.exp(-0.5 * ((GRID.wavelength_a - 6555.430) / (5 * sigma_a)) ** 2)
    dry, wet = star, star * np.exp(-0.4 * water_opacity(GRID))
    observed, blind = _observed(40, 7500.0, 100.0), DiscFree(first_stars)

    def median(spectra, rule):
        blurred = 1 - multiply(1 - spectra, fourier_gaussian(GRID, resolution_sigma_km_s(np.full(40, 7500.0))))
        return np.median(rule.significance(blurred, GRID.pixel, observed))

    assert median(wet, blind) > 6 > 4 > median(wet, FIRST)
    assert median(dry + residual, blind) > 5 > 4 > median(dry + residual, FIRST)
    assert median(dry + wider, FIRST) > 5


def test_a_feature_weighs_less_where_neighbours_share_their_noise():
    systems = draw_systems("emission_weak", np.random.default_rng(2), np.zeros(60))
    flux = render(systems, GRID, np.random.default_rng(3))[0]
    white, shared = (FIRST.significance(flux, GRID.pixel, _observed(60, 7500.0, 30.0, share)) for share in (0.0, 0.5))
    assert (shared < white).all() and np.median(shared / white) < 0.85


def test_the_same_seed_gives_the_same_profiles():
    for generator in GENERATORS:
        first, second, other = (sample_profiles(40, np.random.default_rng(seed), generator) for seed in (9, 9, 10))
        assert (first.flux == second.flux).all() and (first.kind == second.kind).all()
        assert not np.array_equal(other.flux, first.flux)


def test_unknown_words_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="unknown kinds"):
        sample_profiles(3, rng, kinds=["planet"])
    with pytest.raises(ValueError, match="none of a, b, c"):
        sample_profiles(3, rng, generator="d")
    with pytest.raises(ValueError, match="law"):
        draw({"poisson": [1, 2]}, rng, 3)


def test_error_of_a_band_follows_from_the_inverse_variance():
    """On a flat spectrum the mean over 4 Angstrom scatters as the grid's inverse variance says, for any sampling, where noise is white."""
    assert (
        0.9 < _spread_of_bands(0.14, 0.0) < 1.15
    )  # a little more: the stated inverse variance is wrong by 12 % itself
    assert 0.9 < _spread_of_bands(1.5116, 0.0) < 1.15


@pytest.mark.parametrize("noise_correlation", [0.2, 0.5])
def test_noise_that_neighbours_share_weighs_more_in_means(noise_correlation):
    wider = _spread_of_bands(0.14, noise_correlation) / _spread_of_bands(0.14, 0.0)
    assert wider**2 == pytest.approx(variance_of_means(np.array([noise_correlation]))[0], rel=0.1)


@cache
def _spread_of_bands(step_a, noise_correlation):
    """Scatter of the difference of two bands of flat spectra over what the inverse variance says."""
    rng, n = np.random.default_rng(4), 3000
    window = window_wavelength_a()
    flat, nothing = np.ones((n, GRID.n_pixels), np.float32), np.zeros((n, GRID.n_pixels), np.float32)
    setup = {"step_a": step_a, "resolving_power": 7500.0, "snr": 10.0, "noise_correlation": noise_correlation}
    seen = observe(flat, nothing, {name: np.full(n, value) for name, value in setup.items()}, GRID, window, rng)
    # Two bands beside each other, away from sky lines: their difference is free of the continuum's level.
    bands = [(window > low) & (window < low + 4) for low in (6580.5, 6588.0)]
    mean = [seen["flux"][:, band].mean(axis=1) for band in bands]
    variance = [1 / np.maximum(seen["ivar"][:, band].sum(axis=1), 1e-9) for band in bands]
    clean = np.all([seen["ivar"][:, band].min(axis=1) > 0 for band in bands], axis=0)
    pull = (mean[0] - mean[1])[clean] / np.sqrt(variance[0] + variance[1])[clean]
    return np.percentile(pull, [15.87, 84.13]) @ [-0.5, 0.5]


def _miles(real_data):
    """Rows of MILES stars: spectral type, and EW over 6548 to 6578 Angstrom against a local continuum."""
    with (real_data / "miles" / "stars.csv").open() as file:
        for star in csv.DictReader(file):
            with fits.open(real_data / "miles" / star["file"]) as hdus:
                flux, header = np.squeeze(hdus[0].data).astype(float), hdus[0].header
            wave = air_to_vacuum(header["CRVAL1"] + header["CDELT1"] * np.arange(flux.size))
            yield star["spectral_type"], _local_width(wave, flux)


def _local_width(wave, flux):
    """EW of H-alpha in 6548 to 6578 Angstrom, continuum from a line through both sides at 45 Angstrom."""
    sides = [np.median(flux[np.abs(wave - HALPHA_A - d) < 6]) for d in (-45, 45)]
    line = np.interp(wave, HALPHA_A + np.array([-45.0, 45.0]), sides)
    band = (wave > 6548) & (wave < 6578)
    return np.trapezoid(1 - (flux / line)[band], wave[band])


@pytest.mark.parametrize(
    ("types", "teff_k"),
    [(("B2IV", "B2.5IV", "B3III"), 19000), (("B6IV", "B8III"), 13500), (("A0V", "A1V", "A2V", "A1IV", "A0III"), 9200)],
)
def test_photospheres_are_as_wide_as_those_of_miles(real_data, types, teff_k):
    observed = [width for kind, width in _miles(real_data) if kind.replace(" ", "") in types]
    star = draw_star("hot", np.random.default_rng(5), 600)
    near = np.abs(np.log(star["teff_k"] / teff_k)) < 0.08
    star = {name: values[near] for name, values in star.items()}
    n = int(near.sum())
    blur = fourier_gaussian(GRID, resolution_sigma_km_s(np.full(n, 2600.0)))
    flux = 1 - multiply(1 - photosphere(star, np.zeros(n), GRID), blur)
    simulated = [_local_width(GRID.wavelength_a, row) for row in flux]
    assert len(observed) >= 3
    assert np.median(simulated) == pytest.approx(np.median(observed), rel=0.2)


def test_slow_a_stars_have_cores_as_deep_as_vega(real_data):
    with fits.open(real_data / "halpha" / "alphadra_20230406203307_bchristian.fits") as hdus:
        flux, header = np.squeeze(hdus[0].data).astype(float), hdus[0].header
    wave = air_to_vacuum(header["CRVAL1"] + header["CDELT1"] * np.arange(flux.size))
    near = np.abs(wave - HALPHA_A) < 5
    observed = flux[near].min() / np.median(flux[np.abs(np.abs(wave - HALPHA_A) - 38) < 3]) * 0.97
    star = draw_star("slow", np.random.default_rng(6), 800)
    alike = (np.abs(star["teff_k"] - 10000) < 700) & (np.abs(star["v_sin_i_km_s"] - 26) < 12)
    star = {name: values[alike] for name, values in star.items()}
    n = int(alike.sum())
    blur = fourier_gaussian(GRID, resolution_sigma_km_s(np.full(n, 12000.0)))
    depth = (1 - multiply(1 - photosphere(star, np.zeros(n), GRID), blur)).min(axis=1)
    assert np.percentile(depth, 2) < observed < np.percentile(depth, 98)


def test_hosts_stay_and_emission_is_added():
    rng = np.random.default_rng(7)
    made = sample_profiles(30, rng, kinds=["absorption", "absorption_core"])
    truth = made.truth
    hosts = Hosts(made.flux, made.ivar, truth["resolving_power"], truth["step_a"], truth["snr"])
    found = sample_injected(300, rng, hosts)
    still = found.kind == "host"
    assert (found.label[still] == 0).all() and (found.label[~still] != 0).all()
    assert 100 < still.sum() < 200
    near = np.abs(window_wavelength_a() - LINES["halpha"].wavelength_a) < 20
    excess = (found.flux - hosts.flux[found.truth["host"]])[:, near].sum(axis=1) * 0.125
    strong = (found.kind == "emission_single") & (found.truth["ew_emission_a"] > 5)
    assert excess[strong] == pytest.approx(found.truth["ew_emission_a"][strong], rel=0.25)
    assert np.median(np.abs(excess[still])) < 0.5
    mixed = sample_profiles(40, rng, hosts=hosts, host_fraction=0.25)
    assert (mixed.truth["host"] >= 0).sum() == 10 and len(mixed) == 40


def _third_star(n, **values):
    """Parameters of stars of the third generator that are all alike."""
    star = {
        "teff_k": 9500.0, "logg_dex": 4.0, "speed_km_s": 0.0, "critical_km_s": 450.0, "inclination_deg": 90.0,
        "microturbulence_km_s": 20.0, "metals": 0.0,
    } | values  # fmt: skip
    return {name: np.full(n, value) for name, value in star.items()} | {"scatter": np.zeros((5, n))}


def test_a_star_at_rest_of_the_third_generator_has_the_depth_of_unsoelds_formula(monkeypatch):
    """Flux of a Milne-Eddington atmosphere without scattering over its continuum (Mihalas 1978, section 10-3)."""
    table = THIRD["photosphere"]
    monkeypatch.setitem(table, "scattering", [0.0] * len(table["teff_k"]))
    flux = photosphere_of(_third_star(1), np.zeros(1))[0]
    place = [table["teff_k"].index(9500), np.abs(FINE_A - HALPHA_A).argmin(), np.abs(FINE_A - HALPHA_A - 6.0).argmin()]
    gradient, stark_a = table["gradient"][place[0]], table["stark_a"][place[0]]
    for pixel, opacity in (
        (place[1], table["wing"][place[0]] + table["core"][place[0]]),
        (place[2], table["wing"][place[0]] / (1 + (6.0 / stark_a) ** 2.5)),
    ):
        expected = (1 + gradient * 2 / 3 / (1 + opacity)) / (1 + gradient * 2 / 3)
        assert flux[pixel] == pytest.approx(expected, abs=0.01)


def test_rotation_of_the_third_generator_keeps_the_width_and_makes_the_line_shallower():
    still, turning = (photosphere_of(_third_star(1, speed_km_s=speed), np.zeros(1))[0] for speed in (0.0, 200.0))
    width = [
        equivalent_width(Spectrum(f * u.one, FINE_A * u.AA), regions=SpectralRegion(6530 * u.AA, 6599 * u.AA)).value
        for f in (still, turning)
    ]
    assert width[1] == pytest.approx(width[0], rel=0.12)  # gravity darkening alone changes it
    assert turning.min() > still.min() + 0.1
    np.testing.assert_allclose(turning, turning[::-1], atol=0.01)


def test_rings_of_the_third_generator_have_the_peaks_of_their_outermost_radius():
    table = {name: {"value": value} for name, value in {
        "orbital_speed_km_s": 450.0, "first_radius": 4.0, "radius_factor": 1.0, "ring_share": 1.0, "turbulence_km_s": 12.0,
        "one_armed": 0.0, "scattered": 0.0, "scattering_km_s": 200.0,
    }.items()}  # fmt: skip
    light, separation = ring_emission(
        np.array([90.0, 30.0]), np.array([8.0, 8.0]), np.zeros(2), np.random.default_rng(1), table
    )
    assert separation == pytest.approx([450.0, 225.0])  # twice the circular speed at four radii
    np.testing.assert_allclose(light.sum(axis=1) * 0.1, 8.0, rtol=1e-3)
    for profile, apart in zip(light, separation, strict=True):
        peaks, _ = find_peaks(profile, height=0.5 * profile.max())
        found = np.diff(FINE_A[peaks])[0] / HALPHA_A * 299792.458
        assert len(peaks) == 2 and found == pytest.approx(apart, rel=0.12)


def test_the_third_generator_draws_what_its_table_says():
    profiles = sample_profiles(200, np.random.default_rng(3), "c", kinds=["shell_emission", "emission_weak"])
    ew_a = profiles.truth["ew_emission_a"]
    for kind in ("shell_emission", "emission_weak"):
        low, high = KINDS[kind]["ew_a"]["log"]
        mine = ew_a[profiles.kind == kind]
        assert low <= mine.min() and mine.max() <= high
    assert (profiles.truth["inclination_deg"][profiles.kind == "shell_emission"] >= 65).all()
