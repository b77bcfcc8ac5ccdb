"""Images of one or several spectra: linear and logarithmic dispersions, and IRAF's multispec and bands."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from becat.etl.readers.fits import Hdu
from becat.etl.readers.noise import inverse_variance
from becat.etl.readers.problem import Problem
from becat.etl.readers.units import is_logarithmic

__all__ = ["Found", "roles_of_lines", "spectra_of_image"]

LAYOUT = "image with dispersion"
MULTISPEC = re.compile(r'spec(\d+)\s*=\s*"([^"]*)"')
N_WAT_CHARACTERS = 68  # IRAF fills a card before it goes on with the next
MAX_AXES = 3
# What the lines of an image are called, and the words that tell; the first that fits counts: "error of the flux" is an error.
LINE_KEYS = ("ROW", "ARRAY", "BANDID", "COL")
MAX_NAMED_LINES = 9
ROLES = {"error": r"err|sigma|noise|uncert|std", "wavelength": r"wave|lambda", "flux": r"flux|intens|spectrum|star"}
NOT_WAVELENGTHS = ("FREQ", "VELO", "VRAD", "VOPT", "ZOPT", "ENER", "WAVN", "BETA", "PIXEL")
DISPERSIONS = {1: "Chebyshev polynomial", 2: "Legendre polynomial", 3: "cubic spline", 4: "linear spline",
               5: "table of pixels", 6: "table of wavelengths"}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """A spectrum in a file, not yet read.

    Attributes
    ----------
    layout : str
    wavelength : (n,) float64 array
        In the file's unit.
    unit : str
        Empty where the file gives none.
    read : callable
        Gives flux and inverse variance (or None), (n,) arrays each.
    hdu : Hdu
    medium : str
        ``air`` or ``vacuum`` where the column itself says so, else empty.
    """

    layout: str
    wavelength: np.ndarray
    unit: str
    read: Callable[[], tuple[np.ndarray, np.ndarray | None]]
    hdu: Hdu
    medium: str = ""


def spectra_of_image(hdu: Hdu) -> Iterator[Found]:
    """The spectra of an image: one, or one an aperture of IRAF's multispec format. None where it holds no image of that kind.

    Raises
    ------
    Problem
        Its wavelengths cannot be known.
    """
    shape = hdu.image_shape
    if not shape or shape[0] <= 1 or len(shape) > MAX_AXES:
        return
    _, n_apertures, n_bands = (*shape, 1, 1)[:MAX_AXES]
    if n_apertures < 1 or n_bands < 1:
        return
    if hdu.string("CTYPE1").upper().startswith("MULTISPE") or "multispec" in hdu.string("WAT0_001"):
        yield from _multispec(hdu, shape[0], n_apertures)
        return
    roles = roles_of_lines(hdu, n_apertures) if n_bands == 1 else {}
    if n_apertures > 1 and "flux" not in roles:
        if hdu.number("CRVAL1") is None:
            return  # a picture, or a layout that is not known
        raise Problem(
            f"no known kind of spectrum: the image has {n_apertures} rows on one scale, write that of the star by itself",
            hdu.label,
        )
    read = partial(_named_rows, hdu, roles) if n_apertures > 1 else partial(_bands, hdu, 0, shape[0])
    yield Found(LAYOUT, _axis(hdu, shape[0]), _unit(hdu), read, hdu)


def roles_of_lines(hdu: Hdu, n_lines: int) -> dict[str, int]:
    """Which line of an image is the wavelength, the flux and its error, as far as the header names them.

    A role that is named for two lines is left out: nothing tells which is meant.
    """
    roles: dict[str, list[int]] = {}
    for i in range(min(n_lines, MAX_NAMED_LINES)):
        text = " ".join(hdu.string(f"{key}{i + 1}") for key in LINE_KEYS).lower()
        role = next((role for role, words in ROLES.items() if re.search(words, text)), None)
        if role:
            roles.setdefault(role, []).append(i)
    return {role: found[0] for role, found in roles.items() if len(found) == 1}


def _named_rows(hdu: Hdu, roles: dict[str, int]) -> tuple[np.ndarray, np.ndarray | None]:
    """Flux, and inverse variance from the row that is called its error."""
    image = hdu.image()
    return image[roles["flux"]], inverse_variance(image[roles["error"]]) if "error" in roles else None


def _bands(hdu: Hdu, aperture: int, n_pixels: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Flux of the first band, inverse variance from the band that is called sigma."""
    image = hdu.image()
    bands = image.reshape(-1, *image.shape[-2:]) if image.ndim > 1 else image.reshape(1, 1, -1)
    ivar = None
    for i in range(1, len(bands)):
        if "sigma" in hdu.string(f"BANDID{i + 1}").lower():
            ivar = inverse_variance(bands[i, aperture, :n_pixels])
    return bands[0, aperture, :n_pixels], ivar


def _unit(hdu: Hdu) -> str:
    """CUNIT1, or the unit in IRAF's WAT1 attributes."""
    unit = hdu.string("CUNIT1")
    if not unit:
        found = re.search(r"\bunits=(\S+)", _attributes(hdu, 1))
        unit = found[1] if found else ""
    return unit


def _axis(hdu: Hdu, n_pixels: int) -> np.ndarray:
    kind = hdu.string("CTYPE1").upper()
    if kind.startswith(NOT_WAVELENGTHS):
        raise Problem(f"CTYPE1 is {kind!r}: the axis is not one of wavelengths, convert it to Angstrom", hdu.label)
    zero, step = hdu.number("CRVAL1"), _step(hdu, n_pixels)
    if zero is None or step is None:
        raise Problem("the image has no CRVAL1 and CDELT1: its wavelengths are unknown", hdu.label)
    reference = hdu.number("CRPIX1")
    axis = zero + step * (np.arange(n_pixels) + 1 - (1.0 if reference is None else reference))
    if hdu.number("DC-FLAG") == 1 or "LOG" in hdu.string("WFITTYPE").upper():
        return np.power(10.0, axis)
    if "LOG" in kind and not is_logarithmic(hdu.string("CUNIT1")):
        return _exponential(axis, zero)
    return axis


def _step(hdu: Hdu, n_pixels: int) -> float | None:
    """Step of the wavelengths: CD1_1 where CDELT1 is not there or has its default of 1, for FITS lets only one of them count.

    Raises
    ------
    Problem
        Both are given and differ by more than half a pixel over the spectrum.
    """
    cdelt, cd = hdu.number("CDELT1") or None, hdu.number("CD1_1") or None
    if cd is None:
        return cdelt * (hdu.number("PC1_1") or 1.0) if cdelt else None
    if cdelt is None or cdelt == 1:
        return cd
    if cd == 1:
        return cdelt
    if abs(cd - cdelt) * n_pixels > abs(cd) / 2:
        raise Problem(f"CDELT1 is {cdelt:g} and CD1_1 is {cd:g}: the step of the wavelengths is unknown", hdu.label)
    return cd


def _exponential(axis: np.ndarray, zero: float) -> np.ndarray:
    """Wavelengths of a logarithmic CTYPE1: by the size of CRVAL1 log10, ln, or WAVE-LOG of FITS paper III."""
    if zero < 5:
        return np.power(10.0, axis)
    if zero < 12:
        return np.exp(axis)
    return zero * np.exp((axis - zero) / zero)


def _attributes(hdu: Hdu, axis: int) -> str:
    """IRAF's attributes of an axis, from the cards WATn_001, WATn_002, ..., which run on from one to the next."""
    text, i = "", 1
    while f"WAT{axis}_{i:03d}" in hdu:
        text += hdu.text(f"WAT{axis}_{i:03d}").ljust(N_WAT_CHARACTERS)
        i += 1
    return text


def _multispec(hdu: Hdu, n_pixels: int, n_apertures: int) -> Iterator[Found]:
    """One spectrum an aperture; specN is "aperture beam type w1 dw nw z low high", and functions where the type is 2."""
    found = MULTISPEC.findall(_attributes(hdu, 2))
    if not found:
        raise Problem("CTYPE1 says multispec, but WAT2 describes no spectrum: its wavelengths are unknown", hdu.label)
    polynomial = ""
    n_given = 0
    for number, text in found:
        fields = text.split()
        try:
            row, kind, n_valid = int(number) - 1, int(fields[2]), int(float(fields[5]))
            first, step, redshift = (float(fields[i]) for i in (3, 4, 6))
        except (IndexError, ValueError):
            raise Problem(f"spec{number} of WAT2 is not a known dispersion: {text[:40]!r}", hdu.label) from None
        if kind == 2:
            polynomial = DISPERSIONS.get(_function(fields), "function")
            continue
        if kind not in (0, 1) or not 0 <= row < n_apertures:
            continue
        n_given += 1
        n_used = min(n_pixels, n_valid) if n_valid > 0 else n_pixels
        axis = first + step * np.arange(n_used)
        wavelength = (np.power(10.0, axis) if kind == 1 else axis) / (1 + redshift)
        yield Found(LAYOUT, wavelength, _unit(hdu), lambda row=row, n=n_used: _bands(hdu, row, n), hdu)
    if polynomial and not n_given:
        raise Problem(
            f"the wavelengths are a {polynomial} of IRAF's multispec format: make them linear (dispcor in IRAF)",
            hdu.label,
        )


def _function(fields: list[str]) -> int:
    """Number of the function of a non-linear dispersion, which stands after its weight and zero point."""
    try:
        return int(float(fields[11]))
    except (IndexError, ValueError):
        return 0
