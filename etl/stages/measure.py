"""Measuring the stored spectra: equivalent widths, peaks, nebular lines and profile classes."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa

import udfs
from etl.catalogue import Run, transaction
from etl.stages.flux_batches import flux_batches, insert_columns, matrix
from etl.versions import code_version
from schema import parameters

__all__ = ["measure_spectra"]

# Whether the bands are shifted with a star's velocity; the paper measures in the observed frame.
FOLLOW = "bands_follow_velocity"
COLUMNS = """spectrum_id, r.flux as flux_red, r.ivar as ivar_red, b.flux as flux_blue, b.ivar as ivar_blue,
    s.snr_r, s.rv_km_s, s.resolving_power"""


def measure_spectra(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Measure every spectrum that has no measurement by this code and these parameters.

    Parameters
    ----------
    connection : duckdb connection
        A catalogue open for writing.

    Returns
    -------
    dict
        ``measured`` spectra.
    """
    in_force = {name: parameters.value(name, connection) for name in (*udfs.PARAMETERS, FOLLOW)}
    version = code_version("measure", in_force)
    todo = """
        not exists (from line_measurement m where m.spectrum_id = r.spectrum_id and m.measure_version = ?)
        or not exists (from profile_class c where c.spectrum_id = r.spectrum_id and c.profile_version = ?)
    """
    n_measured = 0
    with Run(connection, "measure", version) as run:
        for table in flux_batches(connection, todo, [version, version], COLUMNS, "measuring"):
            lines, profiles = _measure(table, in_force)
            n = len(table)
            common = {"spectrum_id": table["spectrum_id"], "run_id": [run.run_id] * n}
            with transaction(connection):
                connection.register("measured", table.select(["spectrum_id"]))
                for name in ("line_measurement", "profile_class"):
                    connection.execute(f"delete from {name} where spectrum_id in (select spectrum_id from measured)")
                connection.unregister("measured")
                insert_columns(connection, "line_measurement", {**common, **lines, "measure_version": [version] * n})
                insert_columns(connection, "profile_class", {**common, **profiles, "profile_version": [version] * n})
            n_measured += n
            run.n_done = n_measured
        run.message = f"{n_measured} spectra measured"
    return {"measured": n_measured}


def _measure(table: pa.Table, in_force: dict[str, float]) -> tuple[dict, dict]:
    """Columns of `line_measurement` and of `profile_class` for one batch."""
    flux_red, ivar_red = matrix(table["flux_red"])[0], matrix(table["ivar_red"])[0]
    flux_blue, has_blue = matrix(table["flux_blue"])
    flux_blue = np.where(has_blue[:, None], flux_blue, np.nan)
    ivar_blue = np.where(has_blue[:, None], matrix(table["ivar_blue"])[0], 0)
    snr, velocity, power = (_numbers(table[name]) for name in ("snr_r", "rv_km_s", "resolving_power"))
    shift = velocity if in_force[FOLLOW] else None
    lines = udfs.measure_batch(flux_red, ivar_red, flux_blue, ivar_blue, snr, shift, parameters=in_force)
    profiles = udfs.profile_batch(flux_red, ivar_red, snr, shift, power, parameters=in_force)
    return lines, profiles


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """A column of numbers with NaN for NULL."""
    return column.to_numpy().astype(float)
