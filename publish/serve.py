"""Serve a snapshot, and go over to the next one when its file is replaced, without losing a request."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import secrets
import shutil
import socket
import sqlite3
import sys
import tempfile
import webbrowser
from collections.abc import Iterable
from pathlib import Path

import uvicorn
from datasette.app import Datasette

from becat.publish import inspection, site
from becat.publish.reading import scored_by, snapshot_of
from becat.publish.saliency import Explainer
from becat.publish.snapshot.address import address_of, stamp
from becat.publish.snapshot.metadata import EXTRA_TABLES
from becat.publish.snapshot.write import UNPUBLISHED
from becat.schema import leftovers
from becat.schema.build import VIEWS
from becat.schema.errors import BecatError
from becat.schema.tables import TABLES

__all__ = ["Switch", "serve"]

POLL_S = 1.0
PORT = re.compile(r":\d+$")
REPLACED = "The tables are being replaced. Try again in a moment."
NO_PATH = "The address must begin with /."
NOT_CALLED = "This server does not answer to that name. Whoever runs it can add the name: becat serve --name NAME"
DRAIN_S = 0.2


class Generation:
    """One state of the snapshot's file, with the application that serves it.

    The file is held by a hard link of its own: whatever takes the snapshot's name later, this application goes on
    reading the file that it began with. Where no link can be made, in a folder that may only be read or to a file of
    somebody else, it reads the file itself, and answers nothing any more once that has changed.
    """

    def __init__(self, snapshot: Path, holder: Path | None, explainer: Explainer, **options):
        self.stamp = stamp(snapshot)
        self.folder, self.path = _held(snapshot, holder)
        check(self.path)
        self.datasette: Datasette = site.create(self.path, **options)
        self.explainer = explainer
        self.datasette.becat_explainer = explainer  # pyright: ignore[reportAttributeAccessIssue] - for plugins/star.py
        self.application = self.datasette.app()
        self.n_requests = 0

    def is_changed(self) -> bool:
        """The file was written anew in place, or is gone: what is read from it now may be of two snapshots."""
        try:
            return stamp(self.path) != self.stamp
        except OSError:
            return True

    async def warm(self) -> None:
        """Open what the first visitor needs, so that nobody waits for it or sees it fail."""
        await self.datasette.invoke_startup()
        snapshot_of(self.datasette).questions.prepare()  # pyright: ignore[reportAttributeAccessIssue] - of publish/readonly.py
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
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def _held(snapshot: Path, holder: Path | None) -> tuple[Path | None, Path]:
    """A folder with a hard link to the file, and the link; no folder and the file itself where there can be no link."""
    if holder is None:
        return None, snapshot.absolute()
    folder = Path(tempfile.mkdtemp(dir=holder))
    path = folder / snapshot.name
    try:
        os.link(snapshot, path)
    except OSError:
        folder.rmdir()
        return None, snapshot.absolute()
    return folder, path


class Switch:
    """An ASGI application that passes requests to the current generation and makes a new one when the file changes."""

    def __init__(
        self,
        snapshot: str | Path,
        labels: str | Path | None = None,
        settings: dict | None = None,
        model: str | Path | None = None,
        names: Iterable[str] = (),
    ):
        self.snapshot = Path(snapshot).absolute()
        self.names = frozenset(name.lower() for name in (*names, "localhost", socket.gethostname()))
        secret = os.environ.get("DATASETTE_SECRET") or secrets.token_hex(
            32
        )  # the same for all: a sign-in outlasts a snapshot
        self.options = {"labels": labels, "secret": secret, "settings": settings}
        self.model = model
        check(self.snapshot)
        if labels is not None:
            inspection.make(labels)
        leftovers.remove_stale(self.snapshot)
        self.holder = _holder(self.snapshot)
        try:
            self.current = self._generation()
        except BaseException:
            self.remove()
            raise
        self.closing: set[asyncio.Task] = set()
        self.watcher: asyncio.Task | None = None

    def _generation(self) -> Generation:
        return Generation(self.snapshot, self.holder, Explainer(self.model), **self.options)

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            return await self._lifespan(receive, send)
        if not _is_called(scope, self.names):
            return await _refuse(send, 421, NOT_CALLED)
        if not scope["path"].startswith("/"):  # GET http://elsewhere/: a redirect would lead there
            return await _refuse(send, 400, NO_PATH)
        generation = self.current
        if generation.is_changed():
            return await _refuse(send, 503, REPLACED)
        generation.n_requests += 1
        try:
            await generation.application(scope, receive, _while_unchanged(send, generation))
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
        self.remove()
        await send({"type": "lifespan.shutdown.complete"})

    def remove(self) -> None:
        """Take away what lies beside the snapshot while it is served."""
        if self.holder is not None:
            shutil.rmtree(self.holder, ignore_errors=True)

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


def _holder(snapshot: Path) -> Path | None:
    try:
        return Path(tempfile.mkdtemp(prefix=leftovers.own_prefix(snapshot), dir=snapshot.parent))
    except OSError:
        return None


def _is_called(scope, names: frozenset[str]) -> bool:
    """True if the request is for a name of this server, or the address that it came in at: names go into redirects."""
    asked = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"]
    here = (scope.get("server") or ("",))[0].lower().removeprefix("::ffff:")
    return all(name in names or name in (here, f"[{here}]") for name in (PORT.sub("", value) for value in asked))


async def _refuse(send, status: int, words: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    if status == 503:
        headers.append((b"retry-after", b"2"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": words.encode()})


def _while_unchanged(send, generation: Generation):
    """Sends an answer only if the file is what it was when the answer began to be made."""
    is_refused = False

    async def send_checked(event):
        nonlocal is_refused
        if is_refused:
            return
        if generation.is_changed():
            if event["type"] != "http.response.start":
                raise ConnectionAbortedError("the snapshot was replaced in the middle of an answer")
            is_refused = True
            return await _refuse(send, 503, REPLACED)
        await send(event)

    return send_checked


def check(path: Path) -> None:
    """Raise `BecatError` unless the file is a snapshot with every table and view that this becat publishes."""
    if not path.is_file():
        raise BecatError(f"there is no snapshot {path}: make one with `becat publish {path} --catalog CATALOG`")
    with path.open("rb") as file:
        head = file.read(100)
    page, pages = int.from_bytes(head[16:18], "big"), int.from_bytes(head[28:32], "big")
    if head[:15] == b"SQLite format 3" and pages * (65536 if page == 1 else page) != path.stat().st_size:
        raise BecatError(f"{path} is not complete: it is still being copied, or was cut off")
    try:
        with contextlib.closing(sqlite3.connect(address_of(path), uri=True)) as connection:
            there = {row[0] for row in connection.execute("select name from sqlite_master").fetchall()}
    except sqlite3.Error as error:
        raise BecatError(f"{path} is not a snapshot ({error}): make it again with `becat publish {path}`") from error
    wanted = {*EXTRA_TABLES, *(view.name for view in VIEWS), *(name for name in TABLES if name not in UNPUBLISHED)}
    if lacks := sorted(wanted - there):
        raise BecatError(
            f"{path} is not a snapshot of this version of becat (it lacks {lacks[0]}): make it again with `becat publish {path}`"
        )


def serve(
    snapshot: str | Path,
    host: str = "127.0.0.1",
    port: int = 8001,
    *,
    labels: str | Path | None = None,
    open_browser: bool = False,
    settings: dict | None = None,
    model: str | Path | None = None,
    names: Iterable[str] = (),
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
    names : iterable of str
        Names under which people reach the server, beside ``localhost``, this machine's own and the address it listens on.

    Raises
    ------
    BecatError
        The file is not a snapshot, or the model is none.
    """
    application = Switch(snapshot, labels, settings, model, (*names, host))
    address = f"http://{host}:{port}/"
    print(f"{snapshot} is served at {address}  (end with Ctrl-C)", flush=True)
    if open_browser:
        webbrowser.open(address)
    logging.getLogger("uvicorn.error").addFilter(_is_not_cut_off)
    try:
        uvicorn.run(
            application,
            host=host,
            port=port,
            log_level="warning",
            use_colors=False,
            lifespan="on",
            timeout_graceful_shutdown=5,
        )
    finally:
        application.remove()


def _is_not_cut_off(record: logging.LogRecord) -> bool:
    """Of a request that is cut off when the server ends uvicorn says so in a line; nobody needs to know where it was."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))
