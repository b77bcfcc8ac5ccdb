"""Time the snapshot and the pages of the site on 260,000 simulated spectra with some 1,200 candidates.

Run from the project's root:  python -m benchmarks.site [--stars 104000]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

from becat.publish import site
from becat.publish.snapshot import write as snapshot
from tests.tools.site_fixture import make_catalogue

SHARES = (0.0085, 0.0025, 0.0003, 0.38, 0.5787, 0.03)
PAGES = (
    "/", "/star/10000", "/star/10005", "/explore", "/thresholds", "/catalog", "/catalog/be_candidate", "/catalog/classical_be",
    "/catalog/spectrum", "/catalog/star?_search=J0182", "/catalog/verdict", "/catalog/verdict_step", "/catalog/spectrum_verdict",
    "/catalog/colour_magnitude", "/catalog/runaway_by_model", "/catalog/published_number", "/catalog/funnel",
    "/catalog/new_classical_be", "/catalog/changed_most", "/catalog/near_misses?margin=0.1",
    "/catalog/why_rejected?designation=J0182",
    "/search?q=J0182", "/explore/sky.json", "/explore/ew.json", "/explore/colours.json", "/explore/diagram.json",
    "/explore/velocity.json", "/thresholds.json?be_probability_min=0.8", "/catalog/be_candidate.votable",
    "/vo/cone?RA=100&DEC=45&SR=1",
)  # fmt: skip
REPEATS = 4


async def ask(path: Path) -> None:
    """Print the time of each page at the server, in milliseconds.

    The first request, the median of those after it, and the least work of the processor for one: what a page takes where
    nothing else keeps the machine busy.
    """
    datasette = site.create(path)
    await datasette.invoke_startup()
    print(f"\n{'page':45} {'status':>6} {'first':>8} {'median':>8} {'work':>8} {'kB':>8}")
    for page in PAGES:
        times, work = [], []
        for _ in range(REPEATS):
            started, worked = time.perf_counter(), time.process_time()
            response = await datasette.client.get(page)
            times.append((time.perf_counter() - started) * 1000)
            work.append((time.process_time() - worked) * 1000)
        size = len(response.content) / 1000
        median = statistics.median(times[1:])
        print(f"{page:45} {response.status_code:6} {times[0]:8.0f} {median:8.0f} {min(work):8.0f} {size:8.0f}")


def main() -> None:
    """Make the catalogue, publish it, ask for every page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stars", type=int, default=104_000)
    parser.add_argument("--dir", type=Path, help="where to keep the files (default: a temporary directory)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.dir or Path(temporary)
        catalogue = folder / "catalog.duckdb"
        if not catalogue.exists():
            make_catalogue(catalogue, arguments.stars, shares=SHARES, flux_of=("be", "shell", "herbig"))
        worked = time.process_time()
        made = snapshot.write(catalogue, folder / "catalog.sqlite")
        worked = time.process_time() - worked
        print(
            f"{made.n_rows:,} rows, {made.n_profiles:,} profiles: {made.size_bytes / 1e6:.0f} MB in {made.seconds:.1f} s"
            f" ({worked:.1f} s of the processor), load of the machine {os.getloadavg()[0]:.1f}"
        )
        print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB")
        for name, reason in made.materialised.items():
            print(f"  {name}: {reason}")
        asyncio.run(ask(made.path))


if __name__ == "__main__":
    main()
