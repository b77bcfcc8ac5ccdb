"""Spectral lines of the project, read from lines.csv, and the refractive index of air."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

__all__ = ["LINES", "SPEED_OF_LIGHT_KM_S", "Line", "air_to_vacuum", "telluric_lines", "vacuum_to_air"]

SPEED_OF_LIGHT_KM_S = 299792.458


@dataclass(frozen=True)
class Line:
    """One spectral line: rest wavelength in vacuum and the half width of the stretch it may fill, Angstrom."""

    name: str
    label: str
    wavelength_a: float
    half_width_a: float
    arm: str
    use: str


def _read(path):
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return {
            row["name"]: Line(
                row["name"],
                row["label"],
                float(row["wavelength_a"]),
                float(row["half_width_a"]),
                row["arm"],
                row["use"],
            )
            for row in rows
        }


LINES = _read(Path(__file__).with_name("lines.csv"))


@cache
def telluric_lines(kind: str) -> np.ndarray:
    """Lines of our own atmosphere near H-alpha, of `telluric_lines.csv`.

    Parameters
    ----------
    kind : {'h2o', 'sky'}
        Absorption of water vapour, or night-sky emission.

    Returns
    -------
    structured array
        ``wavelength_a``, Angstrom in vacuum, and ``strength``: optical depth of a wet night at R of about 10,000, or relative.
    """
    lines = Path(__file__).with_name("telluric_lines.csv").read_text(encoding="utf-8").splitlines()
    table = [line for line in lines if not line.startswith("#")]
    found = np.genfromtxt(table, delimiter=",", names=True, dtype=None, encoding="utf-8")
    return found[found["kind"] == kind]


def _refractive_index(wavelength_vacuum_a):
    wavenumber2 = (1e4 / wavelength_vacuum_a) ** 2
    return 1.0 + 8.34254e-5 + 2.406147e-2 / (130.0 - wavenumber2) + 1.5998e-4 / (38.9 - wavenumber2)


def vacuum_to_air(wavelength_a):
    """Wavelength in standard air of a wavelength in vacuum.

    Parameters
    ----------
    wavelength_a : array_like of float
        Vacuum wavelength, Angstrom, above 2000.

    Returns
    -------
    float array of the same shape
        Wavelength in dry air at 15 degrees C and 101325 Pa, Angstrom.

    References
    ----------
    Morton 2000, ApJS 130, 403, equation 8.
    """
    wavelength_a = np.asarray(wavelength_a, dtype=float)
    return wavelength_a / _refractive_index(wavelength_a)


def air_to_vacuum(wavelength_a):
    """Wavelength in vacuum of a wavelength in standard air: the inverse of `vacuum_to_air`.

    Parameters
    ----------
    wavelength_a : array_like of float
        Wavelength in air, Angstrom, above 2000.

    Returns
    -------
    float array of the same shape
        Vacuum wavelength, Angstrom.

    References
    ----------
    Morton 2000, ApJS 130, 403, equation 8, inverted by iteration.
    """
    wavelength_a = np.asarray(wavelength_a, dtype=float)
    vacuum_a = wavelength_a
    for _ in range(3):  # the index changes by 1e-8 an Angstrom: each turn gains seven digits
        vacuum_a = wavelength_a * _refractive_index(vacuum_a)
    return vacuum_a
