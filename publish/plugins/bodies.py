"""What is sent to the site: forms of a page's size, read whole before anything else looks at them, and its own cookies."""

from __future__ import annotations

import asyncio
import re
from functools import wraps

from datasette import Response, hookimpl

from becat.publish.plugins.headers import READING
from becat.publish.plugins.inspecting import DEVICE, SESSION

BYTES_MAX = 50_000  # a comment of 2,000 letters, however they are written
SECONDS_MAX = 30.0
FORM = b"application/x-www-form-urlencoded"
OWN_LIMITS = ("/tap/sync", "/tap/async")  # where tables may be brought
COOKIES = frozenset({b"ds_csrftoken", SESSION.encode(), DEVICE.encode()})
COOKIE = re.compile(rb"[A-Za-z0-9._=~-]{1,2000}")


class Wrong(Exception):
    """A request that is not read; status and words."""


@hookimpl
def asgi_wrapper(datasette):
    def wrap(application):
        @wraps(application)
        async def with_small_bodies(scope, receive, send):
            if scope["type"] != "http":
                return await application(scope, receive, send)
            headers = [(name, own_cookies(value) if name == b"cookie" else value) for name, value in scope["headers"]]
            scope = {**scope, "headers": headers}
            path = "/" + scope["path"].removeprefix(datasette.setting("base_url")).lstrip("/")
            if scope["method"] not in READING and not path.startswith(OWN_LIMITS):
                try:
                    async with asyncio.timeout(SECONDS_MAX):
                        receive = _again(await _body(dict(scope["headers"]), receive), receive)
                except TimeoutError:
                    return await Response.text("The request took too long to arrive.", status=408).asgi_send(send)
                except Wrong as error:
                    return await Response.text(error.args[1], status=error.args[0]).asgi_send(send)
            return await application(scope, receive, send)

        return with_small_bodies

    return wrap


def own_cookies(value: bytes) -> bytes:
    """Of a header with cookies those that this site gives.

    Python's reader of cookies takes a minute for 60 kB of quotes with backslashes, and fails at names that it does not know.
    """
    pairs = (part.strip().partition(b"=") for part in value.split(b";"))
    return b"; ".join(name + b"=" + said for name, _, said in pairs if name in COOKIES and COOKIE.fullmatch(said))


async def _body(headers: dict[bytes, bytes], receive) -> bytes:
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length[:20]) > BYTES_MAX:
        raise Wrong(413, f"A form may have at most {BYTES_MAX:,} bytes here.")
    if headers.get(b"content-type", b"").split(b";")[0].strip().lower() != FORM:
        raise Wrong(415, "Only forms can be sent here.")
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Wrong(400, "The request was cut off.")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > BYTES_MAX:
            raise Wrong(413, f"A form may have at most {BYTES_MAX:,} bytes here.")
    if not body.isascii():
        raise Wrong(400, "A form must be sent in ASCII, other letters as UTF-8 in %-encoding.")
    return bytes(body)


def _again(body: bytes, receive):
    """The body in one piece, then what comes after it."""
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message():
        return left.pop() if left else await receive()

    return next_message
