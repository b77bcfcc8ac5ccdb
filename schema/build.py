"""Makes a catalogue from the schema, and brings an older one up to date."""

from __future__ import annotations

import hashlib
import re
import shutil
import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

import duckdb
from duckdb_sqlalchemy import Dialect
from sqlalchemy.schema import CreateTable

from becat.schema import leftovers, parameters
from becat.schema.bind import bind
from becat.schema.digest import schema_digest
from becat.schema.grid import ARMS
from becat.schema.selection import SELECTION, Selection
from becat.schema.sql_names import literal
from becat.schema.tables import METADATA, TABLES
from becat.schema.version import becat_version
from becat.schema.view_text import fill

__all__ = [
    "AS_BUILT",
    "MACROS",
    "STORAGE_VERSION",
    "VIEWS",
    "Macro",
    "View",
    "create",
    "read_views",
    "shipped_limits",
    "upgrade",
    "write_template",
]

# The storage format that DuckDB 1.1 and later open (1.0 does not know macros as they are kept today).
STORAGE_VERSION = "v1.0.0"

# The macro that remembers which schema built a catalogue, and as what.
AS_BUILT = "as_built"

# The definitions that a catalogue holds, as it tells them itself. Of views their columns and comment: their SQL is told in
# other words once the file was closed, and who replaces a view drops its comment.
DEFINITIONS = (
    "select table_name, comment from duckdb_tables() where database_name = current_database() and not internal order by 1",
    "select table_name, column_name, data_type, comment from duckdb_columns() where database_name = current_database()"
    " and not internal order by table_name, column_name",
    "select view_name, comment from duckdb_views() where database_name = current_database() and not internal order by 1",
    "select function_name, parameters, macro_definition from duckdb_functions() where function_type = 'macro'"
    f" and database_name = current_database() and not internal and function_name <> '{AS_BUILT}' order by 1",
)

# Rows that a catalogue has once somebody has worked with it.
USED = ("from etl_run", "from selection_parameter where value <> default_value")

HERE = Path(__file__).parent
# An empty catalogue as a file, in a checkout: to copy it takes milliseconds, to build one seconds.
TEMPLATE = HERE.parent / "catalog.duckdb.template"


class View(NamedTuple):
    """A view: its name, its query, and what it means (the first comment of its file)."""

    name: str
    sql: str
    comment: str


class Macro(NamedTuple):
    """A SQL macro: its arguments, the expression it stands for, and what it means."""

    arguments: tuple[str, ...]
    sql: str
    comment: str


def _comment_and_query(text):
    lines = text.splitlines()
    n_comment = next(i for i, line in enumerate(lines) if not line.startswith("--"))
    comment = " ".join(line.removeprefix("--").strip() for line in lines[:n_comment] if not line.startswith("--:"))
    return re.sub(r"^\d+ · ", "", comment), "\n".join(lines[n_comment:]).strip()


def read_views(folder: Path, selection: Selection) -> list[View]:
    """The views of a folder, with what the declared selection writes into them.

    Parameters
    ----------
    folder : path
        One file a view, in the order of their names.
    selection : Selection
        As `becat.schema.selection.read` reads it from the same folder.
    """
    found = []
    for path in sorted(folder.glob("*.sql")):
        comment, query = _comment_and_query(path.read_text(encoding="utf-8"))
        name = path.stem.split("_", 1)[1]
        found.append(View(name, fill(query, name, selection), comment))
    return found


def _read_macros(selection):
    text = fill((HERE / "macros.sql").read_text(encoding="utf-8"), "", selection)
    pattern = r"((?:^--[^\n]*\n)*)^create or replace macro (\w+)\(([^)]*)\) as \((.*?)\n?\);$"
    for comment, name, arguments, sql in re.findall(pattern, text, re.MULTILINE | re.DOTALL):
        words = " ".join(line.removeprefix("--").strip() for line in comment.splitlines())
        yield name, Macro(tuple(a.strip() for a in arguments.split(",")), sql.strip(), words)


VIEWS: list[View] = read_views(HERE / "views", SELECTION)
MACROS: dict[str, Macro] = dict(_read_macros(SELECTION))


def _create_tables(connection):
    dialect = Dialect()
    present = {row[0] for row in connection.execute("select table_name from duckdb_tables()").fetchall()}
    for table in METADATA.sorted_tables:
        if table.name not in present:
            connection.execute(str(CreateTable(table).compile(dialect=dialect)))
        else:
            _add_columns(connection, table, dialect)
        connection.execute(f"comment on table {table.name} is {literal(table.comment or '')}")
        for column in table.columns:
            unit = f" [{column.info['unit']}]" if column.info["unit"] else ""
            connection.execute(
                f"comment on column {table.name}.{column.name} is {literal((column.comment or '') + unit)}"
            )


def _add_columns(connection, table, dialect):
    present = {row[1] for row in connection.execute(f"pragma table_info('{table.name}')").fetchall()}
    for column in table.columns:
        if column.name not in present:
            connection.execute(
                f"alter table {table.name} add column {column.name} {column.type.compile(dialect=dialect)}"
            )


# Columns of earlier versions that said again what stands elsewhere.
WITHDRAWN = {"kinematic_model": ("v_limit_km_s",)}


def _drop_withdrawn_columns(connection):
    for table, columns in WITHDRAWN.items():
        for column in columns:
            connection.execute(f"alter table {table} drop column if exists {column}")


def _create_macros(connection):
    for name, macro in MACROS.items():
        connection.execute(f"create or replace macro {name}({', '.join(macro.arguments)}) as ({macro.sql})")


def _create_views(connection):
    for view in VIEWS:
        connection.execute(f"create or replace view {view.name} as\n{_bound(view.sql)}")
        connection.execute(f"comment on view {view.name} is {literal(view.comment)}")


@cache
def _bound(sql):
    """A view as it is kept: translated once in a process, however many catalogues it makes."""
    return bind(sql, MACROS, VIEWS)


@cache
def _digest_of_schema():
    """SHA-256 of all that decides tables, macros and views, as hex digits."""
    columns = [
        (table.name, table.comment, c.name, repr(c.type), c.nullable, c.primary_key, c.comment, c.info["unit"])
        for table in METADATA.sorted_tables
        for c in table.columns
    ]
    code = [(HERE / name).read_bytes() for name in ("bind.py", "build.py")]
    return hashlib.sha256(repr((columns, MACROS, VIEWS, code)).encode()).hexdigest()


def _digest_as_built(connection):
    """SHA-256 of the schema and of the definitions in an open catalogue: whoever changes either is noticed."""
    rows = [connection.execute(sql).fetchall() for sql in DEFINITIONS]
    return hashlib.sha256(repr((_digest_of_schema(), rows)).encode()).hexdigest()


def _is_as_built(connection):
    """Whether tables, macros and views are those that this schema made, and nobody has touched them since."""
    recorded = connection.execute(
        f"select macro_definition from duckdb_functions() where function_name = '{AS_BUILT}'"
        " and database_name = current_database()"
    ).fetchone()
    return recorded is not None and recorded[0] == literal(_digest_as_built(connection))


def _fill_parameters(connection):
    """Add what is missing; a value that a user has changed stays."""
    sql = "select name, value, default_value, unit, description, reference from selection_parameter"
    present = {name: rest for name, *rest in connection.execute(sql).fetchall()}
    wanted = [(p.name, p.value, p.value, p.unit, p.description, p.reference) for p in parameters.load().values()]
    _insert(
        connection,
        "selection_parameter (name, value, default_value, unit, description, reference)",
        [row for row in wanted if present.get(row[0], [None])[1:] != list(row[2:])],
        """on conflict (name) do update set
            value = case when value = default_value then excluded.value else value end,
            default_value = excluded.default_value, unit = excluded.unit,
            description = excluded.description, reference = excluded.reference""",
    )


def _insert(connection, where, rows, otherwise=""):
    """Insert rows (tuples) into the columns of a table in one statement: one for each row takes milliseconds to plan."""
    if rows:
        places = f"({', '.join('?' * len(rows[0]))})"
        sql = f"insert into {where} values {', '.join([places] * len(rows))} {otherwise}"
        connection.execute(sql, [value for row in rows for value in row])


def _insert_missing(connection, table, rows):
    """Insert rows (dicts) whose key, their first entry, is not there yet; the columns that they lack stay NULL."""
    key = next(iter(rows[0]))
    present = {found for (found,) in connection.execute(f"select {key} from {table}").fetchall()}
    names = list(dict.fromkeys(name for row in rows for name in row))
    missing = [tuple(map(row.get, names)) for row in rows if row[key] not in present]
    _insert(connection, f"{table} ({', '.join(names)})", missing)


def _read_toml(name, key):
    rows = tomllib.loads((HERE / name).read_text(encoding="utf-8"))
    return [{key: id_} | {k: v if v != "" else "" for k, v in row.items()} for id_, row in rows.items()]


def _fill_constants(connection):
    for grid in ARMS.values():
        connection.execute(
            "insert or ignore into wavelength_grid select $arm, i + 1, $start + $step * i from range($n) as t(i)",
            {"arm": grid.arm, "start": grid.start_a, "step": grid.step_a, "n": grid.n_pixels},
        )
    models = _read_toml("kinematic_models.toml", "kinematic_model")
    for i, row in enumerate(models):
        row["is_default"] = i == 0
    _correct_pole(connection)
    _insert_missing(connection, "kinematic_model", models)
    _insert_missing(connection, "literature_catalogue", _read_toml("catalogues.toml", "catalogue_id"))
    _insert_missing(connection, "published_value", _read_toml("published.toml", "name"))


def shipped_limits() -> dict[str, tuple]:
    """Scale of the Maxwellian of each kinematic model, its error, km/s, and where it is from, as becat came with them."""
    names = ("maxwellian_b_km_s", "e_maxwellian_b_km_s", "maxwellian_source")
    rows = _read_toml("kinematic_models.toml", "kinematic_model")
    return {row["kinematic_model"]: tuple(row[name] for name in names) for row in rows}


def _correct_pole(connection):
    """Give the default model of an older catalogue the right Galactic pole; its velocities are computed anew by `becat match`."""
    misprinted = "kinematic_model = 'wang_2022' and pole_ra_deg = 192.95948"
    if connection.execute(f"select 1 from kinematic_model where {misprinted}").fetchone():
        connection.execute("delete from kinematics where kinematic_model = 'wang_2022'")
        connection.execute(f"update kinematic_model set pole_ra_deg = 192.85948 where {misprinted}")


def _fill_as_read(connection):
    """Give the spectra of an older catalogue their row of what the file says.

    Where something may have overruled the file, only the file knows: it is read again by the next `becat load` or `becat run`.
    """
    new = "spectrum_id not in (select spectrum_id from spectrum_as_read)"
    columns = ", ".join(column.name for column in TABLES["spectrum_as_read"].columns)
    connection.execute(f"""
        update input_file set version = 'stale:' || split_part(version, ':', 2) where kind = 'spectra' and file in (
            select file from spectrum where {new} and (
                snr_source = 'catalogue' or obsid in (select obsid from release_entry)
                or file in (select file from given_position) or designation in (select designation from resolved_name)
            )
        )
    """)
    connection.execute(f"insert into spectrum_as_read ({columns}) select {columns} from spectrum where {new}")


def _state():
    """What made a catalogue: the schema, and the version of becat."""
    return schema_digest(), becat_version()


def upgrade(connection: duckdb.DuckDBPyConnection) -> None:
    """Bring an open catalogue up to the schema: missing tables, columns and rows; all macros and views anew.

    Thresholds that a user has changed keep their values; no row of data is touched. Where this schema has built all of it,
    and nothing was changed since, only the rows are looked at.
    """
    connection.execute("begin")
    try:
        if not _is_as_built(connection):
            _create_tables(connection)
            _drop_withdrawn_columns(connection)
            _create_macros(connection)
            _create_views(connection)
            digest = literal(_digest_as_built(connection))
            connection.execute(f"create or replace macro {AS_BUILT}() as ({digest})")
        _fill_parameters(connection)
        _fill_constants(connection)
        _fill_as_read(connection)
        if connection.execute("from schema_state").fetchall() != [_state()]:
            connection.execute("delete from schema_state")
            connection.execute("insert into schema_state values (?, ?)", _state())
    except BaseException:
        connection.execute("rollback")
        raise
    connection.execute("commit")


def create(path: str | Path, template: Path = TEMPLATE) -> None:
    """Make a new, empty catalogue. It has its name only once it is whole, so that a kill leaves none that is half made.

    Parameters
    ----------
    path : path
        File to make.
    template : path
        An empty catalogue to copy where this schema built it; otherwise, or where there is none, the new one is built.

    Raises
    ------
    FileExistsError
        There is a file of that name.
    """
    path = Path(path)
    if path.exists():
        raise FileExistsError(f"{path} is there already")
    leftovers.remove_stale(path)
    half = path.with_name(f"{leftovers.own_prefix(path)}new")
    try:
        if not _copy_template(template, half):
            half.unlink(missing_ok=True)
            _build(half)
        if path.exists():
            raise FileExistsError(f"{path} is there already")
        half.rename(path)
    finally:
        for left in (half, half.with_name(f"{half.name}.wal")):
            left.unlink(missing_ok=True)


def _copy_template(template, path):
    """Copy an empty catalogue; whether there is one that opens here, is as this schema builds it, and nobody has worked with."""
    try:
        shutil.copyfile(template, path)
        with duckdb.connect(str(path), read_only=True) as connection:
            state = connection.execute("from schema_state").fetchall()
            is_used = any(connection.execute(rows).fetchone() for rows in USED)
            return state == [_state()] and not is_used and _is_as_built(connection)
    except (FileNotFoundError, duckdb.Error):
        return False


def _build(path):
    with duckdb.connect() as connection:
        connection.execute(f"attach {literal(str(path))} as catalogue (storage_version {literal(STORAGE_VERSION)})")
        connection.execute("use catalogue")
        upgrade(connection)
        connection.execute("use memory")
        connection.execute("detach catalogue")


def write_template(path: str | Path) -> None:
    """Write the empty catalogue that `becat init` copies, in place of an older one."""
    path = Path(path)
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    _build(fresh)
    fresh.replace(path)
