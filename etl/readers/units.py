"""Wavelengths in Angstrom, whatever unit their writer chose and however it is spelt."""

from __future__ import annotations

import re
import warnings

import numpy as np

from becat.etl.readers.problem import Problem
from becat.schema.lines import LINES

__all__ = ["HALPHA_A", "in_angstrom", "is_logarithmic", "unit_factor"]

HALPHA_A = LINES["halpha"].wavelength_a
# Factor to Angstrom of the units that occur; a name is compared in small letters without its final s or full stop.
UNIT_A = {
    "angstrom": 1.0, "a": 1.0, "aa": 1.0, "å": 1.0, "ångström": 1.0, "angström": 1.0, "angstroem": 1.0, "ang": 1.0, "angst": 1.0,
    "nm": 10.0, "nanometer": 10.0, "nanometre": 10.0, "um": 1e4, "µm": 1e4, "μm": 1e4, "mu": 1e4, "micron": 1e4,
    "micrometer": 1e4, "micrometre": 1e4, "m": 1e10, "meter": 1e10, "metre": 1e10,
}  # fmt: skip
LOGARITHM = re.compile(r"(?:log10|log|dex)\s*\(?\s*(?:\[?\s*([^)\]]*?)\s*\]?)?\s*\)?$", re.IGNORECASE)
MAX_LOG10_A = 6.0


def is_logarithmic(unit: str) -> bool:
    """True for a unit like ``log(Angstrom)``."""
    return unit.strip().lower().startswith(("log", "dex"))


def unit_factor(unit: str) -> float | None:
    """Angstrom in one of a unit of length; None where it is none.

    Parameters
    ----------
    unit : str
        As in CUNIT1 or TUNITn: any spelling that occurs, or that astropy or the FITS standard allows (``10**-1 nm``).
    """
    name = unit.strip().lower().rstrip(".").removesuffix("s")
    if name in UNIT_A:
        return UNIT_A[name]
    from astropy import units  # slow to import, and seldom needed

    for text in (unit.strip(), unit.strip().lower()):
        for style in (None, "fits", "vounit", "cds", "ogip"):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    return float(units.Unit(text, format=style).to(units.AA))  # pyright: ignore[reportArgumentType]
            except (ValueError, TypeError, KeyError, OverflowError, units.UnitsError):
                continue
    return None


def in_angstrom(wavelength: np.ndarray, unit: str, detail: str) -> np.ndarray:
    """Wavelengths in Angstrom by their unit, or by their size where there is none.

    Parameters
    ----------
    wavelength : (n,) float64 array
    unit : str
        Empty where the file gives none.
    detail : str
        HDU, for the rejection.

    Raises
    ------
    Problem
        The unit is none of length, or H-alpha is not among the wavelengths.
    """
    low, high = float(np.min(wavelength)), float(np.max(wavelength))
    if not (np.isfinite(low) and np.isfinite(high)):
        raise Problem("wavelengths are NaN or infinite: fetch the file again", detail)
    if is_logarithmic(unit):
        found = LOGARITHM.match(unit.strip())
        unit = (found[1] or "") if found else ""
        if high < MAX_LOG10_A:
            wavelength = np.power(10.0, wavelength)
            low, high = 10.0**low, 10.0**high
    factor = unit_factor(unit) if unit.strip() else 1.0
    if factor is None:
        raise Problem(f"the unit of the wavelengths is {unit!r}: convert them to Angstrom", detail)
    # Many writers say Angstrom without thought: the numbers decide where the two cannot both be right.
    for each in (factor, 1.0, 10.0, 1e4):
        if low * each < HALPHA_A < high * each:
            return wavelength * each
    raise Problem(
        f"covers {low:.6g} to {high:.6g} {unit or '(no unit)'}: H-alpha at {HALPHA_A:.1f} A is not in it", detail
    )
