"""Bringing a table in step with a query: rows that are right stay untouched, so that nothing looks newer than it is."""

from __future__ import annotations

import duckdb

from becat.schema.tables import TABLES

__all__ = ["replace_rows"]


def replace_rows(
    connection: duckdb.DuckDBPyConnection, table: str, query: str, run_id: int, stale: str = "true"
) -> int:
    """Delete, change and insert what differs between a table and a query.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        In a transaction of the caller.
    table : str
        Table of the catalogue with a primary key.
    query : str
        Wanted rows; its columns are some of the table's, the key among them. The others keep their values.
    run_id : int
        Written to the rows that change.
    stale : str
        Rows that are not in the query are deleted where this condition holds.

    Returns
    -------
    int
        Rows deleted, changed or inserted.
    """
    connection.execute(f"create or replace temporary table _wanted_raw as {query}")
    columns = [row[0] for row in connection.execute("describe _wanted_raw").fetchall()]
    names = ", ".join(columns)
    # through the table's own types: a FLOAT that was computed as DOUBLE differs from what is stored
    connection.execute(f"create or replace temporary table _wanted as select {names} from {table} limit 0")
    connection.execute(f"insert into _wanted select {names} from _wanted_raw")
    key = [column.name for column in TABLES[table].primary_key]
    gone = f"not exists (from _wanted as w where {' and '.join(f'w.{k} = {table}.{k}' for k in key)})"
    n_changed = connection.execute(f"delete from {table} where {stale} and {gone}").fetchall()[0][0]
    n_changed += connection.execute(f"""
        insert or replace into {table} ({names}, run_id)
        select {names}, {run_id:d} from (from _wanted except select {names} from {table})
    """).fetchall()[0][0]
    connection.execute("drop table _wanted; drop table _wanted_raw")
    return n_changed
