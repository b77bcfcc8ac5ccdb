"""Taking archive tables into the catalogue's file, in schema `archive`, under the archive's own column names."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from becat.etl.archives.sources import ColumnMissing, Source, source
from becat.etl.archives.tables import read_table
from becat.etl.catalogue.connection import transaction
from becat.etl.catalogue.errors import refuse_odd
from becat.etl.match.sexagesimal import to_degrees
from becat.schema.errors import BecatError
from becat.schema.sql_names import quoted
from becat.schema.words import counted

__all__ = ["WITHDRAWN", "checked", "ingest_file", "ingested", "prepare", "replaced", "store", "withdraw"]

WITHDRAWN = "withdrawn"  # in place of a hash: of a source whose rows are still to be taken out of the other tables
PIECE_BYTES = 1 << 20
MAX_WHOLE_FLOAT = 2.0**53  # a larger whole number is not exact as a float


def ingest_file(connection: duckdb.DuckDBPyConnection, name: str, path: str | Path, run_id: int = 0) -> int:
    """Take a source's table from disk; what was there of that source is replaced.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        The catalogue, open for writing and not in a transaction.
    name : str
        Source, as in sources.toml.
    path : path
        CSV, VOTable, FITS or Parquet with the archive's own column names, or a folder of such files.
    run_id : int
        Written to archive.source.

    Returns
    -------
    int
        Rows taken in; 0 where the same content is there already.

    Raises
    ------
    BecatError
        There is no such source, a file cannot be read, or lacks a column (`ColumnMissing`).
    """
    declared, path = source(name), Path(path)
    files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    if not files:
        raise BecatError(f"{path} is an empty folder: put the files of {name} in it")
    digest = hashlib.sha256(repr(declared).encode())
    for file in files:
        refuse_odd(file)
        try:
            with file.open("rb") as stream:
                while piece := stream.read(PIECE_BYTES):
                    digest.update(piece)
        except OSError as error:
            raise BecatError(f"{file} cannot be read: {error.strerror}") from None
    if ingested(connection).get(name) == digest.hexdigest():
        return 0
    tables = [checked(declared, *read_table(file), str(file)) for file in files]
    whole = pa.concat_tables(tables, promote_options="permissive") if len(tables) > 1 else tables[0]
    return store(connection, declared, whole, str(path), digest.hexdigest(), run_id)


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Make schema `archive` and its two tables of contents, if they are not there."""
    connection.execute("""
        create schema if not exists archive;
        create table if not exists archive.source (
            source text primary key, origin text, n_rows bigint, sha256 text, run_id bigint
        );
        create table if not exists archive.source_column (source text, ours text, theirs text);
    """)


def ingested(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Sources that have been taken in, with the hash of what was taken."""
    prepare(connection)
    return dict(connection.execute("select source, sha256 from archive.source").fetchall())


def replaced(connection: duckdb.DuckDBPyConnection, name: str) -> str:
    """What taking a source in anew would replace, in words; empty where there is nothing of it."""
    prepare(connection)
    row = connection.execute("select n_rows, origin from archive.source where source = ?", [name]).fetchone()
    return f"{counted(row[0], 'row')} from {row[1]}" if row else ""


def checked(declared: Source, table: pa.Table, units: dict[str, str], origin: str) -> pa.Table:
    """A source's table with its declared columns found, in the declared units, and no two names alike.

    Parameters
    ----------
    declared : Source
    table : pyarrow.Table
        With the archive's own names.
    units : dict
        Unit of each column that states one.
    origin : str
        File or service, for messages.

    Returns
    -------
    pyarrow.Table
        The same columns; of names that differ only in case the later ones end in ``_2``, ``_3``... since SQL does not
        tell them apart. The schema's metadata say which of them is which of ours.

    Raises
    ------
    ColumnMissing
        A declared column is not there.
    BecatError
        A unit cannot be converted.
    """
    names = table.column_names
    found = {ours: _find(theirs, names) for ours, theirs in declared.wanted().items()}
    for ours, theirs in found.items():
        if theirs is None and ours not in declared.optional:
            wanted = declared.wanted()[ours]
            near = difflib.get_close_matches(wanted[0], names, 1, 0.5)
            hint = f"is it now {near[0]}?" if near else "rename it"
            raise ColumnMissing(
                f"{origin}: source {declared.name} must have a column {' or '.join(wanted)} (for {ours}); {hint}"
                f" It has {', '.join(names)}"
            )
    for ours, unit in declared.units.items():
        theirs = found.get(ours)
        if theirs and theirs in units:
            table = _converted(table, theirs, units[theirs], unit, origin)
    for ours in ("match.id", *(name for name in found if name.endswith("source_id"))):
        if found.get(ours):
            _refuse_rounded(table[found[ours]], found[ours], origin)
    for ours in ("match.ra", "match.dec"):
        if found.get(ours):
            table = _in_degrees(table, found[ours], ours == "match.ra", origin)
    unique = _unique(names)
    kept = {ours: unique[names.index(theirs)] for ours, theirs in found.items() if theirs is not None}
    table = table.rename_columns(unique)
    return table.replace_schema_metadata({ours: theirs for ours, theirs in kept.items()})


def store(connection, declared: Source, table: pa.Table, origin: str, sha256: str, run_id: int) -> int:
    """Replace a source's table with a checked one, and note where it is from.

    Returns
    -------
    int
        Rows stored.
    """
    prepare(connection)
    columns = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
    columns = {ours: theirs for ours, theirs in columns.items() if ours in declared.wanted()}
    connection.register("_archive_rows", table)
    with transaction(connection):
        connection.execute(f"create or replace table archive.{quoted(declared.name)} as from _archive_rows")
        connection.execute("delete from archive.source_column where source = ?", [declared.name])
        connection.executemany(
            "insert into archive.source_column values (?, ?, ?)", [(declared.name, *pair) for pair in columns.items()]
        )
        connection.execute(
            "insert or replace into archive.source values (?, ?, ?, ?, ?)",
            [declared.name, origin, table.num_rows, sha256, run_id],
        )
    connection.unregister("_archive_rows")
    return table.num_rows


def withdraw(connection: duckdb.DuckDBPyConnection, names: Iterable[str]) -> None:
    """Empty the tables of sources; the next `becat.etl.archives.apply` takes out what followed from them, and the sources."""
    for name in sorted(set(names) & set(ingested(connection))):
        with transaction(connection):
            connection.execute(f"delete from archive.{quoted(name)}")
            connection.execute("update archive.source set sha256 = ?, n_rows = 0 where source = ?", [WITHDRAWN, name])


def _find(theirs, names):
    """The first of the accepted names that is there; in another case only if no other spelling is."""
    for wanted in theirs:
        if wanted in names:
            return wanted
    lower = {name.lower(): name for name in names}
    return next((lower[wanted.lower()] for wanted in theirs if wanted.lower() in lower), None)


def _converted(table, name, unit, wanted, origin):
    from astropy import units as u  # slow to import

    try:
        factor = u.Unit(unit).to(u.Unit(wanted))
    except (ValueError, u.UnitConversionError):
        raise BecatError(f"{origin}: column {name} is in {unit}, which is not {wanted}") from None
    if factor == 1:
        return table
    return table.set_column(table.column_names.index(name), name, pc.multiply(table[name], factor))  # pyright: ignore[reportAttributeAccessIssue]


def _refuse_rounded(values, name, origin):
    """A source_id that went through a float has lost its last digits, and names another star."""
    if pa.types.is_floating(values.type) and (pc.max(pc.abs(values)).as_py() or 0) >= MAX_WHOLE_FLOAT:  # pyright: ignore[reportAttributeAccessIssue]
        raise BecatError(
            f"{origin}: column {name} holds rounded numbers, whose last digits are lost: export the identifiers as whole"
            " numbers or as text"
        )


def _in_degrees(table, name, is_ra, origin):
    """A column of positions as numbers; older catalogues print hours, minutes and seconds."""
    values = table[name]
    if not pa.types.is_string(values.type):
        return table
    try:
        degrees = to_degrees(values.to_pylist(), is_ra=is_ra)
    except ValueError as error:
        raise BecatError(f"{origin}: column {name} holds {error}, no position in degrees or sexagesimal") from None
    return table.set_column(table.column_names.index(name), name, pa.array(degrees, pa.float64()))


def _unique(names):
    seen, unique = {}, []
    for name in names:
        seen[name.lower()] = seen.get(name.lower(), 0) + 1
        unique.append(name if seen[name.lower()] == 1 else f"{name}_{seen[name.lower()]}")
    return unique
