"""What is taken of a table of photometry, whichever service wrote it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

__all__ = ["JD_OF_MJD_0", "LARGEST", "LightCurve", "known_errors", "of_rows"]

JD_OF_MJD_0 = 2_400_000.5
LARGEST = 1e30  # of a number that the table keeps in four bytes
REPEATED = "that stand in it twice"


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
        Why a row cannot be used, in words, and the rows of which it holds. A row counts for the first that does. Of rows that are
        alike in all columns the first is used.

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
    import pandas as pd  # slow to import

    frame = pd.DataFrame(dict(columns))
    repeated = frame[kept].duplicated().to_numpy(bool)
    if count := int(repeated.sum()):
        left_out[REPEATED] = count
        kept[np.flatnonzero(kept)[repeated]] = False
    return {
        "row_in_file": np.flatnonzero(kept) + 1,
        **{name: values[kept] for name, values in columns.items()},
    }, left_out


def known_errors(errors: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Errors, NaN where one is no finite number above zero, and what is to be told of these.

    Parameters
    ----------
    errors : (n,) array
        NaN where the file has none.

    Returns
    -------
    errors : (n,) array
    remarks : list of str
    """
    is_none = ~((errors > 0) & (errors < LARGEST))
    n_wrong = int((is_none & ~np.isnan(errors)).sum())
    remarks = [f"errors that are no positive number left empty: {n_wrong:,}"] if n_wrong else []
    return np.where(is_none, np.nan, errors), remarks
