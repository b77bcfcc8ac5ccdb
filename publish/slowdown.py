"""Slower and slower answers to somebody who guesses passwords, by address, and by account at an address."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from pathlib import Path

from becat.publish.fair_queue import network_of

__all__ = ["Slowdown", "slowdown_of"]

# Tries before the first wait, and the longest wait in seconds. A guesser keeps waiting the account at their own address and
# that address, never the account everywhere: its owner comes in from another one, or with a device that is known, as ever.
FREE_TRIES = {"account": 5, "address": 20, "device": 5}
LONGEST_WAIT_S = {"account": 60.0, "address": 900.0, "device": 60.0}
FORGET_S = 3600.0
KEPT_MAX = 10_000


class Slowdown:
    """Counts the failures of each account at an address, of each address and of each known device of late.

    The wait doubles with each failure beyond the free tries. At most `KEPT_MAX` of them are remembered, those that failed
    last, so that a flood of invented names cannot fill the memory.

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

    def begin(self, account: str, address: str, device: str = "") -> float:
        """Begin a try: 0, or the seconds to wait before another may be made.

        Who comes with a device from which the account was signed in before (`device` says which) waits for the failures
        of that device alone.

        A try that may be made counts as a failure until `succeeded` says otherwise: of many that come at once, no
        more than the free ones get through.
        """
        keys = _keys(account, address, device)
        wait = max(self._wait_s(key) for key in keys)
        if wait <= 0:
            for key in keys:
                self._failures[key] = (self._count(key) + 1, self._clock())
                self._failures.move_to_end(key)
            while len(self._failures) > KEPT_MAX:
                self._failures.popitem(last=False)
        return max(0.0, wait)

    def succeeded(self, account: str, address: str, device: str = "") -> None:
        """Forget the failures of an account, or a device, whose owner has come in, and take this try off the address."""
        own, *by_address = _keys(account, address, device)
        self._failures.pop(own, None)
        for key in by_address:
            if key in self._failures:
                count, when = self._failures[key]
                self._failures[key] = (count - 1, when)

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


def _keys(account: str, address: str, device: str) -> tuple[tuple[str, str], ...]:
    """Account without case; of an IPv6 address the network that one subscriber has."""
    if device:
        return (("device", device),)
    network = network_of(address)
    return ("account", f"{network} {account.strip().casefold()[:100]}"), ("address", network)
