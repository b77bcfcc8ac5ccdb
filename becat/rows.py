"""Rows of the catalogue's tables in Python: values with the names, units and descriptions that the tables give them."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from sqlalchemy import REAL

from becat.schema.tables import TABLES, column_info

__all__ = ["Row"]

# Units as tables write them, and as people read them.
_WORDS = {"Angstrom": "Å", "km.s**-1": "km/s", "deg": "deg", "pix": "px"}


class Row(Mapping[str, Any]):
    """Values by column, as items (``row["ew_halpha_a"]``) and as attributes (``row.ew_halpha_a``); None where there is none.

    Parameters
    ----------
    values : mapping of str to object
        Columns that are in none of the tables are left out. Numbers are rounded as the table keeps them.
    *tables : str
        Tables of the catalogue whose columns these are.
    """

    def __init__(self, values: Mapping[str, object], *tables: str):
        self._table = {
            column.name: table for table in tables for column in TABLES[table].columns if column.name in values
        }
        self._values = {name: _as_kept(values[name], TABLES[t].columns[name].type) for name, t in self._table.items()}

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_values"][name]
        except KeyError:
            raise AttributeError(f"there is no {name} here") from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._values]

    def unit(self, name: str) -> str:
        """Unit of a column, as in VOUnits ("Angstrom", "km.s**-1"); empty where it has none."""
        return column_info(self._table[name], name).get("unit", "")

    def description(self, name: str) -> str:
        """What a column holds."""
        return column_info(self._table[name], name)["description"]

    def words(self, name: str) -> str:
        """A value with its error, where there is one, and its unit."""
        value, error = self._values[name], self._values.get(f"e_{name}")
        if value is None:
            return "–"
        unit = self.unit(name)
        return " ".join(filter(None, (_number(value, error), _WORDS.get(unit, unit))))

    def _shown(self) -> list[str]:
        """Columns; an error stands beside its value."""
        return [name for name in self._values if not (name.startswith("e_") and name[2:] in self._values)]

    def __repr__(self) -> str:
        width = max((len(name) for name in self._shown()), default=0)
        return "\n".join(f"{name:{width}}  {self.words(name)}" for name in self._shown())

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td><code>{name}</code></td><td>{html.escape(self.words(name))}</td>"
            f"<td style='text-align:left'>{html.escape(self.description(name))}</td></tr>"
            for name in self._shown()
        )
        return f"<table>{rows}</table>"


def _as_kept(value: Any, kind: object) -> Any:
    """A value as the catalogue gives it back: None for NaN, single precision where the column has that."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        value = float(np.float32(value)) if isinstance(kind, REAL) else value
        return None if math.isnan(value) else value
    return value


def _number(value: Any, error: float | None) -> str:
    if not isinstance(value, float):
        return str(value)
    if error is None or not 0 < error < math.inf:
        return f"{value:.6g}"
    decimals = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"
