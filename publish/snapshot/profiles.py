"""Rectified H-alpha profiles in the snapshot: one row a spectrum, the flux as a JSON array that a browser reads."""

from __future__ import annotations

import json
import sqlite3

import numpy as np

from becat.schema.grid import RED

__all__ = ["TABLE_SQL", "WINDOW_A", "copy"]

WINDOW_A = (6520.0, 6610.0)  # H-alpha with both [N II] lines and continuum on each side
BATCH_SPECTRA = 2_000
DECIMALS = 4  # rounding is a hundred times below the noise at S/N 100
TABLE_SQL = """create table halpha_profile (
  "spectrum_id" INTEGER primary key,
  "start_a" REAL not null,
  "step_a" REAL not null,
  "flux" TEXT not null,
  foreign key ("spectrum_id") references "spectrum" ("spectrum_id")
)"""
CANDIDATES_SQL = "select spectrum_id from spectrum where star_id in (select star_id from be_candidate)"


def copy(source, target: sqlite3.Connection, profile_sql: str | None = None) -> int:
    """Copy the profiles of chosen spectra.

    Parameters
    ----------
    source : DuckDB connection
        The catalogue.
    target : sqlite3.Connection
        The snapshot, without a table ``halpha_profile``.
    profile_sql : str, optional
        A query of the catalogue with a column ``spectrum_id``; by default all spectra of all candidates.

    Returns
    -------
    int
        Number of profiles written.
    """
    target.execute(TABLE_SQL)
    first, last = (round((limit - RED.start_a) / RED.step_a) for limit in WINDOW_A)
    start_a = float(RED.wavelength_a[first])
    source.execute(
        f"select spectrum_id, flux[{first + 1}:{last + 1}] as flux, ivar[{first + 1}:{last + 1}] as ivar from flux_red"
        f" where spectrum_id in (select spectrum_id from ({profile_sql or CANDIDATES_SQL})) order by spectrum_id"
    )
    n_written = 0
    while rows := source.fetchmany(BATCH_SPECTRA):
        target.executemany(
            "insert into halpha_profile values (?, ?, ?, ?)",
            [(spectrum, start_a, RED.step_a, _json(flux, ivar)) for spectrum, flux, ivar in rows],
        )
        n_written += len(rows)
    return n_written


def _json(flux, ivar) -> str:
    """Flux as a JSON array; null where the pixel must not be used."""
    values = np.round(np.asarray(flux, dtype=float), DECIMALS)
    usable = np.isfinite(values) & (np.asarray(ivar) > 0)
    return json.dumps([value if good else None for value, good in zip(values.tolist(), usable, strict=True)])
