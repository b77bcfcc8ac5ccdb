"""Stars with epochs, put into the catalogue of `site_fixture`: a binary, one with light curves, one with a single epoch, one with none."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np

from becat.plot_epochs import OVERPLOTTED_MAX
from becat.publish.plugins.in_time import POINTS_MAX

__all__ = ["FEW", "MANY", "PERIOD_D", "STARS", "add_epochs"]

PERIOD_D, MJD_0 = 6.5, 58010.0
MANY, FEW = OVERPLOTTED_MAX + 4, 5
STARS = range(10_002, 10_006)


def copy_spectra(connection, star_id, n):
    """Give a star n spectra that are copies of its best one, a night each; their numbers."""
    (first,) = connection.execute(
        "select spectrum_id from spectrum where star_id = ? order by snr_r desc limit 1", [star_id]
    ).fetchone()
    connection.execute("delete from spectrum where star_id = ? and spectrum_id <> ?", [star_id, first])
    for k in range(1, n):
        for table in ("spectrum", "line_measurement", "profile_class", "be_score", "flux_red"):
            more = ", ? as mjd" if table == "spectrum" else ""
            values = [first + k] + ([58000.3 + 3 * k] if more else []) + [first]
            connection.execute(
                f"insert into {table} by name select * replace (? as spectrum_id{more}) from {table} where spectrum_id = ?",
                values,
            )
    connection.execute("update spectrum set mjd = 58000.3 where spectrum_id = ?", [first])
    return [first + k for k in range(n)]


def give_orbit(connection, star_id, spectra):
    """Velocities on a circular orbit, both lines at each epoch, and V/R that goes with them."""
    for k, spectrum_id in enumerate(spectra):
        velocity = 50 * np.cos(2 * np.pi * (58000.3 + 3 * k - MJD_0) / PERIOD_D)
        connection.execute(
            "insert into radial_velocity (spectrum_id, rv_blue_km_s, e_rv_blue_km_s, rv_primary_km_s, e_rv_primary_km_s,"
            " rv_secondary_km_s, e_rv_secondary_km_s) values (?, ?, 2, ?, 2, ?, 3)",
            [spectrum_id, velocity, velocity, -2 * velocity],
        )
        connection.execute(
            "update profile_class set violet_red_ratio = ?, e_violet_red_ratio = 0.02 where spectrum_id = ?",
            [1 + velocity / 200, spectrum_id],
        )
    connection.execute(
        "insert into star_period (star_id, quantity, period_d, e_period_d, false_alarm_probability, mjd_phase_zero)"
        " values (?, 'rv_km_s', ?, 0.0012, 1e-7, ?), (?, 'ew_halpha_a', 12.0, 0.1, 0.4, ?)",
        [star_id, PERIOD_D, MJD_0, star_id, MJD_0],
    )


def give_light(connection, star_id):
    """More points of TESS than a plot shows, and some of ASAS-SN, one of them a limit."""
    n = 2 * POINTS_MAX + 10
    connection.execute(
        "insert into light_curve (file, row_in_file, star_id, source, band, mjd, time_system, relative_flux, e_relative_flux, is_limit)"
        " select 't.fits', i, ?, 'TESS', 'TESS', 58000 + i / 200.0, 'BJD TDB', 1 + (i % 2) * 0.02, 0.001, false from range(?) as t(i)",
        [star_id, n],
    )
    connection.execute(
        "insert into light_curve (file, row_in_file, star_id, source, band, mjd, time_system, magnitude_mag, e_magnitude_mag, is_limit)"
        " select 'a.csv', i, ?, 'ASAS-SN', 'V', 57990 + i, 'HJD UTC', 12 + i / 100.0, 0.02, i = 9 from range(20) as t(i)",
        [star_id],
    )
    return n


def add_epochs(path: Path) -> Path:
    """Make four stars of a catalogue of `site_fixture` those of `STARS`; a designation is E and the number."""
    with duckdb.connect(str(path)) as connection:
        connection.execute("update profile_class set violet_red_ratio = null")
        binary, lit, alone, faint = STARS
        give_orbit(connection, binary, copy_spectra(connection, binary, MANY))
        copy_spectra(connection, lit, FEW)
        give_light(connection, lit)
        copy_spectra(connection, alone, 1)
        connection.execute("update spectrum set snr_r = 60 where star_id in (?, ?, ?)", [binary, lit, alone])
        connection.execute("update spectrum set snr_r = 2 where star_id = ?", [faint])
        for star_id in STARS:
            for table in ("star", "star_alias", "spectrum"):
                connection.execute(f"update {table} set designation = ? where star_id = ?", [f"E{star_id}", star_id])
    return path
