"""Any table, view or query as VOTable or FITS, whole, with units and UCDs."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from typing import Any

from datasette import Response, hookimpl
from datasette.views.base import DatasetteError

from becat.publish.vo.fields import describe_fields
from becat.publish.vo.fits_table import to_fits
from becat.publish.vo.votable import to_votable

ROWS_MAX = 100_000
TIME_LIMIT_MS = 10_000


@hookimpl
def register_output_renderer():
    return [
        {"extension": "votable", "render": render_votable, "can_render": lambda columns: bool(columns)},
        {"extension": "fits", "render": render_fits, "can_render": lambda columns: bool(columns)},
    ]


async def render_votable(datasette, database, table, query_name, columns, rows, data):
    """The rows as a VOTable document."""
    name = table or query_name or "query"
    notes = datasette.metadata(database=database, table=table).get("description", "") if table else ""
    infos = [("QUERY", (data.get("query") or {}).get("sql") or "")]

    def written(found: list[tuple], whole: bool) -> str:
        fields = describe_fields(table, columns, found)
        return to_votable(fields, found, name=name, description=notes or "", infos=infos, overflow=not whole)

    body = await _all_rows(datasette, database, table, rows, data, written)
    return Response(body, content_type="application/x-votable+xml", headers=_download(name, "vot"))


async def render_fits(datasette, database, table, query_name, columns, rows, data):
    """The rows as a FITS binary table."""
    name = table or query_name or "query"

    def written(found: list[tuple], whole: bool) -> bytes:
        return to_fits(describe_fields(table, columns, found), found, name=name)

    body = await _all_rows(datasette, database, table, rows, data, written)
    return Response(body, content_type="application/fits", headers=_download(name, "fits"))


def _download(name: str, ending: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="{re.sub(r"[^A-Za-z0-9_]", "_", name)}.{ending}"'}


async def _all_rows(datasette, database, table, rows, data, written: Callable[[list[tuple], bool], Any]) -> Any:
    """Not the one page that Datasette shows but all rows of its query, written in the thread that reads them.

    `written` is given the rows and whether these are all.
    """
    query = data.get("query") or {}
    sql = query.get("sql") or ""
    if not sql:
        return written([tuple(row) for row in rows], True)
    if table:
        sql = re.sub(r"\s+limit \d+\s*$", "", sql)  # the page's own; a limit in a visitor's query stays

    try:
        return await datasette.get_database(database).ask(
            sql, query.get("params"), rows_max=ROWS_MAX, limit_ms=TIME_LIMIT_MS,
            written=lambda found: written(found.rows, found.whole),
        )  # fmt: skip
    except sqlite3.OperationalError as error:
        raise DatasetteError(str(error), title="Invalid SQL", status=400) from error
