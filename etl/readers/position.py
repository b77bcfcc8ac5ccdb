"""Where a spectrum of another observatory was taken: right ascension and declination, ICRS."""

from __future__ import annotations

import math
import re

import numpy as np

from becat.etl.readers.fits import Hdu

__all__ = ["position_of"]

POSITION_KEYS = (
    ("RA", "DEC"), ("RA_OBS", "DEC_OBS"), ("RA_TARG", "DEC_TARG"), ("OBJRA", "OBJDEC"), ("OBJCTRA", "OBJCTDEC")
)  # fmt: skip
SYSTEM_KEYS = ("RADESYS", "RADECSYS", "RSDECSYS")
SEXAGESIMAL = re.compile(r"([+-]?)\s*(\d{1,3})[: hdHD°º]+(\d{1,2})[: mM'′]+(\d{1,2}(?:\.\d*)?)\s*[sS\"″]?\s*$")
INSIDE_COMMENT = re.compile(r"[+-]?\s?\d{1,3}[: h]\s?\d{1,2}[: m]\s?\d{1,2}(?:\.\d*)?")
HOURS = re.compile(r"\[h\w*\]|\bhours?\b|\bhrs?\b", re.IGNORECASE)
RADIANS = re.compile(r"\[rad\w*\]|\(rad\w*\)|\bradians?\b", re.IGNORECASE)
AGREE_DEG = 0.02  # of a number and of the sexagesimal that its comment repeats
YEAR = re.compile(r"([BJ]?)\s*(\d{4}(?:\.\d*)?)$", re.IGNORECASE)
CUSTOMARY = (1855.0, 1875.0, 1900.0, 1950.0, 1975.0, 2000.0)
LAST_BESSELIAN = 1984.0  # before it an equinox without a system is FK4's (FITS paper II)
SAME_YEAR = 1.0


class Contradiction(Exception):
    """A header that says two things of one position."""


def position_of(headers: list[Hdu], year: float | None) -> tuple[tuple[float, float] | None, bool]:
    """The position that headers give, precessed to ICRS where they say that it is of another equinox.

    Parameters
    ----------
    headers : list of Hdu
        Where keywords are looked for, in this order.
    year : float or None
        When the spectrum was taken, in years: an EQUINOX that is no customary one and equals it is that of a telescope's
        display, and the position is left as it is.

    Returns
    -------
    tuple of float or None
        Right ascension and declination, degrees. Zero and zero are no position.
    bool
        The header contradicts itself, or its equinox was not believed.
    """
    doubtful = False
    for ra_key, dec_key in POSITION_KEYS:
        try:
            ra_deg, dec_deg = _angle(headers, ra_key, 15.0), _angle(headers, dec_key, 1.0)
        except Contradiction:
            doubtful = True
            continue
        if ra_deg is None or dec_deg is None or (ra_deg == 0 and dec_deg == 0):
            continue
        if 0 <= ra_deg < 360 and -90 <= dec_deg <= 90:
            return _to_icrs(headers, ra_deg, dec_deg, year)
    return None, doubtful


def _angle(headers: list[Hdu], key: str, degrees_an_hour: float) -> float | None:
    """Degrees, from sexagesimal hours or degrees, or from a number in the unit that its comment states."""
    header = next((h for h in headers if h.string(key)), None)
    if header is None:
        return None
    text, comment = header.string(key), header.comment(key)
    try:
        number = float(text.replace("D", "E"))
    except ValueError:
        return _sexagesimal(text, degrees_an_hour)
    if not np.isfinite(number):
        return None
    units = {"degree": 1.0, "hour": degrees_an_hour, "radian": math.degrees(1)}
    said = INSIDE_COMMENT.search(comment)
    angle_deg = _sexagesimal(said[0], degrees_an_hour) if said else None
    if angle_deg is not None:
        for factor in units.values():
            if abs(number * factor - angle_deg) < AGREE_DEG:
                return number * factor
        raise Contradiction
    if HOURS.search(comment):
        return number * degrees_an_hour
    return number * units["radian"] if RADIANS.search(comment) else number


def _sexagesimal(text: str, degrees_a_unit: float) -> float | None:
    found = SEXAGESIMAL.match(text.strip())
    if not found:
        return None
    sign, whole, minutes, seconds = found.groups()
    if int(minutes) > 59 or float(seconds) >= 60:
        return None
    value = (int(whole) + int(minutes) / 60 + float(seconds) / 3600) * degrees_a_unit
    return -value if sign == "-" else value


def _to_icrs(headers: list[Hdu], ra_deg: float, dec_deg: float, year: float | None):
    """Precess a position if its equinox and system ask for it; whether they were not believed."""
    system = next((text.upper() for key in SYSTEM_KEYS for h in headers if (text := h.string(key))), "")
    equinox, letter = _equinox(headers)
    if system.startswith("FK4"):
        equinox, besselian = equinox or 1950.0, True
    elif system == "ICRS" or equinox is None:
        return (ra_deg, dec_deg), False
    elif system.startswith("FK5"):
        besselian = False
    else:
        if equinox not in CUSTOMARY and (year is None or abs(equinox - year) < SAME_YEAR):
            return (ra_deg, dec_deg), True
        besselian = letter == "B" or (letter != "J" and equinox < LAST_BESSELIAN)
    if equinox == 2000.0:
        return (ra_deg, dec_deg), False
    return _precessed(ra_deg, dec_deg, equinox, besselian), False


def _equinox(headers: list[Hdu]) -> tuple[float | None, str]:
    """Year and letter (B, J or none) of EQUINOX; of EPOCH, its older name, only where it is a customary year."""
    for key in ("EQUINOX", "EPOCH"):
        for header in headers:
            found = YEAR.match(header.string(key))
            if found and (key == "EQUINOX" or float(found[2]) in CUSTOMARY):
                return float(found[2]), found[1].upper()
    return None, ""


def _precessed(ra_deg: float, dec_deg: float, equinox: float, besselian: bool) -> tuple[float, float]:
    from astropy.coordinates import FK4, FK5, SkyCoord  # slow to import, and few positions need it
    from astropy.time import Time

    when = Time(equinox, format="byear" if besselian else "jyear")
    frame = FK4(equinox=when, obstime=when) if besselian else FK5(equinox=when)
    icrs = SkyCoord(ra_deg, dec_deg, unit="deg", frame=frame).icrs
    return float(icrs.ra.deg), float(icrs.dec.deg)  # pyright: ignore[reportArgumentType, reportOptionalMemberAccess]
