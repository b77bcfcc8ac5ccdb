"""What guards the site: pages load nothing of another host and run no script but ours; only sign-in and labels may post."""

from __future__ import annotations

import re
from functools import cache, wraps
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from datasette import hookimpl

READING = ("GET", "HEAD", "OPTIONS")
# /inspect asks for a token against forged requests and, to judge, for a signed-in person; a query sent to the Virtual
# Observatory's services changes nothing but the list of its own answers.
WRITING_PATHS = ("/inspect", "/tap/sync", "/tap/async")
SAMP_HUB = "http://localhost:21012"  # of the visitor's own machine: TOPCAT, Aladin and their like listen there
KEPT = {"cache-control": "public, max-age=300"}
STATIC = ("/assets/", "/-/static/")
STATIC_FOLDER = Path(__file__).parents[1] / "static"
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'"
        f" {SAMP_HUB};"
        " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


@hookimpl
def asgi_wrapper(datasette):
    def wrap(application):
        @wraps(application)
        async def with_headers(scope, receive, send):
            is_static = scope["type"] == "http" and _path(scope, datasette.setting("base_url")).startswith(STATIC)

            async def send_with_headers(event):
                if event["type"] == "http.response.start":
                    added = HEADERS | ({"etag": static_tag(), **KEPT} if is_static and event["status"] == 200 else {})
                    given = [
                        (name, _within(value) if name.lower() == b"location" else value)
                        for name, value in event["headers"]
                    ]
                    event = {
                        **event,
                        "headers": [*given, *((name.encode(), value.encode()) for name, value in added.items())],
                    }
                await send(event)

            if is_static and dict(scope["headers"]).get(b"if-none-match") == static_tag().encode():
                await send_with_headers({"type": "http.response.start", "status": 304, "headers": []})
                return await send({"type": "http.response.body", "body": b""})

            if _may_pass(scope, datasette.setting("base_url")):
                return await application(scope, receive, send_with_headers)
            await send_with_headers(
                {"type": "http.response.start", "status": 405, "headers": [(b"allow", b"GET, HEAD")]}
            )
            await send({"type": "http.response.body", "body": b"This address can only be read."})

        return with_headers

    return wrap


def _may_pass(scope, base_url: str) -> bool:
    if scope["type"] != "http" or scope["method"] in READING:
        return True
    return _path(scope, base_url).startswith(WRITING_PATHS)


def _path(scope, base_url: str) -> str:
    return "/" + scope["path"].removeprefix(base_url).lstrip("/")


def _within(location: bytes) -> bytes:
    """Where a redirect leads: two slashes at its beginning would make the first word of the path another host."""
    return re.sub(rb"^[/\\\\]+", b"/", location)


@cache
def static_tag() -> str:
    """One mark for all files of the site's own and of Datasette's: they change together, with the program."""
    found = sha256(version("datasette").encode())
    for path in sorted(path for path in STATIC_FOLDER.rglob("*") if path.is_file()):
        found.update(path.read_bytes())
    return f'"{found.hexdigest()[:20]}"'
