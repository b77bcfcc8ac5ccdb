"""What LAMOST's primary header says of a spectrum, whatever the layout."""

from __future__ import annotations

from becat.etl.readers.agreement import position_agrees
from becat.etl.readers.fits import Hdu
from becat.etl.readers.problem import Problem
from becat.etl.readers.spectrum import MAX_OBSID, coadd_id, hashed_id
from becat.schema.lines import SPEED_OF_LIGHT_KM_S
from becat.schema.quality import Quality

__all__ = [
    "check_checksums",
    "check_complete",
    "identity_parts",
    "obsid",
    "position_quality",
    "primary_meta",
    "snr",
    "spectrum_id",
]

NOT_A_STAR = {"SKY", "UNUSED", "POSERR", "DEAD", "BAD"}
MAX_STELLAR_REDSHIFT = 0.01
MAX_SNR = 1e5
N_SPECTROGRAPHS, N_FIBERS = 16, 250


def check_checksums(hdus: list[Hdu]) -> None:
    """Raise Problem where a checksum is older than the file: LAMOST's pipeline writes both at once."""
    for hdu in hdus:
        if hdu.stale_checksum:
            raise Problem(f"{hdu.stale_checksum}: the file was changed, fetch it again", hdu.label)


def check_complete(hdus: list[Hdu]) -> None:
    """Raise Problem where a file has fewer HDUs than its primary header counts: it ends at the edge of one."""
    promised = hdus[0].integer("N_EXTEN")
    if promised is not None and len(hdus) < promised:
        raise Problem(f"truncated: the header promises {promised} HDUs, {len(hdus)} are there: fetch it again")


def obsid(primary: Hdu) -> int | None:
    """LAMOST's observation identifier; None in files before DR3.

    Raises
    ------
    Problem
        It is not a positive whole number of at most ten digits.
    """
    value = primary.integer("OBSID")
    if value is not None and not 0 < value < MAX_OBSID:
        raise Problem(f"OBSID is {value}: the header is damaged", primary.label)
    return value


def identity_parts(primary: Hdu) -> tuple[int, str, int, int]:
    """Night, plate, spectrograph and fibre: what identifies a spectrum that has no obsid.

    Raises
    ------
    Problem
        One of them is missing.
    """
    night, plan = primary.integer("LMJD"), primary.string("PLANID")
    spectrograph, fiber = primary.integer("SPID"), primary.integer("FIBERID")
    if night is None or not plan or spectrograph is None or fiber is None:
        raise Problem("neither OBSID nor LMJD, PLANID, SPID and FIBERID: it cannot be identified", primary.label)
    return night, plan, spectrograph, fiber


def spectrum_id(primary: Hdu, low_resolution: bool) -> int:
    """Identity of a coadd of one of the surveys."""
    value = obsid(primary)
    return coadd_id(value, low_resolution) if value is not None else hashed_id(*identity_parts(primary))


def primary_meta(primary: Hdu, survey: str, layout: str) -> dict:
    """Columns of the table ``spectrum`` that the primary header fills; no position where it says two of them.

    Parameters
    ----------
    primary : Hdu
    survey, layout : str

    Raises
    ------
    Problem
        The fibre was not on a star, or the position is missing or out of range.
    """
    fiber_type = primary.string("FIBERTYP") or primary.string("FIB_TYPE")
    if fiber_type.upper() in NOT_A_STAR:
        raise Problem(f"the fibre was not on a star but on {fiber_type!r}", primary.label)
    ra_deg, dec_deg = primary.number("RA"), primary.number("DEC")
    if ra_deg is None or dec_deg is None:
        raise Problem("coordinates (RA, DEC) are missing: fetch the file again", primary.label)
    if not (0 <= ra_deg <= 360 and -90 <= dec_deg <= 90):
        raise Problem(f"coordinates are out of range: RA {ra_deg:g}, DEC {dec_deg:g} degrees", primary.label)
    agrees = position_agrees(primary, ra_deg, dec_deg)
    return {
        "survey": survey,
        "release": primary.string("DATA_V").removeprefix("LAMOST").strip() or None,
        "layout": layout,
        "is_simulated": primary.logical("SIMULAT") is True,
        "designation": primary.string("DESIG").removeprefix("LAMOST").strip() or None,
        "obsid": obsid(primary),
        "plan_id": primary.string("PLANID") or None,
        "spectrograph": _counted(primary, "SPID", N_SPECTROGRAPHS),
        "fiber": _counted(primary, "FIBERID", N_FIBERS),
        "ra_deg": ra_deg % 360.0 if agrees else None,
        "dec_deg": dec_deg if agrees else None,
        "rv_km_s": _velocity(primary),
    }


def position_quality(meta: dict) -> int:
    """The bit of `becat.schema.quality.Quality` for what `primary_meta` found of the position."""
    return int(Quality.POSITION_DOUBTFUL) if meta["ra_deg"] is None else 0


def _counted(primary: Hdu, key: str, highest: int) -> int | None:
    value = primary.integer(key)
    if value is not None and not 1 <= value <= highest:
        raise Problem(f"{key} is {value}, LAMOST has 1 to {highest}: the header is damaged", primary.label)
    return value


def _velocity(primary: Hdu) -> float | None:
    redshift = primary.number("Z")
    if redshift is None or primary.string("CLASS") != "STAR" or abs(redshift) > MAX_STELLAR_REDSHIFT:
        return None
    return redshift * SPEED_OF_LIGHT_KM_S


def snr(hdu: Hdu, *keys: str) -> float | None:
    """Signal to noise from the first of the keywords that is there; LAMOST writes -999 or -9999 for none."""
    for key in keys:
        value = hdu.number(key)
        if value is not None and 0 <= value < MAX_SNR:
            return value
    return None
