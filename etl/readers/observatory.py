"""Any other one-dimensional spectrum: an image with a dispersion, or a table with columns of wavelength and flux."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np

from becat.etl.readers.checks import NEEDED_A, ascending, make_arm, stretch_of_arm
from becat.etl.readers.dispersion import Found, spectra_of_image
from becat.etl.readers.fits import Hdu
from becat.etl.readers.lines_of_image import spectrum_of_lines
from becat.etl.readers.mid_exposure import exposure_time_s, mid_exposure, observed_year
from becat.etl.readers.noise import inverse_variance
from becat.etl.readers.position import position_of
from becat.etl.readers.problem import Problem
from becat.etl.readers.spectrum import RawSpectrum, hashed_id
from becat.etl.readers.units import HALPHA_A, in_angstrom
from becat.schema.lines import air_to_vacuum
from becat.schema.quality import Quality

__all__ = ["make_spectrum", "read_observatory"]

WAVELENGTH_NAMES = (
    "WAVELENGTH",
    "WAVE",
    "SPECTRAL",
    "LAMBDA",
    "LAM",
    "WL",
    "WAVELENGTH_A",
    "LOGLAM",
    "LOGLAMBDA",
    "LOGLAM_A",
)
FLUX_NAMES = ("FLUX", "INTENSITY", "FLUX_NORM", "NORM_FLUX", "RELATIVE_FLUX", "FLUX_REDUCED", "F")
IVAR_NAMES = ("IVAR", "INVVAR")
ERROR_NAMES = ("ERROR", "ERR", "SIGMA", "FLUX_ERR", "FLUX_ERROR", "UNCERTAINTY", "E_FLUX", "ERR_FLUX", "STATERROR")
RESOLVING_POWER_KEYS = ("BSS_ITRP", "SPE_RPOW", "SPEC_RP", "SPECRP", "SPEC_RES", "RESOLUT", "SPECRES", "R")
FWHM_KEYS = ("FWHM", "SPEC_FWHM")
PIXELS_A_RESOLUTION_ELEMENT = 2.0
# What is read of a spectrum that reaches further: air is converted to vacuum by a formula for the optical.
OPTICAL_A = (3000.0, 10500.0)
IN_VACUUM = re.compile(r"wavelengths?\b[\w\s(),]{0,20}\bin vacuum|vacuum wavelengths?", re.IGNORECASE)


def read_observatory(hdus: list[Hdu], content: bytes | bytearray) -> tuple[list[RawSpectrum], list[Problem]]:
    """The spectrum of a FITS file that is not LAMOST's: of several orders the one that holds H-alpha farthest from its ends.

    Parameters
    ----------
    hdus : list of Hdu
    content : bytes
        The file: its hash is the spectrum's identity.

    Returns
    -------
    list of RawSpectrum, list of Problem
        The spectrum, and why an arm of it was left out.

    Raises
    ------
    Problem
        There is no spectrum in it, or none that can be trusted.
    """
    found, problems = _candidates(hdus)
    if not found:
        raise _summary(problems)
    _, wavelength_a, best = max(found, key=lambda each: each[0])  # the first of equals
    flux, ivar = best.read()
    headers = [best.hdu, hdus[0]]
    spectra, problems = make_spectrum(best.layout, wavelength_a, flux, ivar, headers, hashed_id(content), best.medium)
    if any(hdu.stale_checksum for hdu in hdus):
        spectra[0].quality |= int(Quality.CHECKSUM_STALE)
    return spectra, problems


def _candidates(hdus: list[Hdu]) -> tuple[list[tuple[float, np.ndarray, Found]], list[Problem]]:
    """Spectra that hold H-alpha, with its distance from their nearer end, and why others do not."""
    found, problems = [], []
    for hdu in hdus:
        try:
            for each in _from_table(hdu) if hdu.is_table else _from_image(hdu):
                try:
                    wavelength_a = in_angstrom(each.wavelength, each.unit, hdu.label)
                except Problem as problem:
                    problems.append(problem)
                    continue
                reach_a = min(HALPHA_A - wavelength_a.min(), wavelength_a.max() - HALPHA_A)
                found.append((reach_a, wavelength_a, each))
        except Problem as problem:
            problems.append(problem)
    return found, problems


def _from_image(hdu: Hdu) -> Iterable[Found]:
    """The spectra of an image with a dispersion, or the one whose wavelengths are a line of it."""
    of_lines = spectrum_of_lines(hdu)
    return [of_lines] if of_lines else spectra_of_image(hdu)


def _summary(problems: list[Problem]) -> Problem:
    if not problems:
        return Problem(
            "no known kind of spectrum: neither LAMOST's layouts, nor an image with CRVAL1 and CDELT1, nor a table with"
            " columns of wavelength and flux"
        )
    first = problems[0]
    if len(problems) == 1:
        return first
    return Problem(f"{first.reason} (and so for {len(problems) - 1} more orders or HDUs)", first.detail)


def _first(names: tuple[str, ...], columns) -> str | None:
    return next((name for name in names if name in columns), None)


def _of_kind(hdu: Hdu, ucd: str) -> str | None:
    """The first column whose UCD begins like that."""
    return next((name for name, place in hdu.columns.items() if hdu.string(f"TUCD{place[3]}").startswith(ucd)), None)


def _from_table(hdu: Hdu) -> Iterator[Found]:
    """The spectrum of a table, or one a row where a table has several rows of vector cells."""
    wave = _first(WAVELENGTH_NAMES, hdu.columns) or _of_kind(hdu, "em.wl")
    flux = _first(FLUX_NAMES, hdu.columns) or _of_kind(hdu, "phot.flux")
    if wave is None or flux is None:
        raise Problem(
            f"no columns of wavelength and flux (there: {', '.join(hdu.columns)}): call them WAVELENGTH and FLUX",
            hdu.label,
        )
    wavelength = hdu.column(wave).astype(np.float64)
    if wave.startswith("LOGLAM"):
        wavelength = np.power(10.0, wavelength)
    values, ivar = hdu.column(flux), _table_ivar(hdu)
    if wavelength.size != values.size or (ivar is not None and ivar.size != values.size):
        raise Problem("columns of different length: the table is damaged", hdu.label)
    _, repeat, letter, number = hdu.columns[wave]
    unit, medium = hdu.string(f"TUNIT{number}"), _medium(hdu.string(f"TUCD{number}"))
    n_rows = hdu.shape[1] if repeat > 1 and letter not in "PQ" and wavelength.size == repeat * hdu.shape[1] else 1
    for part in np.split(np.arange(wavelength.size), n_rows) if n_rows > 1 else [slice(None)]:
        yield Found(
            "table of two columns",
            wavelength[part],
            unit,
            lambda part=part: (values[part], None if ivar is None else ivar[part]),
            hdu,
            medium,
        )


def _medium(ucd: str) -> str:
    """ESO's phase 3 and the Virtual Observatory: em.wl is in vacuum, em.wl;obs.atmos in air."""
    words = ucd.strip().lower().split(";")
    if words[0] != "em.wl":
        return ""
    return "air" if "obs.atmos" in words else "vacuum"


def _table_ivar(hdu: Hdu) -> np.ndarray | None:
    name = _first(IVAR_NAMES, hdu.columns)
    if name:
        return hdu.column(name)
    name = _first(ERROR_NAMES, hdu.columns)
    return None if name is None else inverse_variance(hdu.column(name))


def make_spectrum(
    layout, wavelength_a, flux, ivar, headers: list[Hdu], identity: int, medium: str = ""
) -> tuple[list[RawSpectrum], list[Problem]]:
    """Put a spectrum together, with what the headers say of it.

    Parameters
    ----------
    layout : str
    wavelength_a : (n,) float64 array
        Angstrom, in air or vacuum as the headers or `medium` say.
    flux : (n,) array
    ivar : (n,) array or None
    headers : list of Hdu
        Where keywords are looked for, in this order; may be empty.
    identity : int
    medium : str
        ``air`` or ``vacuum`` where the column of wavelengths says so, else empty.

    Returns
    -------
    list of RawSpectrum, list of Problem
        The spectrum, and why its blue arm was left out where it has one that cannot be used.

    Raises
    ------
    Problem
        It cannot be trusted.
    """
    detail = headers[0].label if headers else ""
    wanted = (wavelength_a > OPTICAL_A[0]) & (wavelength_a < OPTICAL_A[1]) & _lit(flux)
    if not wanted.all():
        wavelength_a, flux = wavelength_a[wanted], flux[wanted]
        ivar = None if ivar is None else ivar[wanted]
    quality = 0
    ascending(wavelength_a, detail, may_jump=True)
    if not _in_vacuum(headers, medium):
        wavelength_a, quality = air_to_vacuum(wavelength_a), int(Quality.AIR_CONVERTED)
    flux, ivar = _comfortable(flux, ivar)
    red, bits = _arm("red", wavelength_a, flux, ivar, detail)
    arms, problems, quality = {"red": red}, [], quality | bits
    try:
        if _reaches(wavelength_a, "blue"):
            arms["blue"], bits = _arm("blue", wavelength_a, flux, ivar, detail)
            quality |= bits
    except Problem as problem:
        problems.append(Problem(f"the blue arm was left out: {problem.reason}", problem.detail))
    if "blue" not in arms:
        quality |= int(Quality.NO_BLUE_ARM)
    observed, bits = _observed(headers)
    meta = {
        "survey": "other",
        "release": None,
        "layout": layout,
        "is_simulated": any(h.logical("SIMULAT") is True for h in headers),
        "designation": _string(headers, "OBJECT", "OBJNAME") or None,
        "obsid": None,
        "coadd": True,
        "lmjm": None,
        "plan_id": None,
        "spectrograph": None,
        "fiber": None,
        "n_exposures": None,
        "has_blue": "blue" in arms,
        "snr_b": arms["blue"].snr if "blue" in arms else None,
        "snr_r": red.snr,
        "snr_source": "estimated",
        "resolving_power": _resolving_power(headers, red.wavelength_a),
        "rv_km_s": None,
        "bss_vhel_km_s": _number(headers, "BSS_VHEL"),
        "bss_rqvh_km_s": _number(headers, "BSS_RQVH"),
        "bss_norm": _string(headers, "BSS_NORM") or None,
        "bss_tell": _string(headers, "BSS_TELL") or None,
    }
    return [RawSpectrum(identity, arms, meta | observed, quality | bits)], problems


def _lit(flux: np.ndarray) -> np.ndarray:
    """False for the pixels with which programs fill up the ends: exactly zero or not finite, from the first or to the last."""
    lit = np.flatnonzero(np.isfinite(flux) & (flux != 0))
    inside = np.ones(flux.size, bool)
    if lit.size:  # where there is no light at all, that is for others to say
        inside[: lit[0]] = inside[lit[-1] + 1 :] = False
    return inside


def _reaches(wavelength_a: np.ndarray, arm: str) -> bool:
    part = wavelength_a[stretch_of_arm(wavelength_a, arm)]
    return part.size > 0 and part.min() < NEEDED_A[arm][0] and part.max() > NEEDED_A[arm][1]


def _arm(arm: str, wavelength_a: np.ndarray, flux: np.ndarray, ivar: np.ndarray | None, detail: str):
    part = stretch_of_arm(wavelength_a, arm)
    return make_arm(arm, wavelength_a[part], flux[part], None if ivar is None else ivar[part], None, None, detail)


def _observed(headers: list[Hdu]) -> tuple[dict, int]:
    """Where and when, and the flags of what could not be believed."""
    quality = 0
    position, doubtful = position_of(headers, observed_year(headers))
    if doubtful:
        quality |= int(Quality.POSITION_DOUBTFUL)
    if position is None:
        quality |= int(Quality.NO_POSITION)
    exposure_s = exposure_time_s(headers)
    mjd, doubtful = mid_exposure(headers, exposure_s, position)
    if doubtful:
        quality |= int(Quality.EPOCH_DOUBTFUL)
    ra_deg, dec_deg = position or (None, None)
    return {"mjd": mjd, "exposure_time_s": exposure_s, "ra_deg": ra_deg, "dec_deg": dec_deg}, quality


def _comfortable(flux: np.ndarray, ivar: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Flux in units in which float32 holds its inverse variance too: 1e-20 W/m2 would not do."""
    finite = np.abs(flux[np.isfinite(flux)])
    scale = float(np.median(finite)) if finite.size else 0.0
    if scale == 0 or 1e-6 < scale < 1e12:
        return flux, ivar
    return flux / scale, None if ivar is None else ivar * scale**2


def _string(headers: list[Hdu], *keys: str) -> str:
    return next((text for key in keys for h in headers if (text := h.string(key))), "")


def _number(headers: list[Hdu], *keys: str) -> float | None:
    """The first keyword that holds a number; in these files any keyword may hold anything."""
    for key in keys:
        for header in headers:
            try:
                value = header.number(key)
            except Problem:
                continue
            if value is not None:
                return value
    return None


def _in_vacuum(headers: list[Hdu], medium: str) -> bool:
    """Air is the custom of these files: vacuum only where the header says so."""
    if any(h.logical("VACUUM") is True for h in headers):
        return True
    said = _string(headers, "AIRORVAC", "WAVEMED", "SPECMEDI", "VACAIR").lower()
    if said:
        return said.startswith("vac")
    if medium:
        return medium == "vacuum"
    kind = _string(headers, "CTYPE1").upper()
    if kind.startswith("AWAV"):
        return False
    return kind == "WAVE" or kind.startswith("WAVE-") or any(IN_VACUUM.search(h.remarks()) for h in headers)


def _resolving_power(headers: list[Hdu], wavelength_a: np.ndarray) -> float:
    """From the header, else from its line width, else from the sampling at two pixels a resolution element."""
    stated = _number(headers, *RESOLVING_POWER_KEYS)
    if stated is not None and 300 < stated < 300000:
        return stated
    width_a = _number(headers, *FWHM_KEYS)
    if width_a is not None and 0.02 < width_a < 20:
        return HALPHA_A / width_a
    step_a = float(np.interp(HALPHA_A, wavelength_a[1:], np.diff(wavelength_a)))
    return HALPHA_A / (PIXELS_A_RESOLUTION_ELEMENT * step_a)
