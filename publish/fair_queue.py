"""A queue in which whoever asks much waits for themselves: one turn at a time for each address, few at a time for all."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Callable
from weakref import WeakValueDictionary

__all__ = ["Busy", "FairQueue", "network_of"]


class Busy(Exception):
    """Too many questions are waiting."""


class FairQueue:
    """Turns, given in the order in which the addresses asked; of one address one at a time.

    Parameters
    ----------
    at_once : int
        Turns that may be taken at the same time by all addresses together.
    """

    def __init__(self, at_once: int):
        self._slots = asyncio.Semaphore(at_once)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def enter(self, address: str, patience_s: float | None = None) -> Callable[[], None]:
        """Wait for a turn; return what ends it.

        Raises
        ------
        Busy
            It did not come within `patience_s` seconds.
        """
        turn = self._turns.setdefault(network_of(address), asyncio.Lock())
        try:
            async with asyncio.timeout(patience_s):
                await turn.acquire()
                try:
                    await self._slots.acquire()
                except BaseException:
                    turn.release()
                    raise
        except TimeoutError as error:
            raise Busy from error

        def leave() -> None:
            self._slots.release()
            turn.release()

        return leave

    @contextlib.asynccontextmanager
    async def turn(self, address: str, patience_s: float | None = None) -> AsyncIterator[None]:
        """A turn that ends with the block; waiting and errors as for `enter`."""
        leave = await self.enter(address, patience_s)
        try:
            yield
        finally:
            leave()


def network_of(address: str) -> str:
    """The address; of IPv6 the network that one subscriber has."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address
