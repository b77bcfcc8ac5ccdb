"""Measuring the stored spectra: equivalent widths, peaks, nebular lines, profile classes and velocities."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa

import becat.udfs as udfs
from becat.etl.catalogue.batches import arrow_columns, flux_batches, insert_columns, matrix
from becat.etl.catalogue.connection import Run, transaction
from becat.etl.catalogue.memory import need_address_space
from becat.etl.catalogue.versions import code_version
from becat.etl.catalogue.workers import Tables, open_pool, partition_table, work_through
from becat.etl.completeness import fill_binary_completeness
from becat.etl.missing import missing_table, write_missing
from becat.etl.velocity_offsets import fill_velocity_offsets
from becat.schema import parameters
from becat.schema.words import counted
from becat.udfs.telluric import find_water

__all__ = ["measure_spectra"]

# Whether the bands are shifted with a star's velocity; the paper measures in the observed frame.
FOLLOW = "bands_follow_velocity"
TRUSTED = "velocity_trusted_max_km_s"
THRESHOLDS = (*udfs.PARAMETERS, FOLLOW, TRUSTED)  # all parameters that decide what is measured
BAND = ("ew_halpha_band_min_a", "ew_halpha_band_max_a")
# A heliocentric velocity that is still to be applied (BSS_RQVH) moves the lines the other way.
COLUMNS = """spectrum_id, r.flux as flux_red, r.ivar as ivar_red, b.flux as flux_blue, b.ivar as ivar_blue,
    s.snr_r, s.resolving_power, s.survey like 'LAMOST%' as is_lamost, s.coadd, s.continuum_error_red, s.continuum_error_blue,
    case when s.bss_rqvh_km_s is null then s.rv_km_s else coalesce(s.rv_km_s, 0) - s.bss_rqvh_km_s end as rv_km_s"""


def measure_spectra(connection: duckdb.DuckDBPyConnection, scheduler: str | None = None) -> dict[str, int]:
    """Measure every spectrum that has no measurement by this code and these parameters.

    Parameters
    ----------
    connection : duckdb connection
        A catalogue open for writing.
    scheduler : str, optional
        Address of a Dask scheduler whose workers measure instead of this process.

    Returns
    -------
    dict
        ``measured`` spectra.
    """
    need_address_space()
    in_force = {name: parameters.value(name, connection) for name in THRESHOLDS}
    version = code_version("measure", in_force)
    todo = """
        not exists (from line_measurement m where m.spectrum_id = r.spectrum_id and m.measure_version = ?)
        or not exists (from profile_class c where c.spectrum_id = r.spectrum_id and c.profile_version = ?)
        or not exists (from radial_velocity v where v.spectrum_id = r.spectrum_id and v.velocity_version = ?)
        or exists (from line_measurement m where m.spectrum_id = r.spectrum_id and m.ew_halpha_a is null and not exists
            (from missing_result x where x.spectrum_id = r.spectrum_id and x.stage = 'measure'))
    """
    n_measured = 0
    with Run(connection, "measure", version) as run, open_pool(connection, scheduler) as pool:
        batches = flux_batches(connection, todo, [version, version, version], COLUMNS, "measuring")
        partitions = ((pool.give(table), in_force) for table in batches)
        for _, tables in work_through(pool, measure_partition, partitions):
            ids = tables["line_measurement"]["spectrum_id"]
            n = len(ids)
            common = {"run_id": [run.run_id] * n}
            with transaction(connection):
                connection.register("measured", pa.table({"spectrum_id": ids}))
                for name, version_column in (
                    ("line_measurement", "measure_version"),
                    ("profile_class", "profile_version"),
                    ("radial_velocity", "velocity_version"),
                ):
                    connection.execute(f"delete from {name} where spectrum_id in (select spectrum_id from measured)")
                    rows = dict(zip(tables[name].column_names, tables[name].columns, strict=True))
                    insert_columns(connection, name, {**rows, **common, version_column: [version] * n})
                connection.unregister("measured")
                write_missing(connection, "measure", ids, tables["missing_result"], run.run_id)
            n_measured += n
            run.n_done = n_measured
        fill_velocity_offsets(connection, run)
        if connection.execute("select 1 from radial_velocity limit 1").fetchone():
            fill_binary_completeness(connection, run)
        run.message = f"{counted(n_measured, 'spectrum')} measured"
    return {"measured": n_measured}


def measure_partition(partition: tuple[pa.Table | str, dict[str, float]]) -> Tables:
    """Columns of `line_measurement`, `profile_class`, `radial_velocity` and `missing_result` for one batch (the work of one process).

    Parameters
    ----------
    partition : (table or path of one, dict)
        `COLUMNS` of a batch of spectra, and the parameters in force.

    Returns
    -------
    dict of str to pyarrow.Table
    """
    table, in_force = partition_table(partition[0]), partition[1]
    flux_red, ivar_red = matrix(table["flux_red"])[0], matrix(table["ivar_red"])[0]
    flux_blue, has_blue = matrix(table["flux_blue"])
    flux_blue = np.where(has_blue[:, None], flux_blue, np.nan)
    ivar_blue = np.where(has_blue[:, None], matrix(table["ivar_blue"])[0], 0)
    snr, velocity, power = (_numbers(table[name]) for name in ("snr_r", "rv_km_s", "resolving_power"))
    shift = velocity if in_force[FOLLOW] else None
    with np.errstate(invalid="ignore"):
        trusted = np.where(np.abs(velocity) <= in_force[TRUSTED], velocity, np.nan)
    continuum_error = _numbers(table["continuum_error_red"])
    is_lamost = table["is_lamost"].to_numpy()
    is_lamost_coadd = is_lamost & table["coadd"].to_numpy()
    band_a = (in_force[BAND[0]], in_force[BAND[1]])
    water = find_water(flux_red, ivar_red, power, band_a)
    lines = udfs.measure_batch(
        flux_red,
        ivar_red,
        flux_blue,
        ivar_blue,
        snr,
        shift,
        star_velocity_km_s=trusted,
        resolving_power=power,
        is_lamost_coadd=is_lamost_coadd,
        continuum_error_red=continuum_error,
        continuum_error_blue=_numbers(table["continuum_error_blue"]),
        water=water,
        parameters=in_force,
    )
    profiles = udfs.profile_batch(
        flux_red,
        ivar_red,
        snr,
        shift,
        power,
        star_velocity_km_s=trusted,
        is_lamost_coadd=is_lamost_coadd,
        continuum_error_red=continuum_error,
        water=water,
        parameters=in_force,
    )
    velocities = udfs.velocity_batch(
        flux_red,
        ivar_red,
        flux_blue,
        ivar_blue,
        power,
        is_lamost=is_lamost,
        continuum_error_red=continuum_error,
        parameters=in_force,
    )
    ids = {"spectrum_id": table["spectrum_id"]}
    failed = np.isnan(np.asarray(lines["ew_halpha_a"], float))
    missing = missing_table(ids["spectrum_id"], flux_red, ivar_red, failed, band_a, "H-alpha could not be measured")
    return {
        "line_measurement": arrow_columns(ids | lines),
        "profile_class": arrow_columns(ids | profiles),
        "radial_velocity": arrow_columns(ids | velocities),
        "missing_result": missing,
    }


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """A column of numbers with NaN for NULL."""
    return column.to_numpy().astype(float)
