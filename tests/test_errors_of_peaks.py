"""Errors of peaks, cores and widths against the scatter of many exposures of one line, where errors used to miss."""

from __future__ import annotations

import numpy as np
import pytest

from becat.etl.readers import RawArm
from becat.etl.reduce import reduce_batch
from becat.schema.grid import RED
from becat.udfs import measure_batch, profile_batch

N = 400


def _line(x, *components):
    """Sum of Gaussians (place, height, sigma) on the continuum."""
    return 1 + sum(height * np.exp(-0.5 * ((x - place) / sigma) ** 2) for place, height, sigma in components)


def _measured(flux_of, snr, *, step_a=0.15, power=7500.0, side=0.0, coadd=False, parameters=None):
    """Columns of N exposures of a line on pixels of an instrument, of whose noise each gives a part `side` to either neighbour."""
    x = np.arange(6300.0, 6800.0, step_a)
    clean = flux_of(x)
    white = np.random.default_rng(3).normal(size=(N, x.size + 2))
    noise = side * white[:, :-2] + (1 - 2 * side) * white[:, 1:-1] + side * white[:, 2:]
    sigma, bad = (np.sqrt(clean) / snr).astype(np.float32), np.zeros(x.size, bool)
    arms = [RawArm("red", x, (clean + sigma * row).astype(np.float32), sigma**-2, bad) for row in noise]
    reduced = reduce_batch(arms, RED, power)
    coadds, powers, snrs = np.full(N, coadd), np.full(N, power), np.full(N, float(snr))
    lines = measure_batch(
        reduced.flux, reduced.ivar, None, None, snrs, resolving_power=powers, is_lamost_coadd=coadds, parameters=parameters
    )  # fmt: skip
    return lines | profile_batch(reduced.flux, reduced.ivar, snrs, None, powers, is_lamost_coadd=coadds)


def _ratio(found, name):
    """Scatter (half of what holds the middle 68.3 %) over the median error, of the exposures that show both peaks."""
    double = np.ma.filled(found["n_emission_peaks"] == 2, False)
    assert double.mean() > 0.2
    low, high = np.percentile(found[name][double], (15.87, 84.13))
    return (high - low) / 2 / np.median(found[f"e_{name}"][double])


DISC = ((6561.5, 0.8, 1.6), (6567.5, 0.7, 1.6))


@pytest.mark.parametrize("snr", [20, 200])
def test_errors_at_low_resolution(snr):
    """Pixels of 1.5 Angstrom, of LAMOST's low-resolution survey: twelve of the grid share a pixel's noise."""
    found = _measured(lambda x: _line(x, *DISC), snr, step_a=1.5, power=1800.0, side=0.12)
    for name in ("core_flux", "violet_red_ratio", "peak_separation_km_s"):
        assert 0.75 < _ratio(found, name) < 1.3, name
    # It was locked to the pixels: now here, now 48 km/s beside it.
    assert np.nanstd(found["peak_separation_km_s"]) < 1.5 * np.nanmedian(found["e_peak_separation_km_s"])


@pytest.mark.parametrize(("coadd", "side"), [(True, 0.24), (False, 0.0)])
def test_errors_of_coadds_and_exposures_at_high_snr(coadd, side):
    found = _measured(lambda x: _line(x, *DISC), 200, coadd=coadd, side=side)
    for name in ("core_flux", "violet_red_ratio"):
        assert 0.8 < _ratio(found, name) < 1.25, name


def test_width_is_uncertain_where_a_second_peak_is_half_as_high():
    found = _measured(lambda x: _line(x, (6561.0, 1.0, 1.2), (6569.0, 0.5, 1.2)), 60)
    width, error = found["fwhm_halpha_km_s"], found["e_fwhm_halpha_km_s"]
    narrow = width < np.mean([width.min(), width.max()])
    assert 0.05 < narrow.mean() < 0.95  # noise decides
    pull = (width - width.mean()) / error
    assert np.mean(np.abs(pull) > 5) < 0.03


def test_level_of_the_peaks_is_uncertain_where_noise_decides_whether_there_is_a_minimum():
    """Outside of the red peak lies a dip of 3 % of the continuum, and 3 % of the highest peak count as a minimum."""
    found = _measured(lambda x: _line(x, (6560.5, 0.3, 1.5), (6568.0, 0.06, 1.2), (6573.0, -0.030, 1.5)), 250)
    double = found["n_emission_peaks"] == 2
    ratio, error = found["violet_red_ratio"][double], found["e_violet_red_ratio"][double]
    low = ratio < 0.5 * (ratio.min() + ratio.max())
    assert 0.1 < low.mean() < 0.9
    assert np.mean(np.abs(ratio - np.median(ratio)) / error > 4) < 0.02
    assert found["profile_class"][double].tolist().count("absorption") == 0


def test_water_that_is_not_seen_is_an_error_of_the_width():
    """At most the spread of nights; none where no water is looked for."""
    dry = _measured(lambda x: _line(x, *DISC), 30, parameters={"telluric_significance_min": np.inf})
    found = _measured(lambda x: _line(x, *DISC), 30)
    of_water = found["e_ew_halpha_dry_a"] ** 2 - dry["e_ew_halpha_dry_a"] ** 2
    assert np.all(found["ew_halpha_dry_a"] == dry["ew_halpha_dry_a"])
    assert of_water.min() > -1e-9
    assert 0.13**2 * 0.99 < of_water.max() < 0.13**2 * 1.01
    unseen = 0.517 * found["water_strength"]  # Angstrom that water of strength 1 takes away
    inside = (unseen > 0) & (unseen < 0.12)
    assert np.sqrt(of_water[inside]) == pytest.approx(unseen[inside], rel=0.05, abs=1e-3)
