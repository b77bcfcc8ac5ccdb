"""Light curves that a configuration names: those that are new or have changed are read, those that it names no more go."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import duckdb

from becat.etl.catalogue.connection import Run, transaction
from becat.etl.catalogue.ledger import FileRead, file_read, forget_files, new_or_changed, write_ledger, write_rejections
from becat.etl.catalogue.versions import code_version
from becat.etl.light_curves.copies import CAUSE, bereft_copies
from becat.etl.light_curves.load import KIND, Taken, read_for_star, write_light_curve
from becat.schema.errors import BecatError

__all__ = ["find_light_curves", "name_of", "refresh_light_curves", "withdraw_light_curves"]

SUFFIXES = (".fits", ".fits.gz", ".csv", ".csv.gz", ".parquet", ".xml", ".vot")
OF_STAR = " of star "
UNREAD = "cannot be read: look at its permissions and at the disk; it is tried again"


def find_light_curves(paths: Iterable[Path], tell: Callable[[str], None]) -> list[Path]:
    """Files that are named, and those of tables in and below folders that are, in a stable order; a folder that cannot be listed is told."""

    def tell_unlisted(error: OSError) -> None:
        tell(f"{error.filename} cannot be listed ({error.strerror}): make it readable")

    found: dict[str, None] = {}
    for path in paths:
        if path.is_file():
            found[os.path.abspath(path)] = None
        for folder, folders, files in os.walk(path, onerror=tell_unlisted if path.is_dir() else None):
            folders.sort()
            tables = (name for name in sorted(files) if name.lower().endswith(SUFFIXES))
            found.update(dict.fromkeys(os.path.abspath(os.path.join(folder, name)) for name in tables))
    return [Path(file) for file in found]


def refresh_light_curves(
    connection: duckdb.DuckDBPyConnection, star_of: Mapping[Path, int], tell: Callable[[str], None]
) -> dict[str, int]:
    """Read the files that the catalogue does not have as they are now, or has of another star.

    A file that is no light curve of its star is told, recorded in `rejected_input`, and not read again until it changes or is named
    for another star; what was read of it before is taken out. One that cannot be opened is tried again, and what was read of it stays.

    Parameters
    ----------
    connection : duckdb connection
        A catalogue open for writing.
    star_of : mapping of Path to int
        star_id of each file; absolute paths.
    tell : callable
        Is given a line for each file that is read or rejected.

    Returns
    -------
    dict
        Counts: ``files`` and ``rows`` that were taken, ``unchanged`` files, ``rejected`` ones, and ``copies`` of others of the star.
    """
    version = code_version("light-curve")
    stale = {*new_or_changed(connection, list(star_of), KIND, version), *_of_another_star(connection, star_of)}
    bereft = bereft_copies(connection, {str(path) for path in stale})
    stale |= {path for path in star_of if str(path) in bereft}
    counts = {"files": 0, "rows": 0, "unchanged": len(star_of) - len(stale), "rejected": 0, "copies": 0}
    with Run(connection, "light-curve", version) as run:
        for path in sorted(stale):
            taken = _take(connection, path, star_of[path], run, tell)
            counts["rejected" if taken is None else "copies" if taken.copy_of else "files"] += 1
            counts["rows"] += taken.n_rows if taken else 0
        run.n_done, run.n_rejected = counts["rows"], counts["rejected"]
    return counts


def _of_another_star(connection, star_of: Mapping[Path, int]) -> list[Path]:
    """Files that were read, or rejected, as those of other stars."""
    rows = connection.execute(
        """
        select distinct file, star_id::varchar from light_curve
        union select file, detail from rejected_input where stage = ? and file not in (select file from light_curve)
        union select w.file, c.star_id::varchar from waiting_input w join light_curve c on c.file = w.held_by where w.cause = ?
        """,
        [KIND, CAUSE],
    ).fetchall()
    known = dict(rows)
    return [path for path, star_id in star_of.items() if known.get(str(path), str(star_id)) != str(star_id)]


def _take(connection, path: Path, star_id: int, run: Run, tell: Callable[[str], None]) -> Taken | None:
    """Read one file; None if it was rejected."""
    read = file_read(path)
    try:
        if read.unread:
            raise BecatError(f"{path} {UNREAD}")
        taken = read_for_star(connection, path, star_id)
    except BecatError as error:
        _reject(connection, read, star_id, str(error), run)
        tell(f"no light curve of star {star_id}: {error}")
        return None
    with transaction(connection):
        taken = write_light_curve(connection, taken, star_id, run)
    for line in taken.lines():
        tell(line)
    return taken


def _reject(connection, read: FileRead, star_id: int, reason: str, run: Run) -> None:
    """Record why a file was not taken, and for which star."""
    read.rejected = [(KIND, str(star_id), reason)]
    with transaction(connection):
        if read.unread:
            write_rejections(connection, [read], run.run_id)
            return
        connection.execute("delete from light_curve where file = ?", [read.file])
        forget_files(connection, [read.file])
        write_ledger(connection, [read], KIND, run.code_version, run.run_id)


def name_of(path: Path, star: str) -> str:
    """How a file or folder and the star for which it is named stand in `named_input`."""
    return f"{path.absolute()}{OF_STAR}{star}"


def withdraw_light_curves(connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> None:
    """Take out what was read of some files and folders (`name_of`), and what was rejected of them."""
    paths = {name.rpartition(OF_STAR)[0] for name in names}
    with Run(connection, "withdraw light curve") as run, transaction(connection):
        rows = connection.execute("select file from input_file where kind = ?", [KIND]).fetchall()
        gone = [file for (file,) in rows if paths & {file, *map(str, Path(file).parents)}]
        connection.execute("delete from light_curve where file in (select unnest(?::varchar[]))", [gone])
        forget_files(connection, gone)
        run.n_done = len(gone)
        run.record()
