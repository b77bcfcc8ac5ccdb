"""Answers in pieces, for visitors who read them: what nobody takes is not kept."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from datasette import Response

from becat.publish.fair_queue import network_of

__all__ = ["Sending"]

PIECE_BYTES = 64 * 1024
PATIENCE_S = 30.0  # for one piece
LARGE_BYTES = 1_000_000
LARGE_BYTES_EACH, LARGE_BYTES_MAX = 70_000_000, 300_000_000  # that one address, and all, have not taken yet
UNTAKEN = "Too many answers are waiting to be read. Try again in a moment."


class Sending:
    """Sends answers piece by piece and breaks off where a piece is not taken.

    An answer whose reader waits is kept whole by the server: what is kept for one address, and for all, is limited.

    Parameters
    ----------
    patience_s : float
        Seconds that a visitor may take for a piece.
    """

    def __init__(self, patience_s: float = PATIENCE_S):
        self._patience_s = patience_s
        self._large: Counter[str] = Counter()

    def to(self, address: str, send: Callable[[dict], Awaitable[None]]) -> Callable[[dict], Awaitable[None]]:
        """What sends one answer to an address; `asyncio.CancelledError` where nobody takes it."""
        network = network_of(address)
        start: list[dict] = []  # is sent when it is known that what follows may be
        is_refused = False

        async def send_event(event: dict) -> None:
            nonlocal is_refused
            if is_refused:
                return
            if event["type"] == "http.response.start":
                start.append(event)
                return
            body = event.get("body", b"")
            if len(body) <= LARGE_BYTES:
                return await self._send(send, start, event)
            if start and not self._may_have(network, len(body)):
                is_refused = True
                return await Response.text(UNTAKEN, status=503, headers={"retry-after": "5"}).asgi_send(send)
            self._large[network] += len(body)
            try:
                await self._send(send, start, event)
            finally:
                self._large[network] -= len(body)
                if not self._large[network]:
                    del self._large[network]

        return send_event

    def _may_have(self, network: str, n_bytes: int) -> bool:
        own = self._large[network]
        return (not own or own + n_bytes <= LARGE_BYTES_EACH) and self._large.total() + n_bytes <= LARGE_BYTES_MAX

    async def _send(self, send: Callable[[dict], Awaitable[None]], start: list[dict], event: dict) -> None:
        while start:
            await send(start.pop())
        body = memoryview(event.get("body", b""))
        for at in range(0, max(len(body), 1), PIECE_BYTES):
            more = at + PIECE_BYTES < len(body) or event.get("more_body", False)
            piece = {"type": event["type"], "body": bytes(body[at : at + PIECE_BYTES]), "more_body": more}
            try:
                async with asyncio.timeout(self._patience_s):
                    await send(piece)
            except TimeoutError as error:
                raise asyncio.CancelledError("the client does not read the answer") from error
            if more:
                await asyncio.sleep(0)  # others go on between the pieces
