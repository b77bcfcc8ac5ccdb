"""How fast LAMOST's service was, kept in the catalogue, and what a plan may expect of it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import duckdb

from becat.etl.lamost.limits import Limits

__all__ = ["NIGHT", "SINGLE", "Rates", "keep_rate", "known_rates"]

SINGLE, NIGHT = "single", "night"


@dataclass(frozen=True)
class Rates:
    """What single files and the archives of whole nights take.

    Attributes
    ----------
    seconds_a_file : float
        Of one single file, all connections working.
    bytes_a_second : float
        Of single files, all connections together.
    night_bytes_a_second : float
        Of the archive of a night.
    single_on, night_on : datetime, optional
        When it was measured; None: it is assumed.
    """

    seconds_a_file: float
    bytes_a_second: float
    night_bytes_a_second: float
    single_on: dt.datetime | None = None
    night_on: dt.datetime | None = None

    def single_s(self, n_files: int, n_bytes: float) -> float:
        """Seconds for single files: as many requests as there are files, and as many bytes."""
        return max(n_files * self.seconds_a_file, n_bytes / self.bytes_a_second)

    def night_s(self, n_bytes: float) -> float:
        """Seconds for archives of whole nights."""
        return n_bytes / self.night_bytes_a_second

    def words(self, with_nights: bool) -> str:
        """How the rates are known."""
        said = f"{1 / self.seconds_a_file:,.1f} single files per second, {self.bytes_a_second / 1e6:,.2f} MB/s at most"
        said += _known(self.single_on)
        if with_nights:
            said += f"; whole nights {self.night_bytes_a_second / 1e6:,.2f} MB/s{_known(self.night_on)}"
        return said


def _known(on: dt.datetime | None) -> str:
    return f", as in the download of {on:%Y-%m-%d}" if on else ", assumed until a download has measured it"


def known_rates(connection: duckdb.DuckDBPyConnection, limits: Limits) -> Rates:
    """The rates of the last downloads that were long enough to tell, and what `Limits` assumes where there was none."""
    single = _last(connection, SINGLE, f"n_files >= {limits.measured_files_min:d}")
    night = _last(connection, NIGHT, f"n_bytes >= {limits.measured_night_bytes_min:d}")
    return Rates(
        # Fewer or more connections than were measured: each has the rate that it had.
        single[2] * single[3] / single[0] / limits.connections
        if single
        else limits.seconds_a_file / limits.connections,
        single[1] / single[2] if single else limits.bytes_a_second,
        night[1] / night[2] if night else limits.bytes_a_second,
        single[4] if single else None,
        night[4] if night else None,
    )


def _last(connection, way: str, is_enough: str):
    return connection.execute(
        "select n_files, n_bytes, seconds, connections, started_at from download_rate join etl_run using (run_id)"
        f" where way = ? and {is_enough} and n_bytes > 0 and seconds > 0 order by run_id desc limit 1",
        [way],
    ).fetchone()


def keep_rate(connection, run_id: int, way: str, n_files: int, n_bytes: int, seconds: float, connections: int) -> None:
    """Note how fast a download has been so far; the last word of a run counts."""
    if n_files and seconds > 0:
        connection.execute(
            "insert or replace into download_rate (run_id, way, n_files, n_bytes, seconds, connections)"
            " values (?, ?, ?, ?, ?, ?)",
            [run_id, way, n_files, n_bytes, seconds, connections],
        )
