"""Narrow lines on curved continua, the nebular test and the width of emission."""

import numpy as np
import pytest

from becat.schema.grid import RED
from becat.schema.lines import LINES, SPEED_OF_LIGHT_KM_S
from becat.schema.parameters import load
from becat.udfs.measure import measure_batch
from becat.udfs.nebular import FORBIDDEN_LINES, emission_fwhm, local_equivalent_width, nebular_significance

BAND_A = (6551.0, 6579.0)
RED_LINES = ["nii_6550", "nii_6585", "sii_6718", "sii_6733", "hei_6680"]


def _gaussian(centre_a, sigma_a):
    return np.exp(-0.5 * ((RED.wavelength_a - centre_a) / sigma_a) ** 2)


@pytest.mark.parametrize("name", RED_LINES)
@pytest.mark.parametrize("wing", [0.0, 3.0, -0.6])
def test_injected_line_comes_back(name, wing):
    """A Gaussian line of known width on the wings of H-alpha emission and absorption, within 0.03 A."""
    line, sigma_a = LINES[name], 0.5
    continuum = 1 + wing * _gaussian(LINES["halpha"].wavelength_a, 5.0)
    for strength_a in (-1.0, 0.0, 0.3):
        profile = strength_a / (sigma_a * np.sqrt(2 * np.pi)) * _gaussian(line.wavelength_a, sigma_a)
        flux = (continuum * (1 - profile))[None]
        width, error = local_equivalent_width(flux, np.full(flux.shape, 1e4), RED.wavelength_a, line)
        assert width[0] == pytest.approx(strength_a, abs=0.03)
        assert error[0] > 0


@pytest.mark.parametrize("name", RED_LINES)
def test_error_agrees_with_monte_carlo(name):
    rng = np.random.default_rng(11)
    line = LINES[name]
    shape = 1 - 0.4 * _gaussian(line.wavelength_a, 1.0)
    window = slice(*np.searchsorted(RED.wavelength_a, [line.wavelength_a - 12, line.wavelength_a + 12]))
    here_a = RED.wavelength_a[window]
    flux = shape[window] + rng.normal(0, 0.03, (6000, len(here_a)))
    width, error = local_equivalent_width(flux, np.full(flux.shape, 0.03**-2), here_a, line)
    assert width.std() == pytest.approx(error.mean(), rel=0.05)


def test_line_follows_velocity_and_masks_count():
    line = LINES["hei_6680"]
    flux = np.stack([1 - 0.3 * _gaussian(line.wavelength_a * (1 + v / SPEED_OF_LIGHT_KM_S), 1.2) for v in (0, 250, 0)])
    ivar = np.full(flux.shape, 1e4)
    ivar[2, np.abs(RED.wavelength_a - line.wavelength_a) < 2] = 0
    velocity = np.array([0.0, 250.0, np.nan])
    width, error = local_equivalent_width(flux, ivar, RED.wavelength_a, line, velocity_shift_km_s=velocity)
    assert width[1] == pytest.approx(width[0], rel=0.01)
    assert np.isnan(width[2]) and np.isnan(error[2])
    gone, _ = local_equivalent_width(flux[:1], ivar[:1], RED.wavelength_a, line, velocity_shift_km_s=np.array([9000.0]))
    assert np.isnan(gone[0])


def test_significance_is_normal_without_lines_and_large_with_them():
    rng = np.random.default_rng(5)
    error = np.full((6, 20000), 0.05)
    noise = rng.normal(0, 0.05, error.shape)
    significance = nebular_significance(noise, error, 0.0)
    assert significance.mean() == pytest.approx(0, abs=0.03)
    assert significance.std() == pytest.approx(1, abs=0.03)
    assert nebular_significance(noise - 0.3, error, 0.0).min() > 5
    noise[2:, 0] = np.nan  # two lines measured
    assert nebular_significance(noise, error, 0.0)[0] == pytest.approx(-noise[:2, 0].sum() / 0.05 / np.sqrt(2))
    assert np.isnan(nebular_significance(np.full((6, 1), np.nan), error[:, :1], 0.0)[0])
    # A systematic error of the continuum is not taken for a line, however high the S/N.
    assert nebular_significance(np.full((6, 1), -0.01), np.full((6, 1), 1e-4), 0.02)[0] < 2


@pytest.mark.parametrize("fwhm_km_s", [80.0, 200.0, 500.0])
def test_width_of_emission(fwhm_km_s):
    sigma_a = fwhm_km_s / SPEED_OF_LIGHT_KM_S * 6565.0 / (2 * np.sqrt(2 * np.log(2)))
    flux = (1 + 2.0 * _gaussian(6565.0, sigma_a))[None]
    width, _ = emission_fwhm(flux, np.full(flux.shape, 1e4), np.array([200.0]), RED.wavelength_a, BAND_A)
    assert width[0] == pytest.approx(fwhm_km_s, rel=0.02)


def test_double_peak_is_one_line_and_absorption_none():
    double = 1 + _gaussian(6562.0, 1.0) + _gaussian(6568.0, 1.0)
    flux = np.stack([double, 1 - 0.5 * _gaussian(6565.0, 4.0), np.full(RED.n_pixels, np.nan)])
    ivar = np.where(np.isfinite(flux), 1e4, 0.0)
    width, _ = emission_fwhm(flux, ivar, np.full(3, 100.0), RED.wavelength_a, BAND_A)
    expected_a = 6.0 + 2 * np.sqrt(2 * np.log(2))
    assert width[0] == pytest.approx(expected_a / 6565.0 * SPEED_OF_LIGHT_KM_S, rel=0.03)
    assert np.isnan(width[1:]).all()


def test_noise_alone_has_no_width():
    rng = np.random.default_rng(8)
    flux = 1 + rng.normal(0, 0.05, (500, RED.n_pixels))
    width, _ = emission_fwhm(flux, np.full(flux.shape, 400.0), np.full(500, 20.0), RED.wavelength_a, BAND_A)
    assert np.isfinite(width).mean() < 0.01


@pytest.mark.parametrize("snr", [30.0, 150.0])
def test_errors_of_peak_and_width_are_the_scatter(snr):
    """Monte Carlo: noise of every pixel; a continuum wrong by 1 %, and lines too high or low by 2 %, for all of a spectrum."""
    rng = np.random.default_rng(11)
    n, e_continuum = 600, 0.01
    truth = 1 + 0.8 * np.exp(-0.5 * ((RED.wavelength_a - 6565) / 2.5) ** 2)
    truth = 1 + (truth - 1) * (1 + load()["ew_zero_level_error"].value * rng.normal(size=(n, 1)))
    flux = (truth + rng.normal(0, 1 / snr, (n, RED.n_pixels))) * (1 + e_continuum * rng.normal(size=(n, 1)))
    columns = measure_batch(
        flux, np.full(flux.shape, snr**2), None, None, np.full(n, snr), continuum_error_red=np.full(n, e_continuum)
    )
    for name in ("peak_flux", "fwhm_halpha_km_s", "ew_halpha_a"):
        stated = np.median(columns[f"e_{name}"])
        assert 0.75 < np.std(columns[name]) / stated < 1.3, name


def test_forbidden_lines_of_a_receding_star_are_found():
    """A nebula that moves with a star at +97 km/s, and one at rest before it; without the velocity the first is missed."""
    lines = [LINES[name].wavelength_a for name in FORBIDDEN_LINES if LINES[name].arm == "red"]
    flux = np.ones((2, RED.n_pixels))
    for wavelength_a in lines:
        for row, velocity in enumerate((97.0, 0.0)):
            centre = wavelength_a * (1 + velocity / 299792.458)
            flux[row] += 0.3 * np.exp(-0.5 * ((RED.wavelength_a - centre) / 0.4) ** 2)
    ivar, snr, known = np.full(flux.shape, 1e4), np.full(2, 100.0), np.full(2, 97.0)
    at_rest = measure_batch(flux, ivar, None, None, snr)
    found = measure_batch(flux, ivar, None, None, snr, star_velocity_km_s=known)
    expected = -0.3 * 0.4 * np.sqrt(2 * np.pi)
    np.testing.assert_allclose(found["ew_nii_6585_a"], expected, rtol=0.05)
    assert found["nebular_significance"].min() > 10 and at_rest["nebular_significance"][0] < 5
    np.testing.assert_array_equal(found["ew_halpha_a"], at_rest["ew_halpha_a"])
