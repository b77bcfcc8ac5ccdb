"""The snapshot as Datasette reads it: opened once and for all, and guarded so that no question takes the whole server."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import closing
from contextvars import ContextVar
from copy import deepcopy
from typing import Any

from datasette.app import Datasette
from datasette.database import Database, QueryInterrupted, Results

from becat.publish.fair_queue import Busy, FairQueue
from becat.publish.guarded import TOO_MANY_BYTES, open_guarded
from becat.publish.question_worker import INTERRUPTED
from becat.publish.questions import Found, Questions
from becat.schema.sql_names import quoted

__all__ = ["Busy", "Snapshot", "as_results", "asker", "is_page"]

QUESTIONS_AT_ONCE = 2  # of visitors; the site's own pages have the other threads to themselves
PATIENCE_S = 15.0
PAGE_ROWS_MAX = 250
PAGE_CELLS_MAX = 20_000  # a second to write; a page of the widest view has 18,500
ROWS_MAX = 1_000_000  # where a page of Datasette's own sets no limit
asker: ContextVar[str | None] = ContextVar("asker", default=None)  # address of one who asks in words of their own
is_page: ContextVar[bool] = ContextVar("is_page", default=False)  # the answer is a page, not a file


class Snapshot(Database):
    """A file that never changes while it is open: what its tables are called and made of is read once.

    Questions that visitors word themselves (`asker` is set) run in processes of their own (`becat.publish.questions`), two
    at a time, and one at a time for each address, so that whoever asks much waits for themselves. What the site itself
    computes for such a question runs in threads, likewise in turn, and its own pages wait for nobody.

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
        self._threads = FairQueue(QUESTIONS_AT_ONCE)
        self._visitors = FairQueue(QUESTIONS_AT_ONCE)
        self.questions = Questions(path, QUESTIONS_AT_ONCE)

    def connect(self, write=False):
        """A connection that can neither write, nor call what is not named, nor answer without measure."""
        connection = open_guarded(str(self.path))
        self._all_file_connections.append(connection)
        return connection

    def close(self):
        """Close the connections and end the processes."""
        self.questions.close()
        super().close()

    async def execute_fn(self, fn):
        """Run a function with a connection in a thread; where it is for a visitor's question it waits for its turn."""
        address = asker.get()
        if address is None:
            return await super().execute_fn(fn)
        leave = await self._threads.enter(address, PATIENCE_S)
        return await _until_done(super().execute_fn(fn), leave)

    async def ask(
        self,
        sql: str,
        parameters: Mapping | Sequence | None = None,
        *,
        rows_max: int,
        limit_ms: float,
        written: Callable[[Found], Any] | None = None,
    ) -> Any:
        """Ask a visitor's question in a process that can be killed, when its turn comes.

        Parameters
        ----------
        sql, parameters
            The statement.
        rows_max, limit_ms : int, float
            Most rows and milliseconds.
        written : callable, optional
            What to make of the rows, in a thread, before the turn ends.

        Raises
        ------
        QueryInterrupted
            It takes longer than it may.
        sqlite3.OperationalError
            It cannot be answered.
        """
        if "database_list" in sql.lower():
            raise sqlite3.OperationalError("the path of the file is not shown")
        leave = await self._visitors.enter(asker.get() or "", PATIENCE_S)
        try:
            found = await self.questions.ask(sql, parameters, rows_max=rows_max, limit_ms=limit_ms)
        except sqlite3.OperationalError as error:
            leave()
            if error.args == (INTERRUPTED,):
                raise QueryInterrupted(error, sql, parameters) from error
            raise
        except BaseException:
            leave()
            raise
        if written is None:
            leave()
            return found
        return await _until_done(asyncio.to_thread(written, found), leave)

    async def execute(
        self, sql, params=None, truncate=False, custom_time_limit=None, page_size=None, log_sql_errors=True
    ):
        """Rows of a query; what a visitor may have worded is asked in another process, and for a page no more than it shows.

        Nothing is logged: a page of a row that is not there would write its whole address, many times as long.
        """
        if asker.get() is None:
            return await super().execute(sql, params, truncate, custom_time_limit, page_size, log_sql_errors=False)
        rows_max = self.ds.max_returned_rows if truncate else ROWS_MAX
        if truncate and rows_max == (page_size or self.ds.page_size):
            rows_max += 1
        if truncate and is_page.get():
            rows_max = min(rows_max, PAGE_ROWS_MAX + 1)
        limit_ms = min(custom_time_limit or self.ds.sql_time_limit_ms, self.ds.sql_time_limit_ms)
        found = await self.ask(sql, params, rows_max=rows_max, limit_ms=limit_ms)
        if not (found.whole or truncate):
            raise sqlite3.OperationalError(TOO_MANY_BYTES)
        shown = len(found.rows)
        if truncate and is_page.get():
            shown = min(shown, PAGE_ROWS_MAX + found.whole, PAGE_CELLS_MAX // max(len(found.names), 1))
        return as_results(found.names, found.rows[:shown], truncated=not found.whole or shown < len(found.rows))

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


async def _until_done(work: Awaitable, leave: Callable[[], None]) -> Any:
    """The result of work in a thread, which goes on though nobody may wait any more; the turn ends with it."""
    answer = asyncio.ensure_future(work)

    def end(done: asyncio.Future) -> None:
        leave()
        if not done.cancelled():
            done.exception()  # seen, though nobody may be left to tell

    answer.add_done_callback(end)
    return await asyncio.shield(answer)


def as_results(names: Sequence[str], rows: Iterable[tuple], *, truncated: bool) -> Results:
    """Rows as Datasette's pages read them: by name and by number, as the rows of a cursor."""
    columns = ", ".join(f"null as {quoted(name)}" for name in names)
    with closing(sqlite3.connect(":memory:")) as memory:
        cursor = memory.execute(f"select {columns}")
        return Results([sqlite3.Row(cursor, row) for row in rows], truncated, cursor.description)
