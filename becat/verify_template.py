"""What a catalogue must have whatever is in it: its views, macros, columns with their descriptions, thresholds and constants."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import duckdb

from becat.schema import build, parameters

__all__ = ["differences_from_template"]

HOW_TO_MEND = "`becat run` makes them again"
# Rows of the grid that are there are left as they are: nobody can say what was computed with them.
HOW_TO_MEND_GRID = "restore the catalogue from a copy"
# What is compared: what it is called in a message, and a query that gives its name and all that is said of it.
COMPARED = {
    "views": """
        select view_name, sql, comment from duckdb_views() where database_name = current_database() and not internal""",
    "macros": f"""
        select function_name, parameters, macro_definition from duckdb_functions()
        where function_type = 'macro' and database_name = current_database() and schema_name = 'main' and not internal
            and function_name <> '{build.AS_BUILT}'""",  # a digest that differs with the archives of each catalogue
    "tables": """
        select table_name, comment from duckdb_tables() where database_name = current_database() and schema_name = 'main'""",
    "columns": """
        select table_name || '.' || column_name, data_type, comment from duckdb_columns()
        where database_name = current_database() and schema_name = 'main' and not internal
            and table_name in (select table_name from duckdb_tables())""",
    "wavelengths": "select arm || ' ' || pixel, wavelength_a from wavelength_grid",
    "printed values": "select name from published_value",  # `becat run` adds what is missing; the rest is for the checksums
}


@cache
def _template() -> dict[str, dict]:
    """What a new catalogue has. It is written and read again: DuckDB words a view otherwise before it was on disk."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "template.duckdb")
        build.create(path)
        with duckdb.connect(str(path), read_only=True) as connection:
            return _described(connection)


def _described(connection) -> dict[str, dict]:
    return {kind: {row[0]: row[1:] for row in connection.execute(sql).fetchall()} for kind, sql in COMPARED.items()}


def differences_from_template(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, list[str]]]:
    """What is missing or other than in a new catalogue; what a user has added is the user's.

    Yields
    ------
    str, list of str
        The check, and names of what failed it.
    """
    wanted, found = _template(), _described(connection)
    for kind, all_of_kind in wanted.items():
        missing = [str(name) for name in all_of_kind if name not in found[kind]]
        if missing:
            yield f"the {kind} of becat are there ({HOW_TO_MEND})", missing
        other = [str(n) for n, said in all_of_kind.items() if n in found[kind] and found[kind][n] != said]
        if other:
            how = HOW_TO_MEND_GRID if kind == "wavelengths" else HOW_TO_MEND
            yield f"the {kind} are those of this version of becat ({how})", other
    yield from _thresholds(connection)


def _thresholds(connection) -> Iterator[tuple[str, list[str]]]:
    """Every threshold is there, described as in parameters.toml; its value may be any in its range."""
    shipped = parameters.load()
    sql = "select name, value, default_value, unit, description, reference from selection_parameter"
    rows = {row[0]: row[1:] for row in connection.execute(sql).fetchall()}
    missing = [name for name in shipped if name not in rows]
    if missing:
        yield f"the thresholds of becat are there ({HOW_TO_MEND})", missing
    other = [
        name
        for name, p in shipped.items()
        if name in rows and rows[name][1:] != (p.value, p.unit, p.description, p.reference)
    ]
    if other:
        yield f"the thresholds are described as in parameters.toml ({HOW_TO_MEND})", other
    impossible = [
        f"{name} = {rows[name][0]}"
        for name, p in shipped.items()
        if name in rows
        and not (p.range[0] <= rows[name][0] <= p.range[1] and (not p.is_switch or rows[name][0] in (0, 1)))
    ]
    if impossible:
        yield "the thresholds are in their ranges (`becat threshold --reset NAME`)", impossible
