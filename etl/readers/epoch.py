"""When a spectrum was taken: the middle of its exposures, MJD in UTC.

DATE-OBS is UTC, DATE-BEG and DATE-END are Chinese standard time (UTC+8), and so is a local modified Julian minute (LMJM):
the whole minute, since MJD 0, in which an exposure began.
"""

from __future__ import annotations

import re
from datetime import datetime

from becat.etl.readers.fits import Hdu
from becat.etl.readers.problem import Problem

__all__ = [
    "CHINA_TIME_D",
    "MINUTES_A_DAY",
    "PLAUSIBLE_MJD",
    "UNIX_EPOCH_MJD",
    "exposure_s",
    "lamost_coadd_mjd",
    "lamost_single_mjd",
    "lmjm_list",
    "mjd_of_date",
]

CHINA_TIME_D = 8 / 24
MINUTES_A_DAY = 1440
HALF_MINUTE_D = 0.5 / MINUTES_A_DAY  # an LMJM is rounded down
DATE = re.compile(r"(\d{4})-(\d\d?)-(\d\d?)(?:[T ](\d\d?):(\d\d?):(\d\d?(?:\.\d*)?))?$")
UNIX_EPOCH_MJD = 40587
AGREE_D = 10 / MINUTES_A_DAY  # DATE-BEG stands up to seven minutes off the first exposure in early LRS files
PLAUSIBLE_MJD = (15020.0, 88069.0)  # 1900 to 2100
PLAUSIBLE_LMJM = (55000 * MINUTES_A_DAY, 88069 * MINUTES_A_DAY)  # LAMOST's first spectra are of 2009


def mjd_of_date(text: str) -> float | None:
    """MJD of an ISO date with or without time, in the time scale of the date; None where it is none.

    Parameters
    ----------
    text : str
        As in the FITS standard: ``2018-05-29T17:41:00`` or ``2018-05-29``.
    """
    found = DATE.match(text.strip())
    if not found:
        return None
    year, month, day, hour, minute, second = found.groups(default="0")
    try:
        midnight = datetime(int(year), int(month), int(day))
    except ValueError:
        return None
    seconds = int(hour) * 3600 + int(minute) * 60 + float(second)
    return (midnight - datetime(1970, 1, 1)).days + UNIX_EPOCH_MJD + seconds / 86400


def lmjm_list(hdu: Hdu) -> list[int]:
    """Local modified Julian minutes of the exposures in a coadd, from LMJMLIST or LMJMLIS0, LMJMLIS1, ...

    Raises
    ------
    Problem
        The list is not one of whole numbers.
    """
    text = hdu.string("LMJMLIST")
    i = 0
    while f"LMJMLIS{i}" in hdu:
        text += "-" + hdu.string(f"LMJMLIS{i}")
        i += 1
    reason = f"the list of exposures {text[:40]!r} is not one of minutes of a night: the header is damaged"
    try:
        minutes = sorted(int(minute) for minute in text.split("-") if minute.strip())
    except ValueError:
        raise Problem(reason, hdu.label) from None
    first, last = (minutes[0], minutes[-1]) if minutes else (PLAUSIBLE_LMJM[0], PLAUSIBLE_LMJM[0])
    if first < PLAUSIBLE_LMJM[0] or last >= min(first + MINUTES_A_DAY, PLAUSIBLE_LMJM[1]):
        raise Problem(reason, hdu.label)
    return minutes


def exposure_s(hdu: Hdu) -> float | None:
    """EXPTIME where it is that of an exposure: more than nothing, less than a day; None otherwise."""
    seconds = hdu.number("EXPTIME")
    return seconds if seconds is not None and 0 < seconds < 86400 else None


def _begin_end(hdu: Hdu) -> tuple[float, float] | None:
    """DATE-BEG and DATE-END as MJD in UTC, where both are there and in order."""
    begin, end = mjd_of_date(hdu.string("DATE-BEG")), mjd_of_date(hdu.string("DATE-END"))
    if begin is None or end is None or not begin <= end < begin + 1:
        return None
    return begin - CHINA_TIME_D, end - CHINA_TIME_D


def _start(lmjm: int) -> float:
    return lmjm / MINUTES_A_DAY - CHINA_TIME_D + HALF_MINUTE_D


def lamost_single_mjd(hdu: Hdu, lmjm: int) -> float:
    """Middle of one exposure.

    Parameters
    ----------
    hdu : Hdu
        The exposure; its DATE-BEG and DATE-END count where they agree with `lmjm`, else `lmjm` and EXPTIME.
    lmjm : int
        Local modified Julian minute of its beginning.

    Returns
    -------
    float
        MJD, UTC.
    """
    dates = _begin_end(hdu)
    if dates and abs(dates[0] - _start(lmjm)) < AGREE_D:
        return sum(dates) / 2
    return _start(lmjm) + (exposure_s(hdu) or 0.0) / 2 / 86400


def lamost_coadd_mjd(hdus: list[Hdu], lmjm: list[int], last_exposure_s: float) -> float | None:
    """Middle of all exposures of a coadd.

    Dates of a header count where they begin with the first and do not end before the last exposure: there are files
    whose DATE-END is that of the first exposure alone, and others whose DATE-BEG is one exposure early.

    Parameters
    ----------
    hdus : list of Hdu
        Headers that may hold DATE-BEG and DATE-END, the best first.
    lmjm : list of int
        Beginnings of the exposures, ascending; empty where the file does not give them.
    last_exposure_s : float
        Duration of the last exposure, s.

    Returns
    -------
    float or None
        MJD, UTC.
    """
    for hdu in hdus:
        dates = _begin_end(hdu)
        if dates and (not lmjm or (abs(dates[0] - _start(lmjm[0])) < AGREE_D and dates[1] > _start(lmjm[-1]))):
            return sum(dates) / 2
    if lmjm:
        return (_start(lmjm[0]) + _start(lmjm[-1]) + last_exposure_s / 86400) / 2
    return next((m for hdu in hdus if (m := mjd_of_date(hdu.string("DATE-OBS"))) is not None), None)
