"""Tables that strangers bring to a query: read from VOTable into a schema of their own, inside the process of that query."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

from becat.publish.vo.tap.adql import AdqlError
from becat.publish.vo.tap.words import RESERVED
from becat.publish.vo.votable import Field
from becat.schema.sql_names import quoted
from becat.schema.votable_safe import parse_votable

__all__ = ["SCHEMA", "load", "named"]

SCHEMA = "tap_upload"
TABLES_MAX = 4
BYTES_MAX = 100_000_000  # of a table that came gzipped
COLUMNS_MAX = 200
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
KINDS = {
    "bit": "short", "boolean": "short", "unsignedByte": "short", "short": "short", "int": "int", "long": "long", "float": "float",
    "double": "double",
}  # fmt: skip
DECLARED = {"short": "integer", "int": "integer", "long": "integer", "float": "real", "double": "real"}  # else text


def named(words: str) -> dict[str, str]:
    """Names of the tables that a parameter UPLOAD brings, in lower case, and where each is.

    Parameters
    ----------
    words : str
        ``name,param:part`` or ``name,address``, several with ``;`` between them.

    Raises
    ------
    ValueError
        The words are not of this form, or there are too many; the message says why.
    """
    found: dict[str, str] = {}
    for word in words.split(";"):
        name, _, place = (piece.strip() for piece in word.partition(","))
        if not NAME.fullmatch(name) or name.upper() in RESERVED:
            raise ValueError(
                f"UPLOAD: a table cannot be called {name[:60]!r}: use letters, digits and _, and no keyword of ADQL"
            )
        if name.lower() in found:
            raise ValueError(f"UPLOAD: there are two tables {name}")
        found[name.lower()] = place
    if len(found) > TABLES_MAX:
        raise ValueError(f"UPLOAD: at most {TABLES_MAX} tables with a query")
    return found


def load(
    connection: sqlite3.Connection, files: Mapping[str, str], rows_max: int
) -> dict[tuple[str, str], dict[str, Field]]:
    """Make a table of each file, in the attached database ``tap_upload``.

    Parameters
    ----------
    connection : sqlite3.Connection
        With an empty database attached as ``tap_upload``.
    files : mapping of str to str
        VOTable files by the name of the table.
    rows_max : int
        Of all tables together.

    Returns
    -------
    mapping of (schema, table) to mapping of column name to Field

    Raises
    ------
    AdqlError
        A file is no VOTable, or too big.
    """
    found = {}
    for name, file in files.items():
        fields, rows = _read(name, Path(file))
        rows_max -= len(rows)
        if rows_max < 0:
            raise AdqlError("the uploaded tables have more rows than this service accepts")
        _make(connection, name, fields, rows)
        found[SCHEMA, name] = fields
    connection.execute(f"analyze {SCHEMA}")  # so that the planner goes through the small table, not through the stars
    return found


def _make(connection: sqlite3.Connection, name: str, fields: Mapping[str, Field], rows: Iterable[tuple]) -> None:
    columns = ", ".join(f"{quoted(column)} {DECLARED.get(field.kind, 'text')}" for column, field in fields.items())
    connection.execute(f'create table {SCHEMA}."{name}" ({columns})')
    marks = ", ".join("?" * len(fields))
    connection.execute("begin")
    connection.executemany(f'insert into {SCHEMA}."{name}" values ({marks})', rows)
    connection.execute("commit")


def _read(name: str, file: Path) -> tuple[dict[str, Field], list[tuple]]:
    """Columns by lower-case name, and rows, of the first table of a VOTable file."""
    try:
        with file.open("rb") as content:
            table = parse_votable(content, bytes_max=BYTES_MAX, verify="ignore", table_number=0).get_first_table()
    except MemoryError:
        raise
    except Exception as error:  # whatever a stranger's file makes astropy raise
        raise AdqlError(f"the uploaded table {name} is not a VOTable that can be read here: {_line(error)}") from error
    if not table.fields or len(table.fields) > COLUMNS_MAX:
        raise AdqlError(f"the uploaded table {name} must have 1 to {COLUMNS_MAX} columns")
    fields: dict[str, Field] = {}
    columns = []
    for column in table.fields:
        key = column.name.lower()
        if key in fields:
            raise AdqlError(
                f"the uploaded table {name} has two columns {column.name}: upper and lower case are the same here"
            )
        is_number = column.datatype in KINDS and column.arraysize in (None, "1")
        kind = KINDS[column.datatype] if is_number else "timestamp" if column.xtype == "timestamp" else "text"
        values = table.array[column.ID].tolist() if len(table.array) else []
        columns.append([_value(value, is_number) for value in values])
        if (
            column.datatype == "char"
            and kind == "text"
            and all(value is None or value.isascii() for value in columns[-1])
        ):
            kind = "char"
        unit = "" if column.unit is None else str(column.unit)
        fields[key] = Field(column.name, kind, unit, column.ucd or "", column.description or "", column.utype or "")
    return fields, list(zip(*columns, strict=True))


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:200]


def _value(value, is_number: bool):
    """A value as SQLite takes it; what is masked, or no number, is NULL."""
    if value is None or (is_number and value != value):
        return None
    if is_number:
        return value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
