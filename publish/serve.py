"""Serve a snapshot, and go over to the next one when its file is replaced, without losing a request."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import sqlite3
import sys
import tempfile
import webbrowser
from pathlib import Path

import uvicorn
from datasette.app import Datasette

from becat.publish import site
from becat.publish.reading import scored_by, snapshot_of
from becat.publish.saliency import Explainer
from becat.publish.snapshot import leftovers
from becat.publish.snapshot.address import address_of
from becat.schema.errors import BecatError

__all__ = ["Switch", "serve"]

POLL_S = 1.0
DRAIN_S = 0.2


class Generation:
    """One state of the snapshot's file, with the application that serves it.

    The file is held by a hard link of its own: whatever takes the snapshot's name later, this application goes on
    reading the file that it began with.
    """

    def __init__(self, snapshot: Path, holder: Path, explainer: Explainer, **options):
        self.stamp = stamp(snapshot)
        self.folder = Path(tempfile.mkdtemp(dir=holder))
        self.path = self.folder / snapshot.name
        os.link(snapshot, self.path)
        check(self.path)
        self.datasette: Datasette = site.create(self.path, **options)
        self.explainer = explainer
        self.datasette.becat_explainer = explainer  # pyright: ignore[reportAttributeAccessIssue] - for plugins/star.py
        self.application = self.datasette.app()
        self.n_requests = 0

    async def warm(self) -> None:
        """Open what the first visitor needs, so that nobody waits for it or sees it fail."""
        await self.datasette.invoke_startup()
        snapshot_of(self.datasette).questions.prepare()
        response = await self.datasette.client.get("/")
        if response.status_code != 200:
            raise BecatError(f"the front page of the new snapshot answers {response.status_code}")
        if self.explainer.knows(await scored_by(snapshot_of(self.datasette))):
            self.explainer.prepare()

    async def close(self) -> None:
        """Wait for the last request and let the file go."""
        while self.n_requests:
            await asyncio.sleep(DRAIN_S)
        self.remove()

    def remove(self) -> None:
        """Close the connections and drop the hard link."""
        if self.datasette.executor is not None:
            self.datasette.executor.shutdown(wait=True)
        for database in self.datasette.databases.values():
            database.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Switch:
    """An ASGI application that passes requests to the current generation and makes a new one when the file changes."""

    def __init__(
        self,
        snapshot: str | Path,
        labels: str | Path | None = None,
        settings: dict | None = None,
        model: str | Path | None = None,
    ):
        self.snapshot = Path(snapshot)
        secret = os.environ.get("DATASETTE_SECRET") or secrets.token_hex(
            32
        )  # the same for all: a sign-in outlasts a snapshot
        self.options = {"labels": labels, "secret": secret, "settings": settings}
        self.model = model
        check(self.snapshot)
        leftovers.remove_stale(self.snapshot)
        self.holder = Path(tempfile.mkdtemp(prefix=leftovers.own_prefix(self.snapshot), dir=self.snapshot.parent))
        self.current = self._generation()
        self.closing: set[asyncio.Task] = set()
        self.watcher: asyncio.Task | None = None

    def _generation(self) -> Generation:
        return Generation(self.snapshot, self.holder, Explainer(self.model), **self.options)

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            return await self._lifespan(receive, send)
        generation = self.current
        generation.n_requests += 1
        try:
            await generation.application(scope, receive, send)
        finally:
            generation.n_requests -= 1

    async def _lifespan(self, receive, send) -> None:
        await receive()
        await self.current.warm()
        self.watcher = asyncio.create_task(self._watch())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.watcher.cancel()
        for task in self.closing:
            task.cancel()
        for end in self.current.datasette.becat_at_end:  # pyright: ignore[reportAttributeAccessIssue] - of publish/site.py
            end()
        self.current.remove()
        shutil.rmtree(self.holder, ignore_errors=True)
        await send({"type": "lifespan.shutdown.complete"})

    async def _watch(self) -> None:
        refused = None
        while True:
            await asyncio.sleep(POLL_S)
            with contextlib.suppress(FileNotFoundError):  # between two snapshots of a careless copy
                found = stamp(self.snapshot)
                if found in (self.current.stamp, refused):
                    continue
                try:
                    await self.renew()
                except (BecatError, sqlite3.Error, OSError) as error:
                    refused = found
                    print(f"becat serve: kept the old snapshot, the new one cannot be served: {error}", file=sys.stderr)

    async def renew(self) -> None:
        """Make a generation of the file as it is now, warm it, and let it take over."""
        new = await asyncio.to_thread(self._generation)
        await new.warm()
        old, self.current = self.current, new
        task = asyncio.create_task(old.close())
        self.closing.add(task)
        task.add_done_callback(self.closing.discard)


def stamp(path: Path) -> tuple[int, int, int]:
    """What changes when a file is replaced."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def check(path: Path) -> None:
    """Raise `BecatError` unless the file is a snapshot that becat made."""
    if not path.is_file():
        raise BecatError(f"there is no snapshot {path}: make one with `becat publish {path} --catalog CATALOG`")
    try:
        with contextlib.closing(sqlite3.connect(address_of(path), uri=True)) as connection:
            for table in ("view_definition", "column_kind"):
                connection.execute(f"select 1 from {table} limit 1").fetchone()
    except sqlite3.Error as error:
        raise BecatError(f"{path} is not a snapshot made by `becat publish` of this version ({error})") from error


def serve(
    snapshot: str | Path,
    host: str = "127.0.0.1",
    port: int = 8001,
    *,
    labels: str | Path | None = None,
    open_browser: bool = False,
    settings: dict | None = None,
    model: str | Path | None = None,
) -> None:
    """Serve a snapshot until interrupted.

    Parameters
    ----------
    snapshot : path
        Made by `becat.publish.snapshot.write.write`. When the file is replaced in one step the server goes over to the new one.
    host, port : str, int
        Address to listen on.
    labels : path, optional
        SQLite file of people who may judge by eye and of what they said (`becat.publish.inspection`); it is made when missing.
    open_browser : bool
        Show the site in the user's browser.
    settings : dict, optional
        Datasette settings that replace ours.
    model : path, optional
        The classifier that gave the scores, if it is not becat's own.

    Raises
    ------
    BecatError
        The file is not a snapshot, or the model is none.
    """
    application = Switch(snapshot, labels, settings, model)
    address = f"http://{host}:{port}/"
    print(f"{snapshot} is served at {address}  (end with Ctrl-C)")
    if open_browser:
        webbrowser.open(address)
    uvicorn.run(application, host=host, port=port, log_level="warning", lifespan="on", timeout_graceful_shutdown=5)
