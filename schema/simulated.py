"""Which rows are simulated: a table of stars or spectra that does not say so is told by its star, or its spectrum."""

from __future__ import annotations

from collections.abc import Collection

from becat.schema.sql_names import quoted

__all__ = ["IS_SIMULATED", "simulated_sql"]

IS_SIMULATED = "is_simulated"


def simulated_sql(table: str, columns: Collection[str]) -> str:
    """Whether a row of a table is simulated, as SQL; empty where the table says so itself, or is of no star or spectrum.

    Parameters
    ----------
    table : str
        Its name in the query.
    columns : collection of str
        What it has.
    """
    told_by = next((origin for origin in ("star", "spectrum") if f"{origin}_id" in columns), "")
    if IS_SIMULATED in columns or not told_by:
        return ""
    key = f"{told_by}_id"
    return f"(select {IS_SIMULATED} from {told_by} as origin where origin.{key} = {quoted(table)}.{key})"
