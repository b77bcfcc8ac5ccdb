"""Errors of peaks, cores and widths against the scatter of many exposures of one line, where errors used to miss."""

from __future__ import annotations

import numpy as np
import pytest

from becat.etl.readers import RawArm
from becat.etl.reduce import reduce_batch
from becat.schema.grid import RED
from becat.schema.lines import telluric_lines
from becat.udfs import measure_batch, profile_batch

N = 400
NO_WATER = {"telluric_significance_min": np.inf}


def _line(x, *components):
    """Sum of Gaussians (place, height, sigma) on the continuum."""
    return 1 + sum(height * np.exp(-0.5 * ((x - place) / sigma) ** 2) for place, height, sigma in components)


def _measured(flux_of, snr, *, step_a=0.15, power=7500.0, side=0.0, coadd=False, parameters=NO_WATER):
    """Columns of N exposures of a line on pixels of an instrument, of whose noise each gives a part `side` to either neighbour.

    These lines have no water, and their errors have none, unless `parameters` says so.
    """
    x = np.arange(6300.0, 6800.0, step_a)
    clean = np.broadcast_to(flux_of(x), (N, x.size))
    white = np.random.default_rng(3).normal(size=(N, x.size + 2))
    noise = side * white[:, :-2] + (1 - 2 * side) * white[:, 1:-1] + side * white[:, 2:]
    sigma, bad = (np.sqrt(clean) / snr).astype(np.float32), np.zeros(x.size, bool)
    arms = [
        RawArm("red", x, row.astype(np.float32), weight, bad)
        for row, weight in zip(clean + sigma * noise, sigma**-2, strict=True)
    ]
    reduced = reduce_batch(arms, RED, power)
    coadds, powers, snrs = np.full(N, coadd), np.full(N, power), np.full(N, float(snr))
    lines = measure_batch(
        reduced.flux, reduced.ivar, None, None, snrs, resolving_power=powers, is_lamost_coadd=coadds, parameters=parameters
    )  # fmt: skip
    return lines | profile_batch(
        reduced.flux, reduced.ivar, snrs, None, powers, is_lamost_coadd=coadds, parameters=parameters
    )


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
    dry = _measured(lambda x: _line(x, *DISC), 30)
    found = _measured(lambda x: _line(x, *DISC), 30, parameters=None)
    of_water = found["e_ew_halpha_dry_a"] ** 2 - dry["e_ew_halpha_dry_a"] ** 2
    assert np.all(found["ew_halpha_dry_a"] == dry["ew_halpha_dry_a"])
    assert of_water.min() > -1e-9
    assert 0.13**2 * 0.99 < of_water.max() < 0.13**2 * 1.01
    unseen = 0.517 * found["water_strength"]  # Angstrom that water of strength 1 takes away
    inside = (unseen > 0) & (unseen < 0.12)
    assert np.sqrt(of_water[inside]) == pytest.approx(unseen[inside], rel=0.05, abs=1e-3)


def _nights(x):
    """(N, pixels) transmission of water, of another strength and at another velocity of the Earth each night."""
    rng, lines, sigma_a = np.random.default_rng(4), telluric_lines("h2o"), 6564.6 / 7500 / 2.3548
    strength, velocity = 0.02 * 50 ** rng.random(N), rng.uniform(-25, 25, N)
    depth = np.zeros((N, x.size))
    for place_a, part in zip(lines["wavelength_a"], 0.75 * lines["strength"], strict=True):  # of R = 10,000
        centre_a = place_a * (1 + velocity / 299792.458)
        depth += part * np.exp(-0.5 * ((x - centre_a[:, None]) / sigma_a) ** 2)
    return np.exp(-strength[:, None] * depth)


@pytest.mark.parametrize(
    ("disc", "names"),
    [
        (((6562.0, 0.50, 1.6), (6568.0, 0.45, 1.6)), ("core_flux", "fwhm_halpha_km_s", "peak_separation_km_s")),
        (((6560.0, 0.40, 2.0), (6569.0, 0.35, 2.0)), ("core_flux", "violet_red_ratio", "peak_flux")),
    ],
)
def test_water_of_the_night_is_an_error_of_peaks_core_and_width(disc, names):
    wet, without = (
        _measured(lambda x: _line(x, *disc) * _nights(x), 150, parameters=each) for each in (None, NO_WATER)
    )
    for name in names:
        pull = (wet[name] - np.mean(wet[name])) / np.array([wet[f"e_{name}"], without[f"e_{name}"]])
        low, high = np.percentile(pull, (15.87, 84.13), axis=1)
        width, width_without = (high - low) / 2
        assert 0.8 < width < 1.16 and width_without > 1.18, name
        assert wet[name].tolist() == without[name].tolist()
    assert wet["profile_type"].tolist() == without["profile_type"].tolist()
