"""Fills `star_period`: a search in what changes, for every star with enough nights whose epochs are new or have changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, fields

import duckdb
import numpy as np
from tqdm import tqdm

from becat.etl.catalogue.batches import insert_columns
from becat.etl.catalogue.checksums import rows_digest
from becat.etl.catalogue.connection import Run, transaction
from becat.etl.catalogue.versions import code_version
from becat.etl.periods.search import Period, best_period, eccentric_orbit
from becat.schema import parameters
from becat.schema.words import counted

__all__ = ["search_periods"]

THRESHOLDS = ("period_nights_min", "period_shortest_d", "rv_floor_error_km_s")
STARS_PER_BATCH = 500

# Nightly means of what is searched: peaks and velocities of the survey with most nights, widths of all. They are rounded, so that sums
# in another order give the same.
NIGHTS = """
    create or replace temporary table periods_night as
    with
    epochs as (
        select
            star_id, night, mjd, quantity,
            case when quantity = 'ew_halpha_a' then '' else survey end as survey,
            case quantity when 'rv_km_s' then rv_km_s when 'ew_halpha_a' then ew_halpha_a else violet_red_ratio end as value,
            case quantity when 'rv_km_s' then e_rv_km_s when 'ew_halpha_a' then e_ew_halpha_a else e_violet_red_ratio end as error
        from epoch cross join (values ('rv_km_s'), ('ew_halpha_a'), ('violet_red_ratio')) as searched (quantity)
        where counts and night is not null
    ),
    nights as (
        select
            star_id, quantity, survey,
            sum(mjd / (error * error)) / sum(1 / (error * error)) as mjd,
            sum(value / (error * error)) / sum(1 / (error * error)) as value,
            1 / sqrt(sum(1 / (error * error))) as error
        from epochs
        where isfinite(value) and isfinite(mjd) and error > 0 and isfinite(error)  -- for DuckDB, NaN is above zero
        group by star_id, quantity, survey, night
    ),
    numbered as (select *, count(*) over (partition by star_id, quantity, survey) as n_nights from nights),
    ranked as (select *, rank() over (partition by star_id, quantity order by n_nights desc, survey) as place from numbered)
    select
        star_id, quantity, n_nights, round(mjd, 6) as mjd, round(value, 6) as value,
        round(case when quantity = 'rv_km_s' then sqrt(error * error + $floor * $floor) else error end, 6) as error
    from ranked
    where place = 1 and n_nights >= $nights_min
    order by star_id, quantity, mjd
"""
WANTED = f"""
    create or replace temporary table periods_wanted as
    select star_id, quantity, concat_ws(':', $version, {rows_digest("mjd, value, error")}) as period_version
    from periods_night
    group by star_id, quantity
"""
GONE = """
    from star_period
    where not exists (
        from periods_wanted
        where periods_wanted.star_id = star_period.star_id and periods_wanted.quantity = star_period.quantity
    )
"""
STALE = """
    select distinct star_id
    from periods_wanted
    where not exists (
        from star_period
        where star_period.star_id = periods_wanted.star_id and star_period.quantity = periods_wanted.quantity
            and star_period.period_version = periods_wanted.period_version
    )
    order by star_id
"""


def search_periods(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Search periods in the stars whose epochs, or whose search, have changed; take out those that have too few nights now.

    Parameters
    ----------
    connection : duckdb connection
        A catalogue open for writing.

    Returns
    -------
    dict
        ``searched`` stars, and ``significant``: stars in the table with a false-alarm probability of at most
        period_false_alarm_max.
    """
    in_force = {name: parameters.value(name, connection) for name in THRESHOLDS}
    version = code_version("periods", in_force)
    n_searched = 0
    with Run(connection, "periods", version) as run:
        try:
            connection.execute(
                NIGHTS, {"floor": in_force["rv_floor_error_km_s"], "nights_min": in_force["period_nights_min"]}
            )
            connection.execute(WANTED, {"version": version})
            if connection.execute(f"select 1 {GONE} limit 1").fetchone():
                run.record()
                connection.execute(f"delete {GONE}")
            for stars, rows in _searched(connection, in_force["period_shortest_d"]):
                with transaction(connection):
                    connection.execute("delete from star_period where star_id in ?", [stars])
                    columns = {name: [row[name] for row in rows] for name in rows[0]}
                    insert_columns(connection, "star_period", {**columns, "run_id": [run.run_id] * len(rows)})
                n_searched += len(stars)
                run.n_done = n_searched
        finally:
            connection.execute("drop table if exists periods_wanted; drop table if exists periods_night")
        run.message = f"{counted(n_searched, 'star')} searched"
    found = connection.execute(
        "select count(distinct star_id) from star_period where false_alarm_probability <= ?",
        [parameters.value("period_false_alarm_max", connection)],
    ).fetchone()
    return {"searched": n_searched, "significant": found[0] if found else 0}


def _searched(connection, shortest_d: float) -> Iterator[tuple[list[int], list[dict]]]:
    """Stars to be searched, some hundred at a time, and their rows of `star_period`: without a period where none can be fitted."""
    todo = [star_id for (star_id,) in connection.execute(STALE).fetchall()]
    starts = range(0, len(todo), STARS_PER_BATCH)
    for first in tqdm(starts, desc="periods", disable=None, leave=False):
        stars = todo[first : first + STARS_PER_BATCH]
        nights = connection.execute(
            "select star_id, quantity, period_version, mjd, value, error from periods_night join periods_wanted"
            " using (star_id, quantity) where star_id in ? order by star_id, quantity, mjd",
            [stars],
        ).fetchnumpy()
        yield stars, list(_rows({name: np.asarray(column) for name, column in nights.items()}, shortest_d))


def _rows(nights: dict[str, np.ndarray], shortest_d: float) -> Iterator[dict]:
    """A row for each star and quantity."""
    key = np.char.add(nights["star_id"].astype(str), nights["quantity"].astype(str))
    for part in np.split(np.arange(key.size), np.flatnonzero(key[1:] != key[:-1]) + 1):
        mjd, value, error = (nights[name][part].astype(float) for name in ("mjd", "value", "error"))
        found = best_period(mjd, value, error, shortest_d)
        if found and nights["quantity"][part[0]] == "rv_km_s":
            found = eccentric_orbit(mjd, value, error, found)
        yield {
            "star_id": int(nights["star_id"][part[0]]),
            "quantity": str(nights["quantity"][part[0]]),
            **(asdict(found) if found else dict.fromkeys(field.name for field in fields(Period))),
            "n_nights": int(part.size),
            "baseline_d": float(np.ptp(mjd)),
            "period_version": str(nights["period_version"][part[0]]),
        }
