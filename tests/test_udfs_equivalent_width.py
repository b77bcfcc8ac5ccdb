"""Equivalent widths against specutils, closed forms and Monte Carlo."""

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import StdDevUncertainty
from hypothesis import given, settings
from hypothesis import strategies as st
from specutils import SpectralRegion, Spectrum
from specutils.analysis import equivalent_width as specutils_equivalent_width

from becat.etl.readers import read_file
from becat.etl.reduce import reduce_batch
from becat.schema.grid import BLUE, RED
from becat.udfs.colour import q_index
from becat.udfs.equivalent_width import doppler_factor, equivalent_width

HALPHA_A = (6548.0, 6578.0)
MGB_A = (5160.0, 5193.0)


def _specutils(flux, wavelength_a, band_a):
    spectrum = Spectrum(flux=flux * u.one, spectral_axis=wavelength_a * u.AA, uncertainty=StdDevUncertainty(0 * flux))
    region = SpectralRegion(band_a[0] * u.AA, band_a[1] * u.AA)
    return specutils_equivalent_width(spectrum, regions=region).value


@pytest.mark.parametrize(("grid", "band_a"), [(RED, HALPHA_A), (BLUE, MGB_A)])
@pytest.mark.parametrize("depth", [0.6, 0.1, -0.5, -8.0])
def test_agrees_with_specutils(grid, band_a, depth):
    """Within 0.1 %; exactly where the band ends on pixel limits, since specutils counts whole pixels."""
    rng = np.random.default_rng(7)
    wavelength_a = grid.wavelength_a
    flux = 1 - depth * np.exp(-0.5 * ((wavelength_a - np.mean(band_a)) / 4.0) ** 2)
    flux = (flux + rng.normal(0, 0.01, flux.shape))[None]
    ivar = np.full(flux.shape, 1e4)
    expected = _specutils(flux[0], wavelength_a, band_a)
    width, _ = equivalent_width(flux, ivar, wavelength_a, band_a)
    # Half a pixel more at either end is what specutils adds.
    assert width[0] == pytest.approx(expected, rel=1e-3, abs=2 * 0.03 * grid.step_a)
    whole_a = (band_a[0] - grid.step_a / 2, band_a[1] + grid.step_a / 2)
    width, _ = equivalent_width(flux, ivar, wavelength_a, whole_a)
    assert width[0] == pytest.approx(expected, rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    minimum_a=st.floats(6305.0, 6700.0),
    length_a=st.floats(0.01, 90.0),
    level=st.floats(-3.0, 10.0),
    slope=st.floats(-0.01, 0.01),
)
def test_partial_pixels_integrate_a_constant_exactly(minimum_a, length_a, level, slope):
    """A flux that is constant in each pixel has an integral in closed form, wherever the band ends."""
    flux = (level + slope * (RED.wavelength_a - 6550.0))[None]
    width, _ = equivalent_width(flux, np.ones_like(flux), RED.wavelength_a, (minimum_a, minimum_a + length_a))
    fine_a = np.linspace(minimum_a, minimum_a + length_a, 20001)
    middle_a = 0.5 * (fine_a[1:] + fine_a[:-1])
    pixel = np.rint((middle_a - RED.start_a) / RED.step_a).astype(int)
    expected = np.sum((1 - flux[0, pixel]) * np.diff(fine_a))
    assert width[0] == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_error_agrees_with_monte_carlo():
    rng = np.random.default_rng(3)
    shape = 1 - 0.5 * np.exp(-0.5 * ((RED.wavelength_a - 6564.6) / 5.0) ** 2)
    sigma = 0.02 * (1 + 0.5 * np.sin(RED.wavelength_a))
    mask = rng.random(RED.n_pixels) < 0.05
    ivar = np.broadcast_to(np.where(mask, 0.0, sigma**-2), (4000, RED.n_pixels))[:, 1900:2400]
    flux = (shape + rng.normal(0, 1, (4000, RED.n_pixels)) * sigma)[:, 1900:2400]
    flux[:, mask[1900:2400]] = 50.0
    width, error = equivalent_width(flux, ivar, RED.wavelength_a[1900:2400], HALPHA_A)
    assert width.std() == pytest.approx(error[0], rel=0.05)
    inside = (RED.wavelength_a > 6548) & (RED.wavelength_a < 6578)
    assert width.mean() == pytest.approx(np.sum(1 - shape[inside]) * RED.step_a, abs=0.01)


def test_masked_pixels_are_interpolated_and_too_many_give_nan():
    flux = np.full((4, RED.n_pixels), 0.8)
    ivar = np.full(flux.shape, 100.0)
    band = np.flatnonzero((RED.wavelength_a > 6548) & (RED.wavelength_a < 6578))
    for row, n_masked in enumerate([0, 20, 30, band.size]):
        flux[row, band[5 : 5 + n_masked]] = np.nan
        ivar[row, band[5 : 5 + n_masked]] = 0.0
    width, error = equivalent_width(flux, ivar, RED.wavelength_a, HALPHA_A)
    assert width[:2] == pytest.approx(6.0)
    assert error[1] > error[0]
    assert np.isnan(width[2:]).all() and np.isnan(error[2:]).all()
    # A masked pixel at the very edge of the band takes the flux of the good pixel outside it.
    flux[:], ivar[:] = 0.8, 100.0
    flux[0, band[:10]], ivar[0, band[:10]] = 9.0, 0.0
    assert equivalent_width(flux, ivar, RED.wavelength_a, HALPHA_A)[0] == pytest.approx(6.0)


def test_band_follows_velocity():
    """A star's width does not depend on its velocity; a band off the grid gives NaN; NaN velocity is no shift."""
    velocity = np.array([-300.0, 0.0, 300.0, np.nan, 40000.0])
    factor = doppler_factor(np.nan_to_num(velocity))[:, None]
    flux = 1 - 0.7 * np.exp(-0.5 * ((RED.wavelength_a / factor - 6564.61) / 6.0) ** 2)
    ivar = np.full(flux.shape, 100.0)
    width, error = equivalent_width(flux, ivar, RED.wavelength_a, HALPHA_A, velocity_shift_km_s=velocity)
    assert width[:4] == pytest.approx(width[1], rel=1e-5)
    assert np.isnan(width[4]) and np.isnan(error[4])
    assert error[1] == pytest.approx(0.1 * np.sqrt(30.0 * RED.step_a), rel=0.01)


def test_band_outside_the_grid_is_an_error():
    flux = np.ones((1, RED.n_pixels))
    with pytest.raises(ValueError, match="do not cover the band"):
        equivalent_width(flux, flux, RED.wavelength_a, (6290.0, 6310.0))


def test_q_index_of_known_colours():
    """An unreddened star has Q of its colours; reddening along the law leaves Q alone; errors by Monte Carlo."""
    j, h, k = np.array([10.0, 10.0, np.nan]), np.array([9.9, 9.2, 9.0]), np.array([9.85, 9.05, 9.0])
    q, _ = q_index(j, h, k)
    assert q[:2] == pytest.approx([0.1 - 1.7 * 0.05, 0.8 - 1.7 * 0.15])
    assert np.isnan(q[2])
    e_hk = 0.3
    assert q_index(j + 2.7 * e_hk, h + e_hk, k)[0][:2] == pytest.approx(q[:2])
    rng = np.random.default_rng(0)
    sigma = 0.02, 0.03, 0.025
    noisy = q_index(*(rng.normal(m, s, 200_000) for m, s in zip((10.0, 9.9, 9.85), sigma, strict=True)))[0]
    assert q_index(10.0, 9.9, 9.85, *sigma)[1] == pytest.approx(noisy.std(), rel=0.01)


def test_agrees_with_specutils_on_real_spectra(real_data):
    """The reduced DR7 spectra of the medium-resolution survey, where no pixel of the band is masked."""
    paths = sorted((real_data / "mrs").glob("med-58[2-6]*.gz"))
    spectra = [spectrum for path in paths for spectrum in read_file(path)[0] if spectrum.meta["snr_r"] > 10]
    n_compared = 0
    for grid, band_a in ((RED, HALPHA_A), (BLUE, MGB_A)):
        reduced = reduce_batch([spectrum.arms[grid.arm] for spectrum in spectra], grid, 7500.0)
        inside = (grid.wavelength_a >= band_a[0]) & (grid.wavelength_a <= band_a[1])
        rows = np.flatnonzero((reduced.ivar[:, inside] > 0).all(axis=1))
        whole_a = (band_a[0] - grid.step_a / 2, band_a[1] + grid.step_a / 2)  # specutils counts whole pixels
        width, _ = equivalent_width(reduced.flux[rows], reduced.ivar[rows], grid.wavelength_a, whole_a)
        expected = [_specutils(reduced.flux[row].astype(float), grid.wavelength_a, band_a) for row in rows]
        np.testing.assert_allclose(width, expected, rtol=1e-3)
        n_compared += len(rows)
    assert n_compared >= 6
