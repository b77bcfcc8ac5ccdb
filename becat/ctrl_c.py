"""Ctrl-C ends a command with one line and exit 1, whatever it is doing.

Python turns Ctrl-C into an exception wherever it happens to be, and there are places that lose it: callbacks of the garbage
collector and of `fork`, libraries in C++ that make an error of their own of it. So it is noted here too, and raised again until it
comes out.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import NoReturn

__all__ = ["STOPPED", "CtrlC", "leave"]

STOPPED = "stopped; run the same command again to resume"
AGAIN_S = 0.25
# What started the command may hand on a Ctrl-C that the terminal has sent to the command too: that is no second one.
SECOND_AFTER_S = 0.5


class CtrlC:
    """Notes Ctrl-C, and raises KeyboardInterrupt until it is heeded; a second Ctrl-C ends the process at once."""

    def __init__(self) -> None:
        self.interrupt: Callable[[], None] = lambda: None  # ends what does not look for signals; called once
        self._pressed_at_s: float | None = None
        self._code: int | None = None

    @property
    def is_pressed(self) -> bool:
        """Whether the command was told to stop before it had ended."""
        return self._pressed_at_s is not None

    def listen(self) -> None:
        """Take signals from now on."""
        signal.signal(signal.SIGINT, self._press)
        # What is registered first is called last: then Python takes its handlers down, and itself.
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
        self._say_unraisable, sys.unraisablehook = sys.unraisablehook, self._unraisable

    def end(self, code: int) -> None:
        """The command has ended: from now on Ctrl-C only makes the process leave sooner, with this exit code."""
        self._code = code

    def _press(self, *_) -> None:
        now_s = time.monotonic()
        if self._code is not None:
            leave(self._code)
        if self._pressed_at_s is None:
            self._pressed_at_s = now_s
            if hasattr(signal, "setitimer"):  # not on Windows
                signal.signal(signal.SIGALRM, self._again)
                signal.setitimer(signal.ITIMER_REAL, AGAIN_S, AGAIN_S)
            self.interrupt()
            raise KeyboardInterrupt
        if now_s - self._pressed_at_s > SECOND_AFTER_S:
            leave(1)

    def _again(self, *_) -> None:
        """Raise it once more, unless an exception is on its way out: what cleans up behind it is left in peace."""
        if self._code is None and sys.exc_info()[0] is None:
            raise KeyboardInterrupt

    def _unraisable(self, what) -> None:
        """Python tells of exceptions that it loses; this one is not lost."""
        if not (self.is_pressed and issubclass(what.exc_type, KeyboardInterrupt)):
            self._say_unraisable(what)


def leave(code: int) -> NoReturn:
    """End the process with what it has said, and without waiting for its workers, which end with it."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)
