"""Whole nights: LAMOST offers the spectra of a night as one archive, which may come sooner than its single files.

Seen for DR11 v2.0 (docs/archives.md): ``{release}/tar/mrs-fits/YYYYMMDD.tar.gz``, with a gzipped file for each spectrum in it.
Where there is none, or it is of no use, the files come one by one.
"""

from __future__ import annotations

import tarfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import duckdb
from isal import igzip, isal_zlib
from tqdm import tqdm

from becat.etl.lamost.answers import Unusable, opened_spectrum
from becat.etl.lamost.client import Client
from becat.etl.lamost.rates import Rates
from becat.schema.errors import BecatError
from becat.schema.releases import Release

__all__ = ["ARCHIVE", "Night", "Unpacked", "fetch_night", "nights_to_fetch", "remove_leftovers", "unpack_night"]

ARCHIVE = "{night}.tar.gz.part"  # below the folder of the survey, until its files are taken out


@dataclass(frozen=True)
class Night:
    """What the plan still wants of a night."""

    release: str
    version: str
    night: str
    n_files: int
    n_bytes: int
    night_bytes: int | None

    def is_whole(self, rates: Rates) -> bool:
        """Whether its archive is expected sooner than the single files."""
        return bool(self.night_bytes) and rates.night_s(self.night_bytes or 0) < rates.single_s(
            self.n_files, self.n_bytes
        )


@dataclass
class Unpacked:
    """What came of an archive.

    Attributes
    ----------
    kept : dict
        Size of each file that was kept, by its name.
    n_hostile : int
        Members whose names or kinds no archive of spectra has.
    n_bytes : int
        Size of the archive.
    seconds : float
        How long it took to come.
    problem : str
        Why the rest is to come one by one; empty where all came.
    """

    kept: dict[str, int] = field(default_factory=dict)
    n_hostile: int = 0
    n_bytes: int = 0
    seconds: float = 0.0
    problem: str = ""


def nights_to_fetch(connection: duckdb.DuckDBPyConnection, survey: str) -> list[Night]:
    """The nights of which the plan of a survey still wants something."""
    rows = connection.execute(
        "select release, coalesce(version, ''), night, count(*), coalesce(sum(bytes_expected), 0)::bigint, any_value(night_bytes)"
        " from download_plan where survey = ? and state not in ('fetched', 'missing') group by all order by night",
        [survey],
    ).fetchall()
    return [Night(*row) for row in rows]


def remove_leftovers(folder: Path, nights: Iterable[Night]) -> None:
    """Delete begun archives of nights that are not wanted as a whole any more."""
    wanted = {ARCHIVE.format(night=one.night) for one in nights}
    for path in folder.glob(ARCHIVE.format(night="*")):
        if path.name not in wanted:
            path.unlink()


def fetch_night(
    client: Client, release: Release, survey: str, night: str, wanted: dict[str, int], folder: Path, keep: Callable
) -> Unpacked:
    """Fetch the archive of a night and keep the files that are wanted.

    The archive lies in the folder while it comes, so that a stop, also a kill, costs nothing of it; its members are read from
    there one at a time, and it is deleted at the end.

    Parameters
    ----------
    client : Client
    release : Release
    survey : {'mrs', 'lrs'}
    night : str
        ``YYYYMMDD``.
    wanted : dict
        OBSID of each wanted file, by its name.
    folder : Path
    keep : callable
        Told the name and the content of each file that is good.

    Returns
    -------
    Unpacked
    """
    part = folder / ARCHIVE.format(night=night)
    started, before = time.monotonic(), part.stat().st_size if part.exists() else 0
    with tqdm(desc=f"night {night}", unit="B", unit_scale=True, disable=None) as bar:

        def progress(have: int, whole: int | None) -> None:
            bar.total = whole
            bar.update(have - bar.n)

        try:
            client.to_file(release.night(survey, night), not release.is_public, part, progress)
        except Unusable as error:
            return Unpacked(problem=str(error))
        except BecatError as error:  # no room for it: there may be for its files
            part.unlink(missing_ok=True)
            return Unpacked(problem=str(error))
    seconds, n_bytes = time.monotonic() - started, part.stat().st_size - before
    unpacked = unpack_night(part, wanted, keep, client.limits.file_bytes_max)
    unpacked.n_bytes, unpacked.seconds = n_bytes, seconds
    part.unlink()
    return unpacked


def unpack_night(archive: Path, wanted: dict[str, int], keep: Callable, file_bytes_max: int) -> Unpacked:
    """Take the wanted files out of an archive; nothing is ever written under a name that stands in it.

    Parameters
    ----------
    archive : Path
    wanted : dict
        OBSID of each wanted file, by its name.
    keep : callable
        Told the name and the content of each file that is good.
    file_bytes_max : int
        Longer members are passed over.

    Returns
    -------
    Unpacked
    """
    found = Unpacked()
    for name, content in _members(archive, wanted, file_bytes_max, found):
        try:
            opened_spectrum(content, wanted[name])
        except Unusable as error:
            found.problem = f"{name} in it: {error}"
            continue
        keep(name, content)
        found.kept[name] = len(content)
        if len(found.kept) == len(wanted):
            break
    return found


def _members(archive: Path, wanted, file_bytes_max: int, found: Unpacked) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the wanted files of an archive, as far as it can be read."""
    try:
        with igzip.open(archive, "rb") as stream, tarfile.open(fileobj=stream, mode="r|") as members:  # pyright: ignore[reportCallIssue, reportArgumentType]
            for member in members:
                name = PurePosixPath(member.name).name
                if _is_hostile(member):
                    found.n_hostile += 1
                elif name in wanted and name not in found.kept and member.isreg() and member.size <= file_bytes_max:
                    yield name, members.extractfile(member).read()  # pyright: ignore[reportOptionalMemberAccess]
    except (tarfile.TarError, OSError, EOFError, isal_zlib.error) as error:  # pyright: ignore[reportGeneralTypeIssues]
        found.problem = f"it is cut off or damaged ({error})"


def _is_hostile(member: tarfile.TarInfo) -> bool:
    """Whether a member would lie outside the folder, or is no file or folder (`tarfile.data_filter`)."""
    try:
        tarfile.data_filter(member, "/nowhere")
    except tarfile.FilterError:
        return True
    return member.name.startswith(("/", "\\")) or not (member.isreg() or member.isdir())
