"""The declared sources (sources.toml), each with what schema/catalogues.toml knows of it."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import becat.schema as schema
from becat.schema import parameters
from becat.schema.errors import BecatError

__all__ = ["ColumnMissing", "Position", "Source", "load", "sentinel", "source"]


class ColumnMissing(BecatError):
    """A column that the source must have is not there: the archive has changed its table."""


@dataclass(frozen=True)
class Position:
    """A place on the sky, degrees (ICRS)."""

    ra_deg: float
    dec_deg: float


@dataclass(frozen=True)
class Source:
    """One catalogue: where it is served, and which of its columns becomes which of ours."""

    name: str
    service: str
    fills: tuple[str, ...]
    match: dict[str, list[str]]
    columns: dict[str, list[str]]
    tables: tuple[str, ...] = ()
    joined: str = ""
    of_joined: tuple[str, ...] = ()
    catalogue: str = ""
    title: str = ""
    reference: str = ""
    object_class: str = ""
    release: str = ""
    radius: str = ""
    radius_arcsec: float = 0.0
    epoch_yr: float = 2000.0
    rows_min: int = 1
    optional: tuple[str, ...] = ()
    units: dict[str, str] = field(default_factory=dict)
    classes: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, list[str]] = field(default_factory=dict)
    seen: str = ""
    unseen: str = ""

    @property
    def table(self) -> str:
        """Its table at the service; of several the first."""
        return self.tables[0] if self.tables else ""

    @property
    def is_whole(self) -> bool:
        """Whether the service gives the whole table, whatever the stars."""
        return self.service in ("vizier", "tapvizier")

    @property
    def catalogue_id(self) -> str:
        """Its name in literature_match, spectral_type and cluster_match."""
        return self.catalogue or self.name

    @property
    def year(self) -> int | None:
        """Year of publication, from the reference of its catalogue."""
        words = self.reference.replace(",", " ").split()
        years = [int(w) for w in words if w.isdigit() and 1800 < int(w) < 2200]
        return years[0] if years else None

    def radius_of(self, connection=None) -> float:
        """Matching radius, arcsec: the catalogue's row of literature_catalogue or a parameter decides."""
        if self.radius:
            return parameters.value(self.radius, connection)
        if connection is not None:
            row = connection.execute(
                "select radius_arcsec from literature_catalogue where catalogue_id = ?", [self.catalogue_id]
            ).fetchone()
            if row and row[0]:
                return float(row[0])
        return self.radius_arcsec

    def wanted(self) -> dict[str, list[str]]:
        """Every column that is read: the keys are ours, with ``match.`` before those of the position."""
        return {f"match.{key}": names for key, names in self.match.items()} | self.columns


@cache
def load() -> dict[str, Source]:
    """Every source by name, in the order of sources.toml."""
    catalogues = tomllib.loads(Path(schema.__file__).with_name("catalogues.toml").read_text(encoding="utf-8"))
    known = {}
    for name, given in _toml().items():
        if name == "sentinel":
            continue
        row = catalogues[given["catalogue"]] if "catalogue" in given else {}
        shared = {k: row[k] for k in ("title", "reference", "object_class", "radius_arcsec", "epoch_yr") if k in row}
        fields: dict[str, Any] = shared | given
        table = fields.pop("table", [])
        fields["tables"] = (table,) if isinstance(table, str) else tuple(table)
        fields |= {key: tuple(fields[key]) for key in ("fills", "optional", "of_joined") if key in fields}
        known[name] = Source(name=name, **fields)
    return known


def sentinel() -> Position:
    """Star that every archive knows."""
    return Position(**_toml()["sentinel"])


def source(name: str) -> Source:
    """A source by its name.

    Raises
    ------
    BecatError
        There is no such source; the message says which there are.
    """
    known = load()
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"the sources are {', '.join(known)}"
        raise BecatError(f"no source {name!r}: {hint}")
    return known[name]


@cache
def _toml():
    return tomllib.loads(Path(__file__).with_name("sources.toml").read_text(encoding="utf-8"))
