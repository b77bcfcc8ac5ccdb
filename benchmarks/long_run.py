"""A long load of simulated spectra: is the memory flat and the rate constant, and what would the whole survey take?

    python -m benchmarks.long_run [--files 20480] [--distinct 64] [--workers 1] [--dir DIR]

`--distinct` files are simulated; they are written again and again under new names with a new OBSID, so that making them
costs little; each is read, cleaned, rectified and stored like any other, and deleted. Every 2,048 a line tells the rate since the
last one (per second of CPU and per second on the clock), the CPU time that went into writing, the memory of this process (with
one worker it reads, too), the largest so far, and the size of the catalogue. With `--dir` the catalogue stays there, and a run that
was interrupted goes on after its last line. The projection to 2,260,387 spectra uses the last half.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from isal import isal_zlib

from becat.etl.catalogue.connection import open_catalogue
from becat.etl.load import load
from becat.etl.readers.content import read_content
from becat.schema import build
from becat.simulate.survey import write_survey
from becat.udfs.memory import keep_freed_memory

N_SURVEY = 2_260_387
STEP = 2048  # a whole group of rows
CARD = 80
GZIP = 31  # zlib's number for the format with header and trailer
COLUMNS = ("spectra", "per CPU s", "per s", "write, CPU ms", "memory MB", "largest MB", "kB a spectrum")


def copies(folder: Path, originals: list[bytes], first: int, n: int) -> list[Path]:
    """Files `first` to `first + n`, gzipped, each with an OBSID of its own."""
    made = []
    for i in range(first, first + n):
        content = originals[i % len(originals)]
        place = content.find(b"OBSID   =")
        card = f"OBSID   = {8_500_000_000 + i:>20d}".ljust(CARD).encode()
        path = folder / f"med-{i:07d}.fits.gz"
        path.write_bytes(isal_zlib.compress(content[:place] + card + content[place + CARD :], 1, GZIP))
        made.append(path)
    return made


def simulated(folder: Path, n: int) -> list[bytes]:
    """Contents of the simulated files, their checksums taken out: they would not fit the new OBSID."""
    write_survey(folder, n=n, seed=1)
    contents = [bytes(read_content(path)) for path in sorted((folder / "spectra").glob("med-*"))]
    return [c.replace(b"CHECKSUM=", b"HIERARCH ").replace(b"DATASUM =", b"HIERARCH ") for c in contents]


def memory_mb(of: str = "VmRSS") -> float:
    """Memory of this process now (Linux), MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(of):
            return int(line.split()[1]) / 1024
    return float("nan")


def one_step(connection, folder: Path, originals: list[bytes], first: int, workers: int) -> tuple[float, ...]:
    """Load the next spectra; a row of the table."""
    fresh = folder / "step"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    files = copies(fresh, originals, first, STEP)
    with measured_writer() as writing:
        cpu, clock = cpu_s(), time.perf_counter()
        counts = load.load_spectra(connection, list(files), workers=workers)
        cpu, clock = cpu_s() - cpu, time.perf_counter() - clock
    shutil.rmtree(fresh)
    done = first + STEP
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    size = sum(p.stat().st_size for p in folder.glob("c.duckdb*"))
    n = counts["spectra"]
    return done, n / cpu, n / clock, 1e3 * sum(writing) / n, memory_mb(), peak_mb, size / done / 1e3


def cpu_s() -> float:
    """CPU seconds of this process and of the processes that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


@contextlib.contextmanager
def measured_writer():
    """CPU seconds of each transaction of `load`, as long as it is open."""
    seconds: list[float] = []
    write = load._write_committed

    def timed(*words):
        start = time.process_time()
        result = write(*words)
        seconds.append(time.process_time() - start)
        return result

    load._write_committed = timed
    yield seconds
    load._write_committed = write


def done_before(path: Path) -> list[list[str]]:
    """Rows of an earlier run in this directory."""
    if not path.is_file():
        return []
    with path.open() as stream:
        return list(csv.reader(stream))


def show(row) -> None:
    print(
        "| " + " | ".join(f"{float(x):,.0f}" if i in (0, 4, 5) else f"{float(x):.2f}" for i, x in enumerate(row)) + " |"
    )


def project(rows: list[list[float]]) -> None:
    """What the whole survey would take, from the second half of the run."""
    half = np.array(rows, float)[len(rows) // 2 :]
    per_cpu_s, write_ms, size_kb = half[:, 1].mean(), half[:, 3].mean(), half[-1, 6]
    memory = np.array(rows, float)[:, 4]
    print(
        f"\nmemory: {memory[0]:.0f} MB after the first group, {half[0, 4]:.0f} after half, {memory[-1]:.0f} at the end"
    )
    print(f"{N_SURVEY:,} spectra: {N_SURVEY / per_cpu_s / 3600:.1f} h of one core, {size_kb * N_SURVEY / 1e6:.0f} GB")
    print(
        f"writing is {write_ms * per_cpu_s / 1e3:.0%} of the CPU time: the one writer bounds any number of readers at"
        f" {N_SURVEY * write_ms / 3.6e6:.1f} h"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_480)
    parser.add_argument("--distinct", type=int, default=64)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--dir", type=Path, help="where the catalogue stays, so that the run can go on")
    options = parser.parse_args()
    keep_freed_memory()
    with contextlib.ExitStack() as stack:
        folder = options.dir or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(exist_ok=True)
        originals = simulated(Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder))), options.distinct)
        rows = done_before(folder / "rows.csv")
        if not rows:
            build.create(folder / "c.duckdb")
        print("| " + " | ".join(COLUMNS) + " |\n|" + "---:|" * len(COLUMNS))
        for row in rows:
            show(row)
        connection = stack.enter_context(open_catalogue(folder / "c.duckdb"))
        for first in range(len(rows) * STEP, options.files, STEP):
            rows.append([str(x) for x in one_step(connection, folder, originals, first, options.workers)])
            with (folder / "rows.csv").open("a", newline="") as stream:
                csv.writer(stream).writerow(rows[-1])
            show(rows[-1])
            sys.stdout.flush()
        project([[float(x) for x in row] for row in rows])


if __name__ == "__main__":
    sys.exit(main())
