"""A process that answers one query and ends: ``python -m becat.publish.vo.tap.worker``, the question as JSON on its input.

A stranger's query runs here and not in the server: whatever it does to memory, disk or time ends with this process. The
answer lies in the folder that the question names: ``result``, and ``outcome.json`` that says how it went.
"""

from __future__ import annotations

import csv
import errno
import json
import os
import resource
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import IO

from becat.publish.allowed_sql import guard
from becat.publish.guarded import SQL_BYTES_MAX
from becat.publish.snapshot.address import address_of
from becat.publish.vo.tap import upload, walls
from becat.publish.vo.tap.adql import AdqlError, translate
from becat.publish.vo.tap.geometry import decode, register
from becat.publish.vo.votable import Field, end, row_element, start

__all__ = ["FORMATS", "answer", "catalogue", "connect"]

FORMATS = {
    "votable": "application/x-votable+xml;serialization=TABLEDATA",
    "csv": "text/csv;header=present;charset=utf-8",
    "tsv": "text/tab-separated-values;charset=utf-8",
    "fits": "application/fits",
}
KIND_OF_TYPE = {"unicodeChar": "text", "short": "short", "int": "int", "long": "long", "double": "double"}
DECLARED = ("short", "int", "float", "double", "text", "char", "timestamp")
KIND_IN_FITS = dict.fromkeys(("point", "circle", "polygon", "char", "timestamp"), "text") | {"float": "double"}
MEMORY_BYTES = 2 << 30
VALUE_BYTES = 10_000_000
OPEN_TABLES = ("schemas", "tables", "columns", "keys", "key_columns")


def connect(snapshot: str, tap_schema: str) -> sqlite3.Connection:
    """A connection that can read the two files, and nothing else: `becat` is the snapshot, `tap_schema` describes it.

    What comes with a query goes to `tap_upload`, in memory or, if it is big, in the query's own folder.
    """
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for name, path in (("becat", snapshot), ("tap_schema", tap_schema)):
        connection.execute(f"attach ? as {name}", (address_of(path),))
    connection.execute("attach '' as tap_upload")
    connection.execute("pragma case_sensitive_like = on")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES)
    connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, SQL_BYTES_MAX)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    return connection


def catalogue(connection: sqlite3.Connection) -> dict[tuple[str, str], dict[str, Field]]:
    """What may be asked for, from TAP_SCHEMA."""
    found: dict[tuple[str, str], dict[str, Field]] = {}
    rows = connection.execute(
        "select table_name, column_name, datatype, unit, ucd, description from tap_schema.columns order by rowid"
    )
    for table, name, datatype, unit, ucd, description in rows:
        schema, _, table = table.lower().partition(".")
        column = Field(name.strip('"'), KIND_OF_TYPE[datatype], unit or "", ucd or "", description or "")
        found.setdefault((schema, table), {})[column.name] = column
    return found


def answer(question: dict, folder: Path) -> dict:
    """Run a query and write its rows.

    Parameters
    ----------
    question : dict
        ``snapshot``, ``tap_schema`` (paths), ``adql``, ``format`` (a key of `FORMATS`), ``rows_max``; where tables are
        brought, ``uploads`` (files by name of the table) and ``upload_rows_max``.
    folder : path
        Gets the file ``result``.

    Returns
    -------
    dict
        ``ok``; ``rows``, ``overflow`` and ``content_type``, or ``error``.
    """
    with closing(connect(question["snapshot"], question["tap_schema"])) as connection:
        complaints = register(connection)
        try:
            known = catalogue(connection)
            if question.get("uploads"):
                known |= upload.load(connection, question["uploads"], question["upload_rows_max"])
            query = translate(question["adql"], known)
            allowed = guard(connection, pages=False)  # the second wall, behind the ADQL that was checked
            rows = Rows(allowed.explained(connection.execute, query.sql), question["rows_max"])
            write = {"votable": _write_votable, "fits": _write_fits}.get(question["format"], _write_text)
            write(rows, query.columns, question, folder)
        except AdqlError as error:
            return {"ok": False, "error": str(error)}
        except (sqlite3.Error, OverflowError) as error:
            return {"ok": False, "error": complaints[-1] if complaints else _said(error)}
        except MemoryError:
            return {
                "ok": False,
                "error": "the answer does not fit in the memory that a query may use: ask for fewer rows",
            }
        except OSError as error:
            is_full = error.errno == errno.ENOSPC
            what = (
                "there is no room on the disk of this service"
                if is_full
                else "the answer is larger than this service allows"
            )
            return {"ok": False, "error": f"{what}: ask for fewer rows ({error.strerror})"}
    return {"ok": True, "rows": rows.count, "overflow": rows.overflow, "content_type": FORMATS[question["format"]]}


def _said(error: Exception) -> str:
    text = str(error)
    if "disk I/O" in text or "is full" in text:
        return "the query needs more room on disk than it may use: ask for fewer rows"
    return text.replace('"', "")


class Rows:
    """Rows of a query up to a number, shapes as text, and what kinds of values each column had."""

    def __init__(self, cursor: sqlite3.Cursor, rows_max: int):
        self.cursor, self.rows_max = cursor, rows_max
        self.count, self.overflow = 0, False
        self.seen: list[set[str]] = [set() for _ in cursor.description]

    def __iter__(self) -> Iterator[list]:
        for row in self.cursor:
            if self.count == self.rows_max:
                self.overflow = True
                return
            self.count += 1
            yield [self._value(value, seen) for value, seen in zip(row, self.seen, strict=True)]

    def _value(self, value, seen: set[str]):
        if isinstance(value, bytes):
            shape = decode(value)
            seen.add("polygon" if shape.kind == "box" else shape.kind)
            return shape.text()
        if value is not None:
            seen.add(type(value).__name__)
        return value

    def fields(self, columns: Sequence[Field]) -> list[Field]:
        """The columns as they came out: a kind that the values contradict is widened."""
        return [
            replace(column, kind=_widened(column.kind, seen)) for column, seen in zip(columns, self.seen, strict=True)
        ]


def _widened(kind: str, seen: set[str]) -> str:
    shapes = seen & {"point", "circle", "polygon"}
    if shapes and len(seen) == 1:
        return shapes.pop()
    if "str" in seen or shapes:
        return kind if kind in ("char", "timestamp") else "text"
    if "float" in seen:
        return "float" if kind == "float" else "double"
    return "long" if seen and kind not in DECLARED else kind


def _write_votable(rows: Rows, columns: Sequence[Field], question: dict, folder: Path) -> None:
    """The rows go to a file of their own first: only the last one shows what the header must say."""
    with open(folder / "rows", "w", encoding="utf-8") as body:
        for row in rows:
            body.write(row_element(row) + "\n")
    infos = [("QUERY", question["adql"]), ("QUERY_LANGUAGE", "ADQL"), *question.get("infos", [])]
    with open(folder / "result", "w", encoding="utf-8") as out:
        for line in start(rows.fields(columns), name="result", infos=infos):
            out.write(line + "\n")
        with open(folder / "rows", encoding="utf-8") as body:
            _copy(body, out)
        out.write(end(rows.overflow))
    (folder / "rows").unlink()


def _copy(source: IO[str], target: IO[str]) -> None:
    while piece := source.read(1 << 20):
        target.write(piece)


def _write_text(rows: Rows, columns: Sequence[Field], question: dict, folder: Path) -> None:
    tabs = question["format"] == "tsv"
    with open(folder / "result", "w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, dialect="excel-tab" if tabs else "excel")
        writer.writerow([column.name for column in columns])
        writer.writerows(rows)


def _write_fits(rows: Rows, columns: Sequence[Field], question: dict, folder: Path) -> None:
    from becat.publish.vo.fits_table import (
        to_fits,  # here, because astropy takes longer to load than most queries to run
    )

    found = list(rows)
    fields = [replace(field, kind=KIND_IN_FITS.get(field.kind, field.kind)) for field in rows.fields(columns)]
    (folder / "result").write_bytes(to_fits(fields, found, name="result"))


def _limit(question: dict) -> None:
    """Memory, processor time and size of files that this process may use; the system enforces them."""
    for what, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, question["seconds"] + 1),
        (resource.RLIMIT_FSIZE, question["bytes_max"]),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    os.nice(5)


def main() -> None:
    """Read a question, answer it, say how it went."""
    walls.leave_the_network()
    question = json.load(sys.stdin)
    folder = Path(question["folder"])
    _limit(question)
    walls.stay_within(folder)
    try:
        outcome = answer(question, folder)
    except MemoryError:
        outcome = {"ok": False, "error": "the query needs more memory than it may use"}
    if not outcome["ok"]:
        for name in ("rows", "result"):  # room for what follows, where they have filled the disk
            (folder / name).unlink(missing_ok=True)
    (folder / "outcome.json").write_text(json.dumps(outcome), encoding="utf-8")


if __name__ == "__main__":
    main()
