"""A connection to a snapshot that can neither write, nor call what is not named, nor answer without measure."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from typing import cast

from becat.publish.allowed_sql import Guard, guard
from becat.publish.snapshot.address import address_of

__all__ = ["ANSWER_BYTES_MAX", "SQL_BYTES_MAX", "TOO_MANY_BYTES", "open_guarded"]

ANSWER_BYTES_MAX = 64_000_000
VALUE_BYTES_MAX = 1_000_000  # the longest text in a snapshot, a profile or a definition, has some ten thousand
SQL_BYTES_MAX = 120_000  # below what `becat.publish.sqlite_holes` needs; the chain of views written out has 80,000
LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: VALUE_BYTES_MAX,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: SQL_BYTES_MAX,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 200,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 200,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 250_000,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
}
TOO_MANY_BYTES = "these rows hold more bytes than the server sends at once: ask for fewer rows"


def open_guarded(path: str | Path) -> sqlite3.Connection:
    """Open a snapshot for visitors."""
    connection = sqlite3.connect(address_of(path), uri=True, check_same_thread=False, factory=_Connection)
    for limit, value in LIMITS.items():
        connection.setlimit(limit, value)
    connection.guard = guard(connection)
    return connection


class _Connection(sqlite3.Connection):
    guard: Guard | None = None

    def cursor(self, factory=None):
        return super().cursor(factory or _Cursor)

    def execute(self, *statement):
        return self.cursor().execute(*statement)  # not by way of C, which passes the cursor's own method by


class _Cursor(sqlite3.Cursor):
    """Says in words what was refused, gives rows a few at a time and stops where together they are too big to hold in memory."""

    def execute(self, *statement):
        connection = cast(_Connection, self.connection)
        run = super().execute
        return run(*statement) if connection.guard is None else connection.guard.explained(run, *statement)

    def fetchmany(self, size: int | None = 1) -> list:
        size = size or 1
        rows: list = []
        n_bytes = 0
        while len(rows) < size:
            more = super().fetchmany(min(size - len(rows), 50))
            if not more:
                break
            n_bytes += sum(sys.getsizeof(value) for row in more for value in row if isinstance(value, str | bytes))
            if n_bytes > ANSWER_BYTES_MAX:
                raise sqlite3.OperationalError(TOO_MANY_BYTES)
            rows += more
        return rows

    def fetchall(self):
        return self.fetchmany(sys.maxsize)
