"""Fetching the spectra of a plan: a few at a time, each looked at before it counts, and again after any stop."""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
from tqdm import tqdm

from becat.etl.catalogue.connection import Run, transaction
from becat.etl.lamost.answers import NeedsToken, NotThere, Unusable, opened_spectrum
from becat.etl.lamost.catalogues import known_releases, token_needed
from becat.etl.lamost.client import Client, room_for
from becat.etl.lamost.nights import Night, fetch_night, nights_to_fetch, remove_leftovers
from becat.etl.lamost.rates import NIGHT, SINGLE, keep_rate, known_rates
from becat.schema.errors import BecatError
from becat.schema.releases import Release, find
from becat.schema.words import counted

__all__ = ["Fetched", "fetch_spectra"]

NOTE_EVERY = 200  # files between two writings to the catalogue, which are what a kill can make to be looked at anew
NOTE_EVERY_S = 10.0


@dataclass(frozen=True)
class Wanted:
    """A row of the plan."""

    survey: str
    obsid: int
    release: str
    version: str
    file: str
    state: str
    bytes_expected: int
    night: str


@dataclass(frozen=True)
class Outcome:
    """What became of it; `version` is where it was found."""

    wanted: Wanted
    state: str
    version: str
    n_bytes: int = 0
    problem: str | None = None
    was_there: bool = False


@dataclass
class Fetched:
    """Counts of a call."""

    n_fetched: int = 0  # one by one
    n_there: int = 0  # were on disk already
    n_missing: int = 0
    n_failed: int = 0
    n_bytes: int = 0
    seconds: float = 0.0
    examples: tuple[str, ...] = ()
    n_nights: int = 0  # archives of whole nights that came
    n_of_nights: int = 0  # files that were kept of them
    night_bytes: int = 0  # of the archives
    night_seconds: float = 0.0
    remarks: tuple[str, ...] = ()  # what was wrong with archives

    def lines(self) -> list[str]:
        """The counts in words."""
        if not (self.n_fetched or self.n_there or self.n_missing or self.n_failed or self.n_of_nights or self.remarks):
            return ["spectra: all those of the plan are there"]
        said = []
        if self.n_nights:
            amount = _amount(self.night_bytes, self.night_seconds)
            said = [
                f"nights:  {counted(self.n_of_nights, 'spectrum')} extracted from {counted(self.n_nights, 'archive')}, {amount}"
            ]
        rest = f"; {self.n_there:,} were there already, {self.n_missing:,} missing, {self.n_failed:,} failed"
        said.append(f"spectra: {self.n_fetched:,} fetched, {_amount(self.n_bytes, self.seconds)}{rest}")
        return [*said, *self.remarks, *self.examples]


def _amount(n_bytes: int, seconds: float) -> str:
    rate = f", {n_bytes / seconds / 1e6:,.2f} MB/s" if n_bytes and seconds else ""
    return f"{n_bytes / 1e6:,.1f} MB in {seconds:,.0f} s{rate}"


def fetch_spectra(
    connection: duckdb.DuckDBPyConnection,
    client: Client,
    releases: Iterable[Release] | None,
    survey: str,
    folder: Path,
    with_nights: bool = True,
) -> Fetched:
    """Fetch what the plan of a survey lists and the disk lacks: single files, and whole nights where those come sooner.

    A file has its name only once it began as gzip, unpacked to its CRC, began SIMPLE and held the OBSID asked for: what is
    under its name after a kill is whole.

    Parameters
    ----------
    connection : duckdb connection
        The catalogue, open for writing.
    client : Client
    releases : iterable of Release, optional
        What the service lists; asked for only where something is to be fetched, if not given.
    survey : {'mrs', 'lrs'}
    folder : Path
        The files go below it, as night/plan/name.
    with_nights : bool
        Whether archives of whole nights may be fetched.

    Returns
    -------
    Fetched

    Raises
    ------
    BecatError
        A token is wanted, the disk is full, or the service does not answer any more. What has come is kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _forget_lost(connection, survey, folder)
    todo = _todo(connection, survey)
    counts = Fetched()
    if not todo:
        return counts
    known = list(releases) if releases is not None else known_releases(client)
    with Run(connection, f"lamost spectra {survey}") as run:
        try:
            if with_nights:
                _fetch_nights(connection, client, known, survey, todo, folder, run, counts)
                todo = _todo(connection, survey)
            started = time.monotonic()
            try:
                _fetch_all(connection, client, known, todo, folder, run, counts)
            finally:
                counts.seconds = time.monotonic() - started
        finally:
            run.n_done = counts.n_of_nights + counts.n_fetched + counts.n_there
            run.n_rejected = counts.n_missing + counts.n_failed
            run.message = "; ".join(counts.lines())
    return counts


def _fetch_nights(
    connection, client: Client, known, survey: str, todo: list[Wanted], folder: Path, run, counts
) -> None:
    """The archives of the nights that come sooner as a whole; what of them is not there afterwards is still planned."""
    nights = _whole_nights(connection, client, survey, todo, folder)
    remove_leftovers(folder, [night for night, _ in nights])
    remarks: Counter[str] = Counter()
    for night, lacking in nights:
        unpacked = fetch_night(
            client,
            find(known, night.release, night.version, survey),
            survey,
            night.night,
            {name: one.obsid for name, one in lacking.items()},
            folder,
            lambda name, content, lacking=lacking: _keep(content, folder / lacking[name].file, client),
        )
        outcomes = [Outcome(lacking[name], "fetched", night.version, size) for name, size in unpacked.kept.items()]
        counts.n_nights += bool(unpacked.n_bytes or outcomes)
        counts.n_of_nights += len(outcomes)
        counts.night_bytes += unpacked.n_bytes
        counts.night_seconds += unpacked.seconds
        if unpacked.problem:
            remarks[f"archive of a night: {unpacked.problem}; the files it lacks are fetched one by one"] += 1
        if unpacked.n_hostile:
            remarks["member of an archive refused: its name leads out of the folder, or it is no file"] += (
                unpacked.n_hostile
            )
        _note(connection, outcomes, run.run_id)
        keep_rate(connection, run.run_id, NIGHT, counts.n_nights, counts.night_bytes, counts.night_seconds, 1)
    counts.remarks = tuple(f"{n:,} × {remark}" for remark, n in remarks.most_common())


def _whole_nights(
    connection, client, survey, todo: list[Wanted], folder: Path
) -> list[tuple[Night, dict[str, Wanted]]]:
    """The nights whose archive comes sooner than the files that the disk lacks, and these by their names.

    A run that was killed may have brought files that it could not note.
    """
    rates = known_rates(connection, client.limits)
    by_night = defaultdict(dict)
    for one in todo:
        if one.state == "replace" or not (folder / one.file).is_file():
            by_night[one.release, one.version, one.night][Path(one.file).name] = one
    found = []
    for night in nights_to_fetch(connection, survey):
        lacking = by_night[night.release, night.version, night.night]
        n_bytes = sum(one.bytes_expected for one in lacking.values())
        if replace(night, n_files=len(lacking), n_bytes=n_bytes).is_whole(rates):
            found.append((night, lacking))
    return found


def _todo(connection, survey: str) -> list[Wanted]:
    rows = connection.execute(
        "select survey, obsid, release, coalesce(version, ''), file, state, bytes_expected, night from download_plan"
        " where survey = ? and state not in ('fetched', 'missing') order by night, file",
        [survey],
    ).fetchall()
    return [Wanted(*row) for row in rows]


def _forget_lost(connection, survey: str, folder: Path) -> None:
    """Files that are noted as fetched and are not there any more are planned again."""
    rows = connection.execute(
        "select obsid, file from download_plan where survey = ? and state = 'fetched'", [survey]
    ).fetchall()
    lost = [obsid for obsid, file in rows if not (folder / file).is_file()]
    if lost:
        connection.execute(
            "update download_plan set state = 'planned' where survey = ? and obsid in (select unnest(?::bigint[]))",
            [survey, lost],
        )


def _fetch_all(connection, client: Client, known: list[Release], todo: list[Wanted], folder, run, counts) -> None:
    limits = client.limits
    if not todo:
        return
    in_a_row, problems, noted = 0, Counter(), []
    started = last_note = time.monotonic()

    def note() -> None:
        _note(connection, noted, run.run_id)
        seconds = time.monotonic() - started
        keep_rate(connection, run.run_id, SINGLE, counts.n_fetched, counts.n_bytes, seconds, limits.connections)

    room_for(folder, limits.chunk_bytes, limits)
    n_bytes = sum(one.bytes_expected or 0 for one in todo)
    with (
        tqdm(total=n_bytes, desc=f"spectra of {todo[0].release}", unit="B", unit_scale=True, disable=None) as bar,
        ThreadPoolExecutor(limits.connections) as pool,
    ):
        try:
            for outcome in _done(pool, todo, client, known, folder):
                noted.append(outcome)
                bar.update(outcome.wanted.bytes_expected or 0)
                _count(counts, outcome)
                in_a_row = in_a_row + 1 if outcome.state == "failed" else 0
                if outcome.problem and outcome.state in ("failed", "missing"):
                    problems[outcome.problem] += 1
                if len(noted) >= NOTE_EVERY or time.monotonic() - last_note > NOTE_EVERY_S:
                    note()
                    last_note = time.monotonic()
                if in_a_row >= limits.failures_in_a_row:
                    raise BecatError(
                        f"{in_a_row} spectra in a row could not be fetched, the last because {outcome.problem}: what has"
                        " arrived is kept; run the same command again later to resume"
                    )
        finally:
            pool.shutdown(cancel_futures=True)
            note()
            counts.examples = tuple(f"{n:,} × {problem}" for problem, n in problems.most_common(3))


def _done(pool, todo: list[Wanted], client, known, folder) -> Iterator[Outcome]:
    """Outcomes as they come; never more under way than there are connections, and a few waiting."""
    waiting = iter(todo)
    running: set[Future] = set()
    try:
        while True:
            while len(running) < 2 * client.limits.connections and (one := next(waiting, None)) is not None:
                running.add(pool.submit(_one, client, known, one, folder))
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    finally:
        for future in running:
            future.cancel()


def _count(counts: Fetched, outcome: Outcome) -> None:
    counts.n_there += outcome.was_there
    counts.n_fetched += outcome.state == "fetched" and not outcome.was_there
    counts.n_missing += outcome.state == "missing"
    counts.n_failed += outcome.state == "failed"
    counts.n_bytes += outcome.n_bytes


def _note(connection, noted: list[Outcome], run_id: int) -> None:
    if noted:
        rows = [(one.state, one.version, one.problem, run_id, one.wanted.survey, one.wanted.obsid) for one in noted]
        with transaction(connection):
            connection.executemany(
                "update download_plan set state = ?, version = ?, problem = ?, run_id = ? where survey = ? and obsid = ?",
                rows,
            )
        noted.clear()


def _one(client: Client, known: list[Release], wanted: Wanted, folder: Path) -> Outcome:
    """Fetch one file, from the version that was planned or another one of the same release."""
    target = folder / wanted.file
    if wanted.state != "replace" and _is_there(target, wanted):
        return Outcome(wanted, "fetched", wanted.version, was_there=True)
    planned = find(known, wanted.release, wanted.version, wanted.survey)
    others = [one for one in known if one.release == planned.release and one != planned]
    others = [one for one in others if one.has_mrs or wanted.survey != "mrs"]
    said = ""
    for release in (planned, *sorted(others, key=lambda one: one.order, reverse=True)):
        try:
            content = client.content(
                release.spectrum(wanted.survey, wanted.obsid),
                not release.is_public,
                client.limits.file_bytes_max,
                lambda content: opened_spectrum(content, wanted.obsid),
            )
        except NotThere as error:
            said = said or str(error)
        except NeedsToken:
            if release == planned:
                raise token_needed(release) from None
        except Unusable as error:
            return Outcome(wanted, "failed", wanted.version, problem=str(error))
        else:
            _keep(content, target, client)
            elsewhere = None if release == planned else f"not in {planned.version}: taken from {release.version}"
            return Outcome(wanted, "fetched", release.version, len(content), elsewhere)
    return Outcome(
        wanted, "missing", wanted.version, problem=f"{said}; nor is it in another version of {wanted.release}"
    )


def _is_there(target: Path, wanted: Wanted) -> bool:
    """Whether a run before this one has brought the file, and was stopped before it could note it."""
    try:
        return opened_spectrum(target.read_bytes(), wanted.obsid).upper() in ("", wanted.release)
    except (OSError, Unusable):
        return False


def _keep(content: bytes, target: Path, client: Client) -> None:
    room_for(_existing_parent(target), len(content), client.limits)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(target)


def _existing_parent(path: Path) -> Path:
    return next(parent for parent in path.parents if parent.exists())
