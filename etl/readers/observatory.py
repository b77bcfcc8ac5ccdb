"""Any other one-dimensional spectrum: an image with a linear or logarithmic dispersion, or a table of two columns."""

from __future__ import annotations

import re

import numpy as np

from becat.etl.readers.checks import NEEDED_A, ascending, make_arm
from becat.etl.readers.epoch import PLAUSIBLE_MJD, mjd_of_date
from becat.etl.readers.fits import Hdu
from becat.etl.readers.problem import Problem
from becat.etl.readers.spectrum import RawSpectrum, hashed_id
from becat.schema.lines import LINES, air_to_vacuum
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
ERROR_NAMES = ("ERROR", "ERR", "SIGMA", "FLUX_ERR", "FLUX_ERROR", "UNCERTAINTY", "E_FLUX", "ERR_FLUX")
# Factor to Angstrom of the units that occur; a name is compared in small letters without its final s.
UNIT_A = {"angstrom": 1.0, "a": 1.0, "aa": 1.0, "å": 1.0, "ångström": 1.0, "ang": 1.0, "0.1nm": 1.0, "nm": 10.0, "nanometer": 10.0, "nanometre": 10.0,
          "um": 1e4, "micron": 1e4, "micrometer": 1e4, "m": 1e10}  # fmt: skip
RESOLVING_POWER_KEYS = ("BSS_ITRP", "SPE_RPOW", "SPEC_RP", "SPECRP", "RESOLUT", "SPECRES", "R")
FWHM_KEYS = ("FWHM", "SPEC_FWHM")
POSITION_KEYS = (("RA", "DEC"), ("RA_OBS", "DEC_OBS"), ("RA_TARG", "DEC_TARG"), ("OBJRA", "OBJDEC"))
PIXELS_A_RESOLUTION_ELEMENT = 2.0
HALPHA_A = LINES["halpha"].wavelength_a
SEXAGESIMAL = re.compile(r"([+-]?)(\d{1,3})[: hd](\d{1,2})[: m']\s*(\d{1,2}(?:\.\d*)?)")


def read_observatory(hdus: list[Hdu], content: bytes | bytearray) -> RawSpectrum:
    """The spectrum of a FITS file that is not LAMOST's.

    Parameters
    ----------
    hdus : list of Hdu
    content : bytes
        The file: its hash is the spectrum's identity.

    Raises
    ------
    Problem
        There is no spectrum in it, or none that can be trusted.
    """
    for hdu in hdus:
        found = _from_table(hdu) if hdu.is_table else _from_image(hdu)
        if found is not None:
            layout, wavelength_a, unit, flux, ivar = found
            return make_spectrum(layout, wavelength_a, unit, flux, ivar, [hdu, hdus[0]], hashed_id(content))
    raise Problem(
        "no spectrum that is known: neither LAMOST's layouts, nor an image with CRVAL1 and CDELT1, nor a table with"
        " columns of wavelength and flux"
    )


def _first(names: tuple[str, ...], columns) -> str | None:
    return next((name for name in names if name in columns), None)


def _from_table(hdu: Hdu):
    wave, flux = _first(WAVELENGTH_NAMES, hdu.columns), _first(FLUX_NAMES, hdu.columns)
    if wave is None or flux is None:
        raise Problem(
            f"no columns of wavelength and flux (there: {', '.join(hdu.columns)}): call them WAVELENGTH and FLUX",
            hdu.label,
        )
    wavelength = hdu.column(wave).astype(np.float64)
    if wave.startswith("LOGLAM"):
        wavelength = np.power(10.0, wavelength)
    values = hdu.column(flux)
    ivar = _table_ivar(hdu)
    if wavelength.size != values.size or (ivar is not None and ivar.size != values.size):
        raise Problem("columns of different length: the table is damaged", hdu.label)
    return "table of two columns", wavelength, hdu.string(f"TUNIT{hdu.columns[wave][3]}"), values, ivar


def _table_ivar(hdu: Hdu) -> np.ndarray | None:
    name = _first(IVAR_NAMES, hdu.columns)
    if name:
        return hdu.column(name)
    name = _first(ERROR_NAMES, hdu.columns)
    if name is None:
        return None
    error = hdu.column(name).astype(np.float64)
    ivar = np.zeros(error.shape)
    np.divide(1.0, error**2, out=ivar, where=error > 0)
    return ivar if ivar.any() else None


def _from_image(hdu: Hdu):
    """A row of pixels; longer axes of length 1 are allowed. None where the HDU holds no image of that kind."""
    if len([n for n in hdu.shape if n > 1]) != 1 or hdu.shape[0] <= 1:
        return None
    zero = hdu.number("CRVAL1")
    step = hdu.number("CDELT1") or hdu.number("CD1_1")
    if zero is None or not step:
        raise Problem("the image has no CRVAL1 and CDELT1: its wavelengths are unknown", hdu.label)
    reference = hdu.number("CRPIX1")
    axis = zero + step * (np.arange(hdu.shape[0]) + 1 - (1.0 if reference is None else reference))
    if (
        hdu.integer("DC-FLAG") == 1
        or hdu.string("CTYPE1").upper().endswith("-LOG")
        or "LOG" in hdu.string("CTYPE1").upper()
    ):
        axis = _exponential(axis, zero, hdu)
    return "image with dispersion", axis, hdu.string("CUNIT1"), hdu.image().reshape(-1), None


def _exponential(axis: np.ndarray, zero: float, hdu: Hdu) -> np.ndarray:
    """Wavelengths of a logarithmic dispersion: DC-FLAG 1 means log10 (IRAF), CTYPE1 WAVE-LOG natural (FITS paper III)."""
    if hdu.integer("DC-FLAG") == 1 or zero < 5:
        return np.power(10.0, axis)
    if zero < 12:
        return np.exp(axis)
    return zero * np.exp((axis - zero) / zero)


def _in_angstrom(wavelength: np.ndarray, unit: str, detail: str) -> np.ndarray:
    """Wavelengths in Angstrom by their unit, or by their size where there is none."""
    low, high = float(np.min(wavelength)), float(np.max(wavelength))
    if not (np.isfinite(low) and np.isfinite(high)):
        raise Problem("wavelengths are NaN or infinite: fetch the file again", detail)
    name = unit.strip().lower().removesuffix("s")
    if name and name not in UNIT_A:
        raise Problem(f"the unit of the wavelengths is {unit!r}: convert them to Angstrom", detail)
    # Many writers say Angstrom without thought: the numbers decide where the two cannot both be right.
    for factor in (UNIT_A.get(name, 1.0), 1.0, 10.0, 1e4):
        if low * factor < HALPHA_A < high * factor:
            return wavelength * factor
    raise Problem(
        f"covers {low:.6g} to {high:.6g} {unit or '(no unit)'}: H-alpha at {HALPHA_A:.1f} A is not in it", detail
    )


def make_spectrum(layout, wavelength, unit, flux, ivar, headers: list[Hdu], identity: int) -> RawSpectrum:
    """Put a spectrum together, with what the headers say of it.

    Parameters
    ----------
    layout : str
    wavelength : (n,) float64 array
    unit : str
        Unit of the wavelengths; empty where it is not given.
    flux : (n,) array
    ivar : (n,) array or None
    headers : list of Hdu
        Where keywords are looked for, in this order; may be empty.
    identity : int

    Raises
    ------
    Problem
        It cannot be trusted.
    """
    detail = headers[0].label if headers else ""
    if wavelength.size == 0:
        raise Problem("there are no pixels", detail)
    wavelength_a = _in_angstrom(wavelength, unit, detail)
    quality = 0
    if not _in_vacuum(headers):
        ascending(wavelength_a, detail)  # the refractive index has poles outside the optical
        wavelength_a, quality = air_to_vacuum(wavelength_a), int(Quality.AIR_CONVERTED)
    flux, ivar = _comfortable(flux, ivar)
    red, bits = make_arm("red", wavelength_a, flux, ivar, None, None, detail)
    arms, quality = {"red": red}, quality | bits
    low, high = sorted((wavelength_a[0], wavelength_a[-1]))
    if low < NEEDED_A["blue"][0] and high > NEEDED_A["blue"][1]:
        arms["blue"], bits = make_arm("blue", wavelength_a, flux, ivar, None, None, detail)
        quality |= bits
    else:
        quality |= int(Quality.NO_BLUE_ARM)
    position = _position(headers)
    if position is None:
        quality |= int(Quality.NO_POSITION)
    exposure_time_s = _number(headers, "EXPTIME", "EXPOSURE", "TELAPSE")
    if exposure_time_s is not None and not 0 < exposure_time_s < 10 * 86400:
        exposure_time_s = None
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
        "mjd": _epoch(headers, exposure_time_s),
        "exposure_time_s": exposure_time_s,
        "n_exposures": None,
        "ra_deg": position[0] if position else None,
        "dec_deg": position[1] if position else None,
        "has_blue": "blue" in arms,
        "snr_b": arms["blue"].snr if "blue" in arms else None,
        "snr_r": red.snr,
        "snr_source": "estimated",
        "resolving_power": _resolving_power(headers, red.wavelength_a),
        "rv_km_s": None,
    }
    return RawSpectrum(identity, arms, meta, quality)


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


def _in_vacuum(headers: list[Hdu]) -> bool:
    """Air is the custom of these files: vacuum only where the header says so."""
    if any(h.logical("VACUUM") is True for h in headers):
        return True
    medium = _string(headers, "AIRORVAC", "WAVEMED", "SPECMEDI", "VACAIR").lower()
    return (
        medium.startswith("vac")
        or _string(headers, "CTYPE1").upper().startswith("WAVE-")
        or (_string(headers, "CTYPE1").upper() == "WAVE")
    )


def _position(headers: list[Hdu]) -> tuple[float, float] | None:
    for ra_key, dec_key in POSITION_KEYS:
        ra_deg = _angle(_string(headers, ra_key), 15.0)
        dec_deg = _angle(_string(headers, dec_key), 1.0)
        if ra_deg is not None and dec_deg is not None and 0 <= ra_deg < 360 and -90 <= dec_deg <= 90:
            return ra_deg, dec_deg
    return None


def _angle(text: str, degrees_a_unit: float) -> float | None:
    """Degrees, from a number of degrees or from sexagesimal hours or degrees."""
    try:
        value = float(text)
        return value if np.isfinite(value) else None
    except ValueError:
        pass
    found = SEXAGESIMAL.match(text)
    if not found:
        return None
    sign, whole, minutes, seconds = found.groups()
    value = (int(whole) + int(minutes) / 60 + float(seconds) / 3600) * degrees_a_unit
    return -value if sign == "-" else value


def _epoch(headers: list[Hdu], exposure_time_s: float | None) -> float | None:
    """Middle of the exposure: TMID, or the beginning (MJD-OBS, DATE-OBS, JD-OBS) and half the exposure time."""
    half_d = (exposure_time_s or 0.0) / 2 / 86400
    middle = _number(headers, "TMID", "MJD-MID")
    julian = _number(headers, "JD-OBS", "JD")
    beginnings = (
        _number(headers, "MJD-OBS"),
        mjd_of_date(_string(headers, "DATE-OBS")),
        julian - 2400000.5 if julian is not None else None,
    )
    candidates = [middle, *(b + half_d if b is not None else None for b in beginnings)]
    return next((m for m in candidates if m is not None and PLAUSIBLE_MJD[0] < m < PLAUSIBLE_MJD[1]), None)


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
