"""Opening a catalogue, and the runs that write to it."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import duckdb

from becat.etl.catalogue.checksums import keep_checksums
from becat.schema.digest import schema_digest
from becat.schema.errors import BecatError
from becat.schema.sql_names import literal
from becat.schema.version import becat_version

__all__ = [
    "CHECKPOINT_AT",
    "ROWS_PER_GROUP",
    "TO_READ",
    "TO_READ_ONE_ARM",
    "TO_WRITE",
    "Run",
    "bounded_memory",
    "interrupt_queries",
    "interruptible",
    "one_thread",
    "open_catalogue",
    "transaction",
    "what_went_wrong",
]


# A transaction that fills whole groups of rows goes straight to the file, compressed, once; what is less goes to the log, and from
# there to an unfinished group that each checkpoint writes anew (docs/storage.md). DuckDB takes the size only while it attaches
# a file; groups that are there keep theirs.
ROWS_PER_GROUP = 2048
# A checkpoint would merge a small group with the ones behind it, and write them all anew for it.
NEVER_MERGE_GROUPS = "set max_vacuum_tasks = 0"
# Each checkpoint rewrites that group: with DuckDB's 16 MB, reached by 220 spectra, a spectrum would be written eighteen times
# (docs/storage.md). Until the next one the rows are in the log and in memory.
CHECKPOINT_AT = "256MB"
# DuckDB keeps what it has written and read, in up to four fifths of the machine's memory; spectra pass but once. What it
# cannot let go: the rows since the last checkpoint, and 31 MiB for each flux array of the 2,048 spectra that a thread reads.
# MB in all, and MB more for each thread. Flux is written and read by one thread: a second one makes it twice as dear.
TO_WRITE, TO_READ, TO_READ_ONE_ARM = (256, 64), (768, 256), (256, 64)
UNITS = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "PiB": 2**50}
_AT_WORK: list[duckdb.DuckDBPyConnection] = []
HALF_A_DIGIT = 0.05  # DuckDB tells its limit with one decimal, the rest cut off: without this it would shrink each time


@contextmanager
def interruptible(connection: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """While a connection is in use: `interrupt_queries` ends what it is doing."""
    _AT_WORK.append(connection)
    try:
        yield connection
    finally:
        _AT_WORK.remove(connection)


def interrupt_queries() -> None:
    """End the queries that are running, at Ctrl-C.

    DuckDB makes an error of Ctrl-C by itself, but lets its threads go on with the query, and the next statement, even a
    rollback, waits for them.
    """
    for connection in _AT_WORK:
        with suppress(duckdb.Error):  # it is closed already
            connection.interrupt()


@contextmanager
def open_catalogue(path: str | Path, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """Connection to an existing catalogue, closed at the end; one of an older becat is brought up to date on the way.

    Parameters
    ----------
    path : path
        The DuckDB file.
    read_only : bool
        Open without writing, so that several readers can share the file.

    Raises
    ------
    BecatError
        There is no such file, it is no catalogue of becat, or another process has it open; it is of another becat, and is
        opened only for reading; or what was written could not be moved from the log to the file at the end (the log keeps
        it, and the next opening tries again).
    """
    path = Path(path)
    if not path.is_file():
        raise BecatError(f"no catalogue at {path}: name yours (--catalog FILE), or make one with `becat init {path}`")
    if _is_sqlite(path):
        raise BecatError(
            f"{path} is a snapshot for the site, not the catalogue: name the catalogue (a DuckDB file), or view the snapshot"
            f" with `becat serve {path}`"
        )
    try:
        connection = duckdb.connect(str(path), read_only=True) if read_only else _open_for_writing(path)
    except duckdb.IOException as error:
        raise BecatError(_why_not_opened(path, error)) from None
    except duckdb.Error as error:
        raise BecatError(f"{path} cannot be opened as a DuckDB file: {what_went_wrong(error)}") from None
    try:
        found = connection.execute(
            "select count(*) from duckdb_tables() where table_name in ('spectrum', 'selection_parameter')"
        ).fetchone()
        if found is None or found[0] < 2:
            raise BecatError(f"{path} is not a becat catalogue: make one with `becat init NEWFILE`")
        before = _state(path)
        _bring_up_to_date(connection, path, read_only)
        # Not by "set": without ipywidgets that fails in a notebook, whatever the value.
        connection.execute("pragma disable_progress_bar")
        try:
            with interruptible(connection):
                yield connection
        finally:
            # Also after a failure: what was committed before it is becat's.
            if not read_only and _state(path) != before:
                with suppress(duckdb.Error):
                    keep_checksums(connection)
        if not read_only:
            _checkpoint(connection, path)
    finally:
        connection.close()


def _is_sqlite(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(16) == b"SQLite format 3\0"
    except OSError:
        return False  # DuckDB says what is wrong


def _state(path: Path) -> list[tuple[int, int]]:
    """Size and time of the catalogue and of its log: other ones after something was written."""
    found = [each.stat() for each in (path, _log(path)) if each.is_file()]
    return [(status.st_size, status.st_mtime_ns) for status in found]


def _log(path: Path) -> Path:
    """DuckDB's log, which is there while it holds what is not in the file yet."""
    return path.with_name(path.name + ".wal")


def _bring_up_to_date(connection: duckdb.DuckDBPyConnection, path: Path, read_only: bool) -> None:
    """Upgrade a catalogue whose schema is another one's, or say in a line what to do."""
    has_state = connection.execute("select 1 from duckdb_tables() where table_name = 'schema_state'").fetchone()
    state = connection.execute("select digest, becat_version from schema_state").fetchone() if has_state else None
    digest, made_by = state or ("", "")
    if digest == schema_digest():
        return
    if _numbers(made_by) > _numbers(becat_version()):
        raise BecatError(
            f"{path} was made by becat {made_by}, and this is becat {becat_version()}: install the newer version"
        )
    if read_only:
        maker = f"becat {made_by}" if made_by and made_by != becat_version() else "an older becat"
        raise BecatError(f"{path} was made by {maker}: bring it up to date with `becat upgrade {path}`")
    from becat.schema import build  # slow to import, and rarely needed

    try:
        build.upgrade(connection)
    except duckdb.Error as error:
        raise BecatError(
            f"{path} was made by a becat from which this one cannot upgrade: load its files into a new catalogue"
            f" ({what_went_wrong(error)})"
        ) from None


def _numbers(version: str) -> tuple[int, ...]:
    """A version for comparing; empty where it has no numbers."""
    return tuple(int(number) for number in re.findall(r"\d+", version.split("+")[0])[:3])


# What DuckDB says of a file that was cut off, overwritten or never a catalogue.
DAMAGED = ("not a valid duckdb", "could not read enough bytes", "corrupt", "checksum")


def _why_not_opened(path: Path, error: duckdb.Error) -> str:
    """One line for a catalogue that cannot be opened."""
    words = " ".join(str(error).split())
    if "could not set lock" in words.lower():
        holder = re.search(r"PID (\d+)", words)
        return (
            f"{path} is in use by another process{f' (number {holder[1]})' if holder else ''}: wait for it to end, or read"
            " a snapshot made by `becat publish`"
        )
    if any(word in words.lower() for word in DAMAGED):
        return (
            f"{path} is damaged, or no catalogue: restore it from a copy, or make a new one with `becat init NEWFILE` and"
            f" load the spectra again ({words[:200]})"
        )
    return f"{path} cannot be opened: {what_went_wrong(error)}"


# What the words of DuckDB and of the system mean to a user, and what to do.
HINTS = {
    "no space left": "the disk is full: free some space",
    "file too large": "the limit on the size of files has been reached: raise it",
    "disk quota exceeded": "the disk quota is used up: free some space",
    "read-only": "it cannot be written: check its permissions",
    "permission denied": "it cannot be written: check its permissions",
    "out of memory": "there is not enough memory: close other programs",
    "unable to open database file": "a file cannot be opened or created: check its folder and permissions",
    "disk is full": "the disk is full: free some space",
    "disk i/o error": "the disk is full or failing: check it",
    "input/output error": "the disk may be failing: check it",
    "checksum": "the file is damaged: restore it from a copy, or load the spectra into a new one",
}


def what_went_wrong(error: BaseException) -> str:
    """One line for an error of DuckDB or of the system: what to do where that is known, and its own words.

    Nothing that was committed is lost by such an error; the same command goes on.
    """
    words = " ".join(str(error).split())
    hint = next((hint for word, hint in HINTS.items() if word in words.lower()), None)
    return (
        f"{hint}, then run the same command again ({words.split(' Possible solutions')[0][:300]})"
        if hint
        else words[:400]
    )


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All or nothing: what is written inside is there as a whole, or not at all."""
    connection.execute("begin transaction")
    try:
        yield
    except BaseException:
        # After a failed write DuckDB may refuse everything: what is told is the failure, not the refusal.
        with suppress(duckdb.Error):
            connection.execute("rollback")
        raise
    connection.execute("commit")


@contextmanager
def bounded_memory(connection: duckdb.DuckDBPyConnection, enough_mb: tuple[int, int]) -> Iterator[None]:
    """While spectra are written or read one after the other: keep little of them in memory.

    Parameters
    ----------
    connection : duckdb connection
        Its limit is lowered, never raised, and set back at the end.
    enough_mb : (int, int)
        What is enough, and what is needed more for each thread: `TO_WRITE`, `TO_READ` or `TO_READ_ONE_ARM`.
    """
    found = connection.execute("select current_setting('memory_limit'), current_setting('threads')").fetchone()
    assert found is not None
    before, threads = found
    enough = (enough_mb[0] + threads * enough_mb[1]) * 1_000_000
    number, unit = before.split()
    if float(number) * UNITS[unit] <= enough:
        yield
        return
    connection.execute(f"set memory_limit = '{enough} bytes'")
    try:
        yield
    finally:
        with suppress(duckdb.Error):  # after a failure the connection may be closed by now
            connection.execute(f"set memory_limit = '{int((float(number) + HALF_A_DIGIT) * UNITS[unit])} bytes'")


@contextmanager
def one_thread(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """While flux is written or read by the group of rows: a second thread of DuckDB makes each spectrum twice as dear."""
    found = connection.execute("select current_setting('threads')").fetchone()
    assert found is not None
    connection.execute("set threads = 1")
    try:
        yield
    finally:
        with suppress(duckdb.Error):  # after a failure the connection may be closed by now
            connection.execute(f"set threads = {found[0]}")


def _open_for_writing(path: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    try:
        connection.execute(f"attach {literal(str(path))} as catalogue (row_group_size {ROWS_PER_GROUP})")
        connection.execute("use catalogue")
        connection.execute(f"set checkpoint_threshold = '{CHECKPOINT_AT}'")
        connection.execute(NEVER_MERGE_GROUPS)
        # By default it is .tmp where the command was started, whose files two commands would take for their own.
        connection.execute(f"set temp_directory = {literal(f'{path}.tmp')}")
    except duckdb.Error:
        connection.close()
        raise
    return connection


def _checkpoint(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Move what is in the log to the file. Closing does that too, but keeps silent where it fails."""
    log = _log(path)
    if not log.is_file():
        return
    try:
        connection.execute("checkpoint")
    except duckdb.Error as error:
        raise BecatError(
            f"nothing is lost, but the last changes are still in {log}; keep it beside {path.name}: {what_went_wrong(error)}"
        ) from None


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)


class Run:
    """One row of `etl_run`, written only once there is something to write, so that an idle run leaves no trace.

    Parameters
    ----------
    connection : duckdb connection
    command : str
        Stage or command, as the user would type it.
    code_version : str
        Hash of the stage's code and parameters; what it is at the end of the run stays.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, command: str, code_version: str = ""):
        self._connection = connection
        self._command = command
        self.code_version = code_version
        self._started_at = _now()
        self._run_id: int | None = None
        self.n_done = 0
        self.n_rejected = 0
        self.message = ""

    def record(self) -> int:
        """Write the run's row, unless it is there already, and return its number."""
        if self._run_id is None:
            row = self._connection.execute("select coalesce(max(run_id), 0) + 1 from etl_run").fetchone()
            assert row is not None
            self._run_id = int(row[0])
            self._connection.execute(
                "insert into etl_run (run_id, command, started_at, status, becat_version, code_version)"
                " values (?, ?, ?, 'running', ?, ?)",
                [self._run_id, self._command, self._started_at, becat_version(), self.code_version],
            )
        return self._run_id

    @property
    def run_id(self) -> int:
        """Number of the run; the first use writes its row."""
        return self.record()

    @property
    def has_written(self) -> bool:
        """Whether the run has changed the catalogue."""
        return self._run_id is not None

    def __enter__(self) -> Run:
        self._connection.execute("update etl_run set status = 'interrupted' where status = 'running'")
        return self

    def __exit__(self, kind, error, traceback) -> None:
        if self._run_id is None:
            return
        # DuckDB makes a RuntimeError of Ctrl-C, caused by it.
        is_ctrl_c = isinstance(error, KeyboardInterrupt) or isinstance(
            getattr(error, "__cause__", None), KeyboardInterrupt
        )
        status = "done" if kind is None else "interrupted" if is_ctrl_c else "failed"
        message = self.message if kind is None else f"{kind.__name__}: {error}".splitlines()[0]
        with suppress(duckdb.Error) if kind else nullcontext():
            self._end(status, message)

    def _end(self, status: str, message: str) -> None:
        self._connection.execute(
            "update etl_run set ended_at = ?, status = ?, n_done = ?, n_rejected = ?, message = ?, code_version = ?"
            " where run_id = ?",
            [_now(), status, self.n_done, self.n_rejected, message, self.code_version, self._run_id],
        )
