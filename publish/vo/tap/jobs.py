"""Queries of strangers and their answers: how many may run, for how long, and how much they may leave on the disk."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import errno
import json
import secrets
import shutil
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from weakref import WeakKeyDictionary

from becat.publish.fair_queue import FairQueue, network_of
from becat.publish.snapshot.address import stamp
from becat.publish.vo.tap import schema
from becat.publish.vo.tap.walls import environment
from becat.schema import leftovers

__all__ = ["Busy", "Job", "Limits", "Outcome", "Service", "close_service", "service"]

UPLOADED = ".upload"
NO_ROOM = "there is no room on the disk of this service; try again later"
FINAL = ("COMPLETED", "ERROR", "ABORTED")


class Busy(Exception):
    """The service takes no more for now; the message says so."""


@dataclass(frozen=True)
class Limits:
    """What strangers may use."""

    sync_seconds: int = 20
    async_seconds: int = 120
    async_seconds_max: int = 900
    rows: int = 100_000
    rows_max: int = 1_000_000
    bytes_max: int = 250_000_000
    sync_at_once: int = 2
    sync_waiting: int = 20
    sync_of_one: int = 6
    async_at_once: int = 1
    send_seconds: float = 900.0
    jobs: int = 200
    jobs_of_one: int = 10
    jobs_kept_of_one: int = 20
    disk_bytes: int = 4_000_000_000
    disk_bytes_of_one: int = 1_000_000_000
    upload_bytes: int = 10_000_000
    upload_rows: int = 50_000
    uploads_at_once: int = 2
    upload_seconds: float = 60.0
    kept_hours: float = 24.0
    kept_hours_max: float = 72.0
    pending_minutes: float = 60.0


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Outcome:
    """How a query went; `path` is the answer where there is no `error`."""

    path: Path
    error: str = ""
    content_type: str = ""
    rows: int = 0


@dataclass
class Job:
    """A query to be answered later (UWS 1.1)."""

    identity: str
    folder: Path
    parameters: dict[str, str]
    created: datetime
    destruction: datetime
    duration_s: int
    address: str = ""
    phase: str = "PENDING"
    started: datetime | None = None
    ended: datetime | None = None
    outcome: Outcome | None = None
    task: asyncio.Task | None = field(default=None, repr=False)

    @property
    def is_final(self) -> bool:
        """Nothing will change any more."""
        return self.phase in FINAL


class Service:
    """Runs queries on the snapshot that is served now, in processes of their own.

    Parameters
    ----------
    limits : Limits, optional
    """

    def __init__(self, limits: Limits | None = None):
        self.limits = limits or DEFAULT_LIMITS
        self.folder = _own_folder()
        self.latest: Path | None = None
        self.jobs: dict[str, Job] = {}
        self.waiting: Counter[str] = Counter()
        self.sending: Counter[str] = Counter()
        self._schemas: dict[tuple[Path, tuple], Path] = {}
        self._running: set[asyncio.subprocess.Process] = set()
        self._describing = asyncio.Lock()
        self._sync = FairQueue(self.limits.sync_at_once)
        self._async = FairQueue(self.limits.async_at_once)
        self.uploading = asyncio.Semaphore(self.limits.uploads_at_once)

    def close(self) -> None:
        """End all jobs and remove what they left."""
        for job in list(self.jobs.values()):
            self.destroy(job)
        for process in self._running:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def tap_schema(self, snapshot: Path) -> Path:
        """The file that describes a snapshot's tables; it is made once."""
        self.latest = snapshot
        async with self._describing:
            key = snapshot, stamp(snapshot)
            if key not in self._schemas:
                for gone in [known for known in self._schemas if not known[0].exists() or known[0] == snapshot]:
                    self._schemas.pop(gone).unlink(missing_ok=True)
                path = self.folder / f"tap_schema_{secrets.token_hex(4)}.sqlite"
                try:
                    await asyncio.to_thread(schema.write, snapshot, path)
                except BaseException:
                    path.unlink(missing_ok=True)
                    raise
                self._schemas[key] = path
        return self._schemas[key]

    @contextlib.asynccontextmanager
    async def answered(
        self, snapshot: Path, question: dict, address: str = "", uploads: Mapping[str, bytes] | None = None
    ):
        """The outcome of a query at once, asked from an address; its answer is removed at the end of the block.

        `uploads` are VOTable files by the name of the table in TAP_UPLOAD.

        Raises
        ------
        Busy
            Too many are waiting, or the disk is full.
        """
        address = network_of(address)
        all_of_them = self.waiting.total() >= self.limits.sync_waiting + self.limits.sync_at_once
        if all_of_them or self.waiting[address] + self.sending[address] >= self.limits.sync_of_one:
            raise Busy("too many queries are waiting; try again in a minute, or as an asynchronous job")
        if self._bytes() > self.limits.disk_bytes:
            raise Busy("the answers that others fetch take all the room; try again in a minute")
        folder = _folder_with(uploads, self.folder)
        try:
            with _counted(self.waiting, address), _room():
                async with self._sync.turn(address):
                    outcome = await self._run(snapshot, question, self.limits.sync_seconds, folder)
            with _counted(self.sending, address):  # who reads slowly keeps nobody waiting
                yield outcome
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    async def _run(self, snapshot: Path, question: dict, seconds: int, folder: Path) -> Outcome:
        """Run a query in its folder, in which nothing is left where there is no answer."""
        outcome = await self._run_worker(snapshot, question, seconds, folder)
        if outcome.error:
            _empty(folder)
        return outcome

    async def _run_worker(self, snapshot: Path, question: dict, seconds: int, folder: Path) -> Outcome:
        tap_schema, before = await self.tap_schema(snapshot), stamp(snapshot)
        asked = question | {
            "snapshot": str(snapshot.absolute()), "tap_schema": str(tap_schema.absolute()), "folder": str(folder), "seconds": seconds,
            "bytes_max": self.limits.bytes_max, "upload_rows_max": self.limits.upload_rows,
            "uploads": {path.stem: str(path) for path in sorted(folder.glob(f"*{UPLOADED}"))},
        }  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "becat.publish.vo.tap.worker", cwd=folder, env=_environment(folder),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the server, which ends it
        )  # fmt: skip
        self._running.add(process)
        try:
            _, said = await asyncio.wait_for(process.communicate(json.dumps(asked).encode()), seconds)
        except TimeoutError:
            return Outcome(folder / "result", error=f"the query was stopped after {seconds} seconds")
        finally:
            self._running.discard(process)
            if process.returncode is None:
                process.kill()
                await process.wait()
        if not snapshot.exists() or stamp(snapshot) != before:
            return Outcome(
                folder / "result", error="the tables were replaced while they were read: run the query again"
            )
        return _outcome(folder, said)

    def create(self, parameters: dict[str, str], address: str = "", uploads: Mapping[str, bytes] | None = None) -> Job:
        """A new job of somebody at an address, which waits to be started; `uploads` are as in `answered`.

        Raises
        ------
        Busy
            There are as many jobs as may be, or as many unfinished ones of this address; or the disk is full.
        """
        address = network_of(address)
        self.sweep()
        if sum(not job.is_final for job in self._of(address)) >= self.limits.jobs_of_one:
            raise Busy("you have the largest number of unfinished jobs allowed; wait for one to finish, or delete one")
        self._make_room(address)
        now = datetime.now(UTC)
        job = Job(
            identity=secrets.token_urlsafe(12), folder=_folder_with(uploads, self.folder), parameters=parameters,
            created=now, destruction=now + timedelta(hours=self.limits.kept_hours), duration_s=self.limits.async_seconds,
            address=address,
        )  # fmt: skip
        self.jobs[job.identity] = job
        return job

    def _make_room(self, address: str) -> None:
        """Drop the oldest finished jobs of who asks, then a job that nobody started: no result makes room for another's."""
        finished = sorted((job for job in self._of(address) if job.is_final), key=lambda job: job.created)
        while finished and (self._is_full() or self._has_too_much(address)):
            self.destroy(finished.pop(0))
        if self._is_full():
            self._drop_one_pending(address)
        if self._is_full():
            raise Busy("this service holds as many jobs as it can; try again later")

    def _of(self, address: str) -> list[Job]:
        return [job for job in self.jobs.values() if job.address == address]

    def _is_full(self) -> bool:
        return len(self.jobs) >= self.limits.jobs or self._bytes() > self.limits.disk_bytes

    def _has_too_much(self, address: str) -> bool:
        own = self._of(address)
        n_bytes = sum(path.stat().st_size for job in own for path in job.folder.glob("*"))
        return len(own) >= self.limits.jobs_kept_of_one or n_bytes > self.limits.disk_bytes_of_one

    def _drop_one_pending(self, address: str) -> None:
        """Drop the oldest job that was not started of whoever has most of them, if these are several and more than `address` has."""
        pending = [job for job in self.jobs.values() if job.phase == "PENDING"]
        counts = Counter(job.address for job in pending)
        holder = max(counts, key=counts.__getitem__, default=address)
        if counts[holder] > max(1, counts[address]):
            self.destroy(min((job for job in pending if job.address == holder), key=lambda job: job.created))

    def _bytes(self) -> int:
        return sum(path.stat().st_size for path in self.folder.glob("*/*"))

    def sweep(self) -> None:
        """Destroy jobs whose time has come, and those that nobody started."""
        now = datetime.now(UTC)
        idle = timedelta(minutes=self.limits.pending_minutes)
        for job in list(self.jobs.values()):
            if now >= job.destruction or (job.phase == "PENDING" and now - job.created >= idle):
                self.destroy(job)

    def start(self, job: Job, snapshot: Path, question: dict) -> None:
        """Let a job run as soon as its turn comes, on the snapshot or, if that is gone by then, on the one served since."""
        if job.phase == "PENDING":
            job.phase = "QUEUED"
            job.task = asyncio.create_task(self._work(job, snapshot, question))

    async def _work(self, job: Job, snapshot: Path, question: dict) -> None:
        try:
            async with self._async.turn(job.address):
                job.phase, job.started = "EXECUTING", datetime.now(UTC)
                served = snapshot if snapshot.exists() else self.latest or snapshot
                with _room():
                    job.outcome = await self._run(served, question, job.duration_s, job.folder)
            job.phase = "ERROR" if job.outcome.error else "COMPLETED"
        except asyncio.CancelledError:
            job.phase = "ABORTED"
        except Busy as error:
            job.outcome, job.phase = Outcome(job.folder / "result", error=str(error)), "ERROR"
        except Exception as error:  # a job that fails by our fault must say so, not wait for ever
            job.outcome = Outcome(job.folder / "result", error="something is wrong with this service")
            job.phase = "ERROR"
            print(f"becat serve: a TAP job failed: {error!r}", file=sys.stderr)
        job.ended = datetime.now(UTC)

    def fail(self, job: Job, message: str) -> None:
        """End a job that cannot be run."""
        job.outcome, job.phase = Outcome(job.folder / "result", error=message), "ERROR"
        job.started = job.ended = datetime.now(UTC)

    def abort(self, job: Job) -> None:
        """Stop a job."""
        if job.is_final:
            return
        job.phase, job.ended = "ABORTED", datetime.now(UTC)
        if job.task is not None:
            job.task.cancel()

    def destroy(self, job: Job) -> None:
        """Stop a job and forget it, its answer too."""
        self.abort(job)
        self.jobs.pop(job.identity, None)
        shutil.rmtree(job.folder, ignore_errors=True)


_services: WeakKeyDictionary[asyncio.AbstractEventLoop, Service] = WeakKeyDictionary()


def service() -> Service:
    """The service of this server; a new snapshot is served by the same one, so that jobs outlive the old."""
    loop = asyncio.get_running_loop()
    if loop not in _services:
        _services[loop] = Service()
        atexit.register(_services[loop].close)
    return _services[loop]


def close_service() -> None:
    """End the jobs of this server, if there are any; a server that a signal ends does not come to its exit handlers."""
    found = _services.pop(asyncio.get_running_loop(), None)
    if found is not None:
        found.close()


@contextlib.contextmanager
def _counted(counts: Counter[str], address: str) -> Iterator[None]:
    counts[address] += 1
    try:
        yield
    finally:
        counts[address] -= 1
        if not counts[address]:
            del counts[address]


@contextlib.contextmanager
def _room() -> Iterator[None]:
    """A disk that is full is nobody's mistake, and passes."""
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "is full" in str(error):
            raise Busy(NO_ROOM) from error
        raise


def _folder_with(uploads: Mapping[str, bytes] | None, parent: Path) -> Path:
    """A new folder that holds the uploaded tables."""
    with _room():
        folder = Path(tempfile.mkdtemp(dir=parent))
        try:
            for name, content in (uploads or {}).items():
                (folder / f"{name}{UPLOADED}").write_bytes(content)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return folder


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _own_folder() -> Path:
    """A folder that goes when the server ends, or when the next one finds it after a crash."""
    mark = Path(tempfile.gettempdir()) / "becat-tap"
    leftovers.remove_stale(mark)
    return Path(tempfile.mkdtemp(prefix=leftovers.own_prefix(mark), dir=mark.parent))


def _environment(folder: Path) -> dict[str, str]:
    """What a worker is told: where to put what its libraries write."""
    homes = ("SQLITE_TMPDIR", "TMPDIR", "HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")
    return environment() | dict.fromkeys(homes, str(folder))


def _outcome(folder: Path, said: bytes) -> Outcome:
    path = folder / "outcome.json"
    if not path.exists():
        if said:
            print(
                f"becat serve: a TAP query ended without an answer: {said.decode(errors='replace')[-500:]}",
                file=sys.stderr,
            )
        return Outcome(folder / "result", error="the query used more memory or processor time than it may")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:  # not even that could be written
        return Outcome(folder / "result", error=NO_ROOM)
    if not found["ok"]:
        return Outcome(folder / "result", error=found["error"])
    return Outcome(folder / "result", content_type=found["content_type"], rows=found["rows"])
