"""Answers for as long as somebody listens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["while_listening"]


async def while_listening(answering: Awaitable, receive: Callable[[], Awaitable[dict]]) -> Any:
    """Answer until the visitor hangs up: nothing is computed or written for nobody.

    It must be called when the request has been read; None where the visitor went.
    """
    answer = asyncio.ensure_future(answering)
    gone = asyncio.ensure_future(_hung_up(receive))
    try:
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        return answer.result() if answer.done() else None
    finally:
        gone.cancel()
        answer.cancel()
        await asyncio.gather(answer, gone, return_exceptions=True)  # until what they hold is let go


async def _hung_up(receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
