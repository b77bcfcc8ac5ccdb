"""Which columns of a table hold positions, and safe names in SQL."""

from __future__ import annotations

import duckdb

__all__ = ["column_names", "guess_position", "quoted", "quoted_table"]

# pairs in the order of preference: degrees and ICRS first; the names that VizieR, Gaia, SIMBAD, LAMOST and people use
_POSITIONS = (
    ("ra_deg", "dec_deg"),
    ("ra_icrs", "de_icrs"),
    ("raicrs", "deicrs"),
    ("_ra.icrs", "_de.icrs"),
    ("ra", "dec"),
    ("_raj2000", "_dej2000"),
    ("raj2000", "dej2000"),
    ("radeg", "dedeg"),
    ("radeg", "decdeg"),
    ("_ra", "_de"),
    ("ra_obs", "dec_obs"),
    ("ra2000", "dec2000"),
    ("ramean", "decmean"),
    ("right_ascension", "declination"),
    ("alpha", "delta"),
)
_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL")


def quoted(name: str) -> str:
    """A column's name for SQL, in double quotes: archives have columns like ``BP-RP`` and ``_RA.icrs``."""
    return '"' + name.replace('"', '""') + '"'


def quoted_table(name: str) -> str:
    """A table's name for SQL, each part of ``schema.table`` in double quotes."""
    return ".".join(quoted(part) for part in name.split("."))


def column_names(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    """Names and types of a table's columns, in order.

    Raises
    ------
    ValueError
        There is no such table.
    """
    try:
        rows = connection.execute(f"describe from {quoted_table(table)}").fetchall()
    except duckdb.CatalogException:
        known = connection.execute(
            "select table_name from duckdb_tables() union all select view_name from duckdb_views() where not internal"
        ).fetchall()
        raise ValueError(
            f"no table {table} in this catalogue: it has {', '.join(sorted(k[0] for k in known))}"
        ) from None
    return {row[0]: row[1] for row in rows}


def guess_position(
    connection: duckdb.DuckDBPyConnection, table: str, ra_column: str | None = None, dec_column: str | None = None
) -> tuple[str, str]:
    """Columns of right ascension and declination in degrees.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    table : str
        Table or view.
    ra_column, dec_column : str, optional
        Names, if known: then they are only checked.

    Returns
    -------
    (str, str)
        Names as the table spells them.

    Raises
    ------
    ValueError
        There is no such table or column, the columns are not numbers, or no known pair of names is among them.
    """
    types = column_names(connection, table)
    spelt = {name.lower(): name for name in types}
    if (ra_column is None) != (dec_column is None):
        raise ValueError("give both columns, of right ascension and of declination, or neither")
    if ra_column is not None and dec_column is not None:
        pair = (ra_column, dec_column)
        missing = [name for name in pair if name.lower() not in spelt]
        if missing:
            raise ValueError(f"{table} has no column {missing[0]}: it has {', '.join(types)}")
    else:
        found = [pair for pair in _POSITIONS if pair[0] in spelt and pair[1] in spelt]
        if not found:
            raise ValueError(
                f"no columns of right ascension and declination known in {table}: name them; it has {', '.join(types)}"
            )
        pair = found[0]
    ra, dec = (spelt[name.lower()] for name in pair)
    for name in (ra, dec):
        if not types[name].startswith(_NUMBERS):
            raise ValueError(f"{table}.{name} is {types[name]}, not a number of degrees: convert it first")
    return ra, dec
