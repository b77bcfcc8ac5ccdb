"""Small helpers with which the pages of the site read the snapshot."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from datasette.app import Datasette
from datasette.database import Database, QueryInterrupted
from datasette.utils import sqlite_timelimit

from becat.publish.snapshot.transpile import with_views

__all__ = ["chain", "first", "made_of", "rows", "scored_by", "snapshot_of"]

TIME_LIMIT_MS = 5000  # the site's own questions; what visitors ask has the shorter limit of publish/site.py


def snapshot_of(datasette: Datasette) -> Database:
    """The database of the snapshot that an application serves."""
    return next(database for name, database in datasette.databases.items() if not name.startswith("_"))


async def rows(
    database: Database,
    sql: str,
    parameters: dict | None = None,
    limit: int = 20_000,
    time_limit_ms: int = TIME_LIMIT_MS,
) -> list[dict]:
    """Rows of a query as dictionaries, at most `limit` of them.

    Raises
    ------
    QueryInterrupted
        It takes longer than `time_limit_ms`.
    """
    return await made_of(database, sql, list, parameters, limit, time_limit_ms)


async def made_of(
    database: Database,
    sql: str,
    make: Callable[[list[dict]], Any],
    parameters: dict | None = None,
    limit: int = 20_000,
    time_limit_ms: int = TIME_LIMIT_MS,
) -> Any:
    """What `make` makes of the rows of a query, in the thread that reads them: what takes long there stops nobody else.

    Parameters and errors are those of `rows`.
    """

    def read(connection: sqlite3.Connection) -> list[dict]:
        with sqlite_timelimit(connection, time_limit_ms):
            try:
                cursor = connection.execute(sql, parameters or {})
                names = [column[0] for column in cursor.description]
                return [dict(zip(names, row, strict=True)) for row in cursor.fetchmany(limit)]
            except sqlite3.OperationalError as error:
                if error.args == ("interrupted",):
                    raise QueryInterrupted(error, sql, parameters) from error
                raise

    return await database.execute_fn(lambda connection: make(read(connection)))


async def first(database: Database, sql: str, parameters: dict | None = None) -> dict | None:
    """First row of a query, or None."""
    found = await rows(database, sql, parameters, limit=1)
    return found[0] if found else None


async def scored_by(database: Database) -> str | None:
    """SHA-256 of the classifier that gave the scores, or None."""
    found = await first(database, "select sha256 from model join current_model using (model_id)")
    return found["sha256"] if found else None


async def chain(database: Database, sql: str, *shadows: tuple[str, str]) -> str:
    """A query with all views of the selection written into it, over tables that may be replaced by others.

    Parameters
    ----------
    database : Database
        The snapshot.
    sql : str
        A select statement that names views.
    shadows : (str, str)
        Names of tables and the queries that stand in their place; these name the true table as ``main.NAME``.

    Returns
    -------
    str
        One statement. It counts afresh what the views would say if those tables were different.
    """
    views = await rows(
        database, "select name, sql_sqlite from view_definition where sql_sqlite is not null order by position"
    )
    return with_views(sql, [*shadows, *((view["name"], view["sql_sqlite"]) for view in views)])
