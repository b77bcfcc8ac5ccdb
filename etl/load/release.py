"""The release's own catalogues: S/N, T_eff, log g, [Fe/H] and radial velocity of each spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
from tqdm import tqdm

from becat.etl.catalogue.connection import Run, transaction
from becat.etl.catalogue.errors import Rejected
from becat.etl.catalogue.ledger import FileRead, file_read, forget_files, new_or_changed, write_ledger
from becat.etl.catalogue.versions import code_version
from becat.etl.load.release_files import COLUMNS, read_catalogue
from becat.schema.errors import BecatError

__all__ = ["VALUES", "apply_release_entries", "entries", "load_release_catalogues"]

VALUES = COLUMNS[3:]  # all but the key


def load_release_catalogues(connection: duckdb.DuckDBPyConnection, paths: Sequence[str | Path]) -> dict[str, int]:
    """Read new or changed catalogues of a release into `release_entry`.

    Parameters
    ----------
    connection : duckdb connection
    paths : list of path
        General or stellar-parameter catalogues, CSV (also gzipped) or FITS.

    Returns
    -------
    dict
        Counts: ``loaded`` catalogues, ``rows``, ``rejected``.
    """
    missing = [str(path) for path in paths if not Path(path).exists()]
    if missing:
        raise BecatError(f"no such file: {', '.join(missing)}")
    version = code_version("release")
    # Rows of an earlier version, which did not say of which survey they are.
    connection.execute("delete from release_entry where survey is null")
    files = [Path(path).absolute() for path in paths]
    counts = {"loaded": 0, "rows": 0, "rejected": 0}
    with Run(connection, "load release catalogue", version) as run:
        for path in tqdm(
            new_or_changed(connection, files, "release catalogue", version), desc="release catalogues", disable=None
        ):
            with transaction(connection):
                read = _take_in(connection, file_read(path), run.run_id)
                forget_files(connection, [read.file])
                n_loaded, n_rejected = write_ledger(connection, [read], "release catalogue", version, run.run_id)
            counts = {
                "loaded": counts["loaded"] + n_loaded,
                "rows": counts["rows"] + read.n_rows,
                "rejected": counts["rejected"] + n_rejected,
            }
        run.n_done, run.n_rejected = counts["loaded"], counts["rejected"]
    return counts


def _take_in(connection, read: FileRead, run_id: int) -> FileRead:
    connection.execute("delete from release_entry where file = ?", [read.file])
    try:
        for batch in read_catalogue(read.file):
            connection.register("new_entry", batch.table)
            connection.execute(
                "insert or replace into release_entry by name select *, ? as file, ? as run_id from new_entry",
                [read.file, run_id],
            )
            connection.unregister("new_entry")
            read.n_rows += len(batch.table)
            read.rejected += [(r.stage, r.detail, r.reason) for r in batch.rejected]
    except Rejected as error:
        read.rejected.append((error.stage, error.detail, error.reason))
    return read


def apply_release_entries(connection: duckdb.DuckDBPyConnection) -> int:
    """Give each spectrum what the release's catalogues say of it.

    Where two of them give a value, the one of the last run that read any counts. Of those read in the same run it is the
    general catalogue's, which lists every spectrum, before that of the stellar parameters; then the first by file name.

    Only rows that differ are written. What was measured on a spectrum whose S/N or velocity has changed is
    dropped, for the width of the smoothing and the place of the bands depend on them.

    Returns
    -------
    int
        Number of spectra that changed.
    """
    differs = " or ".join(f"({_says(name)} and s.{name} is distinct from e.{name})" for name in VALUES)
    measured_anew = " or ".join(
        f"(e.{name} is not null and s.{name} is distinct from e.{name})" for name in ("snr_r", "rv_km_s")
    )
    with transaction(connection):
        connection.execute(
            f"""
            create or replace temp table news as
            with entry as ({entries()})
            select s.spectrum_id, e.* exclude (survey), ({measured_anew}) as measured_anew
            from spectrum s
            join entry e on s.survey = e.survey and s.obsid = e.obsid and e.lmjm = case when s.coadd then 0 else s.lmjm end
            where {differs}
            """
        )
        given = ", ".join(f"{name} = if({_says(name)}, e.{name}, s.{name})" for name in VALUES)
        connection.execute(
            f"update spectrum s set {given}, snr_source = case when e.snr_r is null then snr_source else 'catalogue' end"
            " from news e where s.spectrum_id = e.spectrum_id"
        )
        for table in ("line_measurement", "profile_class"):
            connection.execute(
                f"delete from {table} where spectrum_id in (select spectrum_id from news where measured_anew)"
            )
    row = connection.execute("select count(*) from news").fetchone()
    return int(row[0]) if row else 0


def entries(rows: str = "release_entry") -> str:
    """SQL of what the release's catalogues together say: survey, obsid, lmjm and `VALUES`, as `apply_release_entries` tells.

    Parameters
    ----------
    rows : str
        Table or query in parentheses: the rows of `release_entry` that are asked for.
    """
    chosen = ", ".join(
        f"arg_min_null({name}, turn) filter ({name.removeprefix('e_')} is not null) as {name}" for name in VALUES
    )
    return f"""
        select survey, obsid, lmjm, {chosen}
        from {rows} join (
            select file, row_number() over (order by max(run_id) desc, bool_or(teff_k is not null), file) as turn
            from release_entry group by file
        ) using (file)
        group by survey, obsid, lmjm
    """


def _says(name: str) -> str:
    """SQL condition: the catalogues give a value of this column; an error is that of its value, also where there is none."""
    return f"e.{name.removeprefix('e_')} is not null"
