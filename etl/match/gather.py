"""Gathering the spectra of one star, by position."""

from __future__ import annotations

import duckdb

from becat.etl.catalogue.connection import Run
from becat.etl.match import stars

__all__ = ["gather_stars"]


def gather_stars(connection: duckdb.DuckDBPyConnection) -> int:
    """Give every spectrum with a position its star.

    Returns
    -------
    int
        Number of stars in the catalogue.
    """
    with Run(connection, "gather stars") as run:
        waiting = connection.execute(
            """
            select exists (from spectrum where star_id is null and ra_deg is not null)
                or exists (from star where star_id not in (select star_id from spectrum where star_id is not null))
            """
        ).fetchone()
        if waiting and waiting[0]:
            stars.gather(connection, run.run_id)
    row = connection.execute("select count(*) from star").fetchone()
    return int(row[0]) if row else 0
