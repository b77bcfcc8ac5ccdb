"""Why a spectrum that was loaded has no measurement or no score, in words, in table `missing_result`."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa

from becat.etl.catalogue.batches import insert_columns
from becat.schema.grid import RED
from becat.schema.words import counted

__all__ = ["count_missing", "missing_table", "why_missing", "write_missing"]

MAX_STRETCHES = 3
MIN_STRETCH_A = 1.0


def why_missing(flux: np.ndarray, ivar: np.ndarray, band_a: tuple[float, float]) -> str:
    """What is wrong with the pixels of a band of one rectified spectrum.

    Parameters
    ----------
    flux, ivar : (4001,) float arrays
        On `becat.schema.grid.RED`.
    band_a : (float, float)
        The band that was wanted, vacuum, Angstrom.

    Returns
    -------
    str
        As in "the inverse variance is zero over 6555.1-6570.4 Angstrom"; the longest stretches first.
    """
    inside = (band_a[0] <= RED.wavelength_a) & (band_a[1] >= RED.wavelength_a)
    dark, masked = ~np.isfinite(flux), ~(ivar > 0)
    if dark.all():
        return "no pixel of the red arm has a flux: there are no data, or no continuum to divide by"
    if not (masked | dark)[inside].any():
        return f"all pixels of {band_a[0]:.0f}-{band_a[1]:.0f} Angstrom are good, yet there is no result"
    parts = []
    if (dark & inside).any():
        parts.append(f"there are no data, or no continuum to divide by, over {_stretches(dark & inside)}")
    if (masked & ~dark & inside).any():
        parts.append(f"the inverse variance is zero over {_stretches(masked & ~dark & inside)}")
    return " and ".join(parts)


def _stretches(wrong: np.ndarray) -> str:
    """Where pixels are wrong: the longest stretches in the order of wavelength, and how many pixels else."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], wrong.astype(np.int8), [0]])))
    runs = sorted(zip(edges[::2], edges[1::2], strict=True), key=lambda run: run[0] - run[1])
    long = [run for run in runs if (run[1] - run[0]) * RED.step_a >= MIN_STRETCH_A][:MAX_STRETCHES] or runs[:1]
    words = ", ".join(f"{RED.wavelength_a[first]:.1f}-{RED.wavelength_a[end - 1]:.1f}" for first, end in sorted(long))
    n_more = int(wrong.sum()) - sum(end - first for first, end in long)
    return f"{words} Angstrom" + (f" and in {counted(n_more, 'more pixel')}" if n_more else "")


def missing_table(
    spectrum_id: pa.ChunkedArray, flux: np.ndarray, ivar: np.ndarray, missing: np.ndarray, band_a, words: str
) -> pa.Table:
    """Rows of `missing_result`, but stage and run, for the spectra of a batch that gave no number.

    Parameters
    ----------
    spectrum_id : (n,) Arrow array
    flux, ivar : (n, 4001) float arrays
    missing : (n,) bool array
    band_a : (float, float)
        As for `why_missing`.
    words : str
        What could not be done, as in "H-alpha could not be measured".
    """
    rows = np.flatnonzero(missing)
    reasons = [f"{words}: {why_missing(flux[i], ivar[i], band_a)}" for i in rows]
    return pa.table({"spectrum_id": spectrum_id.take(pa.array(rows)), "reason": pa.array(reasons, pa.string())})


def write_missing(
    connection: duckdb.DuckDBPyConnection, stage: str, spectrum_id: pa.ChunkedArray, missing: pa.Table, run_id: int
) -> None:
    """Replace what `missing_result` says of a stage for the spectra of a batch.

    Parameters
    ----------
    connection : duckdb connection
        In a transaction.
    stage : {'measure', 'score'}
    spectrum_id : Arrow array
        All spectra of the batch.
    missing : pyarrow.Table
        As of `missing_table`.
    run_id : int
    """
    connection.register("tried", pa.table({"spectrum_id": spectrum_id}))
    connection.execute(
        "delete from missing_result where stage = ? and spectrum_id in (select spectrum_id from tried)", [stage]
    )
    connection.unregister("tried")
    n = len(missing)
    if n:
        columns = {name: missing[name] for name in missing.column_names}
        insert_columns(connection, "missing_result", {**columns, "stage": [stage] * n, "run_id": [run_id] * n})


def count_missing(connection: duckdb.DuckDBPyConnection, stage: str) -> int:
    """Number of spectra that a stage gave no result for."""
    row = connection.execute("select count(*) from missing_result where stage = ?", [stage]).fetchone()
    return int(row[0]) if row else 0
