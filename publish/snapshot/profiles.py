"""Rectified H-alpha profiles in the snapshot: one row a spectrum, flux and extrema as JSON arrays that a browser reads.

The extrema are found here, with the catalogue's own function on the catalogue's own flux, so that a page shows those that
the catalogue counts.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator

import numpy as np

from becat.schema.grid import RED
from becat.schema.parameters import in_force
from becat.udfs.bartlett import bartlett_peaks

__all__ = ["CHOICES", "PROFILES_MAX", "TABLE_SQL", "WINDOW_A", "chosen_sql", "copy"]

WINDOW_A = (6520.0, 6610.0)  # H-alpha with both [N II] lines and continuum on each side
BATCH_SPECTRA = 2_000
DECIMALS = 4  # rounding is a hundred times below the noise at S/N 100
TABLE_SQL = """create table halpha_profile (
  "spectrum_id" INTEGER primary key,
  "start_a" REAL not null,
  "step_a" REAL not null,
  "flux" TEXT not null,
  "extrema" TEXT not null,
  "is_simulated" INTEGER not null,
  foreign key ("spectrum_id") references "spectrum" ("spectrum_id")
)"""
# Which spectra: those of candidates; those of all stars that are asked for the classifier's probability too; all.
CHOICES = {
    "candidates": "star_id in (select star_id from be_candidate)",
    "near": "star_id in (select star_id from be_candidate) or star_id in (select star_id from step_40_q_index)",
    "all": "star_id is not null",
}
PROFILES_MAX = 20_000  # some 100 MB
AFTER_THE_LAST = 999  # stands for a test that nothing fails


def chosen_sql(choice: str = "all", n_max: int = PROFILES_MAX) -> str:
    """Query of the catalogue for the spectra whose profiles are published.

    Parameters
    ----------
    choice : str
        One of `CHOICES`.
    n_max : int
        At most so many: first those of candidates, then for every other star the spectrum that stands for it, in the order of how
        far it came in the selection, then the others.
    """
    return f"""
        select spectrum_id from spectrum_verdict where {CHOICES[choice]}
        order by star_id in (select star_id from be_candidate) desc, rank_in_star = 1 desc,
            coalesce(failed_test, {AFTER_THE_LAST}) desc, snr_r desc, spectrum_id
        limit {n_max}"""


def copy(source, target: sqlite3.Connection, profile_sql: str = "") -> int:
    """Copy the profiles of chosen spectra.

    Parameters
    ----------
    source : DuckDB connection
        The catalogue.
    target : sqlite3.Connection
        The snapshot, without a table ``halpha_profile``.
    profile_sql : str, optional
        A query of the catalogue with a column ``spectrum_id``; by default that of `chosen_sql`.

    Returns
    -------
    int
        Number of profiles written.
    """
    target.execute(TABLE_SQL)
    first, last = (round((limit - RED.start_a) / RED.step_a) for limit in WINDOW_A)
    wavelength_a = RED.wavelength_a[first : last + 1]
    parameters = in_force(source)
    source.execute(
        f"select spectrum_id, flux[{first + 1}:{last + 1}] as flux, ivar[{first + 1}:{last + 1}] as ivar, snr_r,"
        " velocity_shift_km_s, is_simulated from flux_red join spectrum using (spectrum_id) left join line_measurement using (spectrum_id)"
        f" where spectrum_id in (select spectrum_id from ({profile_sql or chosen_sql()})) order by spectrum_id"
    )
    n_written = 0
    while rows := source.fetchmany(BATCH_SPECTRA):
        target.executemany(
            "insert into halpha_profile values (?, ?, ?, ?, ?, ?)", _profiles(rows, wavelength_a, parameters)
        )
        n_written += len(rows)
    return n_written


def _profiles(rows: list[tuple], wavelength_a: np.ndarray, parameters: dict[str, float]) -> Iterator[tuple]:
    """Rows of the table for rows of spectrum_id, flux, ivar, S/N, velocity shift and whether it is simulated."""
    identity, flux, ivar, snr, velocity, simulated = zip(*rows, strict=True)
    flux, ivar = np.array(flux, np.float32), np.array(ivar, np.float32)
    found = bartlett_peaks(
        flux,
        np.array(snr, float),
        wavelength_a,
        (parameters["peak_band_min_a"], parameters["peak_band_max_a"]),
        inverse_variance=ivar,
        velocity_shift_km_s=np.nan_to_num(np.array(velocity, float)),
        masked_fraction_max=parameters["ew_masked_fraction_max"],
    )
    for row, spectrum_id in enumerate(identity):
        extrema = [
            [round(float(at_a), 3), round(float(level), DECIMALS), kind]
            for kind, rows_of, places, levels in (
                (1, found.peak_row, found.peak_wavelength_a, found.peak_flux),
                (-1, found.valley_row, found.valley_wavelength_a, found.valley_flux),
            )
            for at_a, level in zip(places[rows_of == row], levels[rows_of == row], strict=True)
        ]
        values = _json(flux[row], ivar[row])
        yield spectrum_id, float(wavelength_a[0]), RED.step_a, values, json.dumps(extrema), simulated[row]


def _json(flux, ivar) -> str:
    """Flux as a JSON array; null where the pixel must not be used."""
    values = np.round(np.asarray(flux, dtype=float), DECIMALS)
    usable = np.isfinite(values) & (np.asarray(ivar) > 0)
    return json.dumps([value if good else None for value, good in zip(values.tolist(), usable, strict=True)])
