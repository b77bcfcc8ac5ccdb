"""Measuring the stored spectra: equivalent widths, peaks, nebular lines and profile classes."""

from __future__ import annotations

import duckdb

import udfs
from etl.catalogue import Run, transaction
from etl.stages.flux_batches import flux_batches, insert_columns
from etl.versions import code_version
from schema import parameters

__all__ = ["measure_spectra"]

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
    in_force = {name: parameters.value(name, connection) for name in udfs.PARAMETERS}
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
