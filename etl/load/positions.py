"""Names and positions for spectra whose files give none: from a table beside the files, or from SIMBAD by name.

What is given is kept in the tables `given_position` and `resolved_name`, so that it holds when a file is read again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import duckdb

from becat.etl.archives.tables import read_table
from becat.etl.catalogue.connection import Run, transaction
from becat.etl.load.discover import SIDECAR
from becat.etl.match.sexagesimal import to_degrees
from becat.schema.errors import BecatError
from becat.schema.quality import Quality
from becat.schema.words import counted

__all__ = ["count_without_position", "give_positions", "resolve_names", "take_sidecars", "withdraw_positions"]

NAMES = {
    "file": ("file", "filename", "name_of_file"),
    "designation": ("name", "designation", "object", "star"),
    "ra_deg": ("ra", "ra_deg", "raj2000"),
    "dec_deg": ("dec", "dec_deg", "dej2000"),
}


def take_sidecars(connection: duckdb.DuckDBPyConnection, paths: Iterable[str | Path] = ()) -> int:
    """Read the tables of positions that are named, and those called positions.csv in the folders of loaded spectra.

    Of several that speak of a file the first that is named counts, then the one beside it. What a table says no more is
    withdrawn, and so is a positions.csv that was removed.

    Parameters
    ----------
    connection : duckdb connection
    paths : iterable of path
        CSV, VOTable, FITS or Parquet with columns file, and name or ra and dec (degrees, or sexagesimal hours and degrees).

    Returns
    -------
    int
        Files of which something else is said than before.

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
    said: dict[str, tuple] = {}
    for path in found:
        for file, *place in _read(path, known, by_name):
            said.setdefault(file, (*place, str(path)))
    read_now = {str(path) for path in found}
    stored = connection.execute("select file, designation, ra_deg, dec_deg, origin from given_position").fetchall()
    before = {file: tuple(place) for file, *place in stored}
    new = [(file, *place) for file, place in said.items() if before.get(file) != place]
    gone = [
        file for file, place in before.items() if file not in said and (place[-1] in read_now or _removed(place[-1]))
    ]
    if new or gone:
        with Run(connection, "load positions") as run, transaction(connection):
            run.n_done = len(new) + len(gone)
            connection.execute("delete from given_position where file in (select unnest(?::varchar[]))", [gone])
            if new:
                connection.executemany(
                    "insert or replace into given_position values (?, ?, ?, ?, ?, ?)",
                    [(*row, run.run_id) for row in new],
                )
            run.record()
    return len(new) + len(gone)


def _removed(origin: str) -> bool:
    """Whether a table beside the files was taken away, and not the whole folder with it."""
    path = Path(origin)
    return path.name == SIDECAR and path.parent.is_dir() and not path.exists()


def withdraw_positions(connection: duckdb.DuckDBPyConnection, tables: Iterable[str]) -> None:
    """Take out what tables of positions gave; `give_positions` gives the spectra what is left."""
    with Run(connection, "withdraw positions") as run, transaction(connection):
        run.record()
        connection.execute("delete from given_position where origin in (select unnest(?::varchar[]))", [list(tables)])


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
        raise BecatError(f"{where}: {ra} {dec} is not a position in degrees or sexagesimal") from None
    if ra_deg is None or dec_deg is None or not (0 <= ra_deg < 360 and -90 <= dec_deg <= 90) or ra_deg == dec_deg == 0:
        raise BecatError(f"{where}: {ra} {dec} is not a position on the sky")
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
    from becat.etl.archives.services import SERVERS, Client  # slow to import, and rarely needed

    client = Client({**SERVERS, **(servers or {})})
    answers = []
    try:
        for (name,) in rows:
            answers.append((name, *client.resolve(name)))
    except Exception as error:  # of the network or of its many clients
        words = (str(error).strip().splitlines() or [type(error).__name__])[0]
        tell(
            f"SIMBAD could not be asked for {counted(len(rows) - len(answers), 'name')} ({words}): run the same command again to resume"
        )
    if answers:
        with Run(connection, "resolve names") as run, transaction(connection):
            connection.executemany(
                "insert or replace into resolved_name values (?, ?, ?, ?, ?)", [(*row, run.run_id) for row in answers]
            )
            run.n_done = len(answers)
    return sum(row[2] is not None for row in answers)


def give_positions(connection: duckdb.DuckDBPyConnection) -> int:
    """Give spectra the names and positions that are kept for them; a position that a table gives overrules the file's.

    Where nothing is kept for a spectrum, or no more, it has what its file says.

    Returns
    -------
    int
        Spectra that changed. They are of no star until `becat.etl.match.gather` is called.
    """
    cleared = ~int(Quality.NO_POSITION | Quality.POSITION_DOUBTFUL)
    connection.execute(f"""
        create or replace temp table given as
        with named as (
            select spectrum_id, coalesce(g.designation, a.designation) as designation, g.ra_deg as table_ra_deg,
                g.dec_deg as table_dec_deg, a.ra_deg, a.dec_deg, a.quality
            from spectrum s
            join spectrum_as_read a using (spectrum_id)
            left join given_position g on g.file = s.file
        ),
        placed as (
            select n.spectrum_id, n.designation, coalesce(table_ra_deg, n.ra_deg, r.ra_deg) as ra_deg,
                coalesce(table_dec_deg, n.dec_deg, r.dec_deg) as dec_deg,
                case when table_ra_deg is null and (n.ra_deg is not null or r.ra_deg is null) then n.quality
                    else n.quality & {cleared} end as quality
            from named n left join resolved_name r on r.designation = n.designation
        )
        select p.* from placed p join spectrum s using (spectrum_id)
        where s.designation is distinct from p.designation or s.ra_deg is distinct from p.ra_deg
            or s.dec_deg is distinct from p.dec_deg or s.quality is distinct from p.quality
    """)
    row = connection.execute("select count(*) from given").fetchone()
    n_changed = int(row[0]) if row else 0
    if n_changed:
        with Run(connection, "give positions") as run, transaction(connection):
            run.record()
            run.n_done = n_changed
            connection.execute("""
                update spectrum s
                set designation = g.designation, ra_deg = g.ra_deg, dec_deg = g.dec_deg, quality = g.quality,
                    star_id = case when s.ra_deg is not distinct from g.ra_deg and s.dec_deg is not distinct from g.dec_deg
                        then star_id end
                from given g where s.spectrum_id = g.spectrum_id
            """)
    connection.execute("drop table given")
    return n_changed


def count_without_position(connection: duckdb.DuckDBPyConnection) -> int:
    """Number of spectra that have no position, and so no star."""
    row = connection.execute("select count(*) from spectrum where ra_deg is null and star_id is null").fetchone()
    return int(row[0]) if row else 0
