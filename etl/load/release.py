"""The release's own catalogues: S/N, T_eff, log g, [Fe/H] and radial velocity of each spectrum."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import duckdb
from tqdm import tqdm

from becat.etl.catalogue.connection import Run, transaction
from becat.etl.catalogue.errors import Rejected, refuse_odd
from becat.etl.catalogue.ledger import (
    FileRead,
    file_read,
    forget_files,
    new_or_changed,
    write_ledger,
    write_rejections,
)
from becat.etl.catalogue.versions import code_version
from becat.etl.load.release_files import COLUMNS, read_catalogue
from becat.schema.errors import BecatError

__all__ = ["VALUES", "apply_release_entries", "entries", "load_release_catalogues", "withdraw_release_catalogues"]

VALUES = COLUMNS[3:]  # all but the key
UNREAD = "open", "cannot be read: look at its permissions and at the disk; it is tried again"  # stage and reason
# Number and version of a release in the name of its catalogue, as SQL: dr10_v1.1 is later than dr9_v2.0.
RELEASE = r"coalesce(try_cast(regexp_extract(name, 'dr_?(\d+)', 1) as integer), -1)"
VERSION = (
    r"list_transform(string_split(regexp_extract(name, 'v(\d+(\.\d+)*)', 1), '.'),"
    " lambda part: coalesce(try_cast(part as integer), -1))"
)
MEASURED_WITH = ("snr_r", "rv_km_s")  # the width of the smoothing and the place of the bands depend on them


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
    for path in paths:
        refuse_odd(Path(path))
    version = code_version("release")
    # Rows of an earlier version, which did not say of which survey they are.
    connection.execute("delete from release_entry where survey is null")
    files = [Path(path).absolute() for path in paths]
    counts = {"loaded": 0, "rows": 0, "rejected": 0}
    with Run(connection, "load release catalogue", version) as run:
        for path in tqdm(
            new_or_changed(connection, files, "release catalogue", version), desc="release catalogues", disable=None
        ):
            read = file_read(path)
            if read.unread:
                counts["rejected"] += _keep_unread(connection, read, run.run_id)
                continue
            with transaction(connection):
                read = _take_in(connection, read, run.run_id)
                forget_files(connection, [read.file])
                n_loaded, n_rejected = write_ledger(connection, [read], "release catalogue", version, run.run_id)
            counts = {
                "loaded": counts["loaded"] + n_loaded,
                "rows": counts["rows"] + read.n_rows,
                "rejected": counts["rejected"] + n_rejected,
            }
        run.n_done, run.n_rejected = counts["loaded"], counts["rejected"]
    connection.execute(
        "delete from rejected_input where stage = ? and reason = ? and file in (select unnest(?::varchar[]))",
        [*UNREAD, [str(path) for path in files if os.access(path, os.R_OK)]],
    )
    return counts


def _keep_unread(connection, read: FileRead, run_id: int) -> int:
    """Reject a catalogue that cannot be read this time; what was read of it before stays."""
    read.rejected = [(UNREAD[0], "", UNREAD[1])]
    with transaction(connection):
        return write_rejections(connection, [read], run_id)


def withdraw_release_catalogues(connection: duckdb.DuckDBPyConnection, files: Sequence[str]) -> None:
    """Take catalogues of a release out again; `apply_release_entries` gives the spectra what is left."""
    with Run(connection, "withdraw release catalogue") as run, transaction(connection):
        connection.execute("delete from release_entry where file in (select unnest(?::varchar[]))", [list(files)])
        forget_files(connection, list(files))
        run.n_done = len(files)
        run.record()


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
    """Give each spectrum what the release's catalogues say of it, and where they say nothing what its own file says.

    Where two of them give a value, the one of the later release counts, by the number and version in its name (dr10_v1.0 before
    dr9_v2.0); of one release the general catalogue, which lists every spectrum, before that of the stellar parameters; then the
    first by name. Only rows that differ are written. What was measured on a spectrum whose S/N or velocity has changed is dropped.

    Returns
    -------
    int
        Number of spectra that changed.
    """
    given = ", ".join(f"if({_says(name)}, e.{name}, a.{name}) as {name}" for name in VALUES)
    wanted = ("snr_source", *VALUES)
    with Run(connection, "release") as run, transaction(connection):
        connection.execute(
            f"""
            create or replace temp table news as
            with entry as ({entries()}),
            wanted as (
                select s.spectrum_id, {given},
                    case when e.snr_r is null then a.snr_source else 'catalogue' end as snr_source
                from spectrum s
                join spectrum_as_read a using (spectrum_id)
                left join entry e
                    on s.survey = e.survey and s.obsid = e.obsid and e.lmjm = case when s.coadd then 0 else s.lmjm end
            )
            select w.*, {_differs(MEASURED_WITH)} as measured_anew
            from spectrum s join wanted w using (spectrum_id) where {_differs(wanted)}
            """
        )
        row = connection.execute("select count(*) from news").fetchone()
        run.n_done = int(row[0]) if row else 0
        if run.n_done:
            run.record()
            connection.execute(
                f"update spectrum s set {', '.join(f'{name} = n.{name}' for name in wanted)}"
                " from news n where s.spectrum_id = n.spectrum_id"
            )
            for table in ("line_measurement", "profile_class", "radial_velocity"):
                connection.execute(
                    f"delete from {table} where spectrum_id in (select spectrum_id from news where measured_anew)"
                )
        connection.execute("drop table news")
    return run.n_done


def _differs(names: Sequence[str]) -> str:
    return " or ".join(f"s.{name} is distinct from w.{name}" for name in names)


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
            select file, row_number() over (order by {RELEASE} desc, {VERSION} desc, has_parameters, name, file) as turn
            from (
                select file, lower(parse_filename(file)) as name, bool_or(teff_k is not null) as has_parameters
                from release_entry group by file
            )
        ) using (file)
        group by survey, obsid, lmjm
    """


def _says(name: str) -> str:
    """SQL condition: the catalogues give a value of this column; an error is that of its value, also where there is none."""
    return f"e.{name.removeprefix('e_')} is not null"
