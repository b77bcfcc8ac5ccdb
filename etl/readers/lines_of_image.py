"""Images whose lines are wavelength, flux and perhaps its error: two rows of n pixels, or n rows of two."""

from __future__ import annotations

import re

import numpy as np

from becat.etl.readers.dispersion import Found, roles_of_lines
from becat.etl.readers.fits import Hdu
from becat.etl.readers.noise import inverse_variance
from becat.etl.readers.problem import Problem
from becat.etl.readers.units import HALPHA_A, in_angstrom

__all__ = ["spectrum_of_lines"]

LAYOUT = "image of wavelength and flux"
MAX_LINES = 4  # five rows are LAMOST's
MIN_PIXELS = 50
PIXEL_NUMBERS = (None, 0.0, 1.0)  # CRVAL1 of an image without a dispersion


def spectrum_of_lines(hdu: Hdu) -> Found | None:
    """The spectrum of an image of few lines, one of which is the wavelength; None where it is no such image.

    Raises
    ------
    Problem
        It is one, and nothing tells which line is what.
    """
    shape = hdu.image_shape
    if len(shape) != 2 or not 2 <= min(shape) <= MAX_LINES or max(shape) < MIN_PIXELS:
        return None
    if hdu.number("CRVAL1") not in PIXEL_NUMBERS or re.match("MULTISPE", hdu.string("CTYPE1").upper()):
        return None
    lines = hdu.image()
    lines = (lines if shape[1] <= MAX_LINES else lines.T).astype(np.float64)
    roles = roles_of_lines(hdu, len(lines))
    scales = [roles["wavelength"]] if "wavelength" in roles else [i for i in range(len(lines)) if _is_scale(lines[i])]
    if len(scales) != 1:
        raise Problem(
            f"no known kind of spectrum: of the {len(lines)} lines of the image {len(scales) or 'none'} can be wavelengths"
            f" that ascend across H-alpha at {HALPHA_A:.1f} A, and there is no CRVAL1: write a table of WAVELENGTH and FLUX",
            hdu.label,
        )
    others = [i for i in range(len(lines)) if i not in (scales[0], roles.get("error"))]
    flux = roles.get("flux", others[0] if len(others) == 1 else None)
    if flux is None:
        raise Problem(
            f"no known kind of spectrum: the image has {len(lines)} lines, and the header does not say which is the flux:"
            " write a table of WAVELENGTH and FLUX",
            hdu.label,
        )
    error = roles.get("error")
    ivar = None if error is None else inverse_variance(lines[error])
    return Found(LAYOUT, lines[scales[0]], "", lambda: (lines[flux], ivar), hdu)


def _is_scale(values: np.ndarray) -> bool:
    """Whether they ascend or descend throughout, with H-alpha inside."""
    steps = np.diff(values)
    if not ((steps > 0).all() or (steps < 0).all()):
        return False
    try:
        in_angstrom(values, "", "")
    except Problem:
        return False
    return True
