"""Equivalent widths and peaks in DuckDB: spectra a second, beside a native UDF and a plain loop over numpy rows.

Run:  python -m benchmarks.udfs [number of spectra]

Whole red arms (FLOAT[4001]) and windows around H-alpha (FLOAT[561]) are in tables in memory. Each query runs three times;
the fastest counts, by the wall and by the processor. All is done in one run, so that a busy machine slows all of it.
"""

from __future__ import annotations

import sys
import time

import duckdb
import numpy as np
import pyarrow as pa
from scipy.signal import find_peaks

from becat import udfs
from becat.schema.grid import RED
from becat.udfs.bands import band_weights
from becat.udfs.bartlett import bartlett_width
from becat.udfs.memory import keep_freed_memory
from becat.udfs.register import HALPHA

BAND_A = (6548.0, 6578.0)
PEAK_BAND_A = (6551.0, 6579.0)


def fill(connection, n):
    """Tables arms and windows of n noisy profiles."""
    rng = np.random.default_rng(1)
    connection.execute("create table arms (id integer, flux float[4001], ivar float[4001], snr double)")
    for start in range(0, n, 2048):
        rows = min(2048, n - start)
        snr = rng.uniform(10, 200, rows)
        depth = rng.uniform(-3, 0.7, (rows, 1))
        flux = 1 - depth * np.exp(-0.5 * ((RED.wavelength_a - 6564.6) / 4.0) ** 2)
        flux = (flux + rng.normal(0, 1, flux.shape) / snr[:, None]).astype(np.float32)
        ivar = np.broadcast_to((snr**2)[:, None], flux.shape).astype(np.float32)
        lists = [pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), RED.n_pixels) for x in (flux, ivar)]
        table = pa.table(
            [pa.array(np.arange(start, start + rows)), *lists, pa.array(snr)], ["id", "flux", "ivar", "snr"]
        )
        connection.register("rows", table)
        connection.execute("insert into arms select * from rows")
        connection.unregister("rows")
    connection.execute(
        "create table windows as select id, halpha_window(flux) as flux, halpha_window(ivar) as ivar, snr from arms"
    )


def native_width(flux, ivar):
    """Width over error of one spectrum: what a native DuckDB function does, which has one number to return."""
    weights = band_weights(HALPHA.edges_a, *BAND_A)
    flux, ivar = np.asarray(flux), np.asarray(ivar)
    inside = weights > 0
    error = np.sqrt((weights[inside] ** 2 / ivar[inside]).sum())
    return float((weights.sum() - flux @ weights) / error)


def native_peaks(flux, snr):
    """The number of peaks of one spectrum, by numpy and scipy."""
    window = np.bartlett(int(bartlett_width(np.array([snr]), HALPHA.step_a)[0]))
    smooth = np.convolve(np.asarray(flux), window / window.sum(), mode="same")
    found_a = HALPHA.wavelength_a[find_peaks(smooth)[0]]
    return int(((found_a >= PEAK_BAND_A[0]) & (found_a <= PEAK_BAND_A[1])).sum())


def rate(run, n, rounds=3):
    """Spectra a second by the wall and by the processor, the best of some rounds."""
    best = []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        best.append((n / (time.perf_counter() - wall), n / (time.process_time() - cpu)))
    return max(x[0] for x in best), max(x[1] for x in best)


def main(n=40_000):
    """Print a table of rates."""
    keep_freed_memory()
    rows = []
    with duckdb.connect() as connection:
        connection.execute("set threads = 1")  # spectra a second and core
        udfs.register(connection)
        window_type = f"FLOAT[{HALPHA.n_pixels}]"
        connection.create_function("native_width", native_width, [window_type] * 2, "DOUBLE")
        connection.create_function("native_peaks", native_peaks, [window_type, "DOUBLE"], "INTEGER")
        fill(connection, n)

        def query(label, sql, table, count=n):
            rows.append((label, *rate(connection.sql(f"select {sql} from {table} where id < {count}").fetchall, count)))

        few = min(n, 4096)
        query(
            "EW with error, windows, Arrow UDF",
            f"sum(equivalent_width(flux, ivar, {BAND_A[0]}, {BAND_A[1]}).ew_a)",
            "windows",
        )
        query(
            "EW with error, whole arms, Arrow UDF",
            f"sum(equivalent_width(flux, ivar, {BAND_A[0]}, {BAND_A[1]}).ew_a)",
            "arms",
        )
        query("EW, windows, native UDF", "sum(native_width(flux, ivar))", "windows", few)
        query("peaks, windows, Arrow UDF", "sum(bartlett_peaks(flux, snr).n_peaks)", "windows")
        query("peaks, whole arms, Arrow UDF", "sum(bartlett_peaks(flux, snr).n_peaks)", "arms")
        query("peaks, windows, native UDF", "sum(native_peaks(flux, snr))", "windows", few)
        query("cutting the windows", "sum(halpha_window(flux)[1])", "arms")
        batch = connection.sql(f"select flux, ivar, snr from windows where id < {few}").to_arrow_table()
        flux, ivar = (np.stack(batch[name].to_numpy()) for name in ("flux", "ivar"))
        snr = batch["snr"].to_numpy()
    rows.append(
        ("EW, plain loop over numpy rows", *rate(lambda: [native_width(*x) for x in zip(flux, ivar, strict=True)], few))
    )
    rows.append(
        (
            "peaks, plain loop over numpy rows",
            *rate(lambda: [native_peaks(*x) for x in zip(flux, snr, strict=True)], few),
        )
    )
    print(f"{n} spectra\n\n| what | spectra/s (wall) | spectra/s of processor time |\n|---|---:|---:|")
    for label, wall, cpu in rows:
        print(f"| {label} | {wall:,.0f} | {cpu:,.0f} |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
