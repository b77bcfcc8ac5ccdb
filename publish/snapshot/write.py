"""The published snapshot: a SQLite file made from the DuckDB catalogue and moved in place when it is whole.

Tables come with primary keys, references, indexes and a search index over names. Views stay views: their SQL is
carried over, so that a reader sees the query that decides. A view that SQLite cannot run, or runs too slowly to be
read in a browser, is written as a table instead, and `view_definition` says so.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb
from sqlalchemy import BigInteger, Boolean, Column, Double, Float, Integer, Table
from sqlglot.errors import SqlglotError
from tqdm import tqdm

from becat.publish.snapshot import figure_data as figures
from becat.publish.snapshot import metadata, profiles, provenance, recount
from becat.publish.snapshot.address import address_of
from becat.publish.snapshot.kinds import write_kinds
from becat.publish.snapshot.transpile import read_macros, to_sqlite
from becat.schema import build, leftovers
from becat.schema.errors import BecatError
from becat.schema.find_star import NAMES
from becat.schema.simulated import IS_SIMULATED, simulated_sql
from becat.schema.sql_names import literal
from becat.schema.tables import TABLES

__all__ = ["UNPUBLISHED", "Published", "write"]

BATCH_ROWS = 20_000
SLOW_VIEW_S = 0.5  # to read all rows, as sorting them or counting by a column does: longer is felt as a wait
SLOW_PAGE_S = 0.05  # to read the rows of one page, or those of one star
PAGE_ROWS = 51
MATERIALISED_ROWS_MAX = 1_000_000  # a view of more rows stays a view, to be asked for one star
ABANDONED_VIEW_S = 2.0  # from then on DuckDB gives the rows sooner
TOO_SLOW = f"it takes over {ABANDONED_VIEW_S:.0f} s to read"
# Too big for a browser; the machine's own paths; what was to be fetched.
UNPUBLISHED = (
    "flux_red",
    "flux_blue",
    "input_file",
    "download_plan",
    "download_rate",
    "given_position",
    "spectrum_as_read",
    "waiting_input",
    "named_input",
    "schema_state",
    "table_checksum",
)
INDEXES = {
    "star": ["dec_deg, ra_deg"],
    "spectrum": ["dec_deg, ra_deg", "designation"],
    "star_alias": ["designation"],
    "be_score": ["be_probability"],
    "line_measurement": ["ew_halpha_a"],
    "kinematics": ["v_tp_km_s"],
    "light_curve": ["star_id"],
}


@dataclass(frozen=True)
class Published:
    """What a snapshot holds."""

    path: Path
    n_tables: int
    n_views: int
    materialised: dict[str, str]
    n_rows: int
    n_profiles: int
    n_spectra: int
    size_bytes: int
    seconds: float


def write(
    catalogue: str | Path | duckdb.DuckDBPyConnection,
    out_path: str | Path,
    *,
    profile_sql: str = "",
    slow_view_s: float = SLOW_VIEW_S,
    progress: bool = True,
) -> Published:
    """Write the snapshot of a catalogue.

    Parameters
    ----------
    catalogue : path or DuckDB connection
        The catalogue; a path is opened for reading only.
    out_path : path
        The SQLite file. It is written under a temporary name beside it and moved in place in one step; a reader of
        the old file keeps it until it opens the new one.
    profile_sql : str, optional
        A query in DuckDB's dialect whose column ``spectrum_id`` says which spectra get their rectified H-alpha
        profile published; by default that of `becat.publish.snapshot.profiles.chosen_sql`.
    slow_view_s : float
        A view that takes longer than this, in seconds, is written as a table.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Published

    Raises
    ------
    BecatError
        The catalogue cannot be opened or the snapshot cannot be written.
    """
    out = Path(out_path)
    refuse_what_is_no_snapshot(out)
    if isinstance(catalogue, str | Path):
        with closing(_open(Path(catalogue))) as source:
            return _write(source, out, profile_sql, slow_view_s, progress)
    return _write(catalogue.cursor(), out, profile_sql, slow_view_s, progress)


def refuse_what_is_no_snapshot(path: Path) -> None:
    """Raise `BecatError` for a file that holds something else, such as the catalogue itself or the labels: it would be lost."""
    if not path.is_file() or not path.stat().st_size:
        return
    with path.open("rb") as file:
        is_snapshot = file.read(16) == b"SQLite format 3\0"
    with suppress(sqlite3.Error), closing(sqlite3.connect(address_of(path), uri=True)) as connection:
        names = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
        is_snapshot = not names or "view_definition" in names
    if not is_snapshot:
        raise BecatError(f"{path} exists and is not a snapshot, and would be replaced: name another file")


def _open(path: Path) -> duckdb.DuckDBPyConnection:
    if not path.is_file():
        raise BecatError(f"there is no catalogue {path}: make one with `becat init {path}`")
    try:
        return duckdb.connect(str(path), read_only=True)
    except duckdb.IOException as error:
        raise BecatError(f"{path} cannot be opened; is another becat writing to it? ({error})") from error


def _write(source, out: Path, profile_sql: str, slow_view_s: float, progress: bool) -> Published:
    started = time.perf_counter()
    temporary = out.with_name(f"{leftovers.own_prefix(out)}tmp")
    temporary.unlink(missing_ok=True)
    try:
        leftovers.remove_stale(out)
        source.execute("begin transaction")  # one consistent state of the catalogue, whatever is written meanwhile
        with closing(sqlite3.connect(temporary)) as target:
            target.executescript("pragma journal_mode = off; pragma synchronous = off; pragma page_size = 8192;")
            published = _fill(source, target, profile_sql, slow_view_s, progress)
        source.execute("rollback")
        _move(temporary, out)
        metadata.write(out)
    except (duckdb.BinderException, duckdb.CatalogException) as error:
        raise BecatError(f"another becat made the catalogue; `becat upgrade` brings it up to date ({error})") from error
    except OSError as error:
        raise BecatError(f"{out} cannot be written: {error.strerror or error}") from error
    except sqlite3.OperationalError as error:
        raise BecatError(f"{out} cannot be written: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return Published(path=out, size_bytes=out.stat().st_size, seconds=time.perf_counter() - started, **published)


def _fill(source, target: sqlite3.Connection, profile_sql: str, slow_view_s: float, progress: bool) -> dict:
    tables = [table for name, table in TABLES.items() if name not in UNPUBLISHED and _exists(source, name)]
    counts = {table.name: _count(source, table.name) for table in tables}
    prefix = _common_directory(source)
    with tqdm(total=sum(counts.values()), unit=" rows", desc="publishing", disable=None if progress else True) as bar:
        for table in tables:
            _copy_table(source, target, table, prefix, bar)
    _write_search(source, target)
    n_profiles = profiles.copy(source, target, profile_sql)
    provenance.write(source, target)
    recount.write(source, target)
    figures.write(source, target)
    write_kinds(source, target)
    target.execute("analyze")  # before the views are timed: the planner needs it
    kinds = _write_views(source, target, slow_view_s)
    target.execute("analyze")
    target.commit()
    materialised = {name: reason for name, reason in kinds.items() if reason}
    return {
        "n_tables": len(tables),
        "n_views": len(kinds) - len(materialised),
        "materialised": materialised,
        "n_rows": sum(counts.values()),
        "n_profiles": n_profiles,
        "n_spectra": counts["spectrum"],
    }


def _move(temporary: Path, out: Path) -> None:
    with open(temporary, "rb") as written:
        os.fsync(written.fileno())
    os.replace(temporary, out)
    folder = os.open(out.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _exists(source, name: str) -> bool:
    found = source.execute("select count(*) from duckdb_tables() where table_name = ?", [name]).fetchone()
    return bool(found[0])


def _count(source, name: str) -> int:
    return source.execute(f'select count(*) from "{name}"').fetchone()[0]


def _common_directory(source) -> str:
    """The directory that all input files share, with its closing slash: readers need not see the machine's layout."""
    of_files = " union all ".join(
        f"select file from {table}" for table in ("spectrum", "rejected_input", "light_curve")
    )
    sql = f"select min(file), max(file) from ({of_files})"
    first, last = source.execute(sql).fetchone()
    shared = os.path.commonprefix([first or "", last or ""])  # noqa: RUF071 - of the strings; cut at a slash below
    return shared[: shared.rfind("/") + 1]


def _declared_type(column: Column) -> str:
    if column.name.endswith("source_id"):
        return "TEXT"
    if isinstance(column.type, Integer | BigInteger | Boolean):
        return "INTEGER"
    return "REAL" if isinstance(column.type, Float | Double) else "TEXT"


def _value_sql(column: Column, prefix: str) -> str:
    """How a column is read from DuckDB: NaN becomes NULL, and numbers that JavaScript would round become text."""
    name = f'"{column.name}"'
    if column.name.endswith("source_id"):
        return f"cast({name} as varchar)"
    if isinstance(column.type, Boolean):
        return f"cast({name} as integer)"
    if isinstance(column.type, Float | Double):
        return f"case when isfinite({name}) then {name} end"
    if column.name == "file" and prefix:
        return (
            f"case when starts_with({name}, {literal(prefix)}) then substr({name}, {len(prefix) + 1}) else {name} end"
        )
    return name if isinstance(column.type, Integer | BigInteger) else f"cast({name} as varchar)"


def _copy_table(source, target: sqlite3.Connection, table: Table, prefix: str, bar: tqdm) -> None:
    keys = [column.name for column in table.primary_key]
    simulated = simulated_sql(table.name, table.columns.keys())
    target.execute(_create_sql(table, keys, is_told=bool(simulated)))
    values = [_value_sql(column, prefix) for column in table.columns]
    values += [f"cast({simulated} as integer)"] if simulated else []
    order = f" order by {', '.join(keys)}" if keys else ""
    source.execute(f'select {", ".join(values)} from "{table.name}"{order}')
    insert = f'insert into "{table.name}" values ({", ".join("?" * len(values))})'
    for rows in _batches(source):
        target.executemany(insert, rows)
        bar.update(len(rows))
    for columns in _indexes(table, keys):
        name = f"{table.name}_{columns.replace(', ', '_')}"
        target.execute(f'create index "idx_{name}" on "{table.name}" ({columns})')


def _batches(source) -> Iterator[list]:
    while rows := source.fetchmany(BATCH_ROWS):
        yield rows


def _create_sql(table: Table, keys: list[str], is_told: bool) -> str:
    """What makes a table; `is_told`: its star or spectrum tells which rows are simulated."""
    lines = []
    for column in table.columns:
        single = " primary key" if keys == [column.name] else ""
        required = " not null" if not column.nullable and not single else ""
        lines.append(f'"{column.name}" {_declared_type(column)}{single}{required}')
    if is_told:
        lines.append(f'"{IS_SIMULATED}" INTEGER')
    if len(keys) > 1:
        lines.append(f"primary key ({', '.join(keys)})")
    for column in table.columns:
        other, _, key = column.info.get("refers", "").partition(".")
        if other and other not in UNPUBLISHED:
            lines.append(f'foreign key ("{column.name}") references "{other}" ("{key}")')
    without_rowid = " without rowid" if len(keys) > 1 else ""
    return f'create table "{table.name}" (\n  ' + ",\n  ".join(lines) + f"\n){without_rowid}"


def _indexes(table: Table, keys: list[str]) -> list[str]:
    """Columns to index: those that refer to another table and do not lead the key, those often searched or counted by."""
    referring = [column.name for column in table.columns if "refers" in column.info and column.name != "run_id"]
    wanted = [*referring, *INDEXES.get(table.name, ()), *metadata.FACETS.get(table.name, ())]
    return [name for name in dict.fromkeys(wanted) if keys[:1] != [name]]


def _write_search(source, target: sqlite3.Connection) -> None:
    """An index over all names of a star, in pieces of three letters: part of a designation is enough to find it."""
    target.execute("create virtual table star_search using fts5(names, squeezed, tokenize = 'trigram')")
    source.execute(
        f"with names as ({NAMES}) select star_id, string_agg(name, ' ' order by name),"
        " string_agg(upper(replace(name, ' ', '')), chr(10) order by name) from names group by star_id order by star_id"
    )
    for rows in _batches(source):
        target.executemany("insert into star_search (rowid, names, squeezed) values (?, ?, ?)", rows)


def _write_views(source, target: sqlite3.Connection, slow_view_s: float) -> dict[str, str]:
    """Create every view and say, for each that had to become a table, why."""
    target.execute(
        "create table view_definition (name text primary key, position integer, description text, kind text,"
        " reason text, n_rows integer, seconds real, sql_duckdb text, sql_sqlite text)"
    )
    macros, columns = read_macros(source), _columns_of_views(source)
    kinds: dict[str, str] = {}
    for position, view in enumerate(build.VIEWS, 1):
        translated, reason, seconds, page_s, n_rows = _try_view(target, view, macros, columns[view.name])
        if reason:
            n_rows = _count(source, view.name)
            if reason == TOO_SLOW and n_rows > MATERIALISED_ROWS_MAX:
                target.execute(_view_sql(view, translated))
                reason = ""
            else:
                _copy_view(source, target, view.name)
        elif translated and n_rows <= MATERIALISED_ROWS_MAX and (seconds > slow_view_s or page_s > SLOW_PAGE_S):
            reason = f"it takes {seconds:.2g} s to read, {page_s:.2g} s for one page or star"
            _materialise(target, view.name, translated)
        kinds[view.name] = reason
        target.execute(
            "insert into view_definition values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                view.name,
                position,
                view.comment,
                "table" if reason else "view",
                reason,
                n_rows,
                seconds,
                view.sql,
                translated,
            ),
        )
    return kinds


def _columns_of_views(source) -> dict[str, list[str]]:
    """Columns of every view, in order, as the catalogue tells them: to describe a view is to plan it, which takes milliseconds."""
    found: dict[str, list[str]] = {}
    sql = (
        "select table_name, column_name from duckdb_columns()"
        " where database_name = current_database() and schema_name = current_schema() order by column_index"
    )
    for name, column in source.execute(sql).fetchall():
        found.setdefault(name, []).append(column)
    for view in build.VIEWS:
        if view.name not in found:
            raise duckdb.CatalogException(f"there is no view {view.name}")
    return found


def _try_view(target, view: build.View, macros, columns) -> tuple[str | None, str, float, float, int]:
    """The SQL in SQLite's dialect, why SQLite cannot run it ("" if it can), seconds for all rows and for a page, rows.

    Seconds are of the processor, so that a busy machine publishes the same views as an idle one.
    """
    translated = None
    started = time.thread_time()
    try:
        translated = to_sqlite(view.sql, macros, columns)
        target.execute(_view_sql(view, translated))
        started = time.thread_time()
        target.set_progress_handler(lambda: time.thread_time() - started > ABANDONED_VIEW_S, 10_000)
        cursor = target.execute(f'select * from "{view.name}"')
        first = cursor.fetchmany(PAGE_ROWS)
        page_s = time.thread_time() - started
        n_rows = len(first) + sum(1 for _ in cursor)
        seconds = time.thread_time() - started
        ids = dict(zip((column[0] for column in cursor.description), first[-1] if first else (), strict=False))
        for column in {"star_id", "spectrum_id"} & set(ids) if page_s <= SLOW_PAGE_S else ():
            page_s = max(page_s, _seconds_of_one(target, view.name, column, ids[column]))
        return translated, "", seconds, page_s, n_rows
    except (sqlite3.Error, SqlglotError, ValueError) as error:
        target.set_progress_handler(None, 0)
        target.execute(f'drop view if exists "{view.name}"')
        reason = TOO_SLOW if str(error) == "interrupted" else f"SQLite cannot run it: {error}"
        return translated, reason, time.thread_time() - started, 0.0, 0
    finally:
        target.set_progress_handler(None, 0)


def _seconds_of_one(target: sqlite3.Connection, name: str, column: str, number: int) -> float:
    """Seconds that a view takes when it is joined to one star or spectrum."""
    started = time.thread_time()
    sql = f'select * from (select ? as number) as one left join "{name}" as view on view."{column}" = one.number'
    target.execute(sql, (number,)).fetchall()
    return time.thread_time() - started


def _view_sql(view: build.View, translated: str | None) -> str:
    comment = view.comment.replace("*/", "")
    return f'create view "{view.name}" as\n/* {comment} */\n{translated}'


def _materialise(target: sqlite3.Connection, name: str, translated: str) -> None:
    """Put a table with the same rows in the place of a view.

    The table gets its name at once: to rename one, SQLite reads every view of the file again, half a second each time.
    """
    target.execute(f'drop view "{name}"')
    target.execute(f'create table "{name}" as\n{translated}')
    _index_ids(target, name)


def _index_ids(target: sqlite3.Connection, name: str) -> None:
    """Index what is asked for by number, and what its page counts by."""
    columns = {row[1] for row in target.execute(f'pragma table_info("{name}")')}
    for column in sorted(columns & {"star_id", "spectrum_id", *metadata.FACETS.get(name, ())}):
        target.execute(f'create index "idx_{name}_{column}" on "{name}" ("{column}")')


def _copy_view(source, target: sqlite3.Connection, name: str) -> None:
    """Write the rows of a view of DuckDB as a table."""
    described = source.execute(f'describe "{name}"').fetchall()
    columns = [(column, type_) for column, type_, *_ in described]
    declared = ", ".join(f'"{column}" {_sqlite_type(column, type_)}' for column, type_ in columns)
    target.execute(f'create table "{name}" ({declared})')
    source.execute(f'select {", ".join(_view_value(column, type_) for column, type_ in columns)} from "{name}"')
    for rows in _batches(source):
        target.executemany(f'insert into "{name}" values ({", ".join("?" * len(columns))})', rows)
    _index_ids(target, name)


def _sqlite_type(column: str, type_: str) -> str:
    if column.endswith("source_id"):
        return "TEXT"
    if type_ in ("FLOAT", "DOUBLE") or type_.startswith("DECIMAL"):
        return "REAL"
    return "INTEGER" if "INT" in type_ or type_ == "BOOLEAN" else "TEXT"


def _view_value(column: str, type_: str) -> str:
    kind = _sqlite_type(column, type_)
    if type_ in ("FLOAT", "DOUBLE"):
        return f'case when isfinite("{column}") then "{column}" end'
    return f'cast("{column}" as {"bigint" if kind == "INTEGER" else "double" if kind == "REAL" else "varchar"})'
