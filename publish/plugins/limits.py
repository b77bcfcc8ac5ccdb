"""What a visitor may ask for at once, and what is none of a visitor's business."""

from __future__ import annotations

import json
from functools import wraps
from urllib.parse import parse_qsl, urlencode

from datasette import Response, hookimpl

from becat.publish.listening import while_listening
from becat.publish.plugins.headers import READING
from becat.publish.reading import snapshot_of
from becat.publish.readonly import PAGE_ROWS_MAX, asker, is_page
from becat.publish.sending import Sending

OF_THE_MACHINE = ("/-/databases", "/-/plugins", "/-/versions", "/-/threads", "/-/settings", "/-/config", "/-/metadata")
SERVICES = ("/vo/", "/ssa")
# Their addresses hold values and no SQL; what they compute is short or has a queue of its own. All else may be worded.
OWN_PAGES = {"search", "explore", "thresholds", "compare", "star", "saliency", "nearest", "inspect", "tap", "assets"}
WORDS_MAX, FACETS_MAX = 500, 12
FILES = (".json", ".csv", ".votable", ".fits", ".db", ".blob", ".jsono")


@hookimpl
def asgi_wrapper(datasette):
    """Mark the requests that hold a question of the visitor's own, for `becat.publish.readonly.Snapshot` to let them wait."""

    sending = Sending()

    def wrap(application):
        @wraps(application)
        async def with_limits(scope, receive, send):
            if scope["type"] != "http":
                return await application(scope, receive, send)
            path = "/" + scope["path"].removeprefix(datasette.setting("base_url"))
            if path.startswith(OF_THE_MACHINE):
                return await Response.html("There is no such page.", status=404).asgi_send(send)
            is_file = path.endswith(FILES)
            is_own = path.split("/")[1].split(".")[0] in OWN_PAGES - {snapshot_of(datasette).name}
            asks = path.startswith(SERVICES) or (not is_own and bool(scope["query_string"] or is_file))
            address = (scope.get("client") or ["nowhere"])[0]
            asker.set(address if asks else None)
            is_page.set(not is_file)
            if wrong := _too_much(scope["query_string"]):
                return await Response.text(wrong, status=400).asgi_send(send)
            words = page_size_within(scope["query_string"]) if is_page.get() else whole(path, scope["query_string"])
            scope = {**scope, "query_string": words}
            answering = application(scope, receive, sending.to(address, send))
            return await (while_listening(answering, receive) if asks and scope["method"] in READING else answering)

        return with_limits

    return wrap


def _too_much(query: bytes) -> str:
    """What is wrong with a query string that would cost much for little, or that Datasette trips over."""
    words = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    if len(words) > WORDS_MAX or sum(name.startswith("_facet") for name, _ in words) > FACETS_MAX:
        return f"An address may have at most {WORDS_MAX} parameters and {FACETS_MAX} facets."
    for name, value in words:
        if name == "_through":
            try:
                given = json.loads(value)
            except (ValueError, RecursionError):
                given = None
            if not isinstance(given, dict) or not {"table", "column", "value"} <= given.keys():
                return "_through must be a JSON object with table, column and value."
        if name.startswith("_facet") and value.startswith("{") and not _is_facet(value):
            return "A facet is the name of a column, or a JSON object with it as column."
    return ""


def _is_facet(value: str) -> bool:
    try:
        given = json.loads(value)
    except (ValueError, RecursionError):
        return False
    return isinstance(given, dict) and isinstance(given.get("column") or given.get("simple"), str)


def whole(path: str, query: bytes) -> bytes:
    """The query string of a download, for all rows unless a number of rows or a page of them is asked for.

    Datasette gives one page of 50 rows to whoever types the address of a file. CSV is streamed to its end; JSON has as many rows as
    an answer may have, and its ``next_url`` leads to the others.
    """
    ending = path.rpartition(".")[2]
    asked = {key for key, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True)}
    if ending not in ("csv", "json") or asked & {"_size", "_next", "_stream", "_nl"}:
        return query
    more = b"_stream=on&_size=max" if ending == "csv" else b"_size=max"  # without a size CSV is read by fifty rows
    return b"&".join(part for part in (query, more) if part)


def page_size_within(query: bytes) -> bytes:
    """The query string of a page with no more rows asked for than a page shows."""
    if b"_size=" not in query:
        return query
    words = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    return urlencode([(key, _size(value) if key == "_size" else value) for key, value in words]).encode("latin-1")


def _size(value: str) -> str:
    too_many = value == "max" or (value.isdecimal() and int(value[:9]) > PAGE_ROWS_MAX)
    return str(PAGE_ROWS_MAX) if too_many else value
