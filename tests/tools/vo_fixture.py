"""A small snapshot with its TAP_SCHEMA, and a way to ask it in ADQL without a server."""

from __future__ import annotations

import csv
import io
import socket
import subprocess
import sys
import time
from pathlib import Path

import requests
from astropy.table import Table

from becat.publish.vo.tap import schema, worker
from tests.tools.made_once import site_of_its_own

ROOT = Path(__file__).resolve().parents[2]


class Asker:
    """Asks a snapshot as a worker does."""

    def __init__(self, tmp_path_factory):
        folder = site_of_its_own(tmp_path_factory, n_stars=90)
        self.path = folder / "catalog.sqlite"
        self.tap_schema = folder / "tap_schema.sqlite"
        schema.write(self.path, self.tap_schema)
        self.folder = folder / "answers"
        self.folder.mkdir()

    def answer(self, adql: str, kind: str = "csv", rows_max: int = 100_000) -> dict:
        """The outcome of a query; the answer is in the file ``result``."""
        question = {
            "snapshot": str(self.path), "tap_schema": str(self.tap_schema), "adql": adql, "format": kind, "rows_max": rows_max,
        }  # fmt: skip
        return worker.answer(question, self.folder)

    def result(self) -> bytes:
        """The latest answer."""
        return (self.folder / "result").read_bytes()

    def rows(self, adql: str) -> list[dict[str, str]]:
        """Rows of a query, as text."""
        outcome = self.answer(adql)
        assert outcome["ok"], outcome["error"]
        return list(csv.DictReader(io.StringIO(self.result().decode())))

    def table(self, adql: str, kind: str = "votable") -> Table:
        """Rows of a query as astropy reads them."""
        outcome = self.answer(adql, kind)
        assert outcome["ok"], outcome["error"]
        return Table.read(io.BytesIO(self.result()), format=kind)

    def error(self, adql: str) -> str:
        """What the service says to a query that it refuses."""
        outcome = self.answer(adql)
        assert not outcome["ok"], adql
        return outcome["error"]


class Server:
    """A real server on a free port of this machine, with limits of its own; its addresses begin with `url`."""

    def __init__(self, snapshot_path: Path, **limits):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        port = self.url.rsplit(":", 1)[1]
        code = (
            "from becat.publish.serve import serve; from becat.publish.vo.tap import jobs;"
            f"jobs.DEFAULT_LIMITS = jobs.Limits(**{limits!r}); serve({str(snapshot_path)!r}, port={port})"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for _ in range(600):
            if self.process.poll() is not None:
                raise RuntimeError(self.process.communicate()[0])
            try:
                self.get("/tap/availability")
                return
            except requests.ConnectionError:
                time.sleep(0.1)
        raise RuntimeError("the server does not answer")

    def get(self, path: str, **words) -> requests.Response:
        """The answer to a GET."""
        return requests.get(self.url + path, timeout=120, **words)

    def post(self, path: str, data: dict, **words) -> requests.Response:
        """The answer to a POST."""
        return requests.post(self.url + path, data=data, timeout=120, **words)

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.communicate(timeout=30)
