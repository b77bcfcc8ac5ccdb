"""Taking light curves into the catalogue."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import numpy as np

from becat.etl.catalogue.batches import insert_columns
from becat.etl.catalogue.connection import Run, transaction
from becat.etl.catalogue.ledger import file_read, forget_files, write_ledger
from becat.etl.catalogue.versions import code_version
from becat.etl.light_curves.copies import settle_copies
from becat.etl.light_curves.forms import read_light_curve
from becat.etl.light_curves.light_curve import LightCurve
from becat.schema.errors import BecatError
from becat.schema.sphere import separation_deg
from becat.schema.words import counted

__all__ = ["KIND", "Taken", "load_light_curves", "read_for_star", "write_light_curve"]

KIND = "light curve"  # of the files in the ledger
FILE_OF_STAR_ARCSEC = 10.0  # half a pixel of TESS: how far off the star of a file may be


@dataclass(frozen=True)
class Taken:
    """One file and what was taken of it: nothing, if it is the copy of another."""

    path: Path
    found: LightCurve
    copy_of: str = ""

    @property
    def n_rows(self) -> int:
        """Rows that are in the catalogue from it."""
        return 0 if self.copy_of else len(self.found)

    def lines(self) -> list[str]:
        """What is to be told of it."""
        if self.copy_of:
            return [f"{self.path}: not taken, its measurements are those of {self.copy_of}"]
        bands = sorted({band for band in self.found.columns["band"] if band and band != self.found.source})
        what = f"{self.found.source}{' ' if bands else ''}{', '.join(bands)}"
        n_limits = int(self.found.columns["is_limit"].sum())
        limits = f", {n_limits:,} of them limits" if n_limits else ""
        first = f"{self.path}: {counted(len(self.found), 'row')} of {what}{limits}, times {self.found.time_system}"
        return [
            "; ".join((first, *self.found.remarks)),
            *(f"  left out: {n:,} {words}" for words, n in self.found.left_out.items()),
        ]


def load_light_curves(connection: duckdb.DuckDBPyConnection, star_id: int, paths: list[Path]) -> list[Taken]:
    """Take the photometry of some files as that of a star; what came from these files before is replaced.

    The rows that were left out are counted in `rejected_input`, by reason.

    Parameters
    ----------
    connection : duckdb connection
        A catalogue open for writing.
    star_id : int
    paths : list of Path

    Returns
    -------
    list of Taken
        A file each.

    Raises
    ------
    BecatError
        A file is no light curve of a known form, or says that it is of another star: nothing is taken of any then.
    """
    in_order = sorted(dict.fromkeys(paths), key=os.path.abspath)
    taken = [read_for_star(connection, path, star_id) for path in in_order]
    with Run(connection, "light-curve", code_version("light-curve")) as run, transaction(connection):
        taken = [write_light_curve(connection, one, star_id, run) for one in taken]
        run.n_done = sum(one.n_rows for one in taken)
        run.n_rejected = sum(sum(one.found.left_out.values()) for one in taken)
        run.message = f"{counted(len(taken), 'file')}, {counted(run.n_done, 'row')}, {run.n_rejected:,} left out"
    return taken


def read_for_star(connection: duckdb.DuckDBPyConnection, path: Path, star_id: int) -> Taken:
    """Read the photometry of a star from a file.

    Raises
    ------
    BecatError
        The file is no light curve of a known form, or says that it is of another star; or there is no such star.
    """
    row = connection.execute("select ra_deg, dec_deg from star where star_id = ?", [star_id]).fetchone()
    if row is None:
        raise BecatError(f"there is no star {star_id}")
    taken = Taken(path, read_light_curve(path, *row))
    _refuse_another_star(taken, *row)
    return taken


def _refuse_another_star(one: Taken, ra_deg: float, dec_deg: float) -> None:
    if one.found.position_deg is None:
        return
    apart_arcsec = separation_deg(ra_deg, dec_deg, *one.found.position_deg) * 3600
    if apart_arcsec > FILE_OF_STAR_ARCSEC:
        there = "{:.5f} {:+.5f}".format(*one.found.position_deg)
        raise BecatError(
            f"{one.path} is of a star at {there}, {apart_arcsec:,.0f} arcsec from this one: give that star"
        )


def write_light_curve(connection: duckdb.DuckDBPyConnection, one: Taken, star_id: int, run: Run) -> Taken:
    """Write what was read of a file to `light_curve` and to the ledger, in place of what came from it before.

    Returns
    -------
    Taken
        It says whether the file turned out to be a copy.
    """
    file = os.path.abspath(one.path)
    read = file_read(file)
    read.n_rows = len(one.found)
    read.rejected = [(KIND, words, f"{counted(n, 'row')} left out: {words}") for words, n in one.found.left_out.items()]
    connection.execute("delete from light_curve where file = ?", [file])
    forget_files(connection, [file])
    given = {
        "file": file,
        "star_id": star_id,
        "source": one.found.source,
        "time_system": one.found.time_system,
        "run_id": run.run_id,
    }
    same = {
        name: np.full(len(one.found), value, object if isinstance(value, str) else None)
        for name, value in given.items()
    }
    insert_columns(connection, "light_curve", {**same, **one.found.columns})
    write_ledger(connection, [read], KIND, run.code_version, run.run_id)
    holder = settle_copies(connection, file, star_id, run)
    return replace(one, copy_of="" if holder == file else holder)
