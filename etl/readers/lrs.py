"""LAMOST's low-resolution survey, all three layouts.

DR1 and DR2: an image of five rows, the wavelengths only in COEFF0 and COEFF1. DR3 to DR8: the same, row 2 is the
wavelength. From DR9 on: a table COADD of one row.
"""

from __future__ import annotations

import numpy as np

from becat.etl.readers import lamost
from becat.etl.readers.agreement import check_pixels, dates_agree
from becat.etl.readers.checks import ascending, make_arm
from becat.etl.readers.epoch import exposure_s, lamost_coadd_mjd, lmjm_list
from becat.etl.readers.fits import Hdu
from becat.etl.readers.problem import Problem
from becat.etl.readers.spectrum import RawSpectrum
from becat.schema.lines import air_to_vacuum
from becat.schema.quality import Quality

__all__ = ["is_lrs", "read_lrs"]

RESOLVING_POWER = 1800.0  # Zhao et al. 2012, RAA 12, 723
SNR_KEYS = {"red": ("SNRR", "SN_R"), "blue": ("SNRG", "SN_G")}
# Wavelengths in a row that was cut elsewhere differ from those of the keywords by some pixels of 2.3e-4 each.
NEARLY, MAX_BY_CHANCE = 0.05, 0.5
MAX_DISAGREEMENT_A = 0.1  # row 2 and COEFF0, COEFF1 differ by 0.003 A in real files: float32 of a rounded logarithm


def is_lrs(hdus: list[Hdu]) -> bool:
    """True for an image of five rows, or a table COADD beside an empty primary HDU."""
    shape = hdus[0].shape
    return (len(shape) == 2 and shape[1] == 5) or any(hdu.name == "COADD" for hdu in hdus)


def read_lrs(hdus: list[Hdu], exposures: str) -> tuple[list[RawSpectrum], list[Problem]]:
    """The spectrum of a file of the low-resolution survey; it is always a coadd.

    Parameters
    ----------
    hdus : list of Hdu
    exposures : {'coadd', 'single', 'all'}

    Raises
    ------
    Problem
        It cannot be trusted.
    """
    if exposures == "single":
        raise Problem("there are no single exposures in the low-resolution survey: use --exposures coadd")
    primary = hdus[0]
    layout, wavelength_a, flux, ivar, flagged = _table(hdus) if len(primary.shape) != 2 else _image(primary)
    meta = lamost.primary_meta(primary, "LAMOST LRS", layout)
    quality = 0
    if primary.logical("VACUUM") is False:
        wavelength_a, quality = air_to_vacuum(wavelength_a), int(Quality.AIR_CONVERTED)
    arms = {}
    estimated = False
    for arm, keys in SNR_KEYS.items():
        snr = lamost.snr(primary, *keys)
        estimated |= snr is None
        arms[arm], bits = make_arm(arm, wavelength_a, flux, ivar, flagged, snr, primary.label)
        check_pixels(arms[arm], snr, "lrs", primary.label)
        quality |= bits
    minutes = lmjm_list(primary)
    seconds = exposure_s(primary)
    mjd = lamost_coadd_mjd([primary], minutes, (seconds or 0.0) / max(len(minutes), 1))
    if not dates_agree(primary, minutes, []):
        mjd, quality = None, quality | int(Quality.EPOCH_DOUBTFUL)
    meta |= {
        "coadd": True,
        "lmjm": None,
        "has_blue": True,
        "snr_b": arms["blue"].snr,
        "snr_r": arms["red"].snr,
        "snr_source": "estimated" if estimated else "header",
        "mjd": mjd,
        "exposure_time_s": seconds,
        "n_exposures": len(minutes) or None,
        "resolving_power": RESOLVING_POWER,
    }
    quality |= lamost.position_quality(meta)
    return [RawSpectrum(lamost.spectrum_id(primary, low_resolution=True), arms, meta, quality)], []


def _table(hdus: list[Hdu]):
    table = next(hdu for hdu in hdus if hdu.name == "COADD")
    wavelength_a = table.column("WAVELENGTH").astype(np.float64)
    flux, ivar, ormask, andmask = (table.column(name) for name in ("FLUX", "IVAR", "ORMASK", "ANDMASK"))
    if not wavelength_a.size == flux.size == ivar.size == ormask.size == andmask.size:
        raise Problem("columns of different length: the table is damaged", table.label)
    return "lrs table", wavelength_a, flux, ivar, (ormask != 0) | (andmask != 0)


def _image(primary: Hdu):
    """Rows 0 and 1 are flux and inverse variance, 3 and 4 masks; row 2 is the wavelength where it looks like one."""
    rows = primary.image()
    computed_a = _header_wavelength(primary, rows.shape[1])
    flagged = (rows[3] != 0) | (rows[4] != 0)
    if not (_are_bits(rows[3]) and _are_bits(rows[4])):
        raise Problem("the masks in rows 3 and 4 are not whole numbers: NAXIS1 or the file is damaged", primary.label)
    row_a = rows[2].astype(np.float64)
    if not _is_wavelength(row_a):
        if computed_a is not None and np.mean(np.abs(row_a / computed_a - 1) < NEARLY) > MAX_BY_CHANCE:
            raise Problem("row 2 holds the wavelengths out of place: NAXIS1 or the file is damaged", primary.label)
        if computed_a is None:
            raise Problem("wavelengths are missing: row 2 holds none and COEFF0, COEFF1 are not there", primary.label)
        return "lrs image", computed_a, rows[0], rows[1], flagged
    if computed_a is not None and not np.max(np.abs(row_a - computed_a)) < MAX_DISAGREEMENT_A:
        raise Problem("row 2 and the keywords COEFF0, COEFF1 give different wavelengths", primary.label)
    return "lrs image with wavelength", row_a, rows[0], rows[1], flagged


def _are_bits(row: np.ndarray) -> bool:
    """True for whole numbers that are not negative."""
    return bool(((row >= 0) & (row == np.floor(row))).all())


def _is_wavelength(row_a: np.ndarray) -> bool:
    """In DR1 and DR2 row 2 is the subtracted continuum, or all ones."""
    try:
        ascending(row_a, "")
    except Problem:
        return False
    return True


def _header_wavelength(primary: Hdu, n_pixels: int) -> np.ndarray | None:
    zero, step = primary.number("COEFF0"), primary.number("COEFF1")
    if zero is None or step is None:
        return None
    if not (3 < zero < 4.5 and 0 < step < 0.01):
        raise Problem(f"COEFF0 {zero:g} and COEFF1 {step:g} give no optical wavelengths", primary.label)
    return np.power(10.0, zero + step * np.arange(n_pixels))
