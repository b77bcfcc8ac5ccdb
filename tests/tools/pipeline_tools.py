"""What the tests of loading and running share: real files, a catalogue's content, and the command line."""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path

import duckdb

from becat.sample_spectra import real_spectra
from becat.schema import build

__all__ = ["becat", "contents", "new_catalogue", "obey_permissions", "real_spectra"]

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 300
# Columns that tell when and by which run a row was written: they differ between runs that give the same catalogue.
RUN_COLUMNS = {"run_id", "started_at", "ended_at"}
# Tables of which each row is that of a run.
OF_RUNS = ("main.etl_run", "main.table_checksum")


@cache
def _empty() -> bytes:
    """The bytes of an empty catalogue: to make one takes seconds."""
    with tempfile.TemporaryDirectory() as folder:
        build.create(Path(folder, "empty.duckdb"))
        return Path(folder, "empty.duckdb").read_bytes()


def new_catalogue(path: Path) -> Path:
    """An empty catalogue."""
    path.write_bytes(_empty())
    return path


def obey_permissions() -> None:
    """Let the permissions of files count for root too, in this process and in all that it starts (Linux)."""
    if os.getuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    drop_from_bounding_set, version_3 = 24, 0x20080522  # linux/prctl.h, linux/capability.h
    may_write_everything, may_read_everything = 1, 2
    head, sets = (ctypes.c_uint32 * 2)(version_3, 0), (ctypes.c_uint32 * 6)()
    refused = libc.capget(head, sets)
    for capability in (may_write_everything, may_read_everything):
        refused = libc.prctl(drop_from_bounding_set, capability, 0, 0, 0) or refused
        for kind in range(3):  # effective, permitted, inheritable
            sets[kind] &= ~(1 << capability)
    if libc.capset(head, sets) or refused:
        raise OSError(ctypes.get_errno(), "root may not give up its privileges here")


class _Warm:
    """The process of `tests.tools.warm`, which becomes the commands; started with the first one, ended with the tests."""

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None
        self.is_free = threading.Lock()

    def run(self, words: list[str], first: Callable[[], object] | None, end_s: float) -> subprocess.CompletedProcess:
        """Run a command of becat, and kill it after some seconds; one at a time."""
        process = self._process = self._process or self._start()
        assert process.stdin and process.stdout
        with tempfile.NamedTemporaryFile("r") as out, tempfile.NamedTemporaryFile("r") as err:
            asked = {"words": words, "environment": dict(os.environ), "out": out.name, "err": err.name,
                     "first": pickle.dumps(first).hex()}  # fmt: skip
            print(json.dumps(asked), file=process.stdin, flush=True)
            watch = threading.Timer(end_s, os.kill, (int(process.stdout.readline()), signal.SIGKILL))
            watch.start()
            try:
                code = int(process.stdout.readline())
            finally:
                watch.cancel()
            return subprocess.CompletedProcess(words, code, out.read(), err.read())

    def _start(self) -> subprocess.Popen:
        words = [sys.executable, "-m", "tests.tools.warm"]
        process = subprocess.Popen(words, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        atexit.register(process.communicate)
        return process


_WARM = _Warm()


def becat(
    *words, check: int | None = 0, first=None, before=None, end_s: float = TIMEOUT_S
) -> subprocess.CompletedProcess:
    """Run the command line in a process of its own, as a user does.

    Parameters
    ----------
    *words
    check : int, optional
        Exit status that is expected.
    first : callable, optional
        Called in the process first, which has imported already what commands import; something that can be pickled.
    before : callable, optional
        Called before the process starts, from nothing.
    end_s : float
        Seconds after which the process is killed.
    """
    told = [*map(str, words)]
    if before is None and _WARM.is_free.acquire(blocking=False):
        try:
            done = _WARM.run(told, first, end_s)
        finally:
            _WARM.is_free.release()
    else:
        command = [sys.executable, "-m", "becat", *told]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, cwd=ROOT, preexec_fn=before or first
        )
    assert check is None or done.returncode == check, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def contents(path: Path, *, with_runs: bool = False) -> dict[str, list[tuple]]:
    """Every row of every table, sorted, as text; without the columns that tell the run, unless asked for. Of arrays the hash."""
    with duckdb.connect(str(path), read_only=True) as connection:
        names = "select schema_name || '.' || table_name from duckdb_tables() order by 1"
        tables = [row[0] for row in connection.execute(names).fetchall()]
        found = {}
        for table in tables:
            if table in OF_RUNS and not with_runs:
                continue
            columns = ", ".join(
                f'{"hash" if kind.endswith("]") else ""}("{name}")::varchar'
                for name, kind, *_ in connection.execute(f"describe {table}").fetchall()
                if with_runs or name not in RUN_COLUMNS
            )
            found[table] = sorted(connection.execute(f"select {columns} from {table}").fetchall(), key=str)
        return found
