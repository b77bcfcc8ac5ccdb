"""How spectra should lie in the catalogue: order, groups of rows, compression, checkpoints and memory, measured.

    python -m benchmarks.storage [--spectra 16384] [--dir DIR]

Rectified spectra of both arms (simulated, with noise of their own) are written as `becat load` does, a whole group of rows in a transaction, into
a new catalogue for each setting, by a process of its own. Told are the CPU time and the bytes that went to the disk per
spectrum (more than the file's size: checkpoints write the last group anew), the size of the file per spectrum, the largest memory
of the writer, the time of one spectrum by its number (median of 50, file just opened), of 2,048 by their numbers, and of a scan of all
red flux. One thing is changed at a time; the first line is what becat does.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from becat.etl.catalogue.connection import CHECKPOINT_AT, NEVER_MERGE_GROUPS, ROWS_PER_GROUP, TO_WRITE
from becat.schema import build
from becat.schema.grid import ARMS


@dataclass(frozen=True)
class Setting:
    """One way of keeping spectra."""

    name: str = "as becat does"
    rows_per_group: int = ROWS_PER_GROUP
    checkpoint_at: str = CHECKPOINT_AT
    compression: str = "auto"
    memory_limit: str = f"{sum(TO_WRITE)}MB"
    shuffled: bool = False
    spectra_per_transaction: int = ROWS_PER_GROUP
    threads: int = 1
    merges: bool = False


BASE = Setting()
DIFFERENT = 256  # spectra that are made at a time; the others are the same again
SETTINGS = [
    BASE,
    *(
        replace(BASE, name=f"{n:,} spectra a transaction", spectra_per_transaction=n)
        for n in (64, ROWS_PER_GROUP - 8, ROWS_PER_GROUP + 8, 4 * ROWS_PER_GROUP)
    ),
    replace(
        BASE,
        name=f"{ROWS_PER_GROUP + 8:,}, and DuckDB merges groups",
        spectra_per_transaction=ROWS_PER_GROUP + 8,
        merges=True,
    ),
    replace(BASE, name="64, groups of 8,192 rows (becat 0.2)", spectra_per_transaction=64, rows_per_group=8192),
    *(replace(BASE, name=f"groups of {n:,} rows", rows_per_group=n) for n in (8192, 122880)),
    replace(BASE, name="two threads", threads=2),
    *(replace(BASE, name=f"checkpoint at {size}", checkpoint_at=size) for size in ("16MB", "1GB")),
    *(replace(BASE, name=f"compression {c}", compression=c) for c in ("uncompressed", "alprd", "zstd")),
    *(replace(BASE, name=f"memory limit {size}", memory_limit=size) for size in ("256MB", "1GB")),
    replace(BASE, name="numbers in random order", shuffled=True),
]


def spectra(rng, n):
    """Arrow columns of each arm for n rectified spectra with one broad line, S/N of 10 to 200."""
    noise = 1 / rng.uniform(10, 200, (n, 1)).astype(np.float32)
    for arm, grid in ARMS.items():
        shape = (n, grid.n_pixels)
        depth, centre = rng.uniform(-1, 0.5, (n, 1)), rng.uniform(0.2, 0.8, (n, 1)) * grid.n_pixels
        line = (depth * np.exp(-(((np.arange(grid.n_pixels) - centre) / 60) ** 2))).astype(np.float32)
        ivar = (noise**-2 * (1 + 0.1 * rng.standard_normal(shape, np.float32) ** 2)).astype(np.float32)
        flux = 1 - line + noise * rng.standard_normal(shape, np.float32)
        bad = rng.random(shape, np.float32) < 0.002
        ivar[bad] = 0
        columns = (("flux", flux), ("ivar", ivar), ("mask", bad.astype(np.uint8)))
        yield arm, {k: pa.FixedSizeListArray.from_arrays(pa.array(v.ravel()), grid.n_pixels) for k, v in columns}


def io_bytes():
    """Bytes that this process has sent to the disk (Linux)."""
    words = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(words["write_bytes"])


def opened(path, setting):
    """The catalogue with the setting in force."""
    connection = duckdb.connect()
    connection.execute(f"attach '{path}' as c (row_group_size {setting.rows_per_group})")
    connection.execute("use c")
    connection.execute("set enable_progress_bar = false")
    connection.execute(f"set memory_limit = '{setting.memory_limit}'")
    connection.execute(f"set checkpoint_threshold = '{setting.checkpoint_at}'")
    connection.execute(f"set force_compression = '{setting.compression}'")
    connection.execute(f"set threads = {setting.threads}")
    connection.execute(f"set temp_directory = '{path}.tmp'")
    if not setting.merges:
        connection.execute(NEVER_MERGE_GROUPS)
    return connection


def write(path, setting, n_spectra):
    """CPU seconds and bytes to the disk of writing and closing."""
    rng = np.random.default_rng(1)
    ids = rng.permutation(n_spectra) if setting.shuffled else np.arange(n_spectra)
    some = [dict(spectra(rng, DIFFERENT)) for _ in range(4)]
    step = setting.spectra_per_transaction
    cpu, clock, written = time.process_time(), time.perf_counter(), io_bytes()
    connection = opened(path, setting)
    for k, first in enumerate(range(0, n_spectra, step)):
        n = min(step, n_spectra - first)
        connection.execute("begin")
        for arm in ARMS:
            parts = [pa.table(some[(k + i) % len(some)][arm]) for i in range(-(-n // DIFFERENT))]
            table = pa.concat_tables(parts).slice(0, n).append_column("spectrum_id", pa.array(ids[first : first + n]))
            connection.register("new_flux", table.append_column("run_id", pa.array(np.ones(n, np.int64))))
            connection.execute(f"insert into flux_{arm} by name select * from new_flux")
            connection.unregister("new_flux")
        connection.execute("commit")
    connection.execute("checkpoint")
    connection.close()
    return time.process_time() - cpu, time.perf_counter() - clock, io_bytes() - written


def seconds(connection, sql, repeats=1):
    """Median time of a query on the clock."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        connection.execute(sql() if callable(sql) else sql).fetchall()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def measure(setting, n_spectra, folder):
    """The row of a setting."""
    path = Path(folder) / "storage.duckdb"
    build.create(path)
    cpu_s, _, written = write(path, setting, n_spectra)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    size = path.stat().st_size
    rng = np.random.default_rng(2)
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("set threads = 1")
        connection.execute("set enable_progress_bar = false")
        one = seconds(
            connection, lambda: f"select flux from flux_red where spectrum_id = {rng.integers(n_spectra)}", 50
        )
        chosen = "(select (hash(i) % " + str(n_spectra) + ")::bigint from range(2048) t(i))"
        many = seconds(connection, f"select sum(flux[2000]) from flux_red where spectrum_id in {chosen}")
        scan = seconds(connection, "select sum(flux[2000]), sum(ivar[2000]) from flux_red")
    path.unlink()
    return (
        1e3 * cpu_s / n_spectra,
        written / n_spectra / 1e3,
        size / n_spectra / 1e3,
        peak_mb,
        1e3 * one,
        1e3 * many,
        1e6 * scan / n_spectra,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spectra", type=int, default=16384)
    parser.add_argument("--dir", type=Path, help="where the catalogues are made and deleted again")
    parser.add_argument("--only", default="", help="settings whose name begins so")
    options = parser.parse_args()
    print(f"{options.spectra:,} spectra of two arms\n")
    print(
        "| | write, ms CPU | to disk, kB | size, kB | memory, MB | one, ms | 2,048, ms | scan, µs a spectrum |\n"
        "|---|---:|---:|---:|---:|---:|---:|---:|"
    )
    for setting in SETTINGS:
        if not setting.name.startswith(options.only):
            continue
        with (
            tempfile.TemporaryDirectory(dir=options.dir) as folder,
            ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process,
        ):
            row = process.submit(measure, setting, options.spectra, folder).result()
        print(
            f"| {setting.name} | {row[0]:.2f} | {row[1]:.0f} | {row[2]:.1f} | {row[3]:.0f}"
            f" | {row[4]:.1f} | {row[5]:.0f} | {row[6]:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
