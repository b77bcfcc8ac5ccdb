"""Gathering the spectra of one star, by position."""

from __future__ import annotations

import hashlib

import duckdb

from becat.etl.catalogue.checksums import rows_digest
from becat.etl.catalogue.connection import Run, transaction
from becat.etl.catalogue.versions import code_version
from becat.etl.match import stars
from becat.schema import parameters
from becat.schema.errors import BecatError

__all__ = ["gather_stars", "link_names"]


COMMAND = "gather stars"


def gather_stars(connection: duckdb.DuckDBPyConnection) -> int:
    """Give every spectrum with a position its star.

    Returns
    -------
    int
        Number of stars in the catalogue.
    """
    row = connection.execute(
        "select code_version from etl_run where command = ? and status = 'done' order by run_id desc limit 1", [COMMAND]
    ).fetchone()
    if row is None or row[0] != _fingerprint(connection):
        with Run(connection, COMMAND) as run:
            run.n_done = stars.gather(connection, run.run_id).n_spectra
            run.code_version = _fingerprint(connection)
    row = connection.execute("select count(*) from star").fetchone()
    return int(row[0]) if row else 0


def _fingerprint(connection) -> str:
    """Hash of what stars follow from: spectra with their places, names and stars, links, radii, and the code."""
    names = "spectrum_id, survey, ra_deg, dec_deg, designation, is_simulated, star_id"
    facts = [
        connection.execute(f"select {rows_digest(names)} from spectrum").fetchall(),
        connection.execute(f"select {rows_digest('star_id, ra_deg, dec_deg, designation')} from star").fetchall(),
        connection.execute("select designation, star_id from star_link order by 1").fetchall(),
        [parameters.value(name, connection) for _, name in stars.RADII],
    ]
    return hashlib.sha256(repr((code_version("match"), facts)).encode()).hexdigest()[:12]


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
