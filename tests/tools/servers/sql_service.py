"""Services that answer SQL, on loopback: LAMOST's own forms of an answer, TAPVizieR's and Gaia's; DuckDB does the selecting."""

from __future__ import annotations

import re

import duckdb
import pandas as pd

from becat.schema.sphere import separation_sql
from tests.tools.servers import archive_server
from tests.tools.servers.archive_server import ArchiveServer

__all__ = ["TapServer", "answered"]

CIRCLE = f"create macro in_circle(a, d, a0, d0, r) as {separation_sql('a', 'd', 'a0', 'd0')} <= r"
SPHERE = r"spos\(([^,]+),([^)]+)\) @ scircle '<\(([-\d.]+)d,([-\d.]+)d\),([-\d.]+)d>'"
ADQL = r"1 = contains\(point\('ICRS', ([^,]+), ([^)]+)\), circle\('ICRS', ([-\d.]+), ([-\d.]+), ([-\d.]+)\)\)"


def answered(sql: str, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """What a query gives of some tables; pg_sphere's and ADQL's circles, and ADQL's TOP, are understood.

    Raises
    ------
    duckdb.Error
        The query is wrong.
    """
    sql = re.sub(SPHERE, r"in_circle(\1, \2, \3, \4, \5)", sql)
    sql = re.sub(ADQL, r"in_circle(\1, \2, \3, \4, \5)", sql)
    sql = re.sub(r"^select top (\d+) (.*)$", r"select \2 limit \1", sql)
    with duckdb.connect() as connection:
        connection.execute(CIRCLE)
        for name, frame in tables.items():
            schema, _, own = name.rpartition(".") if "/" not in name else ("", "", name)
            if schema:
                connection.execute(f"create schema if not exists {schema}")
            connection.register("_frame", frame)
            connection.execute(f'create table {schema + "." if schema else ""}"{own}" as select * from _frame')
            connection.unregister("_frame")
        return connection.execute(sql).df()


class TapServer(ArchiveServer):
    """TAPVizieR's and Gaia's TAP, which answer any query on their tables; a query that is wrong gets 400."""

    def __init__(self, tables):
        super().__init__(tables)
        self.queries: list[str] = []
        self.row_limit: int | None = None  # beyond which an answer is cut off
        server = self

        class Handler(_Handler):
            archive = server

        self._http.RequestHandlerClass = Handler

    def table(self, service, sql):
        """The answer as a VOTable, after the next fault in the queue."""
        self.queries.append(sql)
        found = answered(sql, self.tables)
        return self.spoilt(service, found if self.row_limit is None else found.iloc[: self.row_limit])


class _Handler(archive_server._Handler):
    def answer(self, path, fields, files):
        try:
            if path.startswith("/TAPVizieR/tap/sync"):
                self.reply(self.archive.table("tapvizier", fields["QUERY"]), "application/x-votable+xml")
            elif path.startswith("/tap-server/tap/async"):
                job = str(len(self.archive.jobs) + 1)
                self.archive.jobs[job] = self.archive.table("gaia_tap", fields["QUERY"])
                self.reply(b"", "text/plain", 303, {"Location": f"{self.archive.url}/tap-server/tap/async/{job}"})
            else:
                super().answer(path, fields, files)
        except duckdb.Error as error:
            self.reply(str(error).encode(), "text/plain", 400)
