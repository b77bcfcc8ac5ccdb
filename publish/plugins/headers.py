"""What guards the site: pages load nothing of another host and run no script but ours; only sign-in and labels may post."""

from __future__ import annotations

from functools import wraps

from datasette import hookimpl

READING = ("GET", "HEAD", "OPTIONS")
# /inspect asks for a token against forged requests and, to judge, for a signed-in person; a query sent to the Virtual
# Observatory's services changes nothing but the list of its own answers.
WRITING_PATHS = ("/inspect", "/tap/sync", "/tap/async")
SAMP_HUB = "http://localhost:21012"  # of the visitor's own machine: TOPCAT, Aladin and their like listen there
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
            async def send_with_headers(event):
                if event["type"] == "http.response.start":
                    added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                    event = {**event, "headers": [*event.get("headers", []), *added]}
                await send(event)

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
    return ("/" + scope["path"].removeprefix(base_url)).startswith(WRITING_PATHS)
