"""How a value is written on a page: as many digits as it deserves, by the name of its column."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from becat.publish.snapshot.metadata import column_note

__all__ = ["arranged", "decimals_of", "format_value", "sexagesimal", "sexagesimal_parts", "unit_label"]

# First match decides: decimals of a floating-point column whose name fits the pattern.
DECIMALS = (
    (r"^(ra|dec|l|b)_deg$", 5),
    (r"^mjd", 4),
    (r"_mag$", 3),
    (r"_km_s$", 1),
    (r"probability", 3),
    (r"^(e_)?ew_|_a$", 3),
    (r"_(mas|mas_yr)$", 4),
    (r"_(pc|k|s)$", 1),
    (r"_arcsec$", 2),
    (r"^snr", 1),
    (r"(log_age_yr|fe_h|ratio|asymmetry)$", 3),
)
FLAG = re.compile(r"^(is|has|by|passes|knows|asks|lacks)_|^(coadd|passed)$|_ambiguous$")
EXACT_BELOW = 2.0**53
NAMES = re.compile(r"^(designation|object_name|name|title|cluster|catalogue_id)$")
IDENTITY = re.compile(r"(^|_)(id|obsid|sha256|hash|rowid)$|^(Link|file|lmjm|planid|spid|fiberid)$")
UNITS = {
    "Angstrom": "Å", "deg": "°", "km.s**-1": "km/s", "mas.yr**-1": "mas/yr", "arcsec": "″", "pix": "px",
    "dex(cm.s**-2)": "dex", "dex(yr)": "dex yr", "km.s**-1.kpc**-1": "km/s/kpc", "mag**2": "mag²",
}  # fmt: skip


def format_value(value, column: str = "") -> str:
    """A value as text; a flag as yes or no, a missing value as an en dash."""
    if value is None or value == "":
        return "–"
    if FLAG.search(column) and value in (0, 1):
        return "yes" if value else "no"
    if not isinstance(value, float):
        return str(value)
    decimals = decimals_of(column)
    if decimals is None and value.is_integer() and abs(value) < EXACT_BELOW:
        return f"{value:.0f}"  # counts that stand beside measured values
    return f"{value:.5g}" if decimals is None else f"{value:.{decimals}f}"


def decimals_of(column: str) -> int | None:
    """Decimals that a floating-point column deserves; None where its name does not say."""
    return next((decimals for pattern, decimals in DECIMALS if re.search(pattern, column)), None)


def unit_label(table: str, column: str) -> str:
    """Unit of a column as it is written on a page."""
    unit = column_note(table, column)[1]
    return UNITS.get(unit, unit)


def sexagesimal(ra_deg: float | None, dec_deg: float | None) -> str:
    """A position in hours and degrees, such as ``03:28:22.230 +45:07:56.00``."""
    hours, minutes, seconds, sign, degrees, arc_minutes, arc_seconds = sexagesimal_parts(ra_deg, dec_deg)
    return f"{hours}:{minutes}:{seconds} {sign}{degrees}:{arc_minutes}:{arc_seconds}" if hours else ""


def sexagesimal_parts(ra_deg: float | None, dec_deg: float | None) -> list[str]:
    """Hours, minutes, seconds, sign, degrees, minutes, seconds: rounded before they are taken apart, so no 60 s appear."""
    if ra_deg is None or dec_deg is None:
        return [""] * 7
    minutes, milliseconds = divmod(round(ra_deg * 240_000) % 86_400_000, 60_000)
    arc_minutes, hundredths = divmod(round(abs(dec_deg) * 360_000), 6_000)
    return [
        f"{minutes // 60:02d}",
        f"{minutes % 60:02d}",
        f"{milliseconds / 1000:06.3f}",
        "-" if dec_deg < 0 else "+",
        f"{arc_minutes // 60:02d}",
        f"{arc_minutes % 60:02d}",
        f"{hundredths / 100:05.2f}",
    ]


def arranged(cells: Iterable, name_of: Callable[[Any], str] = str) -> list:
    """Columns or cells in the order of a page: names first, numbers of identity and files last, the others as they stand.

    A star without its designation is named by its number, which the site shows as a name.
    """
    cells = list(cells)
    first = {name_of(cell) for cell in cells} & {"designation", "star_id"} or {""}
    return sorted(cells, key=lambda cell: 0 if name_of(cell) == min(first) else _place(name_of(cell)))


def _place(column: str) -> int:
    return 0 if NAMES.search(column) else 2 if IDENTITY.search(column) else 1
