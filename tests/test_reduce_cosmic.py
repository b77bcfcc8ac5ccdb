"""Cosmic rays go, lines stay."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from becat.etl.readers import RawArm, read_file
from becat.etl.reduce import reduce_batch
from becat.etl.reduce.cosmic import flag_cosmic_rays
from becat.etl.reduce.rectangle import pack
from becat.schema.grid import RED
from becat.schema.quality import PixelMask

MRS = (0.151, 7500.0)
LRS = (1.5, 1800.0)
ONDREJOV = (0.256, 12800.0)


def noisy_arm(step_a, snr, rng, line=None):
    """A sloping continuum with photon noise, and a line given as a function of wavelength."""
    wavelength = np.exp(np.arange(np.log(6290.0), np.log(6810.0), step_a / 6550))
    expected = 1 + 0.2 * (wavelength - 6550) / 250 + (0 if line is None else line(wavelength))
    noise = np.sqrt(np.maximum(expected, 0.05)) / snr
    flux = expected + noise * rng.normal(size=wavelength.size)
    return RawArm(
        "red", wavelength, flux.astype(np.float32), (noise**-2).astype(np.float32), np.zeros(wavelength.size, bool)
    )


def flagged(arms, resolving_power):
    rectangle = pack(arms, RED)
    flag_cosmic_rays(rectangle, np.full(len(arms), resolving_power))
    return (rectangle.mask & PixelMask.COSMIC_RAY) > 0


@settings(max_examples=40, deadline=None)
@given(
    instrument=st.sampled_from([MRS, LRS, ONDREJOV]),
    snr=st.floats(10, 300),
    height=st.floats(0.2, 30),
    centres=st.lists(st.floats(6310, 6790), min_size=1, max_size=8),
    broadening=st.floats(1, 10),
    seed=st.integers(0, 2**31),
)
def test_no_line_is_ever_removed(instrument, snr, height, centres, broadening, seed):
    """However strong, crowded or sharp, as long as the instrument can show it."""
    step, resolving_power = instrument
    fwhm = broadening * 6560 / resolving_power

    def lines(wavelength):
        return sum(height * np.exp(-4 * np.log(2) * ((wavelength - c) / fwhm) ** 2) for c in centres)

    arm = noisy_arm(step, snr, np.random.default_rng(seed), lines)
    assert not flagged([arm], resolving_power).any()


@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("height_sigma", [20, 100, 1000])
def test_hits_are_found(width, height_sigma):
    rng = np.random.default_rng(width)
    arms = [noisy_arm(MRS[0], 50, rng) for _ in range(20)]
    hit = np.zeros((len(arms), arms[0].flux.size), bool)
    for i, arm in enumerate(arms):
        for first in rng.choice(np.arange(100, arm.flux.size - 100, 20), 10, replace=False):
            arm.flux[first : first + width] += height_sigma / 50
            hit[i, first : first + width] = True
    first = np.searchsorted(arms[0].wavelength_a, pack(arms[:1], RED).edges_a[0, 0])
    found = flagged(arms, MRS[1])
    inside = hit[:, first : first + found.shape[1]]
    assert found[inside].mean() > 0.95
    near = inside | np.roll(inside, 1, axis=1) | np.roll(inside, -1, axis=1)
    near |= np.roll(near, 1, axis=1) | np.roll(near, -1, axis=1)
    assert not found[~near].any()


def test_nothing_is_found_in_noise():
    rng = np.random.default_rng(3)
    arms = [noisy_arm(MRS[0], snr, rng) for snr in (10, 30, 100, 300) for _ in range(25)]
    assert flagged(arms, MRS[1]).sum() <= 1


def test_removed_hit_leaves_interpolated_flux_without_weight():
    arm = noisy_arm(MRS[0], 100, np.random.default_rng(4))
    pixel = np.searchsorted(arm.wavelength_a, 6700)
    arm.flux[pixel] *= 3
    reduced = reduce_batch([arm], RED, MRS[1])
    hit = (reduced.mask[0] & PixelMask.COSMIC_RAY) > 0
    assert 1 <= hit.sum() <= 4
    assert (reduced.ivar[0, hit] == 0).all()
    assert np.abs(reduced.flux[0, hit] - 1).max() < 0.05


@pytest.mark.parametrize(
    "path, tolerance",
    [
        ("mrs/med-58440-NT222300N571704C01_sp11-073.fits", 0.01),
        ("halpha/gamma-cas-emission.fits", 0.01),
        ("halpha/bt-cmi-ondrejov.fits", 0.01),
        ("halpha/ub240016.fits", 0.01),
        # 1.5 A pixels: the highest point of the parabola in the peak pixel is above the pixel's mean.
        ("lrs/spec-56284-GAC122S02V2_sp14-183.fits", 0.05),
    ],
)
def test_emission_of_real_stars_is_kept(real_data, path, tolerance):
    """Nothing is flagged in the line, and its peak over the continuum changes by less than the tolerance."""
    (spectrum,), _ = read_file(real_data / path)
    arm = spectrum.arms["red"]
    reduced = reduce_batch([arm], RED, spectrum.meta["resolving_power"])
    line = (RED.wavelength_a > 6545) & (RED.wavelength_a < 6585)
    assert ((reduced.mask[0, line] & PixelMask.COSMIC_RAY) == 0).all()
    in_line = (arm.wavelength_a > 6545) & (arm.wavelength_a < 6585)
    beside = (np.abs(arm.wavelength_a - 6565) > 25) & (np.abs(arm.wavelength_a - 6565) < 45)
    ratio = arm.flux[in_line].max() / np.median(arm.flux[beside])
    level = np.median(reduced.flux[0][(np.abs(RED.wavelength_a - 6565) > 25) & (np.abs(RED.wavelength_a - 6565) < 45)])
    assert np.nanmax(reduced.flux[0, line]) / level == pytest.approx(ratio, rel=tolerance)
