"""Processes that end with the one that started them, however that ends, and leave Ctrl-C to it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["end_with", "without_ctrl_c"]

_SET_PARENT_DEATH_SIGNAL = 1  # linux/prctl.h
_LOOK_EVERY_S = 0.5


def end_with(parent: int) -> None:
    """Let this process be killed when its parent ends, by ``kill -9`` too; called first thing in a worker.

    Ctrl-C is left to the parent, which ends the workers: a terminal sends it to all of them, and each would say so.

    Parameters
    ----------
    parent : int
        Number of the process that started this one.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    if os.getppid() != parent:  # it ended before this could be asked for
        os._exit(1)


@contextmanager
def without_ctrl_c() -> Iterator[None]:
    """While processes are started: Ctrl-C waits, and does not reach them before `end_with` is called there.

    Python runs functions of its own on both sides of a fork, and loses an exception in them.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_EVERY_S)
    os._exit(1)
