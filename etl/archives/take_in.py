"""A file of one's own stars as a table of the catalogue."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb

from becat.etl.archives.tables import read_table
from becat.schema.sql_names import literal

__all__ = ["take_in_file"]

_MARK = "Taken in by becat match from"


def take_in_file(connection: duckdb.DuckDBPyConnection, path: Path) -> str:
    """Write a CSV, VOTable, FITS or Parquet file to a table that is called as the file; return its name.

    Raises
    ------
    BecatError
        The file cannot be read.
    ValueError
        The catalogue has another table or view of that name, which no file may replace.
    """
    name = re.sub(r"\W", "_", path.name.split(".")[0]) or "_"
    taken = connection.execute(
        "select comment from duckdb_tables() where table_name = ? and schema_name = 'main'"
        " union all select '' from duckdb_views() where view_name = ?",
        [name, name],
    ).fetchone()
    if taken and not str(taken[0] or "").startswith(_MARK):
        raise ValueError(f"the catalogue has a table {name} of its own: rename the file {path.name}")
    rows, _ = read_table(path)
    connection.register("_rows_of_file", rows)
    connection.execute(f'create or replace table "{name}" as select * from _rows_of_file')
    connection.unregister("_rows_of_file")
    connection.execute(f'comment on table "{name}" is {literal(f"{_MARK} {path.name}")}')
    return name
