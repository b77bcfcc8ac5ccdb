"""Keeps the zero points of the velocities: the rows of `velocity_zero_point`, for which all stars must be read, in `velocity_offset`."""

from __future__ import annotations

import duckdb

from becat.etl.catalogue.connection import Run, transaction

__all__ = ["fill_velocity_offsets"]

COLUMNS = "survey, spectrograph, plan_id, night, arm, n_stars, offset_km_s, e_offset_km_s"
# Rounded: a sum in another order is no change.
ZERO_POINTS = """
    create or replace temporary table zero_points as
    select survey, spectrograph, plan_id, night, arm, n_stars,
        round(offset_km_s, 6) as offset_km_s, round(e_offset_km_s, 6) as e_offset_km_s
    from velocity_zero_point
"""
DIFFERENT = f"""
    select 1 where exists (select {COLUMNS} from zero_points except select {COLUMNS} from velocity_offset)
    or exists (select {COLUMNS} from velocity_offset except select {COLUMNS} from zero_points)
"""


def fill_velocity_offsets(connection: duckdb.DuckDBPyConnection, run: Run) -> None:
    """Bring `velocity_offset` up to what `velocity_zero_point` says now.

    Parameters
    ----------
    connection : duckdb connection
        A catalogue open for writing.
    run : Run
        Is recorded if anything changes.
    """
    connection.execute(ZERO_POINTS)
    try:
        if connection.execute(DIFFERENT).fetchone():
            with transaction(connection):
                connection.execute("delete from velocity_offset")
                connection.execute(
                    f"insert into velocity_offset by name select {COLUMNS}, ? as run_id from zero_points", [run.run_id]
                )
    finally:
        connection.execute("drop table if exists zero_points")
