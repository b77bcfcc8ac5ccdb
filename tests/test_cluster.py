"""A Dask scheduler and three workers on this machine give what one process gives, also when one of them is killed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import pytest

from becat.etl.catalogue.connection import open_catalogue
from becat.etl.load.load import load_spectra
from becat.etl.measure import measure_spectra
from becat.etl.score import score_spectra
from becat.schema.errors import BecatError
from tests.tools.pipeline_tools import becat, contents, new_catalogue, real_spectra

pytest.importorskip("distributed", reason="Dask is not installed: pip install '.[cluster]'")

ROOT = Path(__file__).parent.parent
START_S = 120


class LocalCluster:
    """A scheduler and workers, each a process of its own, known by its id."""

    def __init__(self, folder: Path, n_workers: int):
        self._folder = folder
        self._n_workers = n_workers
        self.processes: dict[str, subprocess.Popen] = {}
        self.address = self._begin("0")

    def _begin(self, port: str) -> str:
        """Start a scheduler at a port (0: any free one) and its workers; the address."""
        self._start("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")
        address = self._wait_for("scheduler", r"(tcp://127\.0\.0\.1:\d+)")
        for i in range(self._n_workers):
            name = f"worker-{i}"
            self._start(name, address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--name", name)
        for i in range(self._n_workers):
            self._wait_for(f"worker-{i}", r"(Registered to)")
        return address

    def restart(self) -> None:
        """Kill everything and begin anew at the same address, as after a reboot of the scheduler's machine."""
        self.close()
        assert self._begin(self.address.rsplit(":", 1)[1]) == self.address

    def _start(self, name: str, *words: str) -> None:
        program = f"distributed.cli.dask_{name.split('-')[0]}"
        with (self._folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", program, *words], stdout=log, stderr=log, cwd=self._folder, env=environment()
            )

    def _wait_for(self, name: str, pattern: str) -> str:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            found = re.search(pattern, (self._folder / f"{name}.log").read_text())
            if found:
                return found[1]
            time.sleep(0.2)
        raise TimeoutError((self._folder / f"{name}.log").read_text())

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module", autouse=True)
def small_partitions():
    """So that eight files are work for three."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("becat.etl.load.load.FILES_PER_BATCH", 1)
        patch.setattr("becat.etl.catalogue.batches.SPECTRA_PER_BATCH", 8)
        yield


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    running = LocalCluster(tmp_path_factory.mktemp("dask"), 3)
    yield running
    running.close()


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """The catalogue of one process."""
    path = new_catalogue(tmp_path_factory.mktemp("local") / "c.duckdb")
    fill(path, None)
    return path


def fill(path: Path, scheduler: str | None) -> None:
    with open_catalogue(path) as connection:
        load_spectra(connection, real_spectra(), exposures="all", workers=1, scheduler=scheduler)
        measure_spectra(connection, scheduler)
        score_spectra(connection, scheduler=scheduler)


def test_three_workers_give_what_one_process_gives(cluster, local, tmp_path):
    path = new_catalogue(tmp_path / "c.duckdb")
    fill(path, cluster.address)
    assert contents(path) == contents(local)
    assert not Path(f"{path}.partitions").exists()


def test_command_line_takes_a_scheduler(cluster, tmp_path):
    path = new_catalogue(tmp_path / "c.duckdb")
    done = becat("load", real_spectra()[2], "-c", path, "--scheduler", cluster.address)
    assert "1 loaded" in done.stdout


def test_worker_killed_in_the_middle_changes_nothing(cluster, local, tmp_path):
    path = new_catalogue(tmp_path / "c.duckdb")
    victim = cluster.processes["worker-1"]

    def kill_when_work_has_begun():
        while not list(tmp_path.glob("c.duckdb.partitions/out-*")):
            time.sleep(0.01)
        victim.kill()

    thread = threading.Thread(target=kill_when_work_has_begun)
    thread.start()
    fill(path, cluster.address)
    thread.join()
    assert victim.wait() != 0
    assert contents(path) == contents(local)


def test_scheduler_restarted_in_the_middle_costs_its_partitions_only(local, tmp_path):
    (tmp_path / "dask").mkdir()
    running = LocalCluster(tmp_path / "dask", 2)
    path = new_catalogue(tmp_path / "c.duckdb")

    over = threading.Event()

    def restart_when_work_has_begun():
        while not over.wait(0.01):
            if list(tmp_path.glob("c.duckdb.partitions/out-*")):
                running.restart()
                return

    thread = threading.Thread(target=restart_when_work_has_begun)
    thread.start()
    try:
        fill(path, running.address)
    finally:
        over.set()
        thread.join()
        running.close()
    assert contents(path) == contents(local)
    with duckdb.connect(str(path), read_only=True) as connection:
        runs = connection.execute("select command, status, n_done from etl_run order by run_id").fetchall()
    assert [(command, status) for command, status, _ in runs] == [(c, "done") for c in ("load", "measure", "score")]


def test_no_scheduler_is_said_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("becat.etl.catalogue.workers.CONNECT_S", 1)
    path = new_catalogue(tmp_path / "c.duckdb")
    with open_catalogue(path) as connection, pytest.raises(BecatError, match="no Dask scheduler answers"):
        load_spectra(connection, real_spectra()[:1], scheduler="tcp://127.0.0.1:9")
