"""What Datasette shows beside the rows: titles, descriptions, units, facets, queries, all from the schema."""

from __future__ import annotations

import json
import re
import sqlite3
import tomllib
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path

from becat.publish.snapshot.address import address_of
from becat.schema.tables import TABLES
from becat.schema.version import becat_version
from becat.schema.words import counted

__all__ = ["EXTRA_TABLES", "FACETS", "column_note", "describe", "queries", "write"]

COLUMNS = Path(__file__).with_name("columns.toml")
QUERIES = Path(__file__).parents[1] / "queries"
HIDDEN = (
    "star_search",
    "star_search_data",
    "star_search_idx",
    "star_search_content",
    "star_search_docsize",
    "star_search_config",
    "halpha_profile",
    "sqlite_stat1",
    "sqlite_stat4",
    "view_definition",
    "recount_column",
    "figure",
    "column_kind",
)
FACETS = {  # what the page of a table counts by; the snapshot has an index for each
    "spectrum": ["survey", "layout"],
    "profile_class": ["profile_class", "shell_type"],
    "literature_match": ["catalogue_id", "object_class"],
    "rejected_input": ["stage"],
    "cluster_match": ["cluster"],
    "verdict": ["name"],
    "be_candidate": ["profile_class"],
    "classical_be": ["is_new"],
    "infrared_class": ["infrared_class"],
    "etl_run": ["command", "status"],
}
LABELS = {
    "star": "designation",
    "spectrum": "designation",
    "literature_catalogue": "title",
    "cluster": "cluster",
    "model": "name",
    "etl_run": "command",
}
EXTRA_TABLES = {
    "halpha_profile": "Rectified H-alpha profiles of the spectra that were chosen at publishing, as JSON arrays on a uniform vacuum grid",
    "view_definition": "The SQL of every view in DuckDB's and in SQLite's dialect, and whether it is a view here",
    "recount_column": "What thresholds are compared with, as packed arrays: the page of thresholds counts with them",
    "figure": "Data of the figures over all stars, as JSON",
    "column_kind": "What kind of values the columns hold, for the Virtual Observatory",
    "provenance": "Which program, run and classifier made this snapshot",
    "citation": "Works to cite when using the catalogue, with BibTeX",
}


@cache
def _columns_by_name() -> dict[str, tuple[str, str, str]]:
    found: dict[str, tuple[str, str, str]] = {}
    for table in TABLES.values():
        for column in table.columns:
            found.setdefault(column.name, (column.comment or "", column.info["unit"], column.info["ucd"]))
    return found


@cache
def _extra_columns() -> dict[str, tuple[str, str, str]]:
    entries = tomllib.loads(COLUMNS.read_text(encoding="utf-8"))
    return {
        name: (entry["description"], entry.get("unit", ""), entry.get("ucd", "")) for name, entry in entries.items()
    }


def column_note(table: str, column: str) -> tuple[str, str, str]:
    """Description, unit and UCD of a column of a table, a view or a query.

    A view's column that is named as a column of a table means the same, unless columns.toml has it as ``view.column``.

    Returns
    -------
    (str, str, str)
        Empty where nothing is known.
    """
    if re.fullmatch(r"passes_\d+", column):
        return f"Test {column.removeprefix('passes_')} of selection_step is passed", "", "meta.code"
    if re.fullmatch(r"knows_\d+", column):
        return f"There are data for test {column.removeprefix('knows_')} of selection_step", "", "meta.code"
    if re.fullmatch(r"asks_\d+", column):
        return f"Test {column.removeprefix('asks_')} of selection_step is asked of this spectrum", "", "meta.code"
    if re.fullmatch(r"low_\d+", column):
        return f"Lower end of the range of test {column.removeprefix('low_')} of selection_step", "", "meta.code"
    if table in TABLES and column in TABLES[table].columns:
        found = TABLES[table].columns[column]
        return found.comment or "", found.info["unit"], found.info["ucd"]
    known = _extra_columns()
    return known.get(f"{table}.{column}") or known.get(column) or _columns_by_name().get(column) or ("", "", "")


def queries() -> Iterator[tuple[str, dict[str, str]]]:
    """Canned queries: one file each, its first comment the title, the comments after it the description."""
    for path in sorted(QUERIES.glob("*.sql")):
        lines = path.read_text(encoding="utf-8").splitlines()
        head = [line.removeprefix("--").strip() for line in lines if line.startswith("--")]
        sql = "\n".join(line for line in lines if not line.startswith("--")).strip()
        yield re.sub(r"^\d+_", "", path.stem), {"title": head[0], "description": " ".join(head[1:]), "sql": sql}


def describe(snapshot: str | Path, *, with_columns: bool = True) -> dict:
    """Datasette's metadata for a snapshot.

    Parameters
    ----------
    snapshot : path
        The SQLite file.
    with_columns : bool
        Describe every column, and say of a view why it is a table. The site's own pages look these up themselves, and
        Datasette copies all metadata many times for each page, so the site goes without.
    """
    path = Path(snapshot)
    with closing(sqlite3.connect(address_of(path), uri=True)) as connection:
        tables = {name: _table(connection, name, with_columns) for name in _names(connection)}
        simulated = connection.execute("select count(*) from spectrum where is_simulated").fetchone()[0]
    note = (
        f" {counted(simulated, 'of its spectra is', 'of its spectra are')} simulated and marked so."
        if simulated
        else ""
    )
    return {
        "title": "becat: classical Be stars in LAMOST",
        "description": "Which of these stars are classical Be stars, and why? Every step of the selection is a view;"
        f" every threshold is a row of selection_parameter.{note}",
        "license": "CC BY 4.0",
        "license_url": "https://creativecommons.org/licenses/by/4.0/",
        "source": "LAMOST, National Astronomical Observatories, Chinese Academy of Sciences",
        "source_url": "https://www.lamost.org/",
        "about": f"becat {becat_version()}; method of Wang et al. 2022, ApJS 260, 35",
        "about_url": "https://doi.org/10.3847/1538-4365/ac617a",
        "databases": {
            path.stem: {"tables": tables, "queries": dict(queries())},
        },
    }


def write(snapshot: str | Path) -> Path:
    """Write the metadata beside the snapshot, for ``datasette SNAPSHOT --metadata FILE``; return its path."""
    path = Path(snapshot).with_suffix(".metadata.json")
    path.write_text(json.dumps(describe(snapshot), indent=1, ensure_ascii=False), encoding="utf-8")
    return path


def _names(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("select name from sqlite_master where type in ('table', 'view') order by name")
    return [name for (name,) in rows]


def _table(connection: sqlite3.Connection, name: str, with_columns: bool) -> dict:
    columns = [row[1] for row in connection.execute(f'pragma table_info("{name}")')]
    view = connection.execute("select description, kind, reason from view_definition where name = ?", [name]).fetchone()
    entry: dict = {"description": EXTRA_TABLES.get(name, "")}
    if name in TABLES:
        entry["description"] = TABLES[name].comment or ""
    if view:
        entry["description"] = view[0] or ""
        if view[1] == "table" and with_columns:
            entry["description"] += f" (Written as a table, not a view: {view[2]}. Its SQL is in view_definition.)"
    if with_columns:
        entry["columns"] = {column: note for column in columns if (note := _note(name, column))}
    if name in HIDDEN:
        entry["hidden"] = True
    if name in FACETS:
        entry["facets"] = [facet for facet in FACETS[name] if facet in columns]
    if name in LABELS:
        entry["label_column"] = LABELS[name]
    if "star_id" in columns:
        entry |= {"fts_table": "star_search", "fts_pk": "star_id"}
    return entry


def _note(table: str, column: str) -> str:
    text, unit, ucd = column_note(table, column)
    return text + (f" [{unit}]" if unit else "") + (f" · UCD {ucd}" if ucd else "")
