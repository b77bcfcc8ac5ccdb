"""A view or table of the catalogue as a file that keeps its units: CSV, Parquet, FITS or VOTable."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
from pyarrow import parquet

from becat.publish.snapshot.metadata import column_note
from becat.publish.vo import fits_table, votable
from becat.publish.vo.votable import Field
from becat.schema.errors import BecatError
from becat.schema.simulated import IS_SIMULATED, simulated_sql
from becat.schema.sql_names import quoted

__all__ = ["write_table"]

_BATCH_ROWS = 20_000
_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER")
_KINDS = {"BOOLEAN": "boolean", "FLOAT": "double", "DOUBLE": "double", **dict.fromkeys(_WHOLE, "long")}
_CASTS = {"text": "::varchar", "long": "::bigint"}


def write_table(connection: duckdb.DuckDBPyConnection, name: str, path: Path) -> int:
    """Write the rows of a view or table to a file; its ending says in which format.

    Parameters
    ----------
    connection : duckdb connection
        Of a catalogue.
    name : str
        View or table; a table of stars or spectra is given a column that says which rows are simulated.
    path : path
        New file: ``.csv``; ``.parquet`` (units, UCDs and descriptions as metadata of its fields); ``.fits``; ``.vot`` or
        ``.xml`` (VOTable). It is there whole or not at all.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    BecatError
        There is no such view, the ending is not known, the file exists, or the format cannot hold a column.
    """
    if path.suffix.lower() not in _WRITERS:
        raise BecatError(f"{path}: the ending gives the format, and must be one of {', '.join(_WRITERS)}")
    if path.exists():
        raise BecatError(f"{path} exists already: choose another name or delete it first")
    fields = _fields(connection, name)
    if path.suffix.lower() != ".parquet" and (arrays := [field.name for field in fields if field.kind == "array"]):
        raise BecatError(
            f"{name} has arrays ({', '.join(arrays)}), which only Parquet can hold: give a name that ends in .parquet"
        )
    part = path.with_name(f".{path.name}.part")
    try:
        n_rows = _WRITERS[path.suffix.lower()](connection, name, fields, part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return n_rows


def _fields(connection: duckdb.DuckDBPyConnection, name: str) -> list[Field]:
    """Columns of the view with what the schema says of them."""
    known = {row[0].lower(): row[0] for row in connection.execute("select table_name from duckdb_tables() where not internal"
             " union select view_name from duckdb_views() where not internal").fetchall()}  # fmt: skip
    if name.lower() not in known:
        near = difflib.get_close_matches(name.lower(), known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "docs/reference.md lists them"
        raise BecatError(f"the catalogue has no view or table {name}: {hint}")
    described = connection.execute(f"describe {_rows(connection, name)}").fetchall()
    fields = []
    for column, kind, *_ in described:
        description, unit, ucd = column_note(known[name.lower()], column)
        fields.append(
            Field(column, "array" if kind.endswith("]") else _KINDS.get(kind, "text"), unit, ucd, description)
        )
    return fields


def _rows(connection: duckdb.DuckDBPyConnection, name: str) -> str:
    """The query for all rows, with what says which of them are simulated."""
    columns = [column.lower() for column, *_ in connection.execute(f"describe from {quoted(name)}").fetchall()]
    simulated = simulated_sql(name, columns)
    return f"select *{f', {simulated} as {IS_SIMULATED}' if simulated else ''} from {quoted(name)}"


def _batches(connection: duckdb.DuckDBPyConnection, name: str, fields: Sequence[Field]) -> pa.RecordBatchReader:
    """Rows in bounded batches; what the format writes as text is text already."""
    columns = ", ".join(f"{quoted(field.name)}{_CASTS.get(field.kind, '')} as {quoted(field.name)}" for field in fields)
    return connection.execute(f"select {columns} from ({_rows(connection, name)})").to_arrow_reader(_BATCH_ROWS)


def _write_csv(connection, name: str, fields: Sequence[Field], path: Path) -> int:
    row = connection.execute(f"copy ({_rows(connection, name)}) to ? (format csv, header)", [str(path)]).fetchone()
    return row[0]


def _write_parquet(connection, name: str, fields: Sequence[Field], path: Path) -> int:
    notes = {
        field.name: {key: note for key, note in (("unit", field.unit), ("ucd", field.ucd), ("description", field.description)) if note}
        for field in fields
    }  # fmt: skip
    reader = connection.execute(_rows(connection, name)).to_arrow_reader(_BATCH_ROWS)
    schema = pa.schema([field.with_metadata(notes[field.name]) for field in reader.schema])
    n_rows = 0
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
            n_rows += len(batch)
    return n_rows


def _write_votable(connection, name: str, fields: Sequence[Field], path: Path) -> int:
    n_rows = 0
    booleans = [position for position, field in enumerate(fields) if field.kind == "boolean"]
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in votable.start(fields, name=name))
        for batch in _batches(connection, name, fields):
            columns = [column.to_pylist() for column in batch.columns]
            for position in booleans:
                columns[position] = [None if value is None else "T" if value else "F" for value in columns[position]]
            file.writelines(f"{votable.row_element(row)}\n" for row in zip(*columns, strict=True))
            n_rows += len(batch)
        file.write(votable.end())
    return n_rows


def _write_fits(connection, name: str, fields: Sequence[Field], path: Path) -> int:
    table = _batches(connection, name, fields).read_all()
    columns = (table[field.name].to_pylist() for field in fields)
    fits_table.table_hdus(fields, columns, name=name).writeto(path)
    return len(table)


_WRITERS = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".fits": _write_fits,
    ".vot": _write_votable,
    ".xml": _write_votable,
}
