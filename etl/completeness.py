"""How many binaries the velocities find: the table that comes with becat, put into a catalogue."""

from __future__ import annotations

from pathlib import Path

import duckdb

from becat.etl.catalogue.connection import Run, transaction

__all__ = ["BINARY_COMPLETENESS", "fill_binary_completeness"]

BINARY_COMPLETENESS = (
    Path(__file__).parent / "data" / "binary_completeness.csv"
)  # python -m benchmarks.binary_completeness --csv FILE


def fill_binary_completeness(connection: duckdb.DuckDBPyConnection, run: Run) -> None:
    """Put the shipped table into `binary_completeness`, unless it is there as shipped.

    Parameters
    ----------
    connection : duckdb connection
        A catalogue open for writing.
    run : Run
        To which the rows belong.
    """
    here, shipped = "(select * exclude (run_id) from binary_completeness)", "(from shipped_completeness)"
    types = "{'star_kind': 'VARCHAR', 'period_d': 'DOUBLE', 'k1_km_s': 'DOUBLE', 'snr': 'DOUBLE',"
    types += " 'n_exposures': 'INTEGER', 'n_stars': 'INTEGER', 'n_found': 'INTEGER'}"
    source = f"read_csv(?, header = true, columns = {types})"
    connection.execute(
        f"create or replace temp table shipped_completeness as from {source}", [str(BINARY_COMPLETENESS)]
    )
    differ = f"select 1 from (({here} except {shipped}) union all ({shipped} except {here})) limit 1"
    if connection.execute(differ).fetchone():
        with transaction(connection):
            connection.execute("delete from binary_completeness")
            connection.execute(
                "insert into binary_completeness by name select *, ? as run_id from shipped_completeness", [run.run_id]
            )
    connection.execute("drop table shipped_completeness")
