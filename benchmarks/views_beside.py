"""Times of today's views beside those of an earlier commit, interleaved in one run, on simulated rows of a survey's size.

    python -m benchmarks.views_beside [--commit HASH] [--folder FOLDER] [--spectra N] [--repeats N] [--all]

The rows of `benchmarks/survey_size.py` are kept in the folder; two copies of them get the views of that commit (without a word: the
last one before the selection was declared once) and today's. Both are asked in turn, on two threads. The processor's time, summed over the
threads, also counts on a busy machine: of the repeats the shortest and the median. With --all every view that both have.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import duckdb

from becat.etl.catalogue.connection import ROWS_PER_GROUP
from becat.schema import build
from benchmarks.survey_size import N_SPECTRA, N_STARS, fill

HERE = Path(__file__).resolve().parents[1]
BEFORE_DECLARATION = "3931ec6^"
ROOMS = ("etl", "models", "publish", "schema", "simulate", "udfs")
ALWAYS = {
    "funnel": "select * from funnel",
    "one verdict": "select * from verdict where star_id = {star_id}",
    "one verdict_step": "select * from verdict_step where star_id = {star_id}",
    "one classical_be": "select * from classical_be where star_id = {star_id}",
    "classical_be": "select count(*) from (select * from classical_be)",
    "classical_be, all columns": "select * from classical_be",
}


def with_views_of(commit: str, path: Path) -> None:
    """Give a catalogue the macros and views of a commit, by that commit's own code."""
    with tempfile.TemporaryDirectory() as folder:
        tree, package = Path(folder) / "tree", Path(folder) / "path" / "becat"
        tree.mkdir()
        package.mkdir(parents=True)
        archive = subprocess.run(["git", "archive", commit], cwd=HERE, check=True, capture_output=True).stdout
        subprocess.run(["tar", "x", "-C", tree], input=archive, check=True)
        for part in (*(tree / "becat").iterdir(), *(tree / room for room in ROOMS)):
            (package / part.name).symlink_to(part)
        code = (
            "import sys, duckdb; from becat.schema import build;"
            " connection = duckdb.connect(sys.argv[1]); build.upgrade(connection); connection.close()"
        )
        environment = os.environ | {"PYTHONPATH": str(package.parent)}
        subprocess.run([sys.executable, "-P", "-c", code, path], check=True, env=environment, cwd=folder)


def prepare(folder: Path, commit: str, n_spectra: int) -> tuple[Path, Path]:
    """Catalogue with the views of the commit, and one with today's: copies of the same rows, each opened once."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, before, today = folder / "rows.duckdb", folder / "before.duckdb", folder / "today.duckdb"
    if not rows.exists():
        fill(rows, n_spectra, round(n_spectra * N_STARS / N_SPECTRA), ROWS_PER_GROUP)
    for path in (before, today):
        shutil.copyfile(rows, path)
    with_views_of(commit, before)
    with duckdb.connect(str(today)) as connection:
        build.upgrade(connection)
    return before, today


class Side:
    """A catalogue in a process of its own: the second one that a process opens reads its rows half as fast again."""

    def __init__(self, path: Path):
        self._process = ProcessPoolExecutor(1, get_context("spawn"), _open, (path,))

    def ask(self, query: str) -> list[tuple]:
        """The rows of a query."""
        return self._process.submit(_ask, query).result()

    def time_of(self, query: str) -> tuple[float, float]:
        """Processor's time and wall time of a query, s."""
        return self._process.submit(_time_of, query).result()


def _open(path: Path) -> None:
    global opened
    opened = duckdb.connect(str(path), read_only=True, config={"threads": 2, "memory_limit": "2GB"})


def _ask(query: str) -> list[tuple]:
    return opened.execute(query).fetchall()


def _time_of(query: str) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    opened.execute(query).fetchall()
    return time.process_time() - processor, time.perf_counter() - wall


def _views(side: Side) -> set[str]:
    return {name for (name,) in side.ask("select view_name from duckdb_views() where not internal")}


def times_of(sides: list[Side], query: str, repeats: int) -> list[list[tuple[float, float]]]:
    """Processor's time and wall time (s) of a query, of each side, in turn; one run before does not count."""
    times = [[side.time_of(query) for side in sides] for _ in range(repeats + 1)]
    return [list(found) for found in zip(*times[1:], strict=True)]


def main() -> None:
    """Prepare, measure, print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--commit", default=BEFORE_DECLARATION)
    arguments.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "becat_views")
    arguments.add_argument("--spectra", type=int, default=N_SPECTRA)
    arguments.add_argument("--repeats", type=int, default=7)
    arguments.add_argument("--all", action="store_true", help="every view that both have")
    options = arguments.parse_args()
    paths = prepare(options.folder, options.commit, options.spectra)
    sides = [Side(path) for path in paths]
    shared = _views(sides[0]) & _views(sides[1]) & {view.name for view in build.VIEWS}
    ((star_id,),) = sides[1].ask("select star_id from star limit 1 offset 400")
    queries = dict(ALWAYS)
    if options.all:
        others = sorted(shared - set(queries))
        queries |= {name: f"select count(*) from (select * from {name})" for name in others}
    print(f"processor's time in ms of {options.repeats}, views of {options.commit} and today's: shortest (median)\n")
    print("| query | before | today | today/before, shortest | wall, shortest |\n|---|---:|---:|---:|---:|")
    for name, query in queries.items():
        times = times_of(sides, query.format(star_id=star_id), options.repeats)
        shortest = [1000 * min(processor for processor, _ in found) for found in times]
        median = [1000 * statistics.median(processor for processor, _ in found) for found in times]
        wall = [1000 * min(wall for _, wall in found) for found in times]
        print(
            f"| {name} | {shortest[0]:.0f} ({median[0]:.0f}) | {shortest[1]:.0f} ({median[1]:.0f})"
            f" | {shortest[1] / shortest[0]:.2f} | {wall[0]:.0f}, {wall[1]:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
