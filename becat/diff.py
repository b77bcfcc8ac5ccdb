"""Which stars enter and leave between two catalogues, or between two sets of thresholds, and which step does it."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb
import pyarrow as pa

from becat.schema.parameters import change

__all__ = ["compare", "verdicts", "verdicts_with"]

# A step that a star does not fail: it is a classical Be star.
PASSES = "classical_be"


def verdicts(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """For every star the step that it fails first, or `PASSES`.

    Returns
    -------
    pyarrow.Table
        star_id, designation, ra_deg, dec_deg, step (name), value, threshold, detail.
    """
    return connection.execute(
        f"""
        select star_id, designation, ra_deg, dec_deg, coalesce(name, '{PASSES}') as step, value, threshold, detail
        from verdict
        """
    ).to_arrow_table()


def verdicts_with(connection: duckdb.DuckDBPyConnection, thresholds: Mapping[str, float]) -> pa.Table:
    """The verdicts as they would be with other thresholds; the catalogue stays as it is.

    Parameters
    ----------
    connection : duckdb connection
        Open for writing: the thresholds are changed inside a transaction that is rolled back.
    thresholds : mapping of str to float
        Values by the name of the parameter.

    Raises
    ------
    BecatError
        There is no such parameter.
    """
    connection.execute("begin transaction")
    try:
        change(connection, thresholds)
        return verdicts(connection)
    finally:
        connection.execute("rollback")


def compare(before: pa.Table, after: pa.Table) -> list[tuple]:
    """Stars whose first failed step differs.

    Parameters
    ----------
    before, after : pyarrow.Table
        As `verdicts` gives them. Stars are the same where their star_id, made from their position, is.

    Returns
    -------
    list of tuple
        change ('entered', 'left' or 'moved' of the classical Be stars), designation, ra_deg, dec_deg, step before,
        step after, value and threshold after; a step is None where the star is not in that catalogue.
    """
    with duckdb.connect() as connection:
        connection.register("before_", before)
        connection.register("after_", after)
        return connection.execute(
            f"""
            select
                case when a.step = '{PASSES}' then 'entered' when b.step = '{PASSES}' then 'left' else 'moved' end,
                coalesce(a.designation, b.designation), coalesce(a.ra_deg, b.ra_deg), coalesce(a.dec_deg, b.dec_deg),
                b.step, a.step, a.value, a.threshold
            from before_ b
            full join after_ a using (star_id)
            where a.step is distinct from b.step
            order by 1, 5, 6, 2
            """
        ).fetchall()
