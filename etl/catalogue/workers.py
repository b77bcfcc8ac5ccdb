"""Where the work of a stage is done: in this process, in processes of this machine, or on a Dask cluster.

A stage cuts its work into partitions and names the function that does one. The function gets a partition and gives Arrow
tables; it runs in the same way in all three places. On a cluster the tables come back as Parquet files in a directory
beside the catalogue, which all machines must see, and the stage that holds the catalogue takes them in one after another.
What a lost process or a restarted scheduler costs is the partitions that it was working on: they are done again.
"""

from __future__ import annotations

import os
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from becat.etl.catalogue.parent import end_with, without_ctrl_c
from becat.etl.catalogue.versions import code_version
from becat.schema.errors import BecatError, missing_extra

__all__ = ["Pool", "Tables", "folder_beside", "open_pool", "partition_table", "work_through"]

Tables = dict[str, pa.Table]
Work = Callable[[tuple], Tables]

# How long a scheduler may need to come (back), and to find a first worker: a batch system starts them when it can.
CONNECT_S = 10
PATIENCE_S = 600


class WorkerDied(Exception):
    """The process that worked on a partition died, more than once where it may be tried again."""


class SchedulerLost(Exception):
    """The scheduler went away; what had been handed to it must be handed over again."""


class Pool(Protocol):
    """A place where partitions are worked on; `n_ahead` of them are handed over before the first result is awaited."""

    n_ahead: int

    def give(self, table: pa.Table) -> pa.Table | str:
        """A table in the form in which a partition carries it to its worker: see `partition_table`."""
        ...

    def submit(self, work: Work, partition: tuple) -> Any:
        """Hand a partition over."""
        ...

    def result(self, handle: Any) -> Tables:
        """Wait for what `submit` handed over; raises WorkerDied, SchedulerLost, or what the work raised."""
        ...

    def restart(self) -> None:
        """Be ready for work again after WorkerDied or SchedulerLost."""
        ...

    def close(self) -> None: ...


class Here:
    """No other process: each partition is done when its result is asked for."""

    n_ahead = 1

    def give(self, table: pa.Table) -> pa.Table:
        return table

    def submit(self, work: Work, partition: tuple) -> tuple[Work, tuple]:
        return work, partition

    def result(self, handle: tuple[Work, tuple]) -> Tables:
        work, partition = handle
        return work(partition)

    def restart(self) -> None: ...

    def close(self) -> None: ...


class Processes:
    """Processes of this machine."""

    def __init__(self, n_processes: int):
        self._n_processes = n_processes
        self.n_ahead = 2 * n_processes
        self._pool = self._new_pool()

    def _new_pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self._n_processes, initializer=end_with, initargs=(os.getpid(),))

    def give(self, table: pa.Table) -> pa.Table:
        return table

    def submit(self, work: Work, partition: tuple) -> Future:
        try:
            with without_ctrl_c():  # the first ones start the processes
                return self._pool.submit(work, partition)
        except BrokenProcessPool as error:
            broken: Future = Future()
            broken.set_exception(error)
            return broken

    def result(self, handle: Future) -> Tables:
        try:
            return handle.result()
        except BrokenProcessPool:
            raise WorkerDied from None

    def restart(self) -> None:
        self.close()
        self._pool = self._new_pool()

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


class Cluster:
    """The workers of a Dask scheduler, which see the catalogue's directory under the same path as this process."""

    def __init__(self, address: str, folder: Path):
        self._address = address
        self._folder = folder
        self._n_paths = 0
        self._inputs: set[str] = set()
        self._outputs: dict[str, str] = {}
        folder.mkdir(exist_ok=True)
        self._clear()  # of a run that was killed: this one holds the catalogue's lock
        self._connect(CONNECT_S)

    def _connect(self, timeout_s: float) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise missing_extra("Dask", "cluster", ", here and for the workers") from None
        try:
            self._client = Client(self._address, timeout=timeout_s, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise BecatError(
                f"no Dask scheduler answers at {self._address} ({type(error).__name__}): start one with `dask scheduler`"
            ) from None
        try:
            self._client.wait_for_workers(1, timeout=PATIENCE_S)
        except TimeoutError:
            raise BecatError(
                f"the scheduler {self._address} has no workers: start them with `dask worker {self._address} --nthreads 1`"
            ) from None
        self.n_ahead = max(2, 2 * sum(self._client.nthreads().values()))

    def _path(self, kind: str) -> str:
        self._n_paths += 1
        return str(self._folder / f"{kind}-{self._n_paths}")

    def give(self, table: pa.Table) -> str:
        path = self._path("in") + ".parquet"
        pq.write_table(table, path, compression="none")
        self._inputs.add(path)
        return path

    def submit(self, work: Work, partition: tuple) -> tuple[Any, tuple]:
        # A partition that is handed over again has its place already: if it had been finished, it is not done again.
        output = self._outputs.setdefault(repr(partition), self._path("out"))
        return self._client.submit(_work_to_parquet, work, partition, output, _code(), pure=False), partition

    def result(self, handle: tuple[Any, tuple]) -> Tables:
        from distributed import CancelledError, KilledWorker
        from distributed.comm import CommClosedError

        future, partition = handle
        try:
            future.result()
        except KilledWorker:
            raise WorkerDied from None
        except (CancelledError, CommClosedError):
            raise SchedulerLost from None
        output = self._outputs.pop(repr(partition))
        tables = {path.stem: pq.read_table(path) for path in Path(output).glob("*.parquet")}
        shutil.rmtree(output)
        for given in self._inputs.intersection(part for part in partition if isinstance(part, str)):
            self._inputs.remove(given)
            os.unlink(given)
        return tables

    def restart(self) -> None:
        """Connect again; a scheduler that was restarted may take its time."""
        if self._client.status == "running":
            return
        self._client.close(timeout=1)
        self._connect(PATIENCE_S)

    def close(self) -> None:
        self._client.close(timeout=5)
        self._clear()
        with suppress(OSError):  # spectra that were read wait there, too (`becat.etl.load.partitions`)
            self._folder.rmdir()

    def _clear(self) -> None:
        """Take away what was handed over and brought back."""
        for path in (*self._folder.glob("in-*"), *self._folder.glob("out-*")):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _code() -> str:
    return "-".join(code_version(stage) for stage in ("reduce", "measure", "score"))


def _work_to_parquet(work: Work, partition: tuple, output: str, code: str) -> None:
    """Do a partition on a worker and leave its tables in a directory that appears when it is complete."""
    if code != _code():
        raise BecatError("the workers run another version of becat: update them and start them again")
    if os.path.isdir(output):
        return
    unfinished = f"{output}.{os.getpid()}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    os.mkdir(unfinished)
    for name, table in work(partition).items():
        pq.write_table(table, f"{unfinished}/{name}.parquet", compression="none")
    os.rename(unfinished, output)


def partition_table(given: pa.Table | str) -> pa.Table:
    """The table that `Pool.give` put into a partition."""
    return pq.read_table(given) if isinstance(given, str) else given


@contextmanager
def open_pool(
    connection: duckdb.DuckDBPyConnection, scheduler: str | None = None, n_processes: int = 1
) -> Iterator[Pool]:
    """The place where a stage's partitions are worked on, closed at the end.

    Parameters
    ----------
    connection : duckdb connection
        The catalogue that the results are for; the Parquet files of a cluster lie beside it for as long as they wait.
    scheduler : str, optional
        Address of a Dask scheduler, as in ``tcp://host:8786``.
    n_processes : int
        Without a scheduler: the number of processes of this machine; 1 works in this process.

    Raises
    ------
    BecatError
        Dask is not installed, no scheduler answers, or it has no workers.
    """
    if scheduler:
        pool: Pool = Cluster(scheduler, folder_beside(connection))
    else:
        pool = Processes(n_processes) if n_processes > 1 else Here()
    try:
        yield pool
    finally:
        pool.close()


def folder_beside(connection: duckdb.DuckDBPyConnection) -> Path:
    """Where partitions lie while they wait, beside the catalogue; whoever holds the catalogue open for writing holds it, too."""
    ((path,),) = connection.execute(
        "select path from duckdb_databases() where database_name = current_database()"
    ).fetchall()
    return Path(os.path.abspath(f"{path}.partitions"))


def work_through(
    pool: Pool,
    work: Work,
    partitions: Iterable[tuple],
    split: Callable[[tuple], list[tuple]] | None = None,
    give_up: Callable[[tuple], Tables] | None = None,
) -> Iterator[tuple[tuple, Tables]]:
    """Results of the partitions, in their order; at most ``pool.n_ahead`` are under way.

    Parameters
    ----------
    pool : Pool
    work : function
        Makes Arrow tables of a partition; a function of a module, so that another process can import it.
    partitions : iterable
        Taken as they are needed.
    split : function, optional
        Cuts a partition that killed its process into smaller ones; an empty list where it cannot be cut.
    give_up : function, optional
        Result of a partition that killed its process and cannot be cut.

    Yields
    ------
    partition, dict of str to pyarrow.Table

    Raises
    ------
    BecatError
        A partition kills its process and there is no `give_up`.
    """
    source = iter(partitions)
    waiting: deque[tuple[tuple, Any]] = deque()
    while True:
        while len(waiting) < pool.n_ahead:
            partition = next(source, None)
            if partition is None:
                break
            waiting.append((partition, pool.submit(work, partition)))
        if not waiting:
            return
        partition, handle = waiting.popleft()
        try:
            tables = pool.result(handle)
        except SchedulerLost:
            pool.restart()
            waiting = deque((again, pool.submit(work, again)) for again in (partition, *(p for p, _ in waiting)))
            continue
        except WorkerDied:
            pool.restart()
            if give_up is None:
                raise BecatError("the processes that work on the spectra keep dying: give them more memory") from None
            smaller = split(partition) if split else []
            for part in smaller or [partition]:
                yield part, (_alone(pool, work, part, give_up) if smaller else give_up(part))
            waiting = deque((again, pool.submit(work, again)) for again, _ in waiting)
            continue
        yield partition, tables


def _alone(pool: Pool, work: Work, partition: tuple, give_up: Callable[[tuple], Tables]) -> Tables:
    """A suspect, with nothing else under way that it could take with it."""
    while True:
        try:
            return pool.result(pool.submit(work, partition))
        except SchedulerLost:
            pool.restart()
        except WorkerDied:
            pool.restart()
            return give_up(partition)
