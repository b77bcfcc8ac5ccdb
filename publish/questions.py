"""Visitors' SQL, asked of processes that are killed when they take too long (`becat.publish.question_worker`)."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import select
import sqlite3
import subprocess
import sys
import time
import weakref
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from becat.publish.question_worker import INTERRUPTED, LENGTH, to_json
from becat.publish.vo.tap.walls import environment

__all__ = ["Found", "Questions"]

GRACE_S = 0.5  # beyond the time limit, at which a question ends by itself where it can
PART_S = 2.0  # between two parts of an answer that is being written
PART_BYTES_MAX = 256_000_000
START_S = 30.0
GONE = "the query needs more memory than it may use"


@dataclass(frozen=True)
class Found:
    """Rows of a question; `whole` is false where there are more."""

    names: list[str]
    rows: list[tuple]
    whole: bool


class Questions:
    """Processes that have a snapshot open; one is started when a question finds none idle.

    Parameters
    ----------
    path : path
        The snapshot.
    at_once : int
        Questions that are asked at the same time.
    """

    def __init__(self, path: str | Path, at_once: int):
        self._path = str(Path(path).absolute())
        self._threads = ThreadPoolExecutor(2 * at_once, thread_name_prefix="questions")  # some wait for what was killed
        self._idle: list[_Process] = []
        self._all: set[_Process] = set()
        self.close = weakref.finalize(self, _end_all, self._all, self._threads)

    def prepare(self) -> None:
        """Start a process, so that the first visitor need not wait for it."""
        if not self._all:
            self._idle.append(self._start())

    async def ask(self, sql: str, parameters: Mapping | Sequence | None, *, rows_max: int, limit_ms: float) -> Found:
        """Rows of a query, at most `rows_max` of them.

        Who stops waiting (`asyncio.CancelledError`) ends the query.

        Raises
        ------
        sqlite3.OperationalError
            The query is wrong, or takes more time (``interrupted``), memory or bytes than it may.
        """
        question = {"sql": sql, "parameters": parameters or {}, "rows_max": rows_max, "limit_ms": limit_ms}
        asked = to_json(question)
        process = self._idle.pop() if self._idle else self._start()
        try:
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self._threads, process.ask, asked, limit_ms / 1000)
        except BaseException:
            self._all.discard(process)
            process.end()
            raise
        self._idle.append(process)
        if isinstance(found, str):
            raise sqlite3.OperationalError(found)
        return found

    def _start(self) -> _Process:
        process = _Process(self._path)
        self._all.add(process)
        return process


class _Process:
    """One of the processes, as a thread of the server talks to it."""

    def __init__(self, path: str):
        self._is_ready = False
        self._asking = Lock()
        self._popen = subprocess.Popen(
            [sys.executable, "-P", "-m", "becat.publish.question_worker", path],
            cwd="/", env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
            start_new_session=True,  # Ctrl-C is for the server, which ends it
        )  # fmt: skip

    def ask(self, question: bytes, limit_s: float) -> Found | str:
        """The answer, or what is wrong with the question; `sqlite3.OperationalError` where the process must be ended."""
        with self._asking:
            return self._answer(question, limit_s)

    def _answer(self, question: bytes, limit_s: float) -> Found | str:
        names: list[str] = []
        rows: list[tuple] = []
        try:
            if not self._is_ready:
                self._part(time.monotonic() + START_S)
                self._is_ready = True
            assert self._popen.stdin is not None
            self._popen.stdin.write(LENGTH.pack(len(question)) + question)
            until = time.monotonic() + limit_s + GRACE_S
            while True:
                part = self._part(max(until, time.monotonic() + PART_S) if rows else until)
                if "error" in part:
                    return part["error"]
                names = part.get("names", names)
                rows += map(tuple, part["rows"])
                if "whole" in part:
                    return Found(names, rows, part["whole"])
        except TimeoutError as error:
            raise sqlite3.OperationalError(INTERRUPTED) from error
        except (EOFError, OSError) as error:
            raise sqlite3.OperationalError(GONE) from error

    def _part(self, until: float) -> dict:
        (length,) = LENGTH.unpack(self._read(LENGTH.size, until))
        if length > PART_BYTES_MAX:
            raise EOFError
        return json.loads(self._read(length, until), object_hook=_with_blobs)

    def _read(self, n_bytes: int, until: float) -> bytes:
        assert self._popen.stdout is not None
        out = self._popen.stdout.fileno()
        ready = select.poll()
        ready.register(out, select.POLLIN)
        found = bytearray()
        while len(found) < n_bytes:
            if not ready.poll(max(0.0, until - time.monotonic()) * 1000):
                raise TimeoutError
            piece = os.read(out, min(n_bytes - len(found), 1 << 20))
            if not piece:
                raise EOFError
            found += piece
        return bytes(found)

    def end(self) -> None:
        """Kill the process, in whatever query it is."""
        self._popen.kill()
        with self._asking, self._popen:  # closes the pipes when nobody reads any more, and waits for the end
            pass


def _end_all(processes: set[_Process], threads: ThreadPoolExecutor) -> None:
    for process in processes:
        process.end()
    processes.clear()
    threads.shutdown(wait=False)


def _with_blobs(found: dict):
    return base64.b64decode(found["b"]) if found.keys() == {"b"} else found
