"""Which columns of a table hold positions."""

from __future__ import annotations

from difflib import get_close_matches

import duckdb
import pyarrow as pa

from becat.etl.catalogue.errors import is_utf8
from becat.etl.match.sexagesimal import to_degrees
from becat.schema.sql_names import quoted, quoted_table

__all__ = ["column_names", "guess_position", "position_in_degrees"]

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


def column_names(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    """Names and types of a table's columns, in order.

    Raises
    ------
    ValueError
        There is no such table.
    """
    if not is_utf8(table):
        raise ValueError(f"no table {table!r} in this catalogue, and no such file: it is not UTF-8")
    try:
        rows = connection.execute(f"describe from {quoted_table(table)}").fetchall()
    except (
        duckdb.CatalogException,
        duckdb.IOException,
        duckdb.ParserException,
    ):  # a name that ends like a file, or has many points
        known = connection.execute(
            "select table_name from duckdb_tables() union all select view_name from duckdb_views() where not internal"
        ).fetchall()
        near = get_close_matches(table.lower(), sorted({name for (name,) in known}), n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else "`show tables` in SQL lists the tables and views"
        raise ValueError(f"no table {table} in this catalogue, and no such file: {hint}") from None
    return {row[0]: row[1] for row in rows}


def guess_position(
    connection: duckdb.DuckDBPyConnection, table: str, ra_column: str | None = None, dec_column: str | None = None
) -> tuple[str, str]:
    """Columns of right ascension and declination, in degrees or as text.

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
        There is no such table or column, the columns are neither numbers nor text, or no known pair of names is among them.
    """
    types = column_names(connection, table)
    spelt = {name.lower(): name for name in types}
    if (ra_column is None) != (dec_column is None):
        raise ValueError("give both columns, right ascension and declination, or neither")
    if ra_column is not None and dec_column is not None:
        pair = (ra_column, dec_column)
        missing = [name for name in pair if name.lower() not in spelt]
        if missing:
            raise ValueError(f"{table} has no column {missing[0]}: it has {', '.join(types)}")
    else:
        found = [pair for pair in _POSITIONS if pair[0] in spelt and pair[1] in spelt]
        if not found:
            raise ValueError(
                f"no known columns of right ascension and declination in {table}: name them with --ra and --dec;"
                f" it has {', '.join(types)}"
            )
        pair = found[0]
    ra, dec = (spelt[name.lower()] for name in pair)
    for name in (ra, dec):
        if not types[name].startswith((*_NUMBERS, "VARCHAR")):
            raise ValueError(f"{table}.{name} is {types[name]}, neither degrees nor text: convert it first")
    return ra, dec


def position_in_degrees(
    connection: duckdb.DuckDBPyConnection, table: str, ra_column: str | None = None, dec_column: str | None = None
) -> tuple[str, str]:
    """SQL expressions over the columns of a table that give right ascension and declination in degrees.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Gets a temporary table of what each text means, where the columns are text: as long as it is open they hold.
    table, ra_column, dec_column
        As for `guess_position`.

    Raises
    ------
    ValueError
        As `guess_position`, or a text is no position; the message names it.
    """
    types = column_names(connection, table)
    ra, dec = guess_position(connection, table, ra_column, dec_column)
    return _degrees(connection, table, ra, types[ra], is_ra=True), _degrees(
        connection, table, dec, types[dec], is_ra=False
    )


def _degrees(connection: duckdb.DuckDBPyConnection, table: str, column: str, kind: str, *, is_ra: bool) -> str:
    if kind.startswith(_NUMBERS):
        return quoted(column)
    texts = [
        row[0] for row in connection.execute(f"select distinct {quoted(column)} from {quoted_table(table)}").fetchall()
    ]
    try:
        degrees = to_degrees(texts, is_ra=is_ra)
    except ValueError as error:
        raise ValueError(f"{table}.{column} has {error}, which is no position in degrees or sexagesimal") from None
    name = f"_{'ra' if is_ra else 'dec'}_of_text"
    connection.register("_meant", pa.table({"text": texts, "deg": pa.array(degrees, pa.float64())}))
    connection.execute(f"create or replace temporary table {name} as from _meant where text is not null")
    connection.unregister("_meant")
    return f"(select deg from {name} where text = {quoted(column)})"
