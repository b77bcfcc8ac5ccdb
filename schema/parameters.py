"""Thresholds of the catalogue: as shipped (parameters.toml) and as they stand in a catalogue."""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from becat.schema.errors import BecatError

__all__ = [
    "Threshold",
    "change",
    "from_words",
    "in_force",
    "in_words",
    "load",
    "reset",
    "thresholds",
    "value",
]


@dataclass(frozen=True)
class Threshold:
    """One threshold, with its unit, what it decides, where it is from, and the value that becat came with."""

    name: str
    value: float
    unit: str
    description: str
    reference: str
    shipped: float
    range: tuple[float, float] = (-math.inf, math.inf)
    words: tuple[str, ...] = ()

    @property
    def is_switch(self) -> bool:
        """Whether it is 0 or 1 and nothing between."""
        return self.description.startswith("Switch:")


@cache
def load() -> dict[str, Threshold]:
    """Every threshold as shipped, by name, in the order of parameters.toml."""
    with Path(__file__).with_name("parameters.toml").open("rb") as file:
        return {name: _shipped(name, **row) for name, row in tomllib.load(file).items()}


def _shipped(
    name: str,
    value: float,
    range: Iterable[float] = (-math.inf, math.inf),
    words: Iterable[str] = (),
    **told: str,
) -> Threshold:
    low, high = range
    return Threshold(name, float(value), shipped=float(value), range=(low, high), words=tuple(words), **told)


def in_words(name: str, number: float) -> str:
    """A value as it is printed: a choice by its word."""
    words = load()[name].words if name in load() else ()
    return words[int(number)] if number in range(len(words)) else f"{number:g}"


def from_words(name: str, text: str) -> float:
    """A value as a user writes it: a number, or the word of a choice.

    Raises
    ------
    ValueError
        It is neither.
    """
    words = load()[name].words if name in load() else ()
    return float(words.index(text)) if text in words else float(text)


def value(name: str, connection=None) -> float:
    """Value of a threshold.

    Parameters
    ----------
    name : str
        Name as in parameters.toml.
    connection : duckdb.DuckDBPyConnection, optional
        An open catalogue: its selection_parameter decides. Without it the value as shipped.

    Raises
    ------
    KeyError
        There is no such threshold.
    """
    if connection is not None:
        row = connection.execute("select value from selection_parameter where name = ?", [name]).fetchone()
        if row is not None:
            return float(row[0])
    return load()[name].value


def in_force(connection) -> dict[str, float]:
    """Value of every threshold: of the catalogue that is open, as shipped where it has none.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Any connection.
    """
    found = {name: parameter.value for name, parameter in load().items()}
    if connection.execute("select 1 from duckdb_tables() where table_name = 'selection_parameter'").fetchone():
        found |= dict(connection.execute("select name, value from selection_parameter").fetchall())
    return found


def thresholds(connection, names: Iterable[str] = ()) -> list[Threshold]:
    """Thresholds in the order of the catalogue.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    names : iterable of str, optional
        Those that are wanted; by default all.

    Raises
    ------
    BecatError
        There is no threshold of such a name; those that are named alike are told.
    """
    sql = "select name, value, unit, description, reference, default_value from selection_parameter order by rowid"
    shipped = load()
    rows = [Threshold(*row) for row in connection.execute(sql).fetchall()]
    found = [
        replace(row, range=shipped[row.name].range, words=shipped[row.name].words) if row.name in shipped else row
        for row in rows
    ]
    known = {threshold.name: threshold for threshold in found}
    wanted = list(names)
    for name in wanted:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "`becat threshold` lists them"
            raise BecatError(f"no threshold {name}: {hint}")
    return [known[name] for name in wanted] if wanted else found


def change(connection, values: Mapping[str, float]) -> None:
    """Give thresholds other values; the views follow at once.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Open for writing.
    values : mapping of str to float

    Raises
    ------
    BecatError
        There is no threshold of such a name, or a value is not a finite number in its range; nothing is changed then.
    """
    for threshold in thresholds(connection, values) if values else ():
        _check(threshold, values[threshold.name])
    for name, value in values.items():
        connection.execute("update selection_parameter set value = ? where name = ?", [value, name])


def reset(connection, names: Iterable[str] = ()) -> list[Threshold]:
    """Give thresholds the values again with which they were shipped.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Open for writing.
    names : iterable of str, optional
        Which ones; by default all.

    Returns
    -------
    list of Threshold
        Those that had another value, as they were.

    Raises
    ------
    BecatError
        There is no threshold of such a name.
    """
    changed = [threshold for threshold in thresholds(connection, names) if threshold.value != threshold.shipped]
    for threshold in changed:
        connection.execute("update selection_parameter set value = default_value where name = ?", [threshold.name])
    return changed


def _check(threshold: Threshold, value: float) -> None:
    name, (low, high) = threshold.name, threshold.range
    if not math.isfinite(value):
        raise BecatError(f"{name} must be a finite number, not {value}")
    if threshold.words and value not in range(len(threshold.words)):
        raise BecatError(f"{name} is one of {', '.join(threshold.words)}, not {value:g}")
    if threshold.is_switch and value not in (0, 1):
        raise BecatError(f"{name} is a switch: 0 or 1, not {value:g}")
    if not low <= value <= high:
        limits = f"from {low:g} to {high:g}" if math.isfinite(high) else f"{low:g} or more"
        raise BecatError(f"{name} must be {limits}, not {value:g}")
