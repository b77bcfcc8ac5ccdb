"""Thresholds of a catalogue: shown beside the shipped ones, and changed by name."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import duckdb

from becat.schema.errors import CatalogueError

__all__ = ["Threshold", "change", "thresholds"]


@dataclass(frozen=True)
class Threshold:
    """A threshold as it stands in a catalogue; `shipped` is what becat came with."""

    name: str
    value: float
    unit: str
    description: str
    reference: str
    shipped: float


def thresholds(connection: duckdb.DuckDBPyConnection, names: Iterable[str] = ()) -> list[Threshold]:
    """Thresholds in the order of the catalogue.

    Parameters
    ----------
    connection : duckdb connection
    names : iterable of str, optional
        Those that are wanted; by default all.

    Raises
    ------
    CatalogueError
        There is no threshold of such a name; those that are named alike are told.
    """
    sql = "select name, value, unit, description, reference, default_value from selection_parameter order by rowid"
    found = [Threshold(*row) for row in connection.execute(sql).fetchall()]
    known = {threshold.name: threshold for threshold in found}
    wanted = list(names)
    for name in wanted:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "`becat threshold` lists them"
            raise CatalogueError(f"no threshold {name}: {hint}")
    return [known[name] for name in wanted] if wanted else found


def change(connection: duckdb.DuckDBPyConnection, values: Mapping[str, float]) -> None:
    """Give thresholds other values; the views follow at once.

    Parameters
    ----------
    connection : duckdb connection
        Open for writing.
    values : mapping of str to float

    Raises
    ------
    CatalogueError
        There is no threshold of such a name, or a value is not a finite number.
    """
    thresholds(connection, values)
    for name, value in values.items():
        if not math.isfinite(value):
            raise CatalogueError(f"{name} must be a finite number, not {value}")
        connection.execute("update selection_parameter set value = ? where name = ?", [value, name])
