"""Slower and slower answers to somebody who guesses passwords, by account and by address."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from pathlib import Path

__all__ = ["Slowdown", "slowdown_of"]

# Tries before the first wait, and the longest wait in seconds. A guesser can keep an account waiting but never shut it
# for longer than a minute; an address, which a whole institute may share, has more tries and then waits longer.
FREE_TRIES = {"account": 5, "address": 20}
LONGEST_WAIT_S = {"account": 60.0, "address": 900.0}
FORGET_S = 3600.0
KEPT_MAX = 10_000


class Slowdown:
    """Counts the failures of each account and each address of late, and says how long the next try must wait.

    The wait doubles with each failure beyond the free tries. At most `KEPT_MAX` accounts and addresses are remembered,
    those that failed last, so that a flood of invented names cannot fill the memory.

    Parameters
    ----------
    clock : callable, optional
        Seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._failures: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures)

    def begin(self, account: str, address: str) -> float:
        """Begin a try: 0, or the seconds to wait before another may be made.

        A try that may be made counts as a failure until `succeeded` says otherwise: of many that come at once, no
        more than the free ones get through.
        """
        keys = _keys(account, address)
        wait = max(self._wait_s(key) for key in keys)
        if wait <= 0:
            for key in keys:
                self._failures[key] = (self._count(key) + 1, self._clock())
                self._failures.move_to_end(key)
            while len(self._failures) > KEPT_MAX:
                self._failures.popitem(last=False)
        return max(0.0, wait)

    def succeeded(self, account: str, address: str) -> None:
        """Forget the failures of an account whose owner has come in, and take this try off the address."""
        by_account, by_address = _keys(account, address)
        self._failures.pop(by_account, None)
        if by_address in self._failures:
            count, when = self._failures[by_address]
            self._failures[by_address] = (count - 1, when)

    def _count(self, key: tuple[str, str]) -> int:
        count, when = self._failures.get(key, (0, 0.0))
        return count if self._clock() - when < FORGET_S else 0

    def _wait_s(self, key: tuple[str, str]) -> float:
        beyond = self._count(key) - FREE_TRIES[key[0]]
        if beyond < 0:
            return 0.0
        wait = min(LONGEST_WAIT_S[key[0]], 2.0 ** min(beyond + 1, 30))
        return wait - (self._clock() - self._failures[key][1])


@cache
def slowdown_of(labels: Path) -> Slowdown:
    """The counts that belong to a file of people: they outlast a new snapshot of the same server."""
    return Slowdown()


def _keys(account: str, address: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Account without case; of an IPv6 address the network that one subscriber has."""
    try:
        parsed = ipaddress.ip_address(address)
        if parsed.version == 6:
            address = str(ipaddress.ip_network((parsed, 64), strict=False))
    except ValueError:
        address = address[:64]
    return ("account", account.strip().casefold()[:100]), ("address", address)
