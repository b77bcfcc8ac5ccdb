"""When a spectrum of another observatory was taken: the middle of its exposure, MJD in UTC.

Headers say it in many ways, and some say two things. Every statement becomes a time with its precision; the best that is
precise to a minute counts, and where two of them cannot both be right there is no epoch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from becat.etl.readers.epoch import PLAUSIBLE_MJD, UNIX_EPOCH_MJD
from becat.etl.readers.fits import Hdu

__all__ = ["exposure_time_s", "mid_exposure", "observed_year"]

MINUTE_D = 1 / 1440
JD_MINUS_MJD = 2400000.5
AGREE_D = 10 * MINUTE_D  # pauses between exposures, and clocks
LIGHT_TIME_MAX_D = 8.4 * MINUTE_D
MAX_EXPOSURE_S = 10 * 86400.0
FIRST_DETECTOR = 70  # two digits of a year mean 19yy (FITS), but no file is older than 1970
J2000_MJD = 51544.5

ISO_DATE = re.compile(r"(\d{4})[-/](\d\d?)[-/](\d\d?)(?:[T\s,]+(\S.*))?$")
OLD_DATE = re.compile(r"(\d\d?)/(\d\d?)/(\d{4}|\d\d)(?:[T\s,]+(\S.*))?$")  # FITS before 1998: day, month, year
DECIMAL_DAY = re.compile(r"(\d{4})[-/](\d\d?)[-/](\d\d?)(\.\d+)$")
TIME = re.compile(
    r"(\d\d?)[:_hH-](\d\d?)(?:[:_mM-](\d\d?(?:[.,]\d*)?)[sS]?)?\s*(?:UTC?|Z|GMT|([+-]\d\d):?(\d\d))?$", re.IGNORECASE
)
QUANTITY = re.compile(r"\s*(\d+\.?\d*(?:[eE][+-]?\d+)?)\s*(s|sec|seconds?|min|minutes?|h|hours?)?\.?$", re.IGNORECASE)
SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}

MIDDLE_JD = ("JD-MID", "MID-JD", "JDMID", "JD_MID")
MIDDLE_MJD = ("MJD-MID", "TMID", "MJD-AVG", "MJDMID")
MIDDLE_DATE = ("BAS_MEX", "DATE-AVG", "DATE-MID")
MIDDLE_TIME = ("UTMIDDLE", "UT-MID", "UTMID")
HELIOCENTRIC_JD = ("MID-HJD", "HJD-MID", "HJD", "JD-HEL")
START_DATE = ("DATE-OBS", "DATE-BEG", "DATE_OBS")
START_TIME = ("UT", "UTC", "TIME-OBS", "UT-OBS", "UTC-OBS", "UT-START", "UTSTART", "TIME-BEG", "TM_START", "TM-START")
START_JD = ("JD-OBS", "JD-BEG")
START_MJD = ("MJD-OBS", "MJD-BEG")
END_DATE = ("DATE-END", "DATE_END")
END_TIME = ("UT-END", "UTEND", "TIME-END", "TM_END", "TM-END")
EXPOSURE_KEYS = ("EXPTIME", "EXPOSURE", "EXP_TIME", "EXPTIM", "TELAPSE", "ITIME")


@dataclass(frozen=True)
class Moment:
    """A time, MJD, and how far the digits that are given leave it open, days."""

    mjd: float
    precision_d: float = 0.0

    def later(self, days: float) -> Moment:
        return Moment(self.mjd + days, self.precision_d)


def exposure_time_s(headers: list[Hdu]) -> float | None:
    """Exposure time, also where it is written with a unit (``600 s``); None where it is not given or cannot be one."""
    for key in EXPOSURE_KEYS:
        for header in headers:
            found = QUANTITY.match(header.string(key))
            if found:
                seconds = float(found[1]) * SECONDS[(found[2] or "s")[0].lower()]
                if 0 < seconds < MAX_EXPOSURE_S:
                    return seconds
    return None


def observed_year(headers: list[Hdu]) -> float | None:
    """Year of the observation, as good as a date without time gives it; None where there is none."""
    for moments in (_starts, _days, _middles):
        for moment in moments(headers):
            return 2000 + (moment.mjd - J2000_MJD) / 365.25
    return None


def mid_exposure(
    headers: list[Hdu], exposure_s: float | None, position: tuple[float, float] | None
) -> tuple[float | None, bool]:
    """Middle of the exposure.

    In this order: a middle that is stated; the middle of start and end; start and half the exposure time, or end less it;
    a bare JD, which IRAF writes for the middle; a heliocentric date less the light travel time.

    Parameters
    ----------
    headers : list of Hdu
    exposure_s : float or None
    position : tuple of float or None
        Right ascension and declination, degrees, for the light travel time.

    Returns
    -------
    float or None
        MJD, UTC.
    bool
        There are dates, but no epoch: they contradict each other, or give no time of day.
    """
    half_d = (exposure_s or 0.0) / 2 / 86400
    start, end = list(_starts(headers)), list(_ends(headers))
    moments = list(_middles(headers))
    moments += [Moment((a.mjd + b.mjd) / 2, max(a.precision_d, b.precision_d)) for a in start[:1] for b in end[:1]
                if a.mjd <= b.mjd < a.mjd + 1]  # fmt: skip
    moments += [moment.later(half_d) for moment in start] + [moment.later(-half_d) for moment in end]
    moments += list(_bare_jd(headers, half_d)) + list(_heliocentric(headers, position))
    moments = [moment for moment in moments if PLAUSIBLE_MJD[0] < moment.mjd < PLAUSIBLE_MJD[1]]
    days = list(_days(headers))
    if not moments:
        return None, bool(days) or any(header.string(key) for key in START_DATE for header in headers)
    best = next((m for m in moments if m.precision_d <= MINUTE_D), None) or min(moments, key=lambda m: m.precision_d)
    room_d = AGREE_D + half_d + best.precision_d
    if start and end:
        room_d += max(end[0].mjd - start[0].mjd, 0.0) / 2
    contradicted = any(abs(m.mjd - best.mjd) > room_d + m.precision_d for m in [*moments, *days])
    return (None, True) if contradicted else (best.mjd, False)


def _texts(headers: list[Hdu], keys: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Values that are there, each with the comment of its card."""
    for key in keys:
        for header in headers:
            if text := header.string(key):
                yield text, header.comment(key)
                break


def _number(text: str) -> Moment | None:
    """A number, and half a unit of its last digit."""
    try:
        value = float(text.replace("D", "E").replace("d", "e"))
    except ValueError:
        return None
    if not np.isfinite(value):
        return None
    digits = text.strip().lower().split("e")[0].partition(".")[2]
    return Moment(value, 0.5 * 10.0 ** -len(digits))


def _julian(headers: list[Hdu], keys: tuple[str, ...], offset: float) -> Iterator[Moment]:
    for text, _ in _texts(headers, keys):
        if (moment := _number(text)) is not None and moment.mjd > 0:
            yield moment.later(-offset)


def _date(text: str) -> tuple[float, Moment | None] | None:
    """Midnight of a date, MJD, and the moment where it has a time of day too; None where it is no date."""
    text = text.strip()
    fraction = DECIMAL_DAY.match(text)
    found = ISO_DATE.match(text[: fraction.start(4)] if fraction else text)
    old = OLD_DATE.match(text)
    if found:
        year, month, day, rest = int(found[1]), int(found[2]), int(found[3]), found[4]
    elif old:
        day, month, year, rest = int(old[1]), int(old[2]), int(old[3]), old[4]
        if len(old[3]) == 2:
            if year < FIRST_DETECTOR:
                return None  # of which century?
            year += 1900
    else:
        return None
    try:
        midnight = float((datetime(year, month, day) - datetime(1970, 1, 1)).days + UNIX_EPOCH_MJD)
    except ValueError:
        return None
    if fraction:
        return midnight, Moment(midnight + float(fraction[4]), 0.5 * 10.0 ** -(len(fraction[4]) - 1))
    time = _time_of_day(rest or "", "")
    return midnight, time.later(midnight) if time else None


def _time_of_day(text: str, comment: str) -> Moment | None:
    """Fraction of a day, from sexagesimal hours, decimal hours, or seconds since midnight."""
    found = TIME.match(text.strip())
    if found:
        hour, minute, second = int(found[1]), int(found[2]), float((found[3] or "0").replace(",", "."))
        if hour > 23 or minute > 59 or second >= 61:
            return None
        hours_off = int(f"{found[4]}") + int(found[5]) / 60 * (-1 if found[4][0] == "-" else 1) if found[4] else 0.0
        return Moment((hour - hours_off) / 24 + minute / 1440 + second / 86400, 0.0 if found[3] else MINUTE_D / 2)
    number = _number(text)
    if number is None or not 0 <= number.mjd < 86400:
        return None
    a_day = 86400.0 if number.mjd > 24 or "sec" in comment.lower() else 24.0
    return Moment(number.mjd / a_day, number.precision_d / a_day)


def _days(headers: list[Hdu]) -> Iterator[Moment]:
    """Days that are given without a time: a night is named after its evening, so that it may end on the next day."""
    for text, _ in _texts(headers, START_DATE):
        found = _date(text)
        if found and found[1] is None:
            yield Moment(found[0] + 0.75, 0.75)


def _dated(headers: list[Hdu], date_keys: tuple[str, ...], time_keys: tuple[str, ...]) -> Iterator[Moment]:
    """Moments of dates; the time of day stands in the date, or in a keyword of its own."""
    times = [time for text, comment in _texts(headers, time_keys) if (time := _time_of_day(text, comment)) is not None]
    for text, _ in _texts(headers, date_keys):
        found = _date(text)
        if not found:
            continue
        midnight, moment = found
        if moment is not None and (moment.mjd != midnight or not times):
            yield moment
        yield from (time.later(midnight) for time in times if moment is None or time.mjd > 0)


def _starts(headers: list[Hdu]) -> Iterator[Moment]:
    yield from _dated(headers, START_DATE, START_TIME)
    yield from _julian(headers, START_MJD, 0.0)
    yield from _julian(headers, START_JD, JD_MINUS_MJD)


def _ends(headers: list[Hdu]) -> Iterator[Moment]:
    yield from _dated(headers, END_DATE, ())
    start = next(_starts(headers), None)
    for time in _dated(headers, START_DATE, END_TIME) if any(_texts(headers, END_TIME)) else ():
        if start is not None and time.mjd != start.mjd:
            yield time if time.mjd >= start.mjd else time.later(1.0)  # past midnight
            break


def _middles(headers: list[Hdu]) -> Iterator[Moment]:
    yield from _julian(headers, MIDDLE_MJD, 0.0)
    yield from _julian(headers, MIDDLE_JD, JD_MINUS_MJD)
    for text, _ in _texts(headers, MIDDLE_DATE):
        found = _date(text)
        if found and found[1] is not None:
            yield found[1]
    start = next(_starts(headers), None)
    if start is not None:
        for text, comment in _texts(headers, MIDDLE_TIME):
            if (time := _time_of_day(text, comment)) is not None:
                moment = time.later(np.floor(start.mjd))
                yield moment if moment.mjd >= start.mjd else moment.later(1.0)  # past midnight


def _bare_jd(headers: list[Hdu], half_d: float) -> Iterator[Moment]:
    """JD is what IRAF's setjd writes for the middle; its comment may say that it is the start."""
    for text, comment in _texts(headers, ("JD", "MJD")):
        if (moment := _number(text)) is not None and moment.mjd > 0:
            moment = moment.later(-JD_MINUS_MJD if moment.mjd > JD_MINUS_MJD else 0.0)
            yield moment.later(half_d) if re.search(r"start|begin", comment, re.IGNORECASE) else moment


def _heliocentric(headers: list[Hdu], position: tuple[float, float] | None) -> Iterator[Moment]:
    for moment in _julian(headers, HELIOCENTRIC_JD, JD_MINUS_MJD):
        if not PLAUSIBLE_MJD[0] < moment.mjd < PLAUSIBLE_MJD[1]:
            continue
        if position is None:
            yield Moment(moment.mjd, moment.precision_d + LIGHT_TIME_MAX_D)
        else:
            yield moment.later(-_light_time_d(moment.mjd, *position))


def _light_time_d(mjd: float, ra_deg: float, dec_deg: float) -> float:
    """By how much earlier light from a star reaches the Sun than the Earth, or later where negative: HJD less JD, days."""
    import erfa  # half a second, for few headers

    heliocentric, _ = erfa.epv00(JD_MINUS_MJD, mjd)
    ra, dec = np.radians((ra_deg, dec_deg))
    star = np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    return float(heliocentric["p"] @ star) * erfa.AULT / 86400
