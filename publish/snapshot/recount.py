"""The selection counted with other thresholds, in milliseconds: the numbers that thresholds are compared with, as arrays.

The tests are those that the steps declare (`becat.schema.selection`). One without a slider is a flag for each spectrum or
star, made once with the snapshot; one with a slider is a number, and a comparison here. `tests/test_recount.py` holds it
against the views.
"""

from __future__ import annotations

import re
import sqlite3
import zlib
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from becat.publish.snapshot.address import address_of
from becat.schema.selection import SELECTION, Selection, Test, bare, key

__all__ = ["THRESHOLDS", "Columns", "Counted", "count", "load", "write"]

THRESHOLDS = tuple(SELECTION.sliders)
COMPARE = {"above": np.greater, "at_least": np.greater_equal, "below": np.less, "at_most": np.less_equal}
# What always passes, by side; what never does is no number.
ALWAYS = {"above": "inf", "at_least": "inf", "below": "-inf", "at_most": "-inf", "outside": "-inf"}
# Spectra of a star stand together, the one of highest S/N first; those of no star at the end, with a row of their own at the
# end of the stars.
SPECTRA_SQL = """
select spectrum.star_id, {columns}
from spectrum
{joins}
order by spectrum.star_id nulls last, spectrum.snr_r desc, spectrum.spectrum_id"""
STARS_SQL = """
select stars.star_id, {columns}
from (select distinct star_id from spectrum) as stars
{joins}
order by stars.star_id nulls last"""
TABLE_SQL = (
    "create table recount_column (of text, name text, type text, bytes blob, primary key (of, name)) without rowid"
)


@dataclass(frozen=True)
class Columns:
    """Arrays with an entry for each spectrum and for each star, and the place of each spectrum's star (-1: it has none)."""

    spectra: dict[str, np.ndarray]
    stars: dict[str, np.ndarray]
    star_of_spectrum: np.ndarray


@dataclass(frozen=True)
class Counted:
    """Spectra and stars left after each step, and the stars of three of the views."""

    funnel: list[tuple[int, str, int, int]]
    be_candidate: np.ndarray
    new_cbe: np.ndarray
    classical_be: np.ndarray


def write(source, target: sqlite3.Connection) -> None:
    """Put the arrays into the snapshot, packed.

    Parameters
    ----------
    source : DuckDB connection
        The catalogue.
    target : sqlite3.Connection
        The snapshot, without a table ``recount_column``.
    """
    target.execute(TABLE_SQL)
    for of, sql in (("spectrum", _sql(SPECTRA_SQL, "spectrum")), ("star", _sql(STARS_SQL, "star"))):
        for name, values in source.execute(sql).fetchnumpy().items():
            array = _plain(values)
            target.execute(
                "insert into recount_column values (?, ?, ?, ?)",
                (of, name, array.dtype.str, zlib.compress(array.tobytes(), 1)),
            )


def _of(test: Test) -> str:
    """Whether a test's value is one of each spectrum, or the same for all spectra of a star."""
    return (
        "star" if all(key(source) == "star_id" and source != "spectrum" for source, _ in test.columns) else "spectrum"
    )


def _moves(test: Test) -> bool:
    """Whether a slider moves what the test compares with."""
    return bool(test.side and not test.passes and set(test.parameters) & set(SELECTION.sliders))


def _sql(sql: str, of: str, selection: Selection = SELECTION) -> str:
    """The query that reads the arrays of all spectra, or of all stars."""
    tests = [test for _, test in selection.tests if _of(test) == of]
    columns = [f"{_array(test, selection)} as t{test.test}" for test in tests]
    sources = {source for test in tests for source, _ in test.columns}
    if of == "star":
        columns.append(f"{bare(selection.branch.branch)} as is_known")
        sources |= set(selection.branch.sources_of_branch)
    table = "spectrum" if of == "spectrum" else "stars"
    joins = [f"left join {s} on {s}.{key(s)} = {table}.{key(s)}" for s in sorted(sources - {"spectrum"})]
    return sql.format(columns=",\n    ".join(columns), joins="\n".join(joins))


def _array(test: Test, selection: Selection) -> str:
    """The number that a slider is compared with, or whether the test is passed."""
    if not _moves(test):
        return _taken_for_granted(test.decided(test.bare_value), test, selection)
    otherwise = "null" if test.missing == "fails" else f"'{ALWAYS[test.side]}'::float"
    if test.missing not in ("passes", "fails"):
        otherwise = f"case when parameter('{test.missing}') = 1 then '{ALWAYS[test.side]}'::float end"
    value = f"coalesce({test.bare_value}, {otherwise})"
    return f"case when {bare(test.asked)} then {value} else '{ALWAYS[test.side]}'::float end" if test.asked else value


def _taken_for_granted(sql: str, test: Test, selection: Selection) -> str:
    """A condition that also reads the value of an earlier slider: who gets here has passed that one, wherever it stands."""
    earlier = [t for _, t in selection.tests if _moves(t) and t.test < test.test and t.value.split(".")[-1] == t.column]
    for other in earlier:
        sql = re.sub(rf"\b{other.column}\b", f"'{ALWAYS[other.side]}'::float", sql)
    return sql


def _plain(values: np.ndarray) -> np.ndarray:
    """Flags as bytes, whole numbers of 8 bytes (missing: the lowest), others of 4 bytes where these hold them exactly."""
    if values.dtype.kind == "b":
        return np.ma.filled(values, False).astype(np.uint8)
    if values.dtype.kind in "iu":
        return np.ma.filled(values.astype(np.int64), np.iinfo(np.int64).min)
    whole = np.ma.filled(values.astype(np.float64), np.nan)
    short = whole.astype(np.float32)
    return short if np.array_equal(short.astype(np.float64), whole, equal_nan=True) else whole


def load(snapshot: str | Path) -> Columns | None:
    """The arrays of a snapshot; None where it has none, because an older becat made it."""
    with closing(sqlite3.connect(address_of(snapshot), uri=True)) as connection:
        try:
            rows = connection.execute("select of, name, type, bytes from recount_column").fetchall()
        except sqlite3.OperationalError:
            return None
    found: dict[str, dict[str, np.ndarray]] = {"spectrum": {}, "star": {}}
    for of, name, kind, packed in rows:
        array = np.frombuffer(zlib.decompress(packed), dtype=kind)
        found[of][name] = array.view(bool) if kind == "|u1" else array
    of_spectrum, no_star = found["spectrum"].pop("star_id"), np.iinfo(np.int64).min
    stars = found["star"]["star_id"]
    place = np.searchsorted(stars[stars != no_star], of_spectrum).astype(np.int32)
    place[of_spectrum == no_star] = -1
    return Columns(found["spectrum"], found["star"], place)


def count(columns: Columns, limits: dict[str, float]) -> Counted:
    """Count the selection.

    Parameters
    ----------
    columns : Columns
    limits : dict of str to float
        A value for each of `THRESHOLDS`.

    Returns
    -------
    Counted
        As the views ``funnel``, ``be_candidate``, ``new_cbe`` and ``classical_be`` would say.
    """
    at = {name: np.float64(value) for name, value in limits.items()}  # so that numbers of 4 bytes are compared in 8
    place = columns.star_of_spectrum
    left = np.arange(len(place))
    funnel = [_step(0, "spectra", place)]
    candidates = left
    for step in SELECTION.of("spectrum"):
        for test in step.tests:
            left = left[_passes(columns, test, left, at)]
        funnel.append(_step(step.step, step.name, place[left]))
        if step.name == "inspection":
            candidates = left[place[left] >= 0]
    return _judge_stars(columns, left[place[left] >= 0], at, funnel, np.unique(place[candidates]))


def _passes(columns: Columns, test: Test, spectra: np.ndarray, at: dict[str, np.float64]) -> np.ndarray:
    """Which of some spectra pass a test."""
    if _of(test) == "star":
        return _compare(columns.stars[f"t{test.test}"], test, at)[columns.star_of_spectrum[spectra]]
    return _compare(columns.spectra[f"t{test.test}"][spectra], test, at)


def _compare(values: np.ndarray, test: Test, at: dict[str, np.float64]) -> np.ndarray:
    if not _moves(test):
        return values
    if test.side == "outside":
        low, high = test.parameters
        return (values < at[low]) | (values > at[high])
    return COMPARE[test.side](values, at[test.parameters[0]])


def _step(step: int, name: str, place: np.ndarray) -> tuple[int, str, int, int]:
    """Number of spectra, and of the stars that they belong to: places of the same star stand together."""
    changes = np.count_nonzero(np.diff(place)) + 1 if len(place) else 0
    return step, name, len(place), int(changes - (len(place) > 0 and place[-1] < 0))


def _judge_stars(columns: Columns, left: np.ndarray, at, funnel: list, candidates: np.ndarray) -> Counted:
    """The steps of stars: the first spectrum of each star that is left, the one of highest S/N, stands for it."""
    stars = columns.stars
    place, first, n_spectra = np.unique(columns.star_of_spectrum[left], return_index=True, return_counts=True)
    best = left[first]

    def count_stars(step: int, name: str, which: np.ndarray) -> None:
        funnel.append((step, name, int(n_spectra[which].sum()), int(which.sum())))

    is_known = stars["is_known"][place]
    count_stars(SELECTION.branch.step, SELECTION.branch.name, is_known)
    passes = ~is_known
    for step in SELECTION.of("star"):
        for test in step.tests:
            passes = passes & _passes(columns, test, best, at)
        count_stars(step.step, step.name, passes)
    count_stars(110, "classical_be", passes | is_known)
    ids = stars["star_id"]
    return Counted(funnel, ids[candidates], new_cbe=ids[place[passes]], classical_be=ids[place[passes | is_known]])
