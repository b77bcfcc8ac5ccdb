"""LAMOST's medium-resolution survey, both layouts.

To DR8 and early DR9 a table has one row per pixel and LOGLAM; from DR9 v1 on it has one row of vector cells and
WAVELENGTH. The names of the HDUs are the same: COADD_B, COADD_R, and B-<lmjm>, R-<lmjm> for each exposure.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from becat.etl.readers import lamost
from becat.etl.readers.agreement import check_pixels, dates_agree, exposure_agrees
from becat.etl.readers.checks import make_arm
from becat.etl.readers.epoch import exposure_s, lamost_coadd_mjd, lamost_single_mjd, lmjm_list
from becat.etl.readers.fits import Hdu
from becat.etl.readers.problem import Problem
from becat.etl.readers.spectrum import RawArm, RawSpectrum, hashed_id, single_id
from becat.schema.lines import air_to_vacuum
from becat.schema.quality import Quality

__all__ = ["is_mrs", "read_mrs"]

RESOLVING_POWER = 7500.0  # Liu et al. 2020, arXiv:2005.07210
COADD = {"COADD_B": "blue", "COADD_R": "red"}
SINGLE = re.compile(r"([BR])-(\d{8,9})$")
BAND = {"B": "blue", "R": "red"}


def is_mrs(hdus: list[Hdu]) -> bool:
    """True where an HDU carries one of the survey's names."""
    return any(hdu.name in COADD or SINGLE.match(hdu.name) for hdu in hdus)


def read_mrs(hdus: list[Hdu], exposures: str, need_snr: bool) -> tuple[list[RawSpectrum], list[Problem]]:
    """Spectra of a file of the medium-resolution survey.

    Parameters
    ----------
    hdus : list of Hdu
    exposures : {'coadd', 'single', 'all'}
    need_snr : bool
        Reject what has no S/N in its header.

    Returns
    -------
    list of RawSpectrum, list of Problem
        What was read, and what was not.

    Raises
    ------
    Problem
        Nothing of the file can be used.
    """
    _check_names(hdus)
    singles = _singles(hdus)
    coadd = {COADD[hdu.name]: hdu for hdu in hdus if hdu.name in COADD}
    layout = "mrs vector" if "WAVELENGTH" in hdus[-1].columns else "mrs rows"
    meta = lamost.primary_meta(hdus[0], "LAMOST MRS", layout) | {"resolving_power": RESOLVING_POWER}
    vacuum = hdus[0].logical("VACUUM") is not False
    spectra: list[RawSpectrum] = []
    problems: list[Problem] = []

    def attempt(read: Callable[[], RawSpectrum], detail: str) -> None:
        try:
            spectra.append(read())
        except Problem as problem:
            problems.append(Problem(problem.reason, problem.detail or detail))

    if exposures in ("coadd", "all"):
        attempt(lambda: _read_coadd(hdus, coadd, singles, meta, vacuum, need_snr), "COADD")
    if exposures in ("single", "all"):
        if not singles and exposures == "single":
            problems.append(Problem("there are no single exposures in the file: use --exposures coadd"))
        for lmjm, bands in sorted(singles.items()):
            attempt(
                lambda lmjm=lmjm, bands=bands: _read_single(hdus[0], lmjm, bands, meta, vacuum, need_snr), f"{lmjm}"
            )
    return spectra, problems


def _check_names(hdus: list[Hdu]) -> None:
    names = [hdu.name for hdu in hdus if hdu.name in COADD or SINGLE.match(hdu.name)]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise Problem(f"{', '.join(twice)} is there twice: the file is damaged")


def _singles(hdus: list[Hdu]) -> dict[int, dict[str, Hdu]]:
    """HDUs of the single exposures: by minute, then by arm."""
    found: dict[int, dict[str, Hdu]] = {}
    for hdu in hdus[1:]:
        if match := SINGLE.match(hdu.name):
            found.setdefault(int(match[2]), {})[BAND[match[1]]] = hdu
    return found


def _read_arm(arm: str, hdu: Hdu, vacuum: bool, need_snr: bool) -> tuple[RawArm, int]:
    """One table; ORMASK in a coadd (bad in any exposure), PIXMASK in an exposure."""
    columns = hdu.columns
    if "WAVELENGTH" in columns:
        wavelength_a = hdu.column("WAVELENGTH").astype(np.float64)
    else:
        wavelength_a = np.power(10.0, hdu.column("LOGLAM").astype(np.float64))
    flagged = hdu.column("ORMASK" if "ORMASK" in columns else "PIXMASK")
    flux, ivar = hdu.column("FLUX"), hdu.column("IVAR")
    if not wavelength_a.size == flux.size == ivar.size == flagged.size:
        raise Problem("columns of different length: the table is damaged", hdu.label)
    snr = lamost.snr(hdu, "SNR")
    if snr is None and need_snr:
        raise Problem("S/N (keyword SNR) is missing: give the release's general catalogue", hdu.label)
    quality = 0
    if not vacuum:
        wavelength_a, quality = air_to_vacuum(wavelength_a), int(Quality.AIR_CONVERTED)
    raw, bits = make_arm(arm, wavelength_a, flux, ivar, flagged, snr, hdu.label)
    check_pixels(raw, snr, "mrs", hdu.label)
    if snr is None:  # the general catalogue will give it
        raw.snr, bits = None, bits & ~int(Quality.SNR_ESTIMATED)
    return raw, quality | bits


def _both_arms(bands: dict[str, Hdu], vacuum: bool, need_snr: bool) -> tuple[dict[str, RawArm], int]:
    arms = {}
    quality = 0
    for arm in ("red", "blue"):
        if arm not in bands:
            raise Problem(f"the {arm} arm is missing: both are needed, fetch the file again")
        arms[arm], bits = _read_arm(arm, bands[arm], vacuum, need_snr)
        quality |= bits
    return arms, quality


def _snr_meta(arms: dict[str, RawArm]) -> dict:
    return {
        "has_blue": True,
        "snr_b": arms["blue"].snr,
        "snr_r": arms["red"].snr,
        "snr_source": "header" if arms["red"].snr is not None else None,
    }


def _read_coadd(hdus, coadd, singles, meta, vacuum, need_snr) -> RawSpectrum:
    arms, quality = _both_arms(coadd, vacuum, need_snr)
    red = coadd["red"]
    minutes = lmjm_list(red) or sorted(lmjm for lmjm, bands in singles.items() if "red" in bands)
    seconds = {lmjm: exposure_s(bands["red"]) for lmjm, bands in singles.items() if "red" in bands}
    known = [s for lmjm in minutes if (s := seconds.get(lmjm)) is not None]
    mjd = lamost_coadd_mjd([red, hdus[0]], minutes, known[-1] if known else 0.0)
    if not dates_agree(hdus[0], minutes, list(singles)):
        mjd, quality = None, quality | int(Quality.EPOCH_DOUBTFUL)
    return RawSpectrum(
        lamost.spectrum_id(hdus[0], low_resolution=False),
        arms,
        meta
        | _snr_meta(arms)
        | {
            "coadd": True,
            "lmjm": None,
            "mjd": mjd,
            "exposure_time_s": sum(known) if known and len(known) == len(minutes) else None,
            "n_exposures": len(minutes) or None,
        },
        quality | lamost.position_quality(meta),
    )


def _read_single(
    primary: Hdu, lmjm: int, bands: dict[str, Hdu], meta: dict, vacuum: bool, need_snr: bool
) -> RawSpectrum:
    arms, quality = _both_arms(bands, vacuum, need_snr)
    for hdu in bands.values():
        if hdu.integer("LMJM") not in (None, lmjm):
            raise Problem(f"LMJM is {hdu.integer('LMJM')}: name and header of the exposure do not agree", hdu.label)
    number = meta["obsid"]
    identity = single_id(number, lmjm) if number is not None else hashed_id(*lamost.identity_parts(primary), lmjm)
    mjd: float | None = lamost_single_mjd(bands["red"], lmjm)
    if not exposure_agrees(primary, lmjm):
        mjd, quality = None, quality | int(Quality.EPOCH_DOUBTFUL)
    return RawSpectrum(
        identity,
        arms,
        meta
        | _snr_meta(arms)
        | {
            "coadd": False,
            "lmjm": lmjm,
            "mjd": mjd,
            "exposure_time_s": exposure_s(bands["red"]),
            "n_exposures": 1,
        },
        quality | lamost.position_quality(meta),
    )
