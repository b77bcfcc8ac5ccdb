"""The snapshot as Datasette reads it: opened once and for all, and guarded so that no question takes the whole server."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from copy import deepcopy
from typing import Any, cast
from weakref import WeakValueDictionary

from datasette.app import Datasette
from datasette.database import Database, Results

from becat.publish.allowed_sql import Guard, guard

__all__ = ["Busy", "Snapshot", "asker", "is_page"]

QUESTIONS_AT_ONCE = 2  # of visitors; the site's own pages have the other threads to themselves
PATIENCE_S = 15.0
PAGE_ROWS_MAX = 250  # of 35 columns: a quarter of a second to write
ANSWER_BYTES_MAX = 64_000_000
VALUE_BYTES_MAX = 1_000_000  # the longest text in a snapshot, a profile or a definition, has some ten thousand
LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: VALUE_BYTES_MAX,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 200,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 200,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
}
asker: ContextVar[str | None] = ContextVar("asker", default=None)  # address of one who asks in words of their own
is_page: ContextVar[bool] = ContextVar("is_page", default=False)  # the answer is a page, not a file


class Busy(Exception):
    """Too many questions are waiting."""


class Snapshot(Database):
    """A file that never changes while it is open: what its tables are called and made of is read once.

    Questions that visitors word themselves (`asker` is set) run two at a time, and one at a time for each address, so
    that whoever asks much waits for themselves and the site's own pages wait for nobody.

    Parameters
    ----------
    application : Datasette
    path : str
        The file.
    names : iterable of str
        Its tables and views; what is read about them is kept.
    """

    def __init__(self, application: Datasette, path: str, names: Iterable[str]):
        super().__init__(application, path, is_mutable=False)
        self._names = frozenset(names)
        self._kept: dict[tuple, Any] = {}
        self._slots = asyncio.Semaphore(QUESTIONS_AT_ONCE)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def connect(self, write=False):
        """A connection that can neither write, nor call what is not named, nor answer without measure."""
        connection = sqlite3.connect(
            f"file:{self.path}?immutable=1", uri=True, check_same_thread=False, factory=_Connection
        )
        for limit, value in LIMITS.items():
            connection.setlimit(limit, value)
        connection.guard = guard(connection)
        self._all_file_connections.append(connection)
        return connection

    async def execute_fn(self, fn):
        """Run a function with a connection in a thread; a visitor's question waits for its turn."""
        address = asker.get()
        if address is None:
            return await super().execute_fn(fn)
        turn = self._turns.setdefault(address, asyncio.Lock())
        try:
            async with asyncio.timeout(PATIENCE_S):
                await turn.acquire()
                try:
                    await self._slots.acquire()
                except BaseException:
                    turn.release()
                    raise
        except TimeoutError as error:
            raise Busy from error
        answer = asyncio.ensure_future(super().execute_fn(fn))
        answer.add_done_callback(lambda done: self._end_turn(done, turn))
        return await asyncio.shield(answer)  # who hangs up keeps their turn until the thread has ended

    def _end_turn(self, done: asyncio.Future, turn: asyncio.Lock) -> None:
        self._slots.release()
        turn.release()
        if not done.cancelled():
            done.exception()  # seen, though nobody may be left to tell

    async def execute(
        self, sql, params=None, truncate=False, custom_time_limit=None, page_size=None, log_sql_errors=True
    ):
        """Rows of a query; for a page no more than a page shows."""
        if asker.get() is not None:
            log_sql_errors = False  # a visitor's mistakes are told to the visitor
            if "database_list" in sql.lower():
                raise sqlite3.OperationalError("where the file lies is not told")
        found = await super().execute(sql, params, truncate, custom_time_limit, page_size, log_sql_errors)
        if truncate and is_page.get() and len(found.rows) > PAGE_ROWS_MAX + 1:
            return Results(found.rows[:PAGE_ROWS_MAX], True, found.description)
        return found

    async def _once(self, read: Callable[..., Awaitable], *what: str) -> Any:
        if what and what[0] not in self._names:
            return await read(*what)
        key = (read.__name__, *what)
        if key not in self._kept:
            self._kept[key] = await read(*what)
        return deepcopy(self._kept[key])  # Datasette changes some of what it is given

    async def table_counts(self, limit=10):
        """Rows of each table: Datasette knows the numbers of the views too, but asks here for tables."""
        tables = set(await self.table_names())
        return {name: count for name, count in (await super().table_counts(limit)).items() if name in tables}

    async def attached_databases(self):
        return []

    async def table_exists(self, table):
        return table in await self.table_names()

    async def table_names(self):
        return await self._once(super().table_names)

    async def view_names(self):
        return await self._once(super().view_names)

    async def hidden_table_names(self):
        return await self._once(super().hidden_table_names)

    async def get_all_foreign_keys(self):
        return await self._once(super().get_all_foreign_keys)

    async def table_columns(self, table):
        return await self._once(super().table_columns, table)

    async def table_column_details(self, table):
        return await self._once(super().table_column_details, table)

    async def primary_keys(self, table):
        return await self._once(super().primary_keys, table)

    async def fts_table(self, table):
        return await self._once(super().fts_table, table)

    async def label_column_for_table(self, table):
        return await self._once(super().label_column_for_table, table)

    async def foreign_keys_for_table(self, table):
        return await self._once(super().foreign_keys_for_table, table)

    async def get_table_definition(self, table, type_="table"):
        return await self._once(super().get_table_definition, table, type_)


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
                raise sqlite3.OperationalError("these rows hold more bytes than the server gives at once")
            rows += more
        return rows

    def fetchall(self):
        return self.fetchmany(sys.maxsize)
