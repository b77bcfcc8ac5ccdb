"""Kills `becat load`, `measure` and `score` at random moments, lets them finish, and compares with an uninterrupted run.

    python -m benchmarks.kills [--kills 50] [--seed 1] [FILE ...]

Every command is a process of its own that gets SIGKILL. A round is a new catalogue in which each command is killed up to
twice and then left to finish; kills that come after the end of a command do not count; at its end every table is compared
with the uninterrupted one, row by row. Batches are made small so that most kills fall into the middle of something. The real
spectra of the package laspec are used unless files are given. Exit 1 where a table differs.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from becat.etl.catalogue import batches
from becat.etl.load import load
from becat.sample_spectra import real_spectra
from becat.schema import build
from tests.tools.pipeline_tools import TIMEOUT_S, becat

KILLS_A_COMMAND = 2
# Columns that tell when and by which run a row was written.
RUN_COLUMNS = {"run_id", "started_at", "ended_at"}


def small_batches() -> None:
    """Let this process commit often."""
    load.FILES_PER_BATCH, load.ROWS_PER_GROUP, batches.SPECTRA_PER_BATCH = 1, 8, 4


def run(stage: str, catalogue: Path, files: list[Path], kill_after_s: float = TIMEOUT_S) -> tuple[float, bool]:
    """Seconds that a command took, and whether it was killed before its end."""
    words = ["load", *files, "--exposures", "all", "--workers", 1] if stage == "load" else [stage]
    start = time.monotonic()
    done = becat(*words, "--catalog", catalogue, first=small_batches, end_s=kill_after_s, check=None)
    if done.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(f"becat {stage} failed: {done.stderr}")
    return time.monotonic() - start, done.returncode != 0


def differing_tables(one: Path, other: Path) -> list[str]:
    """Names of the tables whose rows are not the same, apart from the run that wrote them."""
    with duckdb.connect() as connection:
        connection.execute(f"attach '{one}' as one (read_only)")
        connection.execute(f"attach '{other}' as other (read_only)")
        columns: dict[str, list[str]] = {}
        for table, column in connection.execute(
            "select table_name, column_name from duckdb_columns() where database_name = 'one' and not internal"
            " and table_name in (select table_name from duckdb_tables() where database_name = 'one')"
        ).fetchall():
            if table not in ("etl_run", "table_checksum") and column not in RUN_COLUMNS:
                columns.setdefault(table, []).append(column)
        differing = []
        for table, names in sorted(columns.items()):
            rows = [f"select {', '.join(names)} from {name}.{table}" for name in ("one", "other")]
            (n,) = connection.execute(
                f"select count(*) from (({rows[0]} except all {rows[1]}) union all ({rows[1]} except all {rows[0]}))"
            ).fetchone() or (0,)
            if n:
                differing.append(f"{table} ({n} rows)")
    return differing


def kill_and_compare(folder: Path, files: list[Path], n_kills: int, seed: int) -> tuple[dict[str, int], list[str]]:
    """Number of kills that hit, by command, and the tables that differ at the end of a round."""
    rng = random.Random(seed)
    whole = folder / "whole.duckdb"
    build.create(whole)
    seconds = {stage: run(stage, whole, files)[0] for stage in ("load", "measure", "score")}
    hits = dict.fromkeys(seconds, 0)
    differing = []
    for i in range(n_kills):
        if sum(hits.values()) >= n_kills:
            break
        killed = folder / "killed.duckdb"
        build.create(killed)
        for stage in seconds:
            for _ in range(KILLS_A_COMMAND):
                took_s, hit = run(stage, killed, files, rng.uniform(0, seconds[stage]))
                hits[stage] += hit
                if not hit:
                    seconds[stage] = max(took_s, 0.1)  # the machine has become faster
                    break
            run(stage, killed, files)
        differing += [f"round {i + 1}: {table}" for table in differing_tables(whole, killed)]
        killed.unlink()
    return hits, differing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("files", nargs="*", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = [path.resolve() for path in options.files] or real_spectra()
        hits, differing = kill_and_compare(Path(folder), files, options.kills, options.seed)
    for stage, n in hits.items():
        print(f"{stage:10s} killed {n:3d} times before its end")
    print("every table equals that of the uninterrupted run" if not differing else "\n".join(differing))
    sys.exit(bool(differing))


if __name__ == "__main__":
    from benchmarks import kills  # by the name that the other process knows

    kills.main()
