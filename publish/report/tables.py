"""The tables of the paper as queries of the catalogue's views: one file of `queries/` each.

The comment at the head of a query is the table's title and its note; the line "needs" names the tables of the catalogue
without which it stays empty, the line "of" those whose columns it shows, the line "part" the file of `queries/parts/` with
which it begins, where two tables begin alike. What a column means, its unit and its UCD come from the schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import duckdb

from becat.publish.snapshot.formatting import decimals_of
from becat.publish.snapshot.metadata import column_note
from becat.schema.tables import TABLES

__all__ = ["PAPER_TABLES", "Column", "PaperTable", "columns_of", "lacking", "rows_of", "why_empty"]

QUERIES = Path(__file__).with_name("queries")
BATCH_ROWS = 5_000
DECIMALS = 4  # of a real column whose name does not say how many it deserves

# What an empty table of the catalogue means, and what fills it, in the order in which a catalogue is made.
FILLED_BY = {
    "spectrum": ("no spectra", "becat load"),
    "line_measurement": ("no measured lines", "becat measure"),
    "profile_class": ("no profile classes", "becat measure"),
    "be_score": ("no scores of a classifier", "becat score"),
    "photometry": ("no photometry of 2MASS and AllWISE", "becat fetch tmass allwise"),
    "astrometry": ("no Gaia astrometry", "becat fetch gaia gaia_distance"),
    "reddening": ("no reddening", "becat fetch reddening"),
    "spectral_type": ("no spectral types", "becat fetch skiff_2014 kharchenko_roeser_2009 simbad"),
    "literature_match": ("no match with lists of Be stars", "becat fetch all"),
    "cluster_match": ("no members of clusters", "becat fetch cantat_gaudin_2018 dias_2021"),
    "kinematics": ("no peculiar velocities", "becat match"),
}


@dataclass(frozen=True)
class Column:
    """A column of a table of the report; `kind` is whole, real, flag or text, `decimals` is for a real one."""

    name: str
    kind: str
    unit: str
    ucd: str
    description: str
    decimals: int = 0


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper: its number as printed, and the query that makes it from a catalogue."""

    number: str
    path: Path

    @cached_property
    def _head(self) -> list[str]:
        lines = self.path.read_text(encoding="utf-8").splitlines()
        return [line.removeprefix("--").strip() for line in lines if line.startswith("--")]

    @property
    def title(self) -> str:
        """Title, one line."""
        return self._head[0]

    @property
    def note(self) -> str:
        """What a reader must know to use the table."""
        return " ".join(line for line in self._head[1:] if not line.startswith(("needs:", "of:", "part:")))

    @property
    def needs(self) -> list[str]:
        """Tables of the catalogue without which it is empty."""
        return self._named("needs:")

    @property
    def tables(self) -> list[str]:
        """Tables of the catalogue whose columns it shows; the first that has a column describes it."""
        return self._named("of:")

    def _named(self, word: str) -> list[str]:
        line = next((line for line in self._head if line.startswith(word)), word)
        return re.findall(r"\w+", line.removeprefix(word))

    @cached_property
    def sql(self) -> str:
        """The whole query, without the comment at its head."""
        parts = [self.path.parent / "parts" / f"{name}.sql" for name in self._named("part:")]
        lines = [line for path in (*parts, self.path) for line in path.read_text(encoding="utf-8").splitlines()]
        return "\n".join(line for line in lines if not line.startswith("--")).strip()


def _printed_order(path: Path) -> tuple[bool, str]:
    number = path.stem.removeprefix("table_")
    return number.startswith("A"), number


PAPER_TABLES = tuple(
    PaperTable(path.stem.removeprefix("table_"), path)
    for path in sorted(QUERIES.glob("table_*.sql"), key=_printed_order)
)


def columns_of(connection: duckdb.DuckDBPyConnection, table: PaperTable) -> list[Column]:
    """Columns of a table with units, UCDs and descriptions from the schema.

    Parameters
    ----------
    connection : duckdb connection
        The catalogue.
    table : PaperTable

    Returns
    -------
    list of Column
    """
    described = connection.execute(f"describe {table.sql}").fetchall()
    return [_column(table, name, type_) for name, type_, *_ in described]


def _column(table: PaperTable, name: str, type_: str) -> Column:
    owner = next((owner for owner in table.tables if name in TABLES[owner].columns), "")
    description, unit, ucd = column_note(owner, name)
    if type_ in ("FLOAT", "DOUBLE"):
        decimals = decimals_of(name)
        return Column(name, "real", unit, ucd, description, DECIMALS if decimals is None else decimals)
    kind = "flag" if type_ == "BOOLEAN" else "whole" if "INT" in type_ else "text"
    return Column(name, kind, unit, ucd, description)


def rows_of(connection: duckdb.DuckDBPyConnection, table: PaperTable) -> Iterator[tuple]:
    """Rows of a table, a batch at a time; a real number that is not finite is None."""
    is_real = [column.kind == "real" for column in columns_of(connection, table)]
    found = connection.cursor().execute(table.sql)
    while batch := found.fetchmany(BATCH_ROWS):
        for row in batch:
            yield tuple(_finite(value) if real else value for value, real in zip(row, is_real, strict=True))


def _finite(value):
    return None if value is None or value - value != 0 else value


def lacking(connection: duckdb.DuckDBPyConnection, needs: Sequence[str] = tuple(FILLED_BY)) -> list[tuple[str, str]]:
    """What of the `needs` the catalogue does not hold, and the command that fills it, the first one first."""
    return [
        FILLED_BY[name]
        for name in FILLED_BY
        if name in needs and not connection.execute(f"select 1 from {name} limit 1").fetchall()
    ]


def why_empty(connection: duckdb.DuckDBPyConnection, table: PaperTable) -> str:
    """The sentence that stands in place of a table without rows."""
    if missing := lacking(connection, table.needs):
        what, command = missing[0]
        return f"Empty: the catalogue has {what} (`{command}`)."
    return "Empty: nothing in this catalogue passes every step up to here; the funnel shows where it ends."
