"""How much faster two processes read, clean, rectify and grid than one.

    python -m benchmarks.processes [--rounds 5] [--partitions 8] [FILE ...]

Partitions of 64 files go through `becat.etl.catalogue.workers` as in `becat load`, in one process and in two in turns, until all their tables are
back; the processes are warm, and each has one thread of BLAS. Time on the clock, so the machine must be quiet. The real
spectra of the package laspec are used unless files are given. Exit 1 where the median of the ratios is below 1.8.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import numpy as np

from becat.etl.catalogue.workers import Processes, work_through
from becat.etl.load.load import FILES_PER_BATCH, Options, flux_table, read_and_reduce
from becat.sample_spectra import real_spectra
from becat.udfs.memory import keep_freed_memory

GOAL = 1.8


def seconds(pool, partitions) -> float:
    """Time until the tables of all partitions are here."""
    start = time.perf_counter()
    for _ in work_through(pool, tables_of, partitions):
        pass
    return time.perf_counter() - start


def tables_of(partition):
    """The spectra of some files, brought to the grid, as a process hands them over."""
    return {f"flux_{arm}": flux_table(*arrays) for arm, arrays in read_and_reduce(*partition).arrays.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--partitions", type=int, default=8)
    options = parser.parse_args()
    keep_freed_memory()
    files = [str(path) for path in options.files or real_spectra()]
    batch = (files * FILES_PER_BATCH)[:FILES_PER_BATCH]
    partitions = [(batch, Options())] * options.partitions
    pools = {n: Processes(n) for n in (1, 2)}
    for n, pool in pools.items():
        seconds(pool, partitions[: 2 * n])
    spent = {n: [] for n in pools}
    for _ in range(options.rounds):
        for n, pool in pools.items():
            spent[n].append(seconds(pool, partitions))
    for pool in pools.values():
        pool.close()
    n_spectra = FILES_PER_BATCH * options.partitions
    ratios = np.array(spent[1]) / np.array(spent[2])
    print("| processes | spectra a second |\n|---:|---:|")
    for n, values in spent.items():
        print(f"| {n} | {n_spectra / np.median(values):.0f} |")
    print(f"\ntwo over one: {np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f} of {len(ratios)} rounds)")
    return int(np.median(ratios) < GOAL)


if __name__ == "__main__":
    sys.exit(main())
