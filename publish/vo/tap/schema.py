"""What the service publishes, as TAP_SCHEMA: a small SQLite file that the workers open beside the snapshot."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from becat.publish.snapshot.address import address_of
from becat.publish.snapshot.metadata import EXTRA_TABLES, HIDDEN, column_note
from becat.publish.vo.tap.adql import DEFAULT_SCHEMA
from becat.publish.vo.tap.words import RESERVED
from becat.publish.vo.votable import VO_UNITS, Field
from becat.schema.tables import TABLES

__all__ = ["write"]

DESCRIPTION = "Classical Be stars in LAMOST: spectra, measurements, and every step of the selection"
KINDS = {"TEXT": "text", "REAL": "double", "INTEGER": "long"}
TYPES = {"short": ("short", None, None), "int": ("int", None, None), "long": ("long", None, None), "double": ("double", None, None),
         "text": ("unicodeChar", "*", None)}  # fmt: skip
PRINCIPAL = ("star_id", "spectrum_id", "designation", "ra_deg", "dec_deg")
FLAG_NOTE = " (1 true, 0 false)"
# TAP 1.1, section 4: its own tables, their columns in order (name, type, description).
OWN = {
    "schemas": ("Schemas of this service", [
        ("schema_name", "text", "Name of the schema"), ("description", "text", "What it holds"),
        ("utype", "text", "Place in a data model"), ("schema_index", "int", "Order in which to show the schemas"),
    ]),
    "tables": ("Tables and views of this service", [
        ("schema_name", "text", "Schema of the table"), ("table_name", "text", "Name, as queries use it"),
        ("table_type", "text", "table or view"), ("description", "text", "What it holds"),
        ("utype", "text", "Place in a data model"), ("table_index", "int", "Order in which to show the tables"),
    ]),
    "columns": ("Columns of all tables", [
        ("table_name", "text", "Table of the column"), ("column_name", "text", "Name, as queries use it"),
        ("datatype", "text", "Type, as in VOTable"), ("arraysize", "text", "Length, as in VOTable"),
        ("xtype", "text", "Extended type, as in VOTable"), ("size", "int", "Length, as older clients ask for it"),
        ("description", "text", "What it holds"), ("utype", "text", "Place in a data model"), ("unit", "text", "Unit"),
        ("ucd", "text", "Unified content descriptor"), ("indexed", "int", "An index makes searches for it fast: 1"),
        ("principal", "int", "Among the first to look at: 1"), ("std", "int", "Defined by a standard: 1"),
        ("column_index", "int", "Order in which to show the columns"),
    ]),
    "keys": ("Foreign keys", [
        ("key_id", "text", "Name of the key"), ("from_table", "text", "Table that refers"),
        ("target_table", "text", "Table referred to"), ("description", "text", "Why"), ("utype", "text", "Place in a data model"),
    ]),
    "key_columns": ("Columns of the foreign keys", [
        ("key_id", "text", "Name of the key"), ("from_column", "text", "Column that refers"),
        ("target_column", "text", "Column referred to"),
    ]),
}  # fmt: skip


def write(snapshot: Path, path: Path) -> None:
    """Write TAP_SCHEMA of a snapshot.

    Parameters
    ----------
    snapshot : path
        Made by `becat.publish.snapshot.write.write`.
    path : path
        SQLite file to make.
    """
    with (
        closing(sqlite3.connect(address_of(snapshot), uri=True)) as source,
        closing(sqlite3.connect(path)) as target,
        target,
    ):
        for table, (_, columns) in OWN.items():
            target.execute(f'create table "{table}" ({", ".join(_declared(*column) for column in columns)})')
        _insert(target, "schemas", [
            (DEFAULT_SCHEMA, DESCRIPTION, None, 1),
            ("TAP_SCHEMA", "Description of the tables, as the Table Access Protocol asks for", None, 2),
        ])  # fmt: skip
        _write_published(source, target)
        for number, (table, (description, columns)) in enumerate(OWN.items(), 1):
            _insert(
                target, "tables", [("TAP_SCHEMA", f"TAP_SCHEMA.{table}", "table", description, None, 1000 + number)]
            )
            own = [Field(name, kind, description=note) for name, kind, note in columns]
            _write_columns(target, f"TAP_SCHEMA.{table}", own, (), std=1)
        _write_keys(source, target)


def _declared(name: str, kind: str, _: str) -> str:
    return f'"{name}" {"text" if kind == "text" else "integer"}'


def _insert(target: sqlite3.Connection, table: str, rows: Iterable[tuple]) -> None:
    marks = ", ".join("?" * len(OWN[table][1]))
    target.executemany(f'insert into "{table}" values ({marks})', rows)


def _published(source: sqlite3.Connection) -> list[tuple[str, str]]:
    rows = source.execute("select name, type from sqlite_master where type in ('table', 'view') order by type, name")
    shown = ("halpha_profile", "view_definition")
    return [(name, kind) for name, kind in rows if name not in HIDDEN or name in shown]


def _write_published(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    notes = dict(source.execute("select name, description from view_definition"))
    rows = source.execute("select table_name, column_name, value_kind from column_kind")
    kinds = {(table, column): kind for table, column, kind in rows}
    for number, (table, type_) in enumerate(_published(source), 1):
        name, note = f"{DEFAULT_SCHEMA}.{table}", notes.get(table) or EXTRA_TABLES.get(table) or TABLES[table].comment
        _insert(target, "tables", [(DEFAULT_SCHEMA, name, type_, note, None, number)])
        _write_columns(target, name, list(_columns(source, table, kinds)), _indexed(source, table))


def _columns(source: sqlite3.Connection, table: str, kinds: dict[tuple[str, str], str]) -> Iterable[Field]:
    for _, name, declared, *_ in source.execute(f'pragma table_info("{table}")').fetchall():
        kind = kinds.get((table, name)) or KINDS.get(declared.upper()) or _sampled(source, table, name)
        if name.endswith("source_id"):
            kind = "text"  # of 19 digits, which JavaScript would round
        description, unit, ucd = column_note(table, name)
        yield Field(name, kind, VO_UNITS.get(unit, unit), ucd, description + FLAG_NOTE * (kind == "short"))


def _sampled(source: sqlite3.Connection, table: str, column: str) -> str:
    found = source.execute(f'select typeof("{column}") from "{table}" where "{column}" is not null limit 1').fetchone()
    return KINDS.get(found[0].upper(), "text") if found else "double"


def _indexed(source: sqlite3.Connection, table: str) -> set[str]:
    """Columns that lead an index or the key."""
    names = [row[1] for row in source.execute(f'pragma index_list("{table}")')]
    leading = [source.execute(f'pragma index_info("{name}")').fetchone()[2] for name in names]
    keys = [row[1] for row in source.execute(f'pragma table_info("{table}")') if row[5] == 1]
    return {*leading, *keys}


def _write_columns(target, table: str, columns: list[Field], indexed: Iterable[str], std: int = 0) -> None:
    rows = []
    for number, column in enumerate(columns, 1):
        datatype, arraysize, xtype = TYPES[column.kind]
        name = f'"{column.name}"' if column.name.upper() in RESERVED else column.name
        rows.append((
            table, name, datatype, arraysize, xtype, None, column.description or None, None, column.unit or None,
            column.ucd or None, int(column.name in indexed), int(column.name in PRINCIPAL), std, number,
        ))  # fmt: skip
    _insert(target, "columns", rows)


def _write_keys(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    names = {name for name, _ in _published(source)}
    for table in sorted(names):
        for row in source.execute(f'pragma foreign_key_list("{table}")').fetchall():
            other, column, key = row[2], row[3], row[4]
            if other not in names:
                continue
            identity = f"{table}_{column}"
            whole = (identity, f"{DEFAULT_SCHEMA}.{table}", f"{DEFAULT_SCHEMA}.{other}", None, None)
            _insert(target, "keys", [whole])
            _insert(target, "key_columns", [(identity, column, key)])
    for key, table, other, column in (
        ("tables_schema", "tables", "schemas", "schema_name"), ("columns_table", "columns", "tables", "table_name"),
        ("keys_from", "keys", "tables", "from_table"), ("keys_target", "keys", "tables", "target_table"),
        ("key_columns_key", "key_columns", "keys", "key_id"),
    ):  # fmt: skip
        _insert(target, "keys", [(key, f"TAP_SCHEMA.{table}", f"TAP_SCHEMA.{other}", None, None)])
        _insert(
            target, "key_columns", [(key, column, "table_name" if column in ("from_table", "target_table") else column)]
        )
