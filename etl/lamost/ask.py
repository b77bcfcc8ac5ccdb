"""The rows of a release's catalogues asked of a service, where the files are not at hand: LAMOST's SQL, VizieR, Gaia's archive.

The answers become a catalogue on disk under LAMOST's own names, of which a plan is made like of the release's file. They come in
pieces (circles on the sky, or strips of declination), each compared with the number of rows that the service counts; a piece that is
there is not asked for again.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import duckdb
from tqdm import tqdm

from becat.etl.lamost.client import room_for
from becat.etl.lamost.limits import Limits
from becat.etl.lamost.plan import positions_of_stars
from becat.etl.lamost.release_rows import NAMES
from becat.etl.lamost.wishes import Wishes
from becat.etl.load.release_files import ALL_NAMES
from becat.schema.errors import BecatError
from becat.schema.releases import Release
from becat.schema.words import counted

__all__ = ["Answer", "Service", "ask_for_catalogues"]

CIRCLES_AT_ONCE = 40  # of a list of stars: the question stands in an address, which may have some thousand characters
# What a plan reads, and what `becat load` takes of a release's catalogues.
WANTED = sorted(
    {name for names in NAMES.values() for name in names} | {n + end for n in ALL_NAMES for end in ("", "_err")}
)
ROWS_A_SECOND = (500, 1000)  # of LAMOST's SQL, as others have seen
SEPARATOR = "|"


class Service(Protocol):
    """One that can be asked in SQL."""

    name: str
    strip_deg: float  # of declination, of which a piece of a whole release is

    def tables(self, release: Release, survey: str) -> tuple[str, str]:
        """The general and the stellar-parameter table ("" where there is none)."""
        ...

    def names(self, table: str) -> dict[str, str]:
        """The columns of a table: LAMOST's own names (small letters), and the service's."""
        ...

    def constants(self, table: str) -> dict[str, str]:
        """Values of columns that the table lacks, for what is known of all its rows."""
        ...

    def remarks(self, table: str) -> list[str]:
        """What else a plan should say."""
        ...

    def circle(self, ra: str, dec: str, place: tuple[float, float, float]) -> str:
        """Condition: a position (columns) lies in a circle (degrees)."""
        ...

    def count(self, table: str, condition: str) -> int:
        """Number of rows."""
        ...

    def rows(self, table: str, columns: Sequence[str], condition: str) -> list[list[str]]:
        """The rows as text, an empty one where there is no value."""
        ...


@dataclass(frozen=True)
class Answer:
    """What a service gave.

    Attributes
    ----------
    paths : list of Path
        The catalogues.
    remarks : list of str
        What of it a plan should say.
    is_whole : bool
        Whether the whole release was asked for.
    """

    paths: list[Path]
    remarks: list[str]
    is_whole: bool


def ask_for_catalogues(
    service: Service,
    connection: duckdb.DuckDBPyConnection,
    release: Release,
    survey: str,
    wishes: Wishes,
    folder: Path,
    limits: Limits | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Answer:
    """Ask for the rows of the stars or regions that are wished, or of the whole release.

    Parameters
    ----------
    service : Service
    connection : duckdb connection
        The catalogue, where the stars may stand in a view.
    release : Release
    survey : {'mrs', 'lrs'}
    wishes : Wishes
        Stars, else regions, decide which rows; the other wishes are the plan's.
    folder : Path
        Where the catalogues are written; made if it is not there.
    limits : Limits, optional
    tell : callable
        Told how much is to come.

    Returns
    -------
    Answer

    Raises
    ------
    BecatError
        The service does not have it, cannot be reached, or does not give what it counts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    places = positions_of_stars(connection, wishes) or [tuple(circle) for circle in wishes.regions]
    one = _Question(service, release, survey, places, folder, limits or Limits(), tell)
    general, stellar = service.tables(release, survey)
    paths = [one.fetch(general, "catalogue")]
    remarks = [f"asked of {service.name}: {general}" + (f" and {stellar}" if stellar else "")]
    if stellar:
        paths.append(one.fetch(stellar, "stellar"))
    else:
        remarks.append(f"{service.name} has no table of stellar parameters")
    return Answer(paths, [*remarks, *service.remarks(general)], not places)


@dataclass(frozen=True)
class _Question:
    service: Service
    release: Release
    survey: str
    places: list
    folder: Path
    limits: Limits
    tell: Callable[[str], None]

    def fetch(self, table: str, kind: str) -> Path:
        """The rows of a table as a file; one that is there is the answer."""
        of = _digest(self.service.name, self.service.strip_deg, table, self.places, WANTED)
        version = f"_{self.release.version}" if self.release.version else ""
        name = f"{self.release.release.lower()}{version}_{self.survey.upper()}_{kind}_asked_{of}"
        target = self.folder / f"{name}.csv.gz"
        if target.is_file():
            return target
        names = self.service.names(table)
        columns = {name: names[name] for name in WANTED if name in names}
        self._check(table, columns, names)
        constants = {name: value for name, value in self.service.constants(table).items() if name not in columns}
        pieces = self.folder / f"{name}_{_digest(columns, constants)}.parts"
        pieces.mkdir(exist_ok=True)
        conditions = list(self._conditions(table, columns))
        for number, condition in enumerate(
            tqdm(conditions, desc=f"{self.service.name}: {table}", unit=" pieces", disable=None)
        ):
            self._piece(
                table, list(columns.values()), condition, list(constants.values()), pieces / f"{number:06d}.csv.gz"
            )
        self._join([*columns, *constants], pieces, len(conditions), target)
        return target

    def _check(self, table: str, columns: dict[str, str], there: dict[str, str]) -> None:
        missing = [name for name in ("obsid", "ra", "dec") if not columns.keys() & {*NAMES[name]}]
        if missing:
            raise BecatError(
                f"{self.service.name}: {table} has no column {', '.join(missing)} (there: {', '.join(list(there)[:30])}): the"
                " table has changed; fetch the catalogue's file with `becat lamost catalogue`"
            )

    def _conditions(self, table: str, columns: dict[str, str]) -> Iterator[str]:
        ra, dec = (next(columns[name] for name in NAMES[of] if name in columns) for of in ("ra", "dec"))
        if self.places:
            circles = [self.service.circle(ra, dec, place) for place in self.places]
            yield from (" or ".join(circles[i : i + CIRCLES_AT_ONCE]) for i in range(0, len(circles), CIRCLES_AT_ONCE))
            return
        n_rows = self.service.count(table, "")
        slow, fast = (n_rows / rate / 3600 for rate in ROWS_A_SECOND)
        self.tell(
            f"{self.service.name}: all {counted(n_rows, 'row')} of {table}; LAMOST's own service has given other users {ROWS_A_SECOND[0]} to"
            f" {ROWS_A_SECOND[1]:,} rows per second, which means {fast:,.1f} to {slow:,.1f} hours: ask for a region, or fetch the"
            " file with `becat lamost catalogue`, which is faster"
        )
        step = self.service.strip_deg
        edges = [-90 + step * i for i in range(round(180 / step))]
        yield from (f"{dec} >= {edge:.6f} and {dec} < {edge + step:.6f}" for edge in edges[:-1])
        yield f"{dec} >= {edges[-1]:.6f}"
        yield f"{dec} is null"

    def _piece(self, table: str, columns: list[str], condition: str, constants: list[str], path: Path) -> None:
        if path.is_file():
            return
        n_counted = self.service.count(table, condition)
        rows = self.service.rows(table, columns, condition) if n_counted else []
        if len(rows) != n_counted:
            raise BecatError(
                f"{self.service.name} counts {counted(n_counted, 'row')} of {table} and gave {len(rows):,}: it cuts its answers off, or is"
                " changing; ask for smaller regions, or fetch the catalogue's file with `becat lamost catalogue`"
            )
        text = io.StringIO()
        csv.writer(text, delimiter=SEPARATOR, lineterminator="\n").writerows([*row, *constants] for row in rows)
        content = gzip.compress(text.getvalue().encode(), 5, mtime=0)
        room_for(path.parent, len(content), self.limits)
        part = path.with_suffix(".part")
        part.write_bytes(content)
        part.replace(path)

    def _join(self, names: list[str], pieces: Path, n_pieces: int, target: Path) -> None:
        """One file of all pieces: gzipped texts one after the other are a gzipped text."""
        part = target.with_name(target.name + ".part")
        paths = [pieces / f"{number:06d}.csv.gz" for number in range(n_pieces)]
        room_for(pieces, sum(path.stat().st_size for path in paths), self.limits)
        with part.open("wb") as file:
            file.write(gzip.compress((SEPARATOR.join(names) + "\n").encode(), mtime=0))
            if self.places:  # whose circles may overlap
                lines = dict.fromkeys(
                    line for path in paths for line in gzip.decompress(path.read_bytes()).splitlines(True)
                )
                file.write(gzip.compress(b"".join(lines), 5, mtime=0))
            else:
                for path in paths:
                    file.write(path.read_bytes())
        part.replace(target)
        shutil.rmtree(pieces)


def _digest(*what) -> str:
    return hashlib.sha256(repr(what).encode()).hexdigest()[:8]
