"""Archives: tables taken in from disk or from the network, matched with the stars, and what follows from them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import click
import duckdb

from becat.etl.archives.apply import apply, fingerprint
from becat.etl.archives.fetch import fetch
from becat.etl.archives.ingest import WITHDRAWN, ingest_file, ingested, withdraw
from becat.etl.archives.reddening import fill_reddening, forget_reddening
from becat.etl.catalogue.connection import Run
from becat.etl.catalogue.versions import code_version
from becat.etl.kinematics.fill import compute_kinematics, fit_limits
from becat.schema.words import counted

__all__ = ["fetch_archives", "ingest_archives", "match_archives", "withdraw_archives"]

COMMAND = "match archives"
# Not a list of sources but a map, read at the distances that Gaia gives.
REDDENING = "reddening"


def ingest_archives(connection: duckdb.DuckDBPyConnection, archives: dict[str, Path]) -> int:
    """Take archive tables in from disk; those whose content is there already are left alone.

    Parameters
    ----------
    connection : duckdb connection
    archives : dict of str to Path
        File, or folder of files, by the name of its source.

    Returns
    -------
    int
        Rows taken in.

    Raises
    ------
    BecatError
        A source is unknown, or its file cannot be used.
    """
    n_rows = 0
    with Run(connection, "ingest archives") as run:
        for source, path in archives.items():
            n_new = ingest_file(connection, source, path)
            if n_new:
                run.message = f"{run.message} {source}: {counted(n_new, 'row')};".strip()
                run.n_done += n_new
                run.record()
            n_rows += n_new
    return n_rows


def fetch_archives(connection: duckdb.DuckDBPyConnection, names: list[str], cache_dir: Path) -> int:
    """Ask the archives on the network for the stars of the catalogue, and take the complete answers in.

    Parameters
    ----------
    connection : duckdb connection
    names : list of str
        Sources; ``reddening`` reads the dust map at the distances of the stars that are matched by then.
    cache_dir : Path
        Folder in which every answer is kept.

    Returns
    -------
    int
        Sources that are not complete; why is printed.

    Raises
    ------
    BecatError
        There is no source of a name.
    """
    n_failed = 0
    with Run(connection, "fetch archives") as run:
        found = fetch(connection, [name for name in names if name != REDDENING], cache_dir, run_id=run.run_id)
        for source in found:
            known = f", {counted(source.n_known, 'star')} known from the cache" if source.n_known else ""
            click.echo(f"{source.source}: {source.error or counted(source.n_rows, 'row') + known}")
            n_failed += source.error is not None
        run.n_done = sum(source.n_rows for source in found)
        if REDDENING in names:
            match_archives(connection)
            counts = fill_reddening(connection, run.run_id)
            click.echo(f"reddening: {counts.message}")
    return n_failed


def withdraw_archives(connection: duckdb.DuckDBPyConnection, names: list[str]) -> None:
    """Take archives out again; `match_archives` takes out what followed from them."""
    with Run(connection, "withdraw archives") as run:
        run.record()
        run.message = ", ".join(names)
        withdraw(connection, names)
        if REDDENING in names:
            forget_reddening(connection, all_of_it=True)


def match_archives(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Match the archives with the stars and compute what follows: types, clusters, velocities, the runaway limit.

    Nothing is done while the stars, the archives, the radii and the code are what they were at the last time.

    Returns
    -------
    dict
        Rows changed, by table.
    """
    digest = hashlib.sha256(f"{code_version('match')} {fingerprint(connection)}".encode()).hexdigest()[:12]
    row = connection.execute(
        "select code_version from etl_run where command = ? and status = 'done' order by run_id desc limit 1", [COMMAND]
    ).fetchone()
    changed: dict[str, int] = {}
    if row is None or row[0] != digest or WITHDRAWN in ingested(connection).values():
        with Run(connection, COMMAND, digest) as run:
            changed = apply(connection, run.run_id)
            run.n_done = sum(changed.values())
            run.message = ", ".join(f"{table}: {n:,}" for table, n in changed.items()) or "nothing changed"
    n_unplaced = forget_reddening(connection)
    if n_unplaced:
        changed["reddening"] = changed.get("reddening", 0) + n_unplaced
    n_velocities = compute_kinematics(connection)
    if n_velocities:
        changed["kinematics"] = n_velocities
    for model, b in fit_limits(connection).items():
        click.echo(f"Maxwellian of {model}: b = {b:.3f} km/s")
    return changed
