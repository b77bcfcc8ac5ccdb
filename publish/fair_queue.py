"""A queue in which whoever asks much waits for themselves: one turn at a time for each address, few at a time for all."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import ipaddress
import itertools
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from weakref import WeakValueDictionary

__all__ = ["Busy", "FairQueue", "network_of"]


HALF_FORGOTTEN_S = 60.0
KEPT_MAX = 10_000


class Busy(Exception):
    """Too many questions are waiting."""


class FairQueue:
    """Turns: of one address one at a time; of several that wait, the next is of the one that has had least of late.

    Whoever comes with many addresses, each of which takes long, so waits behind whoever asks now and then.

    Parameters
    ----------
    at_once : int
        Turns that may be taken at the same time by all addresses together.
    clock : callable, optional
        Seconds that only go forward.
    """

    def __init__(self, at_once: int, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._free = at_once
        self._waiting: list[tuple[float, int, asyncio.Future]] = []
        self._count = itertools.count()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._had: OrderedDict[str, tuple[float, float]] = OrderedDict()  # seconds, and when they were counted

    async def enter(self, address: str, patience_s: float | None = None) -> Callable[[], None]:
        """Wait for a turn; return what ends it.

        Raises
        ------
        Busy
            It did not come within `patience_s` seconds.
        """
        network = network_of(address)
        turn = self._turns.setdefault(network, asyncio.Lock())
        try:
            async with asyncio.timeout(patience_s):
                await turn.acquire()
                try:
                    await self._take(network)
                except BaseException:
                    turn.release()
                    raise
        except TimeoutError as error:
            raise Busy from error
        began = self._clock()

        def leave() -> None:
            now = self._clock()
            self._had[network] = (self._spent(network) + now - began, now)
            self._had.move_to_end(network)
            while len(self._had) > KEPT_MAX:
                self._had.popitem(last=False)
            self._give()
            turn.release()

        return leave

    def _spent(self, network: str) -> float:
        seconds, when = self._had.get(network, (0.0, 0.0))
        return seconds * 0.5 ** ((self._clock() - when) / HALF_FORGOTTEN_S)

    async def _take(self, network: str) -> None:
        if self._free:
            self._free -= 1
            return
        place = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (self._spent(network), next(self._count), place))
        try:
            await place
        except BaseException:
            if place.done() and not place.cancelled():  # it was given just now
                self._give()
            place.cancel()
            raise

    def _give(self) -> None:
        while self._waiting:
            _, _, place = heapq.heappop(self._waiting)
            if not place.done():
                place.set_result(None)
                return
        self._free += 1

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
