"""The grid keeps flux and information."""

import astropy.units as u
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from specutils import Spectrum
from specutils.manipulation import FluxConservingResampler

from becat.etl.readers import RawArm
from becat.etl.reduce.rectangle import Rectangle, bridge_gaps, pack
from becat.etl.reduce.resample import resample
from becat.schema.grid import RED, Grid
from becat.schema.quality import PixelMask

SMALL = Grid("red", 6500.0, 0.5, 121)


def arm_of(wavelength, flux, noise=0.01):
    n = len(wavelength)
    return RawArm(
        "red",
        np.asarray(wavelength, float),
        np.asarray(flux, np.float32),
        np.full(n, noise**-2, np.float32),
        np.zeros(n, bool),
    )


def on_grid(arm, grid=RED):
    rectangle = pack([arm], grid)
    bridge_gaps(rectangle)
    flux, ivar, mask = resample(rectangle, grid)
    return flux[0], ivar[0], mask[0]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0.05, 2.0), min_size=60, max_size=400),
    st.integers(0, 2**31),
)
def test_integral_is_conserved(widths, seed):
    """Whatever the widths of the pixels, the light between two of their limits stays the same."""
    edges = 6499.0 + np.concatenate([[0], np.cumsum(widths)])
    flux = np.random.default_rng(seed).uniform(0.5, 2, (1, len(widths))).astype(np.float32)
    n_pixels = int((edges[-1] - 6500) / 0.5) - 1
    if n_pixels < 2:
        return
    grid = Grid("red", 6500.0, 0.5, n_pixels)
    rectangle = Rectangle(edges[None], flux, np.ones_like(flux), np.zeros(flux.shape, np.uint8), flux)
    result, _, _ = resample(rectangle, grid)
    whole = np.concatenate([[0], np.cumsum(flux[0] * np.diff(edges))])
    first, last = np.searchsorted(edges, grid.edges_a[0]), np.searchsorted(edges, grid.edges_a[-1]) - 1
    # Light between native limits inside the grid, and the two cut pixels at the ends, which hold at most their all.
    inside = whole[last] - whole[first]
    ends = 1.6 * flux.max() * (edges[first] - grid.edges_a[0] + grid.edges_a[-1] - edges[last])
    total = result.sum() * grid.step_a
    assert inside - 0.6 * ends - 1e-3 <= total <= inside + ends + 1e-3


def test_same_pixels_come_back():
    wavelength = RED.wavelength_a[100:-100]
    flux = np.random.default_rng(1).uniform(0.5, 1.5, len(wavelength))
    result, ivar, mask = on_grid(arm_of(wavelength, flux))
    np.testing.assert_allclose(result[100:-100], flux, rtol=2e-5)
    np.testing.assert_allclose(ivar[100:-100], 1e4, rtol=1e-4)
    assert np.isnan(result[:100]).all() and (mask[:100] == PixelMask.NO_DATA).all()


def test_agrees_with_specutils():
    """On smooth spectra pixel by pixel; on noise wherever a grid pixel is made of many native ones."""
    wavelength = np.exp(np.arange(np.log(6480.0), np.log(6580.0), 2.3e-5))
    smooth = 1 + 0.5 * np.exp(-0.5 * ((wavelength - 6530) / 2) ** 2)
    noisy = smooth + np.random.default_rng(2).normal(0, 0.1, len(wavelength))
    coarse = Grid("red", 6500.0, 1.5, 41)
    for flux, grid, tolerance in ((smooth, SMALL, 2e-3), (noisy, coarse, 2e-2)):
        ours, _, _ = on_grid(arm_of(wavelength, flux), grid)
        theirs = FluxConservingResampler()(
            Spectrum(spectral_axis=wavelength * u.AA, flux=flux * u.Jy), grid.wavelength_a * u.AA
        )
        np.testing.assert_allclose(ours, theirs.flux.value, atol=tolerance)
        np.testing.assert_allclose(ours.sum(), theirs.flux.value.sum(), rtol=5e-4)


def test_coarse_pixels_do_not_become_stairs():
    wavelength = np.arange(6290.0, 6810.0, 1.5)
    result, _, _ = on_grid(arm_of(wavelength, 1 + 0.5 * np.exp(-0.5 * ((wavelength - 6565) / 4) ** 2)))
    assert np.abs(np.diff(result)).max() < 0.02


def test_error_of_a_band_is_right():
    """Monte Carlo: the scatter of the sum over a band is what the inverse variance says, to 5 %."""
    rng = np.random.default_rng(5)
    wavelength = np.exp(np.arange(np.log(6290.0), np.log(6810.0), 2.3e-5))
    inside = (RED.wavelength_a > 6548) & (RED.wavelength_a < 6578)
    widths = []
    for _ in range(40):
        arms = [arm_of(wavelength, 1 + rng.normal(0, 0.05, len(wavelength)), 0.05) for _ in range(50)]
        flux, ivar, _ = resample(pack(arms, RED), RED)
        widths.append((1 - flux[:, inside]).sum(axis=1) * RED.step_a)
        predicted = np.sqrt((1 / ivar[0, inside]).sum()) * RED.step_a
    assert abs(np.std(np.concatenate(widths)) / predicted - 1) < 0.05


def at(wavelength_a):
    """Pixel of the red grid."""
    return round((wavelength_a - RED.start_a) / RED.step_a)


def test_gaps():
    """A short gap is bridged without weight, a long one has no data, a dead pixel is bad although nothing says so."""
    wavelength = np.arange(6290.0, 6810.0, 0.15)
    arm = arm_of(wavelength, np.ones(len(wavelength)))
    short = (wavelength > 6400) & (wavelength < 6403)
    long = (wavelength > 6500) & (wavelength < 6510)
    arm.bad[short | long] = True
    arm.flux[short | long] = 7
    arm.flux[2000] = 0
    flux, ivar, mask = on_grid(arm)
    assert abs(flux[at(6401.5)] - 1) < 1e-5
    assert ivar[at(6401.5)] == 0 and mask[at(6401.5)] == PixelMask.BAD_IN_FILE
    assert np.isnan(flux[at(6505)]) and mask[at(6505)] & PixelMask.NO_DATA
    dead = at(wavelength[2000])
    assert abs(flux[dead] - 1) < 1e-5 and mask[dead] == PixelMask.BAD_IN_FILE
