"""What LAMOST's header says twice, or says of the pixels: where it cannot be true, the file is damaged or changed.

The limits are wide of everything in 492 real files of DR1 to DR13: their DESIG and RA, DEC are up to 6.7 arcsec apart, DATE-OBS
lies between half an hour before the first exposure and a quarter of an hour behind the beginning of the last, and the header's S/N is that of the
pixels to 7 % and 0.4 in the medium-resolution survey, from 0.93 to 2.5 times less in the low-resolution one, which takes a wider band.
"""

from __future__ import annotations

import re

import numpy as np

from becat.etl.readers.epoch import CHINA_TIME_D, MINUTES_A_DAY, mjd_of_date
from becat.etl.readers.fits import Hdu
from becat.etl.readers.noise import median, noise_of_one
from becat.etl.readers.problem import Problem
from becat.etl.readers.spectrum import RawArm

__all__ = ["check_pixels", "dates_agree", "exposure_agrees", "position_agrees"]

NAME = re.compile(r"J(\d\d)(\d\d)(\d\d(?:\.\d*)?)([+-])(\d\d)(\d\d)(\d\d(?:\.\d*)?)")
MAX_SEPARATION_DEG = 30 / 3600
MAX_HOURS_OFF_D = 2 / 24
MAX_ZEROS = 0.02
ENOUGH_PIXELS = 500  # for a median to a few per cent
MIN_SCATTER = 0.05  # of what the inverse variance promises; real ones from 0.47 on
# S/N of the pixels by that of the header: at least and at most so many times, and so much more or less.
SNR_LIMITS = {"mrs": (0.85, 1.15, 1.0), "lrs": (0.6, 3.5, 3.0)}
CAPPED_SNR = 99.0  # the first releases write this for any higher one


def position_agrees(primary: Hdu, ra_deg: float, dec_deg: float) -> bool:
    """Whether RA and DEC are where RA_OBS, DEC_OBS and the designation say."""
    said = [_of_name(primary.string("DESIG"))]
    ra_obs, dec_obs = primary.number("RA_OBS"), primary.number("DEC_OBS")
    if ra_obs is not None and dec_obs is not None:
        said.append((ra_obs, dec_obs))
    return all(_separation_deg((ra_deg, dec_deg), place) <= MAX_SEPARATION_DEG for place in said if place is not None)


def _of_name(designation: str) -> tuple[float, float] | None:
    found = NAME.search(designation)
    if found is None:
        return None
    h, m, s, sign, d, arcmin, arcsec = found.groups()
    dec_deg = int(d) + int(arcmin) / 60 + float(arcsec) / 3600
    return 15 * (int(h) + int(m) / 60 + float(s) / 3600), -dec_deg if sign == "-" else dec_deg


def _separation_deg(one, other) -> float:
    east = (one[0] - other[0] + 180) % 360 - 180
    return float(np.hypot(east * np.cos(np.radians(one[1])), one[1] - other[1]))


def dates_agree(primary: Hdu, minutes: list[int], of_exposures: list[int]) -> bool:
    """Whether the beginnings of the exposures are of the night LMJD, around DATE-OBS, and named by the HDUs.

    Parameters
    ----------
    primary : Hdu
    minutes : list of int
        Local modified Julian minutes at which the exposures of a spectrum began, ascending; may be empty.
    of_exposures : list of int
        The minutes in the names of the HDUs of single exposures; empty where the file has none.
    """
    night, middle = _night(primary), mjd_of_date(primary.string("DATE-OBS"))
    if "T" not in primary.string("DATE-OBS"):
        middle = None  # a day alone
    if of_exposures and not set(minutes) <= set(of_exposures):
        return False
    local = [minute / MINUTES_A_DAY for minute in minutes]
    if not local and middle is not None:
        local = [middle + CHINA_TIME_D]
    if night is not None and not all(_is_of_night(mjd, night) for mjd in local):
        return False
    if middle is None or not local:
        return True
    return local[0] - MAX_HOURS_OFF_D <= middle + CHINA_TIME_D <= local[-1] + MAX_HOURS_OFF_D


def exposure_agrees(primary: Hdu, lmjm: int) -> bool:
    """Whether an exposure began in the night LMJD; DATE-OBS is that of all exposures together."""
    night = _night(primary)
    return night is None or _is_of_night(lmjm / MINUTES_A_DAY, night)


def _night(primary: Hdu) -> int | None:
    """LMJD; not that of spectra simulated by becat 0.1, which wrote the day on which a night begins."""
    return None if primary.logical("SIMULAT") else primary.integer("LMJD")


def _is_of_night(local_mjd: float, night: int) -> bool:
    """From noon to noon: a night is named after the day on which it ends."""
    return int(local_mjd + 0.5) == night


def check_pixels(arm: RawArm, snr_of_header: float | None, survey: str, detail: str) -> None:
    """Hold the pixels of an arm against what must be true of them, and against the S/N of the header.

    Parameters
    ----------
    arm : RawArm
    snr_of_header : float or None
    survey : {'mrs', 'lrs'}
    detail : str
        HDU, for the rejection.

    Raises
    ------
    Problem
        Columns were exchanged, written in another order of bytes, or overwritten.
    """
    good = ~arm.bad
    zeros = np.count_nonzero(good & (arm.flux == 0)) / max(np.count_nonzero(good), 1)
    if zeros > MAX_ZEROS:
        raise Problem(
            f"flux is exactly zero in {zeros:.0%} of the pixels that have an error: the file is damaged, fetch it again",
            detail,
        )
    # Some of the pixels will do: the limits are wide, and this is done for every spectrum.
    every = max(1, good.size // ENOUGH_PIXELS)
    some = good[::every]
    flux, root = arm.flux[::every][some].astype(float), np.sqrt(arm.ivar[::every][some].astype(float))
    noise = noise_of_one(arm.flux, good, every)
    if noise * median(root) < MIN_SCATTER:
        raise Problem(
            "flux scatters far less from pixel to pixel than its inverse variance says: the columns are damaged or exchanged",
            detail,
        )
    if snr_of_header is None:
        return
    low, high, room = SNR_LIMITS[survey]
    found = median(flux * root)
    highest = np.inf if survey == "lrs" and snr_of_header == CAPPED_SNR else high * snr_of_header + room
    if not low * snr_of_header - room <= found <= highest:
        raise Problem(
            f"the header's S/N is {snr_of_header:.4g}, that of the pixels {found:.4g}: the columns or the header are damaged,"
            " fetch the file again",
            detail,
        )
