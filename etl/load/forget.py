"""Files that are not there any more, and taking files out of the catalogue with all that came from them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from becat.etl.catalogue.connection import Run, transaction
from becat.etl.catalogue.ledger import OF_FILES, forget_files
from becat.schema.errors import BecatError
from becat.schema.tables import TABLES
from becat.schema.words import counted

__all__ = ["Known", "chosen", "drop_spectra", "forget", "known_files", "missing_words", "note_missing"]

# Tables with a row, or several, for each spectrum.
OF_SPECTRA = [
    table.name
    for table in TABLES.values()
    if table.name not in ("spectrum", *OF_FILES) and "spectrum_id" in table.primary_key.columns
]


@dataclass(frozen=True)
class Known:
    """A file that the catalogue knows: what it is, and how many spectra or rows are from it."""

    file: str
    kind: str
    status: str
    n_rows: int


def drop_spectra(connection: duckdb.DuckDBPyConnection, which: str, parameters: list | None = None) -> None:
    """Delete spectra with all that was made from them, in the transaction of the caller.

    Parameters
    ----------
    connection : duckdb connection
    which : str
        Condition on the table `spectrum`.
    parameters : list, optional
        Values of its question marks.
    """
    connection.execute(
        f"create or replace temp table dropped_spectrum as select spectrum_id from spectrum where {which}",
        parameters or [],
    )
    if connection.execute("select 1 from dropped_spectrum limit 1").fetchone() is None:
        return
    for table in (*OF_SPECTRA, "spectrum"):
        connection.execute(f"delete from {table} where spectrum_id in (select spectrum_id from dropped_spectrum)")


def note_missing(connection: duckdb.DuckDBPyConnection, found: Iterable[Path], run: Run) -> None:
    """Mark the files of spectra that are not there any more, and those that are back; what gave no spectrum is forgotten.

    Parameters
    ----------
    connection : duckdb connection
    found : iterable of Path
        Files that are there, as they were listed just now.
    run : Run
        Is written only where something is marked.
    """
    connection.register("_listed", pa.table({"file": pa.array([str(path) for path in found], pa.string())}))
    unlisted = "kind = 'spectra' and (status = 'missing' or file not in (select file from _listed))"
    known = {one.file: one for one in known_files(connection, unlisted)}
    connection.unregister("_listed")
    gone = _not_there(known)
    without_rows = [file for file in gone if not known[file].n_rows]
    newly = [file for file in gone if known[file].n_rows and known[file].status != "missing"]
    back = [file for file, one in known.items() if one.status == "missing" and file not in gone]
    if without_rows or newly or back:
        run.record()
        with transaction(connection):
            forget_files(connection, without_rows)
            for status, files in (("missing", newly), ("loaded", back)):
                connection.execute(
                    "update input_file set status = ? where file in (select unnest(?::varchar[]))", [status, files]
                )


def _not_there(files: Iterable[str]) -> set[str]:
    """Those of some files that do not exist. A directory is listed once; one that cannot be listed says nothing."""
    by_folder: dict[str, list[str]] = {}
    for file in files:
        by_folder.setdefault(os.path.dirname(file), []).append(file)
    gone = set()
    for folder, mine in by_folder.items():
        try:
            there = set(os.listdir(folder))
        except (FileNotFoundError, NotADirectoryError):
            there = set()
        except OSError:
            continue
        gone |= {file for file in mine if os.path.basename(file) not in there}
    return gone


def missing_words(connection: duckdb.DuckDBPyConnection) -> str:
    """How many spectra are of files that were not there at the last run, and what to do; empty where there are none."""
    row = connection.execute("""
        select count(*), count(distinct file) from spectrum where file in (
            select file from input_file where status = 'missing')
    """).fetchone()
    if not row or not row[0]:
        return ""
    return (
        f"{counted(row[0], 'spectrum is', 'spectra are')} of {counted(row[1], 'file that is', 'files that are')} no longer there:"
        " `becat forget --missing` removes them"
    )


def known_files(connection: duckdb.DuckDBPyConnection, which: str = "true") -> list[Known]:
    """Files of the ledger, and those that could never be read, in the order of their names.

    Parameters
    ----------
    connection : duckdb connection
    which : str
        Condition on file, kind, status and n_rows.
    """
    rows = connection.execute(f"""
        select file, kind, status, n_rows from (
            select file, kind, status, n_rows from input_file
            union all
            select distinct file, 'spectra', 'rejected', 0 from waiting_input where file not in (select file from input_file)
        ) where {which} order by file
    """).fetchall()
    return [Known(*row) for row in rows]


def forget(connection: duckdb.DuckDBPyConnection, files: list[str]) -> int:
    """Take files out of the catalogue: their spectra with all that was made of them, their rows of a release's catalogue, their light curves.

    Parameters
    ----------
    connection : duckdb connection
        A catalogue open for writing.
    files : list of str
        As `known_files` names them.

    Returns
    -------
    int
        Spectra that are gone.
    """
    with Run(connection, "forget") as run, transaction(connection):
        connection.execute("create or replace temp table forgotten as select unnest(?::varchar[]) as file", [files])
        row = connection.execute("select count(*) from spectrum where file in (from forgotten)").fetchone()
        drop_spectra(connection, "file in (from forgotten)")
        connection.execute("delete from release_entry where file in (from forgotten)")
        connection.execute("delete from given_position where file in (from forgotten)")
        connection.execute("delete from light_curve where file in (from forgotten)")
        forget_files(connection, files)
        run.n_done = row[0] if row else 0
        run.message = f"{counted(len(files), 'file')}, {counted(run.n_done, 'spectrum')}"
        run.record()
    return run.n_done


def chosen(connection: duckdb.DuckDBPyConnection, paths: Iterable[Path], missing: bool) -> list[Known]:
    """The files of the catalogue that are named, or lie below a folder that is; with `missing` those that are not there.

    Raises
    ------
    BecatError
        The catalogue knows no file of such a name.
    """
    known = known_files(connection)
    gone = _not_there(one.file for one in known) if missing else set()
    found = {one.file: one for one in known if one.file in gone}
    for path in paths:
        name = os.path.abspath(path)
        mine = [one for one in known if one.file == name or one.file.startswith(name.rstrip(os.sep) + os.sep)]
        if not mine:
            raise BecatError(f"the catalogue has no file {path}: select file from input_file lists those it has")
        found.update({one.file: one for one in mine})
    return sorted(found.values(), key=lambda one: one.file)
