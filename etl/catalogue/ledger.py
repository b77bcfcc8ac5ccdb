"""The ledger of input files: what was read, as it was then, so that only what is new or has changed is read again."""

from __future__ import annotations

import hashlib
from dataclasses import astuple, dataclass, field
from pathlib import Path

import duckdb

from becat.etl.catalogue.batches import insert_columns
from becat.schema.tables import TABLES

__all__ = [
    "FileRead",
    "Waiting",
    "file_read",
    "forget_files",
    "new_or_changed",
    "size_and_time",
    "write_ledger",
    "write_rejections",
]

LEDGER = tuple(column.name for column in TABLES["input_file"].columns)
OF_FILES = ("input_file", "rejected_input", "waiting_input")


@dataclass(frozen=True)
class Waiting:
    """A cause outside of a file for which a spectrum of it, or all of it (0), was not taken: a row of `waiting_input`."""

    spectrum_id: int
    cause: str
    survey: str | None = None
    obsid: int | None = None
    lmjm: int | None = None
    held_by: str | None = None
    held_as: int | None = None
    held_content: str | None = None


@dataclass
class FileRead:
    """One file as it was when it was read, and what came of it."""

    file: str
    size_bytes: int | None
    modified_ns: int | None
    sha256: str | None
    spectra: list[dict] = field(default_factory=list)
    n_rows: int = 0
    rejected: list[tuple[str, str, str]] = field(default_factory=list)  # stage, detail, reason
    unread: bool = False  # it could not be read this time, whatever is in it
    waiting: list[Waiting] = field(default_factory=list)


def file_read(path: str | Path, bytes_max: float = float("inf")) -> FileRead:
    """A file's size, time and hash; None where it cannot be read, and no hash of one that is too large to be read."""
    size, modified = size_and_time(Path(path))
    # A pipe or a device, or too large: never to be read.
    is_odd = size is not None and (size > bytes_max or not Path(path).is_file())
    sha256 = None if is_odd else _sha256(Path(path))
    return FileRead(str(path), size, modified, sha256, unread=sha256 is None and not is_odd)


def new_or_changed(connection: duckdb.DuckDBPyConnection, files: list[Path], kind: str, version: str) -> list[Path]:
    """Files that the ledger does not know as they are now.

    Size and time of change are compared first; the content is read only where they differ. A file whose hash could not be
    taken is known by none.

    Parameters
    ----------
    connection : duckdb connection
    files : list of Path
    kind : str
        Kind of input, as in `input_file`.
    version : str
        Version of the code that would read them.

    Returns
    -------
    list of Path
    """
    rows = connection.execute(
        "select file, size_bytes, modified_ns, version, sha256 from input_file where kind = ?", [kind]
    ).fetchall()
    known = {row[0]: row[1:] for row in rows}
    todo = []
    for path in files:
        seen = known.get(str(path))
        if seen is None or seen[2] != version:
            todo.append(path)
            continue
        size, modified = size_and_time(path)
        if (size, modified) != seen[:2] and (size != seen[0] or seen[3] is None or _sha256(path) != seen[3]):
            todo.append(path)
    return todo


def forget_files(connection: duckdb.DuckDBPyConnection, files: list[str]) -> None:
    """Take the files' rows out of the ledger, the rejections and what waits, before they are written anew."""
    for table in OF_FILES:
        connection.execute(f"delete from {table} where file in (select unnest(?::varchar[]))", [files])


def write_ledger(
    connection: duckdb.DuckDBPyConnection, reads: list[FileRead], kind: str, version: str, run_id: int
) -> tuple[int, int]:
    """Write what became of the files to `input_file`, `rejected_input` and `waiting_input`.

    Returns
    -------
    (int, int)
        Files loaded, and rejections.
    """
    ledger = []
    for read in reads:
        status = "loaded" if read.n_rows else "rejected" if read.rejected else "duplicate"
        ledger.append(
            (read.file, read.size_bytes, read.modified_ns, read.sha256, kind, status, read.n_rows, version, run_id)
        )
    if ledger:
        insert_columns(connection, "input_file", dict(zip(LEDGER, map(list, zip(*ledger, strict=True)), strict=True)))
    return sum(row[5] == "loaded" for row in ledger), write_rejections(connection, reads, run_id)


def write_rejections(connection: duckdb.DuckDBPyConnection, reads: list[FileRead], run_id: int) -> int:
    """Write what was rejected of the files, and what waits for something; returns how many rejections that are."""
    rejections = [
        (read.file, stage, detail, reason, read.size_bytes, read.modified_ns, run_id)
        for read in reads
        for stage, detail, reason in read.rejected
    ]
    if rejections:
        connection.executemany("insert or replace into rejected_input values (?, ?, ?, ?, ?, ?, ?)", rejections)
    waiting = [(read.file, *astuple(one), run_id) for read in reads for one in read.waiting]
    if waiting:
        connection.executemany("insert or replace into waiting_input values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", waiting)
    return len(rejections)


def size_and_time(path: Path) -> tuple[int | None, int | None]:
    try:
        status = path.stat()
    except OSError:
        return None, None
    return status.st_size, status.st_mtime_ns


def _sha256(path: Path) -> str | None:
    """Hash of a regular file; a pipe would wait, and a device may never end."""
    if not path.is_file():
        return None
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None
