"""Gathering the spectra of one star, by position."""

from __future__ import annotations

import duckdb

from becat.etl.catalogue.connection import Run, transaction
from becat.etl.match import stars
from becat.schema.errors import BecatError

__all__ = ["gather_stars", "link_names"]


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
                or exists (from spectrum s join star_link l using (designation) join star on star.star_id = l.star_id
                    where s.star_id is distinct from l.star_id)
                or exists (from star where star_id not in (select star_id from spectrum where star_id is not null))
            """
        ).fetchone()
        if waiting and waiting[0]:
            stars.gather(connection, run.run_id)
    row = connection.execute("select count(*) from star").fetchone()
    return int(row[0]) if row else 0


def link_names(connection: duckdb.DuckDBPyConnection, star_id: int, names: list[str]) -> int:
    """Make the spectra of some names spectra of one star, wherever their positions are, now and when they are read again.

    Parameters
    ----------
    connection : duckdb connection
        A catalogue open for writing.
    star_id : int
        The star that they are of; its own name and position stay.
    names : list of str
        Designations of spectra, or of the stars that they are of so far, in capitals or not.

    Returns
    -------
    int
        Spectra that are of another star now.

    Raises
    ------
    BecatError
        No spectrum has that name.
    """
    found = []
    for name in names:
        spelt = connection.execute(
            "select distinct designation from spectrum where lower(designation) = lower(?) order by 1", [name.strip()]
        ).fetchall()
        if not spelt:
            raise BecatError(f"no spectrum is called {name!r}: see select distinct designation from spectrum")
        found += [word for (word,) in spelt]
    with Run(connection, "alias") as run:
        before = connection.execute("select spectrum_id, star_id from spectrum").fetchall()
        with transaction(connection):
            connection.executemany(
                "insert or replace into star_link values (?, ?, ?)", [(name, star_id, run.run_id) for name in found]
            )
        gather_stars(connection)
        after = dict(connection.execute("select spectrum_id, star_id from spectrum").fetchall())
        run.n_done = sum(after[spectrum] != star for spectrum, star in before)
    return run.n_done
