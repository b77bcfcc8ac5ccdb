"""A spectrum as its file has it, and the same on the catalogue's grid: for the report's figure of the reduction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from becat.etl.catalogue.errors import Rejected
from becat.etl.readers import read_file
from becat.etl.readers.spectrum import RawArm, RawSpectrum
from becat.etl.reduce.rectangle import bridge_gaps, pack
from becat.etl.reduce.resample import resample
from becat.schema.grid import ARMS, Grid

__all__ = ["ArmOfFile", "find_in_file", "on_grid", "read_arms"]


@dataclass(frozen=True)
class ArmOfFile:
    """One arm before its continuum was divided out.

    Attributes
    ----------
    wavelength_a, flux : (n,) float arrays
        Good pixels of the file that lie on the catalogue's grid; vacuum wavelength in Angstrom, flux in the instrument's unit.
    grid_flux : (p,) float array
        The same flux on the pixels of the grid.
    """

    wavelength_a: np.ndarray
    flux: np.ndarray
    grid_flux: np.ndarray


def read_arms(file: str | None, spectrum_id: int) -> tuple[dict[str, ArmOfFile], str]:
    """The arms of a spectrum as read from its file, or none and why.

    Parameters
    ----------
    file : str or None
        As in table ``spectrum``.
    spectrum_id : int

    Returns
    -------
    dict of str to ArmOfFile, str
        By ``blue`` and ``red``; the reason is empty where there are any.
    """
    found, why = find_in_file(file, spectrum_id)
    if found is None:
        return {}, why
    return {name: _arm(arm, ARMS[name]) for name, arm in found.arms.items()}, ""


def find_in_file(file: str | None, spectrum_id: int) -> tuple[RawSpectrum | None, str]:
    """A spectrum as read from its file, or None and why.

    Parameters
    ----------
    file : str or None
        As in table ``spectrum``.
    spectrum_id : int
    """
    if not file or not Path(file).is_file():
        return None, "the file is no longer where it was loaded from"
    try:
        spectra, _ = read_file(file, exposures="all", need_snr=False)
    except (Rejected, OSError):
        return None, "the file can no longer be read"
    found = next((spectrum for spectrum in spectra if spectrum.spectrum_id == spectrum_id), None)
    return found, "" if found else "the file no longer holds this spectrum"


def on_grid(raw: RawArm, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """(p,) flux and inverse variance of an arm on the pixels of a grid, as its file has them: not cleaned, not rectified."""
    rectangle = pack([raw], grid)
    bridge_gaps(rectangle)
    flux, ivar, _ = resample(rectangle, grid)
    return flux[0], ivar[0]


def _arm(raw: RawArm, grid: Grid) -> ArmOfFile:
    inside = (raw.wavelength_a >= grid.wavelength_a[0]) & (raw.wavelength_a <= grid.wavelength_a[-1]) & ~raw.bad
    return ArmOfFile(raw.wavelength_a[inside], raw.flux[inside], on_grid(raw, grid)[0])
