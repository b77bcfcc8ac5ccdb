"""Checksums of what was written, by table and run, so that what anything else has changed is seen (`becat verify`).

Every command that wrote keeps them at its end, in table `table_checksum`: the number of rows that a run left in a table and
the sum of their hashes, which does not depend on their order. The arrays of flux, a hundred gigabytes of them in a survey, are
read once only, when they are written: each row has a CRC-32 of its own.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import duckdb
import numpy as np
from isal import isal_zlib

from becat.schema.sql_names import literal, quoted

__all__ = [
    "Difference",
    "differences",
    "engine",
    "flux_checksum",
    "keep_checksums",
    "last_run_of_checksums",
    "rows_digest",
]

# Rows with a checksum of their own; thresholds, which anybody may change; and the checksums.
LEFT_OUT = ("flux_red", "flux_blue", "selection_parameter", "table_checksum")
# Rows that becat writes and deletes and never changes: others in their place are not becat's.
NEVER_CHANGED = ("line_measurement", "profile_class", "radial_velocity", "be_score")
MODULUS = 2**61 - 1
KEPT = "table_name, written_by, n_rows, checksum, columns, engine"


@dataclass(frozen=True)
class Difference:
    """Rows of a table that are not those that a run left there."""

    table: str
    written_by: int
    n_then: int
    n_now: int
    found_before: dt.datetime | None = None

    def __str__(self) -> str:
        rows = f"{self.table}, rows of run {self.written_by}" if self.written_by else self.table
        if self.found_before:
            return f"{rows}: changed before {self.found_before:%Y-%m-%d %H:%M} UTC"
        return f"{rows}: {self.n_then:,} were written, {self.n_now:,} are there" + (
            ", with other values" if self.n_then == self.n_now else ""
        )


def flux_checksum(spectrum_id: np.ndarray, flux: np.ndarray, ivar: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """CRC-32 of each row of `flux_red` or `flux_blue`.

    Parameters
    ----------
    spectrum_id : (n,) int64 array
    flux, ivar : (n, p) float32 arrays
    mask : (n, p) uint8 array

    Returns
    -------
    (n,) int64 array
    """
    identity = np.asarray(spectrum_id, np.int64)
    arrays = (np.ascontiguousarray(flux, np.float32), np.ascontiguousarray(ivar, np.float32),
              np.ascontiguousarray(mask, np.uint8))  # fmt: skip
    sums = np.empty(len(identity), np.int64)
    for i in range(len(identity)):
        crc = isal_zlib.crc32(identity[i : i + 1].tobytes())
        for array in arrays:
            crc = isal_zlib.crc32(array[i].data, crc)
        sums[i] = crc
    return sums


def rows_digest(columns: str) -> str:
    """Expressions of SQL that tell whether rows are what they were, in any order: their number and the sum of their hashes.

    A sum, not ``bit_xor``: DuckDB puts the hash of the last column onto the others by XOR, so that the same change of it in
    two rows would cancel.

    Parameters
    ----------
    columns : str
        What is hashed of each row, with commas.
    """
    return f"count(*), (sum(hash({columns})) % {MODULUS})::bigint"


def engine() -> str:
    """What makes the hashes; those of another version of DuckDB may be others."""
    return f"DuckDB {duckdb.__version__}"


def keep_checksums(connection: duckdb.DuckDBPyConnection) -> None:
    """Write the checksums of every table as it is now.

    Parameters
    ----------
    connection : duckdb connection
        A catalogue open for writing, not in a transaction.
    """
    if not _has_checksums(connection):
        return
    _compute(connection)
    last = _last_run(connection)
    unaltered = ", ".join(f"'{table}'" for table in NEVER_CHANGED)
    connection.execute("begin transaction")
    connection.execute(
        f"""
        create or replace temp table _kept as
        select n.*, ?::bigint as last_run_id,
            coalesce(c.changed_at, case when c.checksum <> n.checksum and c.n_rows = n.n_rows
                and c.columns = n.columns and c.engine = n.engine and n.table_name in ({unaltered})
                then ?::timestamp end) as changed_at
        from _checksum n left join table_checksum c using (table_name, written_by)
        """,
        [last, dt.datetime.now(dt.UTC).replace(tzinfo=None)],
    )
    all_columns = f"{KEPT}, last_run_id, changed_at"
    connection.execute(f"""
        delete from table_checksum where (table_name, written_by) in (
            select (table_name, written_by) from (select {all_columns} from table_checksum except from _kept))
    """)
    connection.execute("""
        insert into table_checksum by name
        select k.* from _kept k anti join table_checksum using (table_name, written_by)
    """)
    connection.execute("commit")
    connection.execute("drop table _kept; drop table _checksum")


def differences(connection: duckdb.DuckDBPyConnection) -> Iterator[Difference]:
    """Tables whose rows are not those that becat left there; those whose columns or engine are others are passed over.

    Parameters
    ----------
    connection : duckdb connection
        A catalogue of which `last_run_of_checksums` gives the last run.
    """
    _compute(connection)
    rows = connection.execute(
        """
        select table_name, written_by, coalesce(c.n_rows, 0), coalesce(n.n_rows, 0),
            case when n.checksum is not distinct from c.checksum then c.changed_at end
        from table_checksum c full join _checksum n using (table_name, written_by)
        where coalesce(c.engine, $engine) = $engine
            and not exists (from table_checksum a join _checksum b using (table_name)
                where table_name = coalesce(c.table_name, n.table_name) and a.columns <> b.columns)
            and (n.checksum is distinct from c.checksum or n.n_rows is distinct from c.n_rows or c.changed_at is not null)
        order by table_name, written_by
        """,
        {"engine": engine()},
    ).fetchall()
    connection.execute("drop table _checksum")
    yield from (Difference(*row) for row in rows)


def last_run_of_checksums(connection: duckdb.DuckDBPyConnection) -> tuple[int | None, int]:
    """Last run that was there when the checksums were made (None: there are no checksums), and the last run now."""
    if not _has_checksums(connection):
        return None, _last_run(connection)
    row = connection.execute("select max(last_run_id) from table_checksum").fetchone()
    return (row[0] if row else None), _last_run(connection)


def _has_checksums(connection) -> bool:
    return bool(_tables(connection, "table_name = 'table_checksum'"))


def _last_run(connection) -> int:
    row = connection.execute("select coalesce(max(run_id), 0) from etl_run").fetchone()
    return int(row[0])


def _tables(connection, condition: str = "true") -> list[tuple[str, str]]:
    """Schema and name of the catalogue's own tables and of the archives; a user's own tables are the user's."""
    from becat.schema.tables import TABLES  # slow to import, and needed by commands that write

    found = connection.execute(
        "select schema_name, table_name from duckdb_tables() where database_name = current_database() and not temporary"
        f" and {condition} order by 1, 2"
    ).fetchall()
    return [(schema, name) for schema, name in found if schema == "archive" or name in TABLES]


def _compute(connection) -> None:
    """Table `_checksum`: number and sum of hashes of the rows, by table and by the run that wrote them.

    All tables in two questions: to ask of each on its own takes longer than to answer, after every command.
    """
    connection.execute(
        "create or replace temp table _checksum (table_name text, written_by bigint, n_rows bigint, checksum bigint,"
        " columns text, engine text)"
    )
    sums = []
    for (schema, table), names in _columns(connection).items():
        hashed = ", ".join(map(quoted, names))
        run = "coalesce(run_id, 0)" if "run_id" in names else "0"
        known_as = table if schema == "main" else f"{schema}.{table}"
        sums.append(
            f"select {literal(known_as)}, {run}, {rows_digest(hashed)}, {literal(', '.join(names))}, {literal(engine())}"
            f" from {quoted(schema)}.{quoted(table)} group by 2 having count(*) > 0"
        )
    connection.execute(f"insert into _checksum {' union all '.join(sums)}")


def _columns(connection) -> dict[tuple[str, str], list[str]]:
    """Sorted names of the columns of the tables that have checksums, by schema and table."""
    tables = [each for each in _tables(connection) if each[1] not in LEFT_OUT]
    asked = (
        f"select {literal(schema)}, {literal(table)}, name"
        f" from pragma_table_info({literal(f'{quoted(schema)}.{quoted(table)}')})"
        for schema, table in tables
    )
    found: dict[tuple[str, str], list[str]] = {}
    for schema, table, name in sorted(connection.execute(" union all ".join(asked)).fetchall()):
        found.setdefault((schema, table), []).append(name)
    return found
