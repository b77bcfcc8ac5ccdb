"""The table formats of photometry that becat reads, and where each was seen.

TESS: light curves of SPOC (MAST), of QLP, and those that lightkurve's `to_fits` writes. Files written by lightkurve 2.6.0 were read here. For SPOC
and QLP the columns were taken from lightkurve's readers (`lightkurve.io.tess`, `lightkurve.io.qlp`); no file of MAST was seen. The QUALITY bits that
exclude a row are lightkurve's default (`TessQualityFlags.DEFAULT_BITMASK`).

ASAS-SN: Sky Patrol 1 and the photometry database (HJD, '>' before a limit), and Sky Patrol 2 from its web page (JD, Flux, Flux Error, ...), as printed in
AAVSO's VStar (ASASSNObservationSource); Sky Patrol 2 from the client ``skypatrol`` 0.6.21 (`LightCurve.save`, CSV or Parquet), which plots only quality G
and treats an error above 99 mag as a non-detection with the magnitude as its limit. No file of the service was seen. It is unknown whether the JD of Sky Patrol 2 is heliocentric.

ZTF: light curves of IRSA (`nph_light_curves`, CSV or VOTable), with the columns of published examples; IRSA's own mask for bad rows is bit 32768 of
catflags (BAD_CATFLAGS_MASK). No answer of the service was seen. It is unknown whether its mjd is the start or the middle of the 30 s exposure.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import numpy as np

from becat.etl.light_curves.light_curve import JD_OF_MJD_0, LARGEST, LightCurve, known_errors, of_rows
from becat.etl.light_curves.table import PhotometryTable, read_photometry
from becat.schema.errors import BecatError
from becat.schema.sphere import separation_deg

__all__ = ["SAME_STAR_ARCSEC", "read_light_curve"]

BTJD_0 = 2_457_000.0  # Julian date at which TESS' own time is zero
TESS_BAD_BITS = 17_087  # of QUALITY, as lightkurve 2.6.0 has it
TESS_FLUX = (  # columns of flux and error, the best first: PDCSAP of SPOC, what lightkurve writes, SAP of SPOC and QLP
    ("pdcsap_flux", ("pdcsap_flux_err",)),
    ("flux", ("flux_err",)),
    ("sap_flux", ("sap_flux_err", "kspsap_flux_err")),
)
ZTF_BAD_BIT = 32_768
ZTF_BANDS = ("g", "r", "i")
ASASSN_BANDS = ("V", "g")
FAINTEST_MAG = 99.0  # what surveys write where there is no magnitude
ASASSN_ERROR = ("mag_err", "mag error")
ASASSN_NO_ERROR_MAG = 99.0  # errors above it mean that the star was not seen
SAME_STAR_ARCSEC = 3.0  # rows of ZTF farther off are of a neighbour
MJD_RANGE = (40_000.0, 90_000.0)  # 1968 to 2105
NO_TIME = "without a time"
NO_VALUE = "without a measurement"


def read_light_curve(path: Path, ra_deg: float, dec_deg: float) -> LightCurve:
    """Read a table of photometry of one star.

    Parameters
    ----------
    path : Path
        File of TESS, ASAS-SN or ZTF in one of the forms above.
    ra_deg, dec_deg : float
        Where the star is: a table of ZTF may hold its neighbours too.

    Raises
    ------
    BecatError
        The file cannot be read, has none of these forms, or has no row that can be used.
    """
    table = read_photometry(path)
    if table.has("time") and table.first(name for name, _ in TESS_FLUX):
        found = _tess(table, path)
    elif table.has("mag", "magerr", "filtercode") and table.first(("hjd", "mjd")):
        found = _ztf(table, ra_deg, dec_deg)
    elif table.has("mag") and table.first(ASASSN_ERROR) and table.first(("hjd", "jd")):
        found = _asas_sn(table)
    else:
        raise BecatError(
            f"{path} is not a known table of TESS, ASAS-SN or ZTF (docs/formats.md names their columns): it has"
            f" {textwrap.shorten(', '.join(table.columns), 300)}"
        )
    if not len(found):
        why = "; ".join(f"{n:,} {words}" for words, n in found.left_out.items()) or "it is empty"
        raise BecatError(f"{path} has no row that can be used: {why}")
    first, last = found.columns["mjd"].min(), found.columns["mjd"].max()
    if not MJD_RANGE[0] < first <= last < MJD_RANGE[1]:
        raise BecatError(f"{path} has times from MJD {first:.8g} to {last:.8g}: not what its columns claim")
    return found


def _tess(table: PhotometryTable, path: Path) -> LightCurve:
    _refuse_unless_tess(table, path)
    flux_name, errors = next((flux, errors) for flux, errors in TESS_FLUX if table.has(flux))
    time, flux = table.numbers("time"), table.numbers(flux_name)
    quality = _whole(table.numbers(table.first(("quality",))))
    columns, left_out = of_rows(
        {
            "mjd": time + (BTJD_0 - JD_OF_MJD_0),
            "band": np.full(len(time), "TESS", object),
            "relative_flux": flux,
            "e_relative_flux": table.numbers(table.first(errors)),
            "is_limit": np.zeros(len(time), bool),
        },
        [
            (NO_TIME, ~np.isfinite(time)),
            (f"flagged in QUALITY (bits {TESS_BAD_BITS})", (quality & TESS_BAD_BITS) != 0),
            (f"without {flux_name.upper()}", ~(np.abs(flux) < LARGEST)),
        ],
    )
    remarks: list[str] = []
    if len(columns["mjd"]):
        median = float(np.median(columns["relative_flux"]))
        if not median > 0:
            raise BecatError(
                f"{path}: the median of {flux_name.upper()} is {median:g}, and flux is kept over its median"
            )
        columns |= {name: columns[name] / median for name in ("relative_flux", "e_relative_flux")}
        if not np.abs(columns["relative_flux"]).max() < LARGEST:
            raise BecatError(f"{path}: {flux_name.upper()} goes too far from its median of {median:g} to be a flux")
        columns["e_relative_flux"], remarks = known_errors(columns["e_relative_flux"])
    place = [angle for name in ("RA_OBJ", "DEC_OBJ") if isinstance(angle := table.header.get(name), int | float)]
    return LightCurve(
        "TESS",
        "BJD TDB",
        columns,
        left_out,
        (f"{flux_name.upper()} over its median", *remarks),
        (float(place[0]), float(place[1])) if len(place) == 2 else None,
    )


def _refuse_unless_tess(table: PhotometryTable, path: Path) -> None:
    """The times of a file of another mission, or normalised to something else, would be taken for what they are not."""
    header = table.header
    mission = f"{header.get('TELESCOP', '')} {header.get('MISSION', '')}".strip()
    unit = table.units.get("time", "").lower()
    parts = header.get("BJDREFI", BTJD_0 if "btjd" in unit else 0), header.get("BJDREFF", 0.0)
    if any(isinstance(part, str) for part in parts):
        raise BecatError(f"{path} is not a light curve of TESS: BJDREFI or BJDREFF of its header is not a number")
    reference = sum(parts)
    if reference != BTJD_0 or (mission and "TESS" not in mission.upper()):
        raise BecatError(
            f"{path} is not a light curve of TESS: its times must be BJD less {BTJD_0:.0f} (BJDREFI, or the unit btjd), and"
            f" TELESCOP or MISSION TESS; it has {reference:.8g} and {mission or 'no name of a mission'}"
        )
    if str(header.get("TIMESYS", "TDB")).upper() != "TDB":
        raise BecatError(f"{path} gives its times in {header['TIMESYS']}: those of TESS are TDB")


def _ztf(table: PhotometryTable, ra_deg: float, dec_deg: float) -> LightCurve:
    time_name, time = _times(table, ("hjd", "mjd"))
    magnitude = table.numbers("mag")
    flags = _whole(table.numbers(table.first(("catflags",))))
    bands = np.array([word and word.removeprefix("z") for word in table.words("filtercode")], object)
    errors, remarks = known_errors(table.numbers("magerr"))
    places = table.places()
    columns, left_out = of_rows(
        {
            "mjd": time,
            "band": bands,
            "magnitude_mag": magnitude,
            "e_magnitude_mag": errors,
            "is_limit": np.zeros(len(time), bool),
        },
        [
            ("without a position", ~np.isfinite(places).all(axis=1)),
            (f"of another object, more than {SAME_STAR_ARCSEC:g} arcsec off", _is_neighbour(places, ra_deg, dec_deg)),
            (NO_TIME, ~np.isfinite(time)),
            (f"flagged in catflags (bit {ZTF_BAD_BIT})", (flags & ZTF_BAD_BIT) != 0),
            (_of_no(ZTF_BANDS), _is_other(bands, ZTF_BANDS)),
            (NO_VALUE, ~(np.abs(magnitude) < FAINTEST_MAG)),
        ],
    )
    return LightCurve("ZTF", f"{time_name.upper()} UTC", columns, left_out, remarks)


def _is_neighbour(places: np.ndarray, ra_deg: float, dec_deg: float) -> np.ndarray:
    """(n_rows,) whether a row gives a place that is not that of the star."""
    if not places.shape[1]:
        return np.zeros(len(places), bool)
    found, which = np.unique(np.nan_to_num(places, posinf=0, neginf=0), axis=0, return_inverse=True)
    is_far = [separation_deg(ra_deg, dec_deg, *place) * 3600 > SAME_STAR_ARCSEC for place in found.tolist()]
    return np.array(is_far, bool)[which.ravel()]


def _of_no(bands: tuple[str, ...]) -> str:
    return f"of another filter than {', '.join(bands)}"


def _is_other(words: np.ndarray, bands: tuple[str, ...]) -> np.ndarray:
    """(n_rows,) whether a row names a filter that the survey does not have."""
    return np.array([word is not None and word not in bands for word in words], bool)


def _asas_sn(table: PhotometryTable) -> LightCurve:
    time_name, time = _times(table, ("hjd", "jd"))
    words = [str(word) for word in table.words("mag")]
    magnitude = np.array([_number(word.lstrip("> ")) for word in words])
    error = table.numbers(table.first(ASASSN_ERROR))
    band_name = table.first(("filter", "phot_filter"))
    bands = table.words(band_name)
    is_limit = np.array([word.startswith(">") for word in words], bool) | (error > ASASSN_NO_ERROR_MAG)
    errors, wrong_errors = known_errors(np.where(is_limit, np.nan, error))
    qualities = table.words(table.first(("quality",)))
    columns, left_out = of_rows(
        {
            "mjd": time,
            "band": bands,
            "magnitude_mag": magnitude,
            "e_magnitude_mag": errors,
            "is_limit": is_limit,
        },
        [
            (NO_TIME, ~np.isfinite(time)),
            (
                "of images that are not called good (quality G)",
                np.array([w not in (None, "G") for w in qualities], bool),
            ),
            (_of_no(ASASSN_BANDS), _is_other(bands, ASASSN_BANDS)),
            (NO_VALUE, ~(np.abs(magnitude) < FAINTEST_MAG)),
        ],
    )
    remarks = wrong_errors + ([] if band_name else ["the file does not say whether the filter is V or g"])
    if time_name == "jd":
        remarks.append("it is unknown whether its JD is heliocentric (a difference of up to 8.3 minutes)")
    return LightCurve("ASAS-SN", f"{time_name.upper()} UTC", columns, left_out, remarks, _place_above(table.comments))


def _times(table: PhotometryTable, names: tuple[str, ...]) -> tuple[str, np.ndarray]:
    """The first of some columns that is there, and its times as MJD."""
    name = table.first(names)
    assert name is not None
    return name, table.numbers(name) - (0.0 if name == "mjd" else JD_OF_MJD_0)


def _whole(flags: np.ndarray) -> np.ndarray:
    """Flags as whole numbers: 0 where there are none, all bits set where one is too large to be of bits."""
    known = np.nan_to_num(flags)
    return np.where(np.abs(known) < 2**53, known, -1).astype(np.int64)


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return np.nan


def _place_above(comments: str) -> tuple[float, float] | None:
    """The position that the client of Sky Patrol 2 writes above its table, degrees; None where there is none."""
    ra, dec = (re.search(rf'"{name}":\s*(-?\d+(?:\.\d+)?)', comments) for name in ("ra_deg", "dec_deg"))
    return (float(ra[1]), float(dec[1])) if ra and dec else None
