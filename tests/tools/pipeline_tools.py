"""What the tests of loading and running share: real files, a catalogue's content, and the command line."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import duckdb

from becat.sample_spectra import real_spectra
from becat.schema import build

__all__ = ["becat", "contents", "new_catalogue", "obey_permissions", "real_spectra"]

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
    """Let the permissions of files count for root too, in the next program that this process becomes (Linux)."""
    if os.getuid() != 0:
        return
    drop_from_bounding_set, may_write_everything, may_read_everything = 24, 1, 2  # linux/prctl.h, linux/capability.h
    for capability in (may_write_everything, may_read_everything):
        if ctypes.CDLL(None, use_errno=True).prctl(drop_from_bounding_set, capability, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "root may not give up its privileges here")


def becat(*words, check: int | None = 0, before=None) -> subprocess.CompletedProcess:
    """Run the command line in a process of its own, as a user does; `before` is called in it first."""
    command = [sys.executable, "-m", "becat", *map(str, words)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=root, preexec_fn=before)
    assert check is None or done.returncode == check, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def contents(path: Path, *, with_runs: bool = False) -> dict[str, list[tuple]]:
    """Every row of every table, sorted, as text; without the columns that tell the run, unless asked for."""
    with duckdb.connect(str(path), read_only=True) as connection:
        names = "select schema_name || '.' || table_name from duckdb_tables() order by 1"
        tables = [row[0] for row in connection.execute(names).fetchall()]
        found = {}
        for table in tables:
            if table in OF_RUNS and not with_runs:
                continue
            names = [row[0] for row in connection.execute(f"describe {table}").fetchall()]
            columns = ", ".join(f'"{n}"::varchar' for n in names if with_runs or n not in RUN_COLUMNS)
            found[table] = connection.execute(f"select {columns} from {table} order by all").fetchall()
        return found
