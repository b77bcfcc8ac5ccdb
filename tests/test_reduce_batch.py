"""A spectrum comes out the same whatever other spectra share its batch, and its edges come from its own samples."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from becat.etl.readers import RawArm, read_file
from becat.etl.reduce import reduce_batch
from becat.sample_spectra import real_spectra
from becat.schema.grid import ARMS, RED

# Measured: 0 with OpenBLAS on one thread. The sums of the continuum are made in double precision by BLAS, whose order
# of summation may depend on the number of spectra: a flux may turn to the next single-precision number.
TOLERANCE = 1e-6


def assert_same(some, others):
    """Masks and qualities are equal, flux and inverse variance to the tolerance (relative to one or more)."""
    np.testing.assert_array_equal(some.mask, others.mask)
    np.testing.assert_array_equal(some.quality, others.quality)
    np.testing.assert_array_equal(some.good_fraction, others.good_fraction)
    np.testing.assert_allclose(some.flux, others.flux, rtol=TOLERANCE, atol=TOLERANCE)
    np.testing.assert_allclose(some.ivar, others.ivar, rtol=10 * TOLERANCE)


def rows(reduced, order):
    """The rows of a result in this order."""
    chosen = copy.copy(reduced)
    for name, column in vars(reduced).items():
        setattr(chosen, name, column[order])
    return chosen


def assert_independent(arms, grid, power, rng):
    """Alone, all together, and twice in another order and in batches of another size."""
    together = reduce_batch(arms, grid, power)
    for i, arm in enumerate(arms):
        assert_same(reduce_batch([arm], grid, power[i]), rows(together, [i]))
    for n in (3, 17):
        order = rng.permutation(len(arms))
        for start in range(0, len(arms), n):
            chosen = order[start : start + n]
            assert_same(reduce_batch([arms[i] for i in chosen], grid, power[chosen]), rows(together, chosen))


def real_arms(paths, arm):
    """The arms of real coadds, and their resolving powers."""
    spectra = [s for path in paths for s in read_file(path)[0] if arm in s.arms]
    power = np.array([s.meta["resolving_power"] or np.nan for s in spectra], float)
    return [s.arms[arm] for s in spectra], power


@pytest.mark.parametrize("arm", ["red", "blue"])
def test_real_medium_resolution_spectra(arm):
    arms, power = real_arms(real_spectra(), arm)
    assert len(arms) == 8
    assert_independent(arms, ARMS[arm], power, np.random.default_rng(1))


def test_real_spectra_of_different_length_and_sampling(real_data):
    """Medium and low resolution and 1-D spectra that end within the grid, in one batch."""
    paths = [*real_spectra(), *sorted(real_data.glob("lrs/*.fits*")), *sorted(real_data.glob("halpha/*.fits"))]
    arms, power = real_arms(paths, "red")
    assert len({len(arm.flux) for arm in arms}) > 5
    assert_independent(arms, RED, power, np.random.default_rng(2))


@st.composite
def arms_with_edges(draw):
    """A spectrum that begins and ends somewhere in or around the grid, with bad stretches and hits also at its ends."""
    step = draw(st.sampled_from([0.05, 0.15, 0.3, 1.4]))
    wavelength = np.arange(draw(st.floats(6250.0, 6540.0)), draw(st.floats(6600.0, 6850.0)), step)
    n = len(wavelength)
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    flux = (100 + rng.normal(0, 1, n)).astype(np.float32)
    bad = np.zeros(n, bool)
    for _ in range(draw(st.integers(0, 4))):
        first = draw(st.integers(-30, n))
        bad[max(first, 0) : first + draw(st.integers(1, 60))] = True
    for place in draw(st.lists(st.integers(-5, 4), max_size=2)):
        flux[place] = 400
    return RawArm("red", wavelength, flux, np.where(bad, 0, 1).astype(np.float32), bad)


@settings(max_examples=30, deadline=None)
@given(st.lists(arms_with_edges(), min_size=2, max_size=5), st.integers(0, 2**31))
def test_edges_bad_stretches_and_hits(arms, seed):
    rng = np.random.default_rng(seed)
    assert_independent(arms, RED, rng.choice([1800.0, 7500.0, np.nan], len(arms)), rng)


@settings(max_examples=30, deadline=None)
@given(
    st.floats(6310.0, 6450.0), st.floats(6680.0, 6790.0), st.sampled_from([0.03, 0.15, 0.4, 1.5]), st.floats(5.5, 20.0)
)
def test_constant_flux_stays_constant_up_to_its_ends(first_a, last_a, step_a, gap_a):
    """Neither the end of the data nor a wide gap draws the pixels beside it towards zero."""
    wavelength = np.arange(first_a, last_a, step_a)
    bad = np.abs(wavelength - 6600) < gap_a / 2
    arm = RawArm(
        "red", wavelength, np.where(bad, 0, 50).astype(np.float32), np.where(bad, 0, 1).astype(np.float32), bad
    )
    wide = np.arange(6290.0, 6830.0, 0.06)
    ones = np.ones(len(wide), np.float32)
    longer = RawArm("red", wide, 50 * ones, ones, np.zeros(len(wide), bool))
    flux = reduce_batch([arm, longer], RED, 7500.0).flux[0]
    data = np.isfinite(flux)
    assert np.abs(RED.wavelength_a[data][[0, -1]] - wavelength[[0, -1]]).max() <= 0.5 * step_a + RED.step_a
    np.testing.assert_allclose(flux[data], np.median(flux[data]), rtol=1e-4)
