"""Water lines around H-alpha are found where they are, and not in stars that have lines of their own."""

import numpy as np
import pytest

from becat.etl.readers import read_file
from becat.etl.reduce import reduce_batch
from becat.schema.grid import RED
from becat.schema.lines import telluric_lines
from becat.schema.parameters import load
from becat.udfs.telluric import water_strength

LEAST = load()["telluric_significance_min"].value


def strengths(paths):
    spectra = [read_file(path, need_snr=False)[0][0] for path in paths]
    power = np.array([s.meta["resolving_power"] or np.nan for s in spectra], float)
    reduced = reduce_batch([s.arms["red"] for s in spectra], RED, power)
    return water_strength(reduced.flux, reduced.ivar, power)


@pytest.mark.parametrize("velocity", [-25.0, 0.0, 25.0])
def test_injected_water_is_found_with_its_strength(velocity):
    rng = np.random.default_rng(3)
    lines = telluric_lines("h2o")
    flux = 1 + rng.normal(0, 0.01, (40, RED.n_pixels))
    sigma = 6564.6 / 10_000 / 2.3548
    for wavelength_a, strength in zip(lines["wavelength_a"], lines["strength"], strict=True):
        centre = wavelength_a * (1 + velocity / 299792.458)
        flux[20:] -= 0.5 * strength * np.exp(-0.5 * ((RED.wavelength_a - centre) / sigma) ** 2)
    strength, significance = water_strength(flux, np.full(flux.shape, 1e4), np.full(40, 10_000.0))
    assert significance[:20].max() < LEAST < significance[20:].min()
    assert np.median(strength[20:]) == pytest.approx(0.5, rel=0.15)


def test_water_of_ondrejov_is_found(real_data):
    """Hot stars at R = 13,000 with S/N of hundreds, taken from 500 m above the sea."""
    names = ("alpha-lyr-absorption", "gamma-cas-emission", "rd270018", "uc270032", "vc270021", "kozajaku-spectrum")
    strength, significance = strengths([real_data / f"halpha/{name}.fits" for name in names])
    assert significance.min() > LEAST
    assert strength.min() > 0.2 and strength.max() < 1


def test_lines_of_other_stars_are_no_water(real_data):
    """MILES has no water left, and late types of LAMOST have lines of their own."""
    paths = [
        *sorted(real_data.glob("miles/*.fits"))[::4],
        *real_data.glob("mrs/med-58025*"),
        *real_data.glob("mrs/med-58408*"),
    ]
    _, significance = strengths(paths)
    assert len(paths) > 30 and significance.max() < LEAST
