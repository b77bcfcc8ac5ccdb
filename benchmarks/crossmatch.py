"""Cross-match of n positions with n others: becat in DuckDB, astropy, and STILTS where it is installed.

    python -m benchmarks.crossmatch --n 1000000 --radius 3

Both tables have poles and 0h in them: a tenth of the positions lies within a degree of a pole, a twentieth within
36 arcsec of 0h. Each matcher runs in a process of its own, so that its largest resident memory is known; positions are
read before the clock starts, except by STILTS, whose time holds the start of Java and the reading of FITS files.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from astropy import units as u
from astropy.coordinates import SkyCoord, search_around_sky
from astropy.table import Table

from becat.etl.match.sphere import Side, match


def positions(n, seed):
    """Two (n, 2) arrays of positions, degrees: the second is the first, moved by about 0.7 arcsec."""
    rng = np.random.default_rng(seed)
    ra, dec = rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    part = n // 20
    dec[:part] = 90 - np.sqrt(rng.uniform(0, 1, part))
    dec[part : 2 * part] = -90 + np.sqrt(rng.uniform(0, 1, part))
    ra[2 * part : 3 * part] = rng.uniform(-0.01, 0.01, part) % 360
    here = SkyCoord(ra, dec, unit="deg")
    there = here.directional_offset_by(rng.uniform(0, 360, n) * u.deg, np.abs(rng.normal(0, 0.7, n)) * u.arcsec)
    return np.stack([ra, dec], axis=1), np.stack([there.ra.deg, there.dec.deg], axis=1)


def by_becat(a, b, radius_arcsec, threads, rank):
    connection = duckdb.connect()
    connection.execute(f"set threads = {threads}; set enable_progress_bar = false")
    for name, place in (("a", a), ("b", b)):
        frame = pd.DataFrame({"id": np.arange(len(place)), "ra_deg": place[:, 0], "dec_deg": place[:, 1]})  # noqa: F841
        connection.execute(f"create table {name} as from frame")
    start = time.perf_counter()
    match(connection, Side("a", "id"), Side("b", "id"), radius_arcsec, "pairs", rank=rank)
    wall = time.perf_counter() - start
    found = connection.execute("select left_id, right_id from pairs order by all").fetchnumpy()
    return wall, found["left_id"], found["right_id"]


def by_astropy(a, b, radius_arcsec):
    here, there = (SkyCoord(x[:, 0], x[:, 1], unit="deg") for x in (a, b))
    start = time.perf_counter()
    left, right, _, _ = search_around_sky(here, there, radius_arcsec * u.arcsec)
    wall = time.perf_counter() - start
    order = np.lexsort((right, left))
    return wall, left[order], right[order]


def by_stilts(a, b, radius_arcsec):
    with tempfile.TemporaryDirectory() as folder:
        for name, place in (("a", a), ("b", b)):
            Table({"id": np.arange(len(place)), "ra": place[:, 0], "de": place[:, 1]}).write(
                Path(folder, f"{name}.fits")
            )
        out = Path(folder, "out.fits")
        words = ["tskymatch2", f"in1={folder}/a.fits", f"in2={folder}/b.fits", "ra1=ra", "dec1=de", "ra2=ra", "dec2=de"]
        start = time.perf_counter()
        # level 12: with its own choice STILTS 3.4.7 loses pairs that lie across 0h
        words += [f"error={radius_arcsec}", "find=all", "tuning=12", f"out={out}"]
        subprocess.run(["stilts", *words], check=True, capture_output=True)
        wall = time.perf_counter() - start
        found = Table.read(out)
        order = np.lexsort((found["id_2"], found["id_1"]))
        return wall, np.asarray(found["id_1"])[order], np.asarray(found["id_2"])[order]


def _measured(queue, matcher, *arguments):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    spent = os.times()
    wall, left, right = matcher(*arguments)
    now = os.times()
    cpu = sum(now[:4]) - sum(spent[:4])  # user and system, of this process and of those it started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    memory = max(memory, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    pairs = hashlib.sha256(np.stack([left, right]).astype("<i8").tobytes()).hexdigest()[:12]
    queue.put((wall, cpu, memory / 1024, len(left), pairs))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=1_000_000, help="positions in each table")
    parser.add_argument("--radius", type=float, default=3.0, help="arcsec")
    parser.add_argument("--threads", type=int, default=2, help="threads of DuckDB")
    parser.add_argument("--repeat", type=int, default=3, help="the fastest of so many runs counts")
    options = parser.parse_args()
    a, b = positions(options.n, 1)
    matchers = {
        f"becat, {options.threads} threads, ranked": (by_becat, options.threads, True),
        f"becat, {options.threads} threads, pairs": (by_becat, options.threads, False),
        "becat, 1 thread, pairs": (by_becat, 1, False),
        "astropy search_around_sky": (by_astropy,),
    }
    if shutil.which("stilts"):
        matchers["STILTS tskymatch2"] = (by_stilts,)
    context = multiprocessing.get_context("spawn")
    print(f"{options.n:,} x {options.n:,}, {options.radius} arcsec, fastest of {options.repeat}\n")
    print("| matcher | wall (s) | CPU (s) | memory (MB) | pairs | hash of the pairs |\n|---|---|---|---|---|---|")
    for name, (matcher, *more) in matchers.items():
        runs = []
        for _ in range(options.repeat):
            queue = context.Queue()
            process = context.Process(target=_measured, args=(queue, matcher, a, b, options.radius, *more))
            process.start()
            runs.append(queue.get())
            process.join()
        wall, cpu, memory, n_pairs, pairs = min(runs)
        print(f"| {name} | {wall:.2f} | {cpu:.1f} | {memory:.0f} | {n_pairs:,} | {pairs} |", flush=True)


if __name__ == "__main__":
    main()
