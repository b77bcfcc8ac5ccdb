"""Names and positions for spectra whose files give none: from a table beside the files, or from SIMBAD by name.

What is given is kept in the tables `given_position` and `resolved_name`, so that it holds when a file is read again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import duckdb

from becat.etl.archives.services import SERVERS, Client
from becat.etl.archives.tables import read_table
from becat.etl.catalogue.connection import Run, transaction
from becat.etl.load.discover import SIDECAR
from becat.etl.match.sexagesimal import to_degrees
from becat.schema.errors import BecatError
from becat.schema.quality import Quality

__all__ = ["count_without_position", "give_positions", "resolve_names", "take_sidecars"]

NAMES = {
    "file": ("file", "filename", "name_of_file"),
    "designation": ("name", "designation", "object", "star"),
    "ra_deg": ("ra", "ra_deg", "raj2000"),
    "dec_deg": ("dec", "dec_deg", "dej2000"),
}


def take_sidecars(connection: duckdb.DuckDBPyConnection, paths: Iterable[str | Path] = ()) -> int:
    """Read the tables of positions that are named, and those called positions.csv in the folders of loaded spectra.

    Parameters
    ----------
    connection : duckdb connection
    paths : iterable of path
        CSV, VOTable, FITS or Parquet with columns file, and name or ra and dec (degrees, or sexagesimal hours and degrees).

    Returns
    -------
    int
        Files that were given something new.

    Raises
    ------
    BecatError
        A table cannot be read, or a row of it cannot be understood.
    """
    loaded = [row[0] for row in connection.execute("select distinct file from spectrum order by 1").fetchall()]
    folders = sorted({os.path.dirname(file) for file in loaded})
    found = [Path(os.path.abspath(path)) for path in paths]
    beside = [Path(folder, SIDECAR) for folder in folders]
    found += [path for path in beside if path.is_file() and path not in found]
    known = set(loaded)
    by_name: dict[str, list[str]] = {}
    for file in loaded:
        by_name.setdefault(os.path.basename(file), []).append(file)
    rows = [(*row, str(path)) for path in found for row in _read(path, known, by_name)]
    stored = set(connection.execute("select file, designation, ra_deg, dec_deg, origin from given_position").fetchall())
    new = [row for row in rows if row not in stored]
    if new:
        with Run(connection, "load positions") as run, transaction(connection):
            connection.executemany(
                "insert or replace into given_position values (?, ?, ?, ?, ?, ?)", [(*row, run.run_id) for row in new]
            )
            run.n_done = len(new)
    return len(new)


def _read(path: Path, known: set[str], by_name: dict[str, list[str]]) -> Iterable[tuple]:
    """File, name, right ascension and declination of each row that is of a loaded file."""
    table, _ = read_table(path)
    lower = {name.strip().lower(): name for name in table.column_names}
    columns = {ours: next((lower[n] for n in names if n in lower), None) for ours, names in NAMES.items()}
    if columns["file"] is None or (columns["designation"] is None and None in (columns["ra_deg"], columns["dec_deg"])):
        raise BecatError(f"{path} needs a column file, and name or ra and dec; it has {', '.join(table.column_names)}")
    for row in table.to_pylist():
        cell = {ours: row[theirs] if theirs else None for ours, theirs in columns.items()}
        if cell["file"] is None:
            continue
        name = str(cell["file"])
        file = os.path.normpath(os.path.join(path.parent, name))
        if file not in known:
            same = by_name.get(os.path.basename(name), [])
            if len(same) != 1:
                continue  # of a file that was not loaded, or of one of several: then its path must be given
            file = same[0]
        place = _place(cell["ra_deg"], cell["dec_deg"], f"{path}, file {name}")
        designation = None if cell["designation"] is None else str(cell["designation"])
        yield (file, designation, *place)


def _place(ra, dec, where: str) -> tuple[float, float] | tuple[None, None]:
    if ra is None or dec is None:
        return None, None
    try:
        (ra_deg,), (dec_deg,) = to_degrees([ra], is_ra=True), to_degrees([dec], is_ra=False)
    except ValueError:
        raise BecatError(f"{where}: {ra} {dec} is no position, in degrees or sexagesimal") from None
    if ra_deg is None or dec_deg is None or not (0 <= ra_deg < 360 and -90 <= dec_deg <= 90) or ra_deg == dec_deg == 0:
        raise BecatError(f"{where}: {ra} {dec} is no position on the sky")
    return ra_deg, dec_deg


def resolve_names(
    connection: duckdb.DuckDBPyConnection, servers: dict[str, str] | None = None, tell: Callable[[str], None] = print
) -> int:
    """Ask SIMBAD for the positions of spectra that have a name and none; each name is asked for once.

    Parameters
    ----------
    connection : duckdb connection
    servers : dict, optional
        Address of SIMBAD's TAP service under ``simbad_tap``, in place of its own.
    tell : callable
        Is given a line where SIMBAD cannot be reached.

    Returns
    -------
    int
        Names that were found.
    """
    rows = connection.execute("""
        select distinct coalesce(g.designation, s.designation)
        from spectrum s left join given_position g using (file)
        where coalesce(g.ra_deg, s.ra_deg) is null and coalesce(g.designation, s.designation) is not null
            and coalesce(g.designation, s.designation) not in (select designation from resolved_name)
        order by 1
    """).fetchall()
    if not rows:
        return 0
    client = Client({**SERVERS, **(servers or {})})
    answers = []
    try:
        for (name,) in rows:
            answers.append((name, *client.resolve(name)))
    except Exception as error:  # of the network or of its many clients
        words = (str(error).strip().splitlines() or [type(error).__name__])[0]
        tell(f"SIMBAD could not be asked for {len(rows) - len(answers)} names ({words}): the same command goes on")
    if answers:
        with Run(connection, "resolve names") as run, transaction(connection):
            connection.executemany(
                "insert or replace into resolved_name values (?, ?, ?, ?, ?)", [(*row, run.run_id) for row in answers]
            )
            run.n_done = len(answers)
    return sum(row[2] is not None for row in answers)


def give_positions(connection: duckdb.DuckDBPyConnection) -> int:
    """Give spectra the names and positions that are kept for them; a position that a table gives overrules the file's.

    Returns
    -------
    int
        Spectra that changed. They are of no star until `becat.etl.match.gather` is called.
    """
    cleared = ~int(Quality.NO_POSITION | Quality.POSITION_DOUBTFUL)
    connection.execute("""
        create or replace temp table given as
        select spectrum_id, coalesce(g.designation, s.designation) as designation,
            coalesce(g.ra_deg, s.ra_deg, r.ra_deg) as ra_deg, coalesce(g.dec_deg, s.dec_deg, r.dec_deg) as dec_deg
        from spectrum s
        left join given_position g using (file)
        left join resolved_name r on r.designation = coalesce(g.designation, s.designation)
        where (g.file is not null or (s.ra_deg is null and r.ra_deg is not null))
    """)
    row = connection.execute(
        f"""
        update spectrum s
        set designation = g.designation, ra_deg = g.ra_deg, dec_deg = g.dec_deg,
            star_id = case when s.ra_deg is not distinct from g.ra_deg and s.dec_deg is not distinct from g.dec_deg
                then star_id end,
            quality = case when g.ra_deg is null then quality else quality & {cleared} end
        from given g
        where s.spectrum_id = g.spectrum_id and (s.designation is distinct from g.designation
            or s.ra_deg is distinct from g.ra_deg or s.dec_deg is distinct from g.dec_deg)
        """
    ).fetchone()
    connection.execute("drop table given")
    return int(row[0]) if row else 0


def count_without_position(connection: duckdb.DuckDBPyConnection) -> int:
    """Number of spectra that have no position, and so no star."""
    row = connection.execute("select count(*) from spectrum where ra_deg is null and star_id is null").fetchone()
    return int(row[0]) if row else 0
