"""Thresholds of the catalogue: as shipped (parameters.toml) and as they stand in a catalogue."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["Parameter", "load", "value"]


@dataclass(frozen=True)
class Parameter:
    """One threshold, with its unit, what it decides and where it is from."""

    name: str
    value: float
    unit: str
    description: str
    reference: str


@cache
def load() -> dict[str, Parameter]:
    """Every threshold as shipped, by name, in the order of parameters.toml."""
    with Path(__file__).with_name("parameters.toml").open("rb") as file:
        return {
            name: Parameter(name, **{**row, "value": float(row["value"])}) for name, row in tomllib.load(file).items()
        }


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
