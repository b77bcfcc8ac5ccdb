"""Angular distance of two points on the sky, for queries and for numbers: one formula, of which both are made.

It is Vincenty's on a sphere, which astropy uses, too: exact at poles and antipodes, and to 1e-10 arcsec between neighbours.
DuckDB, SQLite and Python's `math` call its functions alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable

__all__ = ["separation_deg", "separation_sql"]

_SEPARATION_DEG = """degrees(atan2(
    sqrt(
        pow(cos(radians({dec_2})) * sin(radians({ra_2} - {ra_1})), 2)
        + pow(
            cos(radians({dec_1})) * sin(radians({dec_2}))
            - sin(radians({dec_1})) * cos(radians({dec_2})) * cos(radians({ra_2} - {ra_1})), 2
        )
    ),
    sin(radians({dec_1})) * sin(radians({dec_2}))
    + cos(radians({dec_1})) * cos(radians({dec_2})) * cos(radians({ra_2} - {ra_1}))
))"""


def separation_sql(ra_1: str, dec_1: str, ra_2: str, dec_2: str) -> str:
    """Expression of the angular distance in degrees, for DuckDB and SQLite.

    Parameters
    ----------
    ra_1, dec_1, ra_2, dec_2 : str
        Columns, parameters or numbers, degrees; a sum needs parentheses.
    """
    return _SEPARATION_DEG.format(ra_1=ra_1, dec_1=dec_1, ra_2=ra_2, dec_2=dec_2)


separation_deg: Callable[[float, float, float, float], float] = eval(
    f"lambda ra_1, dec_1, ra_2, dec_2: {separation_sql('ra_1', 'dec_1', 'ra_2', 'dec_2')}", dict(vars(math))
)
