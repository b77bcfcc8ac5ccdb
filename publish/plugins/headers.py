"""Answer headers that keep a page from loading anything of another host and from running any script but ours."""

from __future__ import annotations

from functools import wraps

from datasette import hookimpl

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
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

            await application(scope, receive, send_with_headers)

        return with_headers

    return wrap
