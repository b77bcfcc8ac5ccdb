"""Errors in the site's own dress: one line that says what is wrong, nothing of the machine, no script."""

from __future__ import annotations

import errno
import sys
import traceback
from pathlib import Path
from typing import Any

import datasette.handle_exception
from datasette import Response, hookimpl
from datasette.database import QueryInterrupted
from datasette.plugins import pm
from datasette.utils.asgi import Base400
from datasette.views.base import DatasetteError

from becat.publish.readonly import Busy

# Datasette asks every handler and takes the first answer. Its own one prints a page of the log for each question that was
# stopped (and, where rich is installed, all local variables), so that a visitor could fill the log.
if pm.is_registered(datasette.handle_exception):
    pm.unregister(datasette.handle_exception)
BUSY = "Too many queries are running. Try again in a moment, or download the file and query it on your own computer."
OWN = str(Path(__file__).parents[1])
TOO_LONG = "This takes longer than the server allows. Ask for fewer rows, or download the file and query it on your own computer."


@hookimpl(tryfirst=True)
def handle_exception(datasette, request, exception):
    async def answer():
        status, title, message = describe(exception)
        if status == 500:
            traceback.print_exception(exception, file=sys.stderr)
        if request.path.split("?")[0].endswith(".json"):
            return Response.json({"ok": False, "error": message, "status": status, "title": title}, status=status)
        context = {"ok": False, "error": message, "status": status, "title": title}
        return Response.html(await datasette.render_template("error.html", context, request=request), status=status)

    return answer


def describe(exception: Any) -> tuple[int, str, str]:
    """Status, title and message of an exception."""
    if isinstance(exception, Busy):
        return 503, "Busy", BUSY
    if isinstance(exception, QueryInterrupted):
        return 503, "Too long", TOO_LONG
    if isinstance(exception, DatasetteError):
        if exception.title == "SQL Interrupted":
            return 400, "Too long", TOO_LONG
        status = (
            400 if exception.status == 500 else exception.status
        )  # Datasette's default; all are mistakes in the address
        return status, exception.title or "", exception.message or ""
    if isinstance(exception, Base400):
        said = str(exception.args[0]) if exception.args else ""
        nowhere = exception.status == 404 and said in ("", "404", "Database not found")
        return exception.status, "", "There is no page at this address." if nowhere else said
    if isinstance(exception, OSError) and exception.errno == errno.ENAMETOOLONG:
        return 404, "", "There is no page at this address."
    if isinstance(exception, ValueError) and not _is_ours(exception):
        return 400, "", "A value in this address cannot be read."
    return 500, "", "Something is wrong with this page; the server's log says what."


def _is_ours(exception: BaseException) -> bool:
    """Code of becat had a part in it: where only Datasette's had, a number in the address was none."""
    return any(frame.filename.startswith(OWN) for frame in traceback.extract_tb(exception.__traceback__))
