"""One spectrum under many headers: the same said in another way, said twice and differently, or replaced by rubbish.

Each keeps the evidence of what is true, so that a reader that gives another wavelength, epoch or position without a word is wrong.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.coordinates import FK4, FK5, SkyCoord
from astropy.io import fits
from astropy.time import Time
from specutils.utils.wcs_utils import air_to_vac

from becat.etl.catalogue.errors import Rejected
from becat.etl.readers import read_file
from becat.schema.quality import Quality
from tests.tools.mutations import VALUES

__all__ = ["HeaderMutant", "header_mutants", "verdict"]

START_A, STEP_A, N_PIXELS = 6400.0, 0.25, 1200
MIDDLE = Time("2020-01-05T20:05:00")
STAR = SkyCoord(14.177, 60.7167, unit="deg")
EXPOSURE_S = 600.0
PLAIN = {
    "CRVAL1": START_A, "CDELT1": STEP_A, "CD1_1": STEP_A, "CRPIX1": 1.0, "CUNIT1": "Angstrom", "CTYPE1": "Wavelength", "OBJECT": "gam Cas",
    "RA": (14.177, "00:56:42.48"), "DEC": (60.7167, "+60:43:00.1"), "EQUINOX": 2000.0, "RADESYS": "FK5",
    "DATE-OBS": "2020-01-05T20:00:00", "JD-MID": f"{MIDDLE.jd:.5f}", "EXPTIME": EXPOSURE_S,
}  # fmt: skip
UNITS = {"Angstrom": 1, "angstroms": 1, "0.1 nm": 1, "10**-1 nm": 1, "1e-10 m": 1, "Ang.": 1, "nm": 0.1, "nanometers": 0.1, "um": 1e-4,
         "microns": 1e-4, "m": 1e-10, "pm": 100.0, "": 1}  # fmt: skip
WRONG_UNITS = ("km/s", "Hz", "eV", "cm-1", "pixel", "furlong", "s", "nm", "um", "m", "log(Angstrom)")
RUBBISH = (
    "CRVAL1",
    "CDELT1",
    "CD1_1",
    "CUNIT1",
    "CTYPE1",
    "RA",
    "DEC",
    "EQUINOX",
    "RADESYS",
    "DATE-OBS",
    "JD-MID",
    "EXPTIME",
)


@dataclass
class HeaderMutant:
    """A file, and whether it says what is true clearly enough that it must be read."""

    name: str
    content: bytes
    must_be_read: bool


def header_mutants(n: int, rng: np.random.Generator) -> Iterator[HeaderMutant]:
    """Versions of one spectrum under changed headers.

    Parameters
    ----------
    n : int
        How many.
    rng : numpy Generator
    """
    kinds = (_unit, _step, _epoch, _equinox, _two_steps, _two_epochs, _wrong_unit, _rubbish, _rubbish)
    for i in range(n):
        kind = kinds[i % len(kinds)]
        name, cards, must = kind(rng)
        content = _file({**PLAIN, **cards})
        if kind is _rubbish:
            content = _replace(content, name.split()[1], VALUES[rng.integers(len(VALUES))])
        yield HeaderMutant(f"{kind.__name__[1:]}: {name}", content, must)


def _pick(options, rng):
    return options[rng.integers(len(options))]


def _unit(rng):
    unit = _pick(list(UNITS), rng)
    scale = UNITS[unit]
    return (
        repr(unit),
        {"CUNIT1": unit, "CRVAL1": START_A * scale, "CDELT1": STEP_A * scale, "CD1_1": STEP_A * scale},
        True,
    )


def _wrong_unit(rng):
    unit = _pick(WRONG_UNITS, rng)
    return repr(unit), {"CUNIT1": unit}, False


def _step(rng):
    forms = (
        {"CDELT1": 1.0}, {"CD1_1": 1.0}, {"CD1_1": None}, {"CDELT1": None}, {"CD1_1": None, "CDELT1": STEP_A / 2, "PC1_1": 2.0},
        {"CRPIX1": 101.0, "CRVAL1": START_A + 100 * STEP_A},
    )  # fmt: skip
    cards = _pick(forms, rng)
    return str(cards), cards, True


def _two_steps(rng):
    other = float(STEP_A * rng.choice([0.5, 0.9, 1.1, 2.0, -1.0]))
    key = _pick(("CDELT1", "CD1_1"), rng)
    return f"{key} {other}", {key: other}, False


def _epoch(rng):
    start = MIDDLE - EXPOSURE_S / 2 * u.s
    day, clock = start.isot.split("T")
    day_month_year = "/".join(reversed(day.split("-")))
    forms = (
        {"DATE-OBS": day, "UT": clock}, {"DATE-OBS": day, "TIME-OBS": clock}, {"DATE-OBS": f"{day}T{clock[:8].replace(':', '_')}"},
        {"DATE-OBS": f"{day} {clock} UT"}, {"DATE-OBS": f"{day}T{clock}Z"}, {"DATE-OBS": day_month_year, "UT": clock},
        {"DATE-OBS": day, "JD": f"{MIDDLE.jd:.6f}"}, {"DATE-OBS": None, "MJD-OBS": start.mjd}, {"DATE-OBS": None, "JD-OBS": f"{start.jd:.5f}"},
        {"DATE-OBS": f"{day}T{clock}", "DATE-END": (MIDDLE + EXPOSURE_S / 2 * u.s).isot, "EXPTIME": None},
        {"DATE-OBS": f"{day}T{clock}", "EXPTIME": "600 s"}, {"DATE-OBS": (start + 2 * u.h).isot[:19] + "+02:00"},
    )  # fmt: skip
    cards = {**_pick(forms, rng), "JD-MID": None}
    return str(cards), cards, True


def _two_epochs(rng):
    hours = float(rng.choice([-22, -8, -1, 1, 8, 24, 24 * 365]))
    cards = (
        {"JD-MID": f"{MIDDLE.jd + hours / 24:.5f}"}
        if rng.integers(2)
        else {"UT": (MIDDLE + hours * u.h).isot.split("T")[1]}
    )
    if hours % 24 == 0 and "UT" in cards:
        cards = {"MJD-OBS": MIDDLE.mjd + hours / 24}
    return str(cards), cards, False


def _equinox(rng):
    kind = rng.integers(4)
    if kind == 0:
        when = Time(float(rng.choice([1900.0, 1950.0])), format="byear")
        there, cards = (
            STAR.transform_to(FK4(equinox=when, obstime=when)),
            {"EQUINOX": f"B{when.byear:.1f}", "RADESYS": None},
        )
    elif kind == 1:
        when = Time(1950.0, format="byear")
        there, cards = STAR.transform_to(FK4(equinox=when, obstime=when)), {"EQUINOX": 1950.0, "RADESYS": "FK4"}
    elif kind == 2:
        year = float(rng.choice([1990.0, 2005.4, 2015.5]))
        there, cards = STAR.transform_to(FK5(equinox=f"J{year}")), {"EQUINOX": year, "RADESYS": "FK5"}
    else:
        there, cards = STAR, {"EQUINOX": 2020.01, "RADESYS": None}  # the equinox of date over a position of 2000
    words = there.to_string("hmsdms", sep=":", precision=2).split()
    return str(cards), {**cards, "RA": words[0], "DEC": words[1]}, True


def _rubbish(rng):
    key = _pick(RUBBISH, rng)
    return f"in {key}", {}, False


def _file(cards) -> bytes:
    wavelength_a = START_A + STEP_A * np.arange(N_PIXELS)
    flux = (
        1
        + 2 * np.exp(-0.5 * ((wavelength_a - 6562.8) / 4) ** 2)
        + 0.01 * np.random.default_rng(1).normal(size=N_PIXELS)
    )
    hdu = fits.PrimaryHDU(flux.astype("f4"))
    for key, value in cards.items():
        if value is not None:
            hdu.header[key] = value
    target = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hdu.writeto(target, output_verify="ignore")
    return target.getvalue()


def _replace(content: bytes, key: str, value: bytes) -> bytes:
    """Put a value in place of a keyword's, keeping what stands behind the slash."""
    place = content.index(key.encode().ljust(8))
    card = content[place : place + 80]
    comment = card[card.index(b"/") :].strip() if b"/" in card else b""
    changed = (card[:8] + b"= " + value.rjust(20) + (b" " + comment if comment else b"")).ljust(80)[:80]
    return content[:place] + changed + content[place + 80 :]


def verdict(mutant: HeaderMutant, path: Path) -> str:
    """What the readers make of a mutant: capitals where they are wrong.

    Parameters
    ----------
    mutant : HeaderMutant
    path : path
        Where to write it.
    """
    path.write_bytes(mutant.content)
    try:
        (spectrum,), _ = read_file(path)
    except Rejected:
        return "REJECTED THOUGH RIGHT" if mutant.must_be_read else "rejected"
    except Exception as error:  # what this is here to find
        return f"CRASHED ({type(error).__name__})"
    wrong = _wrong(spectrum)
    if wrong:
        return f"SILENTLY WRONG {wrong}"
    meta = spectrum.meta
    if meta["mjd"] is not None and meta["ra_deg"] is not None:
        return "read, right"
    return "LEFT OUT THOUGH RIGHT" if mutant.must_be_read else "read, and told what is missing"


def _wrong(spectrum) -> str:
    air_a = (START_A + STEP_A * np.arange(N_PIXELS)) * u.AA
    expected_a = air_to_vac(air_a, scheme="iteration", method="Morton2000").value
    red, meta = spectrum.arms["red"], spectrum.meta
    if red.wavelength_a.shape != expected_a.shape or np.abs(red.wavelength_a - expected_a).max() > 0.01:
        return "WAVELENGTH"
    if meta["mjd"] is None:
        if not spectrum.quality & Quality.EPOCH_DOUBTFUL:
            return "EPOCH LEFT OUT WITHOUT A FLAG"
    elif abs(meta["mjd"] - MIDDLE.mjd) * 1440 > 1:
        return "EPOCH"
    if meta["ra_deg"] is None:
        return "" if spectrum.quality & Quality.NO_POSITION else "POSITION LEFT OUT WITHOUT A FLAG"
    return "POSITION" if SkyCoord(meta["ra_deg"], meta["dec_deg"], unit="deg").separation(STAR).arcsec > 1 else ""
