"""What the last run left out: the rates of NULLs in its rows against those of all runs before it."""

from __future__ import annotations

import math

import duckdb

from becat.schema.tables import TABLES

__all__ = ["SPECTRUM_TABLES", "null_rate_changes"]

# Tables with a row a spectrum that a run writes.
SPECTRUM_TABLES = ("spectrum", "line_measurement", "profile_class", "radial_velocity", "be_score")
# Few rows say nothing: the change must be so many times its standard error, and so many rows.
STANDARD_ERRORS, ROWS = 5, 5


def null_rate_changes(connection: duckdb.DuckDBPyConnection, table: str, largest: float) -> dict[str, list[str]]:
    """The rows of the last run against those of all runs before it: what does a new version, or new data, leave out?

    Each row knows its run, so that the catalogue itself is the record. Spectra are compared with those of their own layout
    (a survey without a blue arm has no Mg b). All columns of a table are counted in one reading of it.

    Parameters
    ----------
    connection : duckdb connection
        Open for reading.
    table : str
        One of `SPECTRUM_TABLES`.
    largest : float
        Difference of two rates, 0 to 1, that is nothing yet.

    Returns
    -------
    dict of str: list of str
        By the check of each column: layout, rate in the last run and rate before where they differ.
    """
    columns = [c.name for c in TABLES[table].columns if c.nullable and c.name != "run_id"]
    joined = "" if table == "spectrum" else "join spectrum s using (spectrum_id)"
    rates = ", ".join(f"avg(({column} is null)::int)" for column in columns)
    rows = connection.execute(f"""
        select layout, has_blue, is_last, count(*), {rates}
        from (
            select {table}.*, {"" if table == "spectrum" else "layout, has_blue,"}
                {table}.run_id = max({table}.run_id) over (partition by layout, has_blue) as is_last
            from {table} {joined}
        )
        where is_last is not null
        group by all order by all
    """).fetchall()
    last = {row[:2]: row[3:] for row in rows if row[2]}
    before = {row[:2]: row[3:] for row in rows if not row[2]}
    changed: dict[str, list[str]] = {}
    for i, column in enumerate(columns, start=1):
        changed[f"{table}.{column} is as often NULL in the last run as before"] = [
            str((layout[0], round(now[i], 3), round(before[layout][i], 3)))
            for layout, now in last.items()
            if layout in before and _differ((now[0], now[i]), (before[layout][0], before[layout][i]), largest)
        ]
    return changed


def _differ(new: tuple[int, float], old: tuple[int, float], largest: float) -> bool:
    """Whether two rates, each with its number of rows, differ by more than chance and ``largest``."""
    n = min(new[0], old[0])
    variance = sum(rate * (1 - rate) for _, rate in (new, old))
    return abs(new[1] - old[1]) > max(largest, STANDARD_ERRORS * math.sqrt(variance / n), ROWS / n)
