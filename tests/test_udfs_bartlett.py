"""Smoothing and peaks against scipy and numpy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.signal import find_peaks

from becat.schema.grid import RED
from becat.udfs.bartlett import bartlett_peaks, bartlett_width, local_extrema, smooth_bartlett, smoothed_error
from becat.udfs.extrema import significant_extrema

BAND_A = (6551.0, 6579.0)


@pytest.mark.parametrize(
    ("snr", "published"), [(10, 15), (19.9, 15), (20, 10), (40, 9), (60, 8), (100, 7), (120, 6), (150, 5), (900, 5)]
)
def test_width_follows_the_published_table(snr, published):
    """Table 1 of Wang et al. 2022 on its own pixels of 0.12 A; the same length in Angstrom on any other."""
    assert bartlett_width(np.array([snr]), 0.12)[0] == published
    assert bartlett_width(np.array([snr]), RED.step_a)[0] == pytest.approx(published * 0.96, abs=0.5)
    assert bartlett_width(np.array([snr]), 0.06)[0] == 2 * published
    assert bartlett_width(np.array([snr]), 1.5)[0] == 3  # a window of 3 smooths nothing


@pytest.mark.parametrize("snr", [12.0, 30.0, 50.0, 80.0, 110.0, 130.0, 300.0])
def test_peaks_agree_with_scipy(snr):
    rng = np.random.default_rng(int(snr))
    wavelength_a = RED.wavelength_a
    flux = 1 + 0.5 * np.exp(-0.5 * ((wavelength_a - 6564.6) / 3) ** 2) + rng.normal(0, 1 / snr, (40, RED.n_pixels))
    peaks = bartlett_peaks(flux, np.full(40, snr), wavelength_a, BAND_A)
    window = np.bartlett(peaks.width_px[0])
    if len(window) % 2 == 0:  # the mean of its two centrings
        window = np.convolve(window, [0.5, 0.5])
    inside = (wavelength_a >= BAND_A[0]) & (wavelength_a <= BAND_A[1])
    for row in range(40):
        smooth = np.convolve(flux[row], window / window.sum(), mode="same")
        for sign, found_a, found_flux in (
            (1, peaks.peak_wavelength_a[peaks.peak_row == row], peaks.peak_flux[peaks.peak_row == row]),
            (-1, peaks.valley_wavelength_a[peaks.valley_row == row], peaks.valley_flux[peaks.valley_row == row]),
        ):
            expected = find_peaks(sign * smooth)[0]
            expected = expected[inside[expected]]
            assert found_a == pytest.approx(wavelength_a[expected])
            assert found_flux == pytest.approx(smooth[expected])
        assert peaks.n_peaks[row] == np.sum(peaks.peak_row == row)
        assert peaks.highest_flux[row] == peaks.peak_flux[peaks.peak_row == row].max()


@settings(max_examples=150, deadline=None)
@given(hnp.arrays(float, st.tuples(st.integers(1, 4), st.integers(3, 25)), elements=st.integers(0, 3).map(float)))
def test_extrema_agree_with_scipy_on_plateaus(values):
    found = local_extrema(values)
    for row, line in enumerate(values):
        here = found.row == row
        assert list(found.pixel[here & found.is_peak]) == list(find_peaks(line)[0])
        assert list(found.pixel[here & ~found.is_peak]) == list(find_peaks(-line)[0])


def test_nan_makes_no_peaks():
    values = np.array([[0, 1, 0, 2, np.nan, 2, 0, 1, 0, 1, 1, np.nan]], dtype=float)
    found = local_extrema(values)
    assert list(found.pixel[found.is_peak]) == [1, 7]
    flux = np.full((3, RED.n_pixels), np.nan)
    flux[1:] = 1 + np.exp(-0.5 * ((RED.wavelength_a - 6564.625) / 3) ** 2)
    flux[1, 2110] = np.nan  # one pixel: interpolated
    peaks = bartlett_peaks(flux, np.array([50.0, 50.0, np.nan]), RED.wavelength_a, BAND_A)
    assert list(peaks.n_peaks) == [-1, 1, -1]
    assert peaks.highest_wavelength_a[1] == pytest.approx(6564.625)
    assert np.isnan(peaks.highest_wavelength_a[[0, 2]]).all()


def test_edges_of_the_band_are_no_peaks():
    """A slope has no peak, nor has a peak just outside the band."""
    slope = np.linspace(0.5, 1.5, RED.n_pixels)[None]
    assert bartlett_peaks(slope, np.array([15.0]), RED.wavelength_a, BAND_A).n_peaks[0] == 0
    outside = 1 + np.exp(-0.5 * ((RED.wavelength_a - 6580.0) / 0.6) ** 2)[None]
    assert bartlett_peaks(outside, np.array([15.0]), RED.wavelength_a, BAND_A).n_peaks[0] == 0


def test_band_follows_velocity():
    flux = 1 + np.exp(-0.5 * ((RED.wavelength_a - 6580.0) / 0.6) ** 2)[None]
    shifted = bartlett_peaks(flux, np.array([15.0]), RED.wavelength_a, BAND_A, velocity_shift_km_s=np.array([200.0]))
    assert shifted.n_peaks[0] == 1


def test_smoothed_error_agrees_with_monte_carlo():
    rng = np.random.default_rng(2)
    sigma = np.linspace(0.01, 0.05, 60)
    for width in (5, 8, 14):
        widths = np.full(20000, width)
        smooth = smooth_bartlett(rng.normal(0, sigma, (20000, 60)), widths)
        error = smoothed_error(np.broadcast_to(sigma**-2, (1, 60)), widths[:1])
        assert smooth[:, 10:-10].std(axis=0) == pytest.approx(error[0, 10:-10], rel=0.04)


@settings(max_examples=150, deadline=None)
@given(
    hnp.arrays(float, st.integers(5, 40), elements=st.integers(-20, 20).map(float)),
    st.integers(1, 15).map(lambda x: x - 0.5),
)
def test_significant_extrema_have_the_prominence_that_scipy_measures(line, threshold):
    """Each maximum left has scipy's prominence above the threshold against both sides, and none is missing."""
    pixel = significant_extrema(line[None], np.array([threshold]))[0]
    pixel = pixel[pixel >= 0]
    steps = np.diff(line[pixel])
    if len(pixel) > 2:
        assert (np.abs(steps) >= threshold).all()
        assert (np.sign(steps[1:]) == -np.sign(steps[:-1])).all()
    prominent, _ = find_peaks(line, prominence=threshold)
    assert set(line[prominent]) <= set(line[pixel])
