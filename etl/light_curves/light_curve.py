"""What is taken of a table of photometry, whichever service wrote it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

__all__ = ["JD_OF_MJD_0", "LightCurve", "of_rows"]

JD_OF_MJD_0 = 2_400_000.5


@dataclass(frozen=True, eq=False)
class LightCurve:
    """Measurements of one file, and what of it was left out.

    Attributes
    ----------
    source : str
        TESS, ASAS-SN or ZTF.
    time_system : str
        What the times are: BJD TDB, HJD UTC, JD UTC or MJD UTC.
    columns : mapping of str to (n,) array
        Columns of the table ``light_curve``, ``row_in_file`` among them.
    left_out : mapping of str to int
        Rows that were not taken, by the reason in words.
    remarks : sequence of str
        What else is to be told of the file.
    position_deg : (float, float) or None
        Right ascension and declination that the file gives for its star, degrees.
    """

    source: str
    time_system: str
    columns: Mapping[str, np.ndarray]
    left_out: Mapping[str, int] = field(default_factory=dict)
    remarks: Sequence[str] = ()
    position_deg: tuple[float, float] | None = None

    def __len__(self) -> int:
        return len(self.columns["mjd"])


def of_rows(
    columns: Mapping[str, np.ndarray], reasons: Sequence[tuple[str, np.ndarray]]
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """The rows of a table that can be used, with their numbers, and how many of the others there are.

    Parameters
    ----------
    columns : mapping of str to (n,) array
    reasons : sequence of (str, (n,) bool array)
        Why a row cannot be used, in words, and the rows of which it holds. A row counts for the first that does.

    Returns
    -------
    columns : dict of str to array
        ``row_in_file`` too, counted from 1.
    left_out : dict of str to int
    """
    kept, left_out = np.ones(len(columns["mjd"]), bool), {}
    for words, holds in reasons:
        if count := int((kept & holds).sum()):
            left_out[words] = count
        kept &= ~holds
    return {
        "row_in_file": np.flatnonzero(kept) + 1,
        **{name: values[kept] for name, values in columns.items()},
    }, left_out
