"""Judgements by eye, from the file that the site writes to the table that the views read."""

from __future__ import annotations

from pathlib import Path

import duckdb

from becat.etl.catalogue.connection import Run, transaction
from becat.publish.inspection import take_in

__all__ = ["take_inspections"]


def take_inspections(connection: duckdb.DuckDBPyConnection, labels: Path) -> int:
    """Take new judgements in; a file that is not there yet has none.

    Returns
    -------
    int
        Number of judgements that were new.
    """
    if not labels.exists():
        return 0
    with Run(connection, "take in inspections") as run, transaction(connection):
        n_new = take_in(connection, labels, run_id=0)
        if n_new:
            connection.execute("update inspection set run_id = ? where run_id = 0", [run.run_id])
            run.n_done = n_new
    return n_new
