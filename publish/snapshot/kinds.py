"""Kinds of the values in each column of a view, which SQLite does not know."""

from __future__ import annotations

import sqlite3

from becat.schema.simulated import IS_SIMULATED

__all__ = ["write_kinds"]

OF_DUCKDB = {
    "DOUBLE": "double", "FLOAT": "double", "VARCHAR": "text", "BOOLEAN": "short", "TIMESTAMP": "text",
    "BIGINT": "long", "INTEGER": "long", "HUGEINT": "long", "UTINYINT": "long",
}  # fmt: skip


def write_kinds(source, target: sqlite3.Connection) -> None:
    """Keep in the snapshot what kind each column of a view is: SQLite does not know it, and asks no row of an empty one.

    Parameters
    ----------
    source : DuckDB connection
        The catalogue.
    target : sqlite3.Connection
        The snapshot, without a table ``column_kind``.
    """
    target.execute(
        "create table column_kind (table_name text, column_name text, value_kind text, primary key (table_name, column_name))"
    )
    sql = (
        "select table_name, column_name, data_type from information_schema.columns"
        " where table_catalog = current_database() and table_schema = current_schema()"
    )
    rows = source.execute(sql).fetchall()
    known = [(table, column, OF_DUCKDB[kind]) for table, column, kind in rows if kind in OF_DUCKDB]
    target.executemany("insert into column_kind values (?, ?, ?)", known)
    target.execute(
        f"insert or ignore into column_kind select held.name, '{IS_SIMULATED}', 'short' from sqlite_master as held"
        f" join pragma_table_info(held.name) as of_table on of_table.name = '{IS_SIMULATED}'"
    )
