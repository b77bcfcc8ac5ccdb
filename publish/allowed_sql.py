"""What SQL in a visitor's words may touch: named functions, the tables of the file, and reading; all else is refused.

SQLite asks before it runs a statement, for each function, table and column in it and in the views that it reads. What is
not named here is refused, so that a function that a later SQLite or another package brings is closed until it is put here.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from typing import Any

from becat.publish.vo.tap.geometry import FUNCTIONS as OF_THE_SKY
from becat.schema.sql_names import quoted

__all__ = ["FUNCTIONS", "Guard", "guard"]

# All of these compute from their arguments alone. What they make is bounded by SQLITE_LIMIT_LENGTH, also zeroblob and printf.
# Left out with intent: load_extension, fts3_tokenizer and fts5 (addresses in memory), sqlite_... and changes (the server's
# business), rtree... (internals of indexes that no snapshot has), readfile, writefile and edit (of SQLite's shell).
SCALAR = """
    -> ->> abs char coalesce concat concat_ws format glob hex if ifnull iif instr length like likelihood likely lower ltrim max
    min nullif octet_length printf quote random replace round rtrim sign soundex substr substring trim typeof unhex unicode
    unistr unistr_quote unlikely upper zeroblob"""
AGGREGATE = """
    avg count group_concat median percentile percentile_cont percentile_disc string_agg sum total cume_dist dense_rank
    first_value lag last_value lead nth_value ntile percent_rank rank row_number"""
TIME = "current_date current_time current_timestamp date datetime julianday strftime time timediff unixepoch"
MATHS = """
    acos acosh asin asinh atan atan2 atanh ceil ceiling cos cosh degrees exp floor ln log log10 log2 mod pi pow power radians
    sin sinh sqrt tan tanh trunc"""
JSON = """
    json json_array json_array_insert json_array_length json_each json_error_position json_extract json_group_array
    json_group_object json_insert json_object json_patch json_pretty json_quote json_remove json_replace json_set json_tree
    json_type json_valid"""
SEARCH = "bm25 highlight match snippet escape_fts"  # of the index over names; escape_fts is Datasette's
FUNCTIONS = frozenset(f"{SCALAR} {AGGREGATE} {TIME} {MATHS} {JSON} {SEARCH}".split()) | frozenset(OF_THE_SKY)
TABLES_OF_VALUES = frozenset({"json_each", "json_tree"})
ABOUT_A_TABLE = frozenset(
    {"foreign_key_list", "index_info", "index_list", "index_xinfo", "table_info", "table_xinfo"}
)  # what Datasette asks of a table
WITHOUT_ARGUMENT = frozenset({"data_version", "schema_version"})  # asked by the index over names, and by Datasette
SCHEMA = frozenset({"sqlite_master", "sqlite_schema"})


class Guard:
    """Decides for one connection what a statement may do, and remembers in words what it refused last.

    Parameters
    ----------
    tables : frozenset of str
        Tables and views that may be read.
    modules : frozenset of str
        Virtual tables that this SQLite makes when they are named.
    pages : bool
        The connection serves pages: what Datasette asks about tables is answered, and ``with recursive`` may be used.
    """

    def __init__(self, tables: frozenset[str], modules: frozenset[str], pages: bool):
        self._tables, self._modules, self._pages = tables, modules, pages
        self.refused = ""
        self._kept: dict[tuple, int] = {}  # one answer for each question: a view asks the same of many columns

    def __call__(self, action: int, first: str | None, second: str | None, _database: Any, _view: Any) -> int:
        if action == sqlite3.SQLITE_SELECT:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_READ:
            second = "*" if second else ""
        key = (action, first, second)
        if key in self._kept:
            return self._kept[key]
        words = self._complaint(action, first or "", second)
        if words:
            self.refused = words
            return sqlite3.SQLITE_DENY
        if len(self._kept) < 2000:
            self._kept[key] = sqlite3.SQLITE_OK
        return sqlite3.SQLITE_OK

    def _complaint(self, action: int, first: str, second: str | None) -> str:
        if action == sqlite3.SQLITE_FUNCTION:
            name = (second or "").lower()
            return "" if name in FUNCTIONS else f"the function {name[:60]} may not be called here"
        if action == sqlite3.SQLITE_READ:
            return "" if self._may_read(first.lower(), bool(second)) else f"the table {first[:60]} may not be read here"
        if action == sqlite3.SQLITE_RECURSIVE and self._pages:
            return ""
        if action == sqlite3.SQLITE_PRAGMA and self._pages:
            name = first.lower()
            if (name in ABOUT_A_TABLE and second) or (name in WITHOUT_ARGUMENT and not second):
                return ""
            return f"the pragma {name[:60]} may not be used here"
        return "only the published tables may be read here, and nothing may be written"

    def _may_read(self, name: str, is_column: bool) -> bool:
        if name in self._tables or name in TABLES_OF_VALUES:
            return True
        # Where no column is named (count(*)), SQLite asks also for what stands in the statement itself, after WITH. What is
        # neither a table nor a virtual one can only be that.
        return not is_column and not (name in self._modules or name.startswith(("pragma_", "sqlite_")))

    def explained(self, run: Callable, *arguments) -> Any:
        """Call what runs a statement; a refusal is told in words, as an `OperationalError`."""
        self.refused = ""
        try:
            return run(*arguments)
        except sqlite3.DatabaseError as error:
            if self.refused:
                raise sqlite3.OperationalError(self.refused) from error
            raise


def guard(connection: sqlite3.Connection, *, pages: bool = True) -> Guard:
    """Let a connection do from now on only what is allowed here.

    Parameters
    ----------
    connection : sqlite3.Connection
        With all its databases attached and its tables made.
    pages : bool
        As in `Guard`; without it the tables that SQLite keeps for itself are closed too.

    Returns
    -------
    Guard
        To be asked what it refused.
    """
    databases = [row[1] for row in connection.execute("pragma database_list")]
    tables = {
        name.lower()
        for database in databases
        for (name,) in connection.execute(
            f"select name from \"{database}\".sqlite_master where type in ('table', 'view')"
        )
    }
    tables = tables | SCHEMA if pages else {name for name in tables if not name.startswith("sqlite_")}
    _open_virtual_tables(connection)
    modules = {name.lower() for (name,) in connection.execute("pragma module_list")}
    if pages:  # SQLite does not trust the LIKE of case_sensitive_like, which ADQL needs, in the views of the file
        connection.execute("pragma trusted_schema = off")
    if sys.version_info >= (3, 12):  # before it, Python's module cannot switch this on
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)
    found = Guard(frozenset(tables), frozenset(modules), pages)
    connection.set_authorizer(found)
    return found


def _open_virtual_tables(connection: sqlite3.Connection) -> None:
    """Open the virtual tables that may be read: SQLite asks to write its schema when it opens one, and is refused later on."""
    of_file = connection.execute("select name from sqlite_master where sql like 'create virtual table%'").fetchall()
    for name in (*sorted(TABLES_OF_VALUES), *(name for (name,) in of_file)):
        connection.execute(f"select * from {quoted(name)} limit 0").fetchall()
