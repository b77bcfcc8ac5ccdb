"""Requests to LAMOST's service: polite, tried again where that helps, and with the token only where it must be."""

from __future__ import annotations

import json
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from becat.etl.lamost.answers import Busy, Refused, Unusable, judge, judge_table
from becat.etl.lamost.limits import Limits
from becat.etl.lamost.token import Token, hide_tokens
from becat.schema.errors import BecatError
from becat.schema.version import becat_version

__all__ = ["SERVER", "Client", "room_for"]

SERVER = "https://www.lamost.org/openapi"
MAX_REDIRECTS = 5
JSON_BYTES_MAX = 64 << 20
START_BYTES = 4096  # by which an answer is judged


class Client:
    """Asks the service, from any number of threads.

    Parameters
    ----------
    server : str
        Root of the service's OpenAPI.
    token : Token, optional
        Sent for internal releases only, and to the service's own hosts only.
    limits : Limits
    sleep : callable
        Waits for a number of seconds.
    """

    def __init__(
        self,
        server: str = SERVER,
        token: Token | None = None,
        limits: Limits | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.server = server.rstrip("/")
        self.limits = limits or Limits()
        self._token = token
        self._sleep = sleep
        self._local = threading.local()
        self._lock = threading.Lock()
        self._not_before = 0.0  # when one is asked to wait, all wait
        hide_tokens()

    def json(self, path: str) -> Any:
        """What the service says at a path below its root.

        Raises
        ------
        BecatError
            It cannot be reached, or answers with something else.
        """
        address = f"{self.server}/{path}"
        try:
            return json.loads(self._whole(address, False, JSON_BYTES_MAX, _judge_json, json.loads))
        except (Unusable, ValueError) as error:
            raise BecatError(f"{address}: {error or 'the answer is not JSON'}") from None

    def content(self, address: str, with_token: bool, length_max: int, check: Callable[[bytes], Any]) -> bytes:
        """A small gzipped file, as a whole.

        Parameters
        ----------
        address : str
        with_token : bool
            Whether the release is internal.
        length_max : int
            Longer answers are refused.
        check : callable
            Raises `Unusable` where the content is not what was asked for; it is then asked for again.

        Raises
        ------
        Unusable
            Something else came; `NotThere` and `NeedsToken` at once, others after all tries.
        """
        return self._whole(address, with_token, length_max, _judge, check)

    def text(self, address: str, with_token: bool, length_max: int, check: Callable[[bytes], Any]) -> bytes:
        """A table in words, which may be empty.

        Parameters
        ----------
        address, with_token, length_max, check
            As of `content`.

        Raises
        ------
        Unusable
            Something else came, or the service refuses the question.
        """
        return self._whole(address, with_token, length_max, _judge_table, check)

    def _whole(self, address: str, with_token: bool, length_max: int, judged, check) -> bytes:
        turn = 0
        while True:
            turn += 1
            try:
                with self._answer(address, with_token) as (answer, start):
                    judged(answer, start)
                    content = start + _read(answer, length_max)
                    if len(content) >= length_max:
                        raise Refused(f"it is longer than {length_max:,} bytes")
                    expected = answer.headers.get("Content-Length")
                    if expected and len(content) < int(expected):
                        raise Busy(f"the connection broke after {len(content):,} of {int(expected):,} bytes")
                check(content)
                return content
            except Unusable as error:
                # Damage may be of the way, and what is busy may be free later; an answer in words will be the same.
                if type(error) not in (Busy, Unusable) or turn == self.limits.tries:
                    raise
                self._wait(turn, getattr(error, "wait_s", None))

    def to_file(
        self, address: str, with_token: bool, part: Path, progress: Callable[[int, int | None], None] | None = None
    ) -> None:
        """A large file, going on where an earlier try stopped.

        Parameters
        ----------
        address : str
        with_token : bool
        part : Path
            What is there of it; written to.
        progress : callable, optional
            Told the bytes that are there and, where known, the bytes of the whole.

        Raises
        ------
        Unusable
            Something else came.
        BecatError
            The disk has no room.
        """
        tries = 0
        while True:
            before = part.stat().st_size if part.exists() else 0
            try:
                self._go_on(address, with_token, part, before, progress)
                return
            except Busy as error:
                after = part.stat().st_size if part.exists() else 0
                tries = 0 if after > before else tries + 1
                if tries >= self.limits.tries:
                    raise
                self._wait(tries, error.wait_s)

    def _go_on(self, address: str, with_token: bool, part: Path, have: int, progress) -> None:
        headers = {"Range": f"bytes={have}-"} if have else {}
        with self._answer(address, with_token, headers) as (answer, start):
            if answer.status_code == 416:
                whole = answer.headers.get("Content-Range", "").rpartition("/")[2]
                if whole == str(have):
                    return
                part.unlink()  # what is there is longer than the file: another file
                raise Busy("the file on the server has changed")
            goes_on = answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
            if answer.status_code == 206 and not goes_on:
                raise Refused("the service sent a part of the file other than the one requested")
            if not goes_on:
                _judge(answer, start)
                have = 0
            length = answer.headers.get("Content-Length")
            whole = have + int(length) if length else None
            room_for(part.parent, int(length or 0), self.limits)
            with part.open("ab" if goes_on else "wb") as file:
                piece = start
                while piece:
                    file.write(piece)
                    have += len(piece)
                    if progress:
                        progress(have, whole)
                    if not length:
                        room_for(part.parent, self.limits.chunk_bytes, self.limits)
                    piece = _read(answer, self.limits.chunk_bytes)
        if whole is not None and have < whole:
            raise Busy(f"the connection broke after {have:,} of {whole:,} bytes")

    @contextmanager
    def _answer(self, address: str, with_token: bool, headers: dict | None = None) -> Iterator[tuple[Any, bytes]]:
        """An open answer and its first bytes; what breaks below is `Busy`."""
        self._wait_for_all()
        try:
            answer = self._get(address, with_token, headers or {})
        except requests.RequestException as error:
            raise Busy(f"it does not answer ({type(error).__name__})") from None  # its words may hold the address
        try:
            start = b""
            while len(start) < START_BYTES and (piece := _read(answer, START_BYTES - len(start))):
                start += piece
            if answer.status_code == 429 or answer.status_code >= 500:
                raise Busy(f"the service is busy (HTTP {answer.status_code})", _retry_after(answer))
            yield answer, start
        finally:
            answer.close()

    def _get(self, address: str, with_token: bool, headers: dict) -> requests.Response:
        """Follows redirections within the service only: a login page elsewhere is not asked for."""
        session = self._session()
        for _ in range(MAX_REDIRECTS):
            params = {"token": self._token.reveal()} if with_token and self._token and self._trusts(address) else None
            answer = session.get(
                address,
                params=params,
                headers=headers,
                stream=True,
                timeout=self.limits.timeout_s,
                allow_redirects=False,
            )
            target = urljoin(address, _leads_to(answer))
            if not _leads_to(answer) or not self._is_service(target) or "login" in target:
                return answer
            answer.close()
            address = target
        raise requests.TooManyRedirects

    def _is_service(self, address: str) -> bool:
        host, own = urlsplit(address).hostname or "", urlsplit(self.server).hostname
        return host == own or host == "lamost.org" or host.endswith(".lamost.org")

    def _trusts(self, address: str) -> bool:
        """Whether the token may go there: to the service's hosts, and only through an encrypted connection."""
        parts = urlsplit(address)
        return self._is_service(address) and (parts.scheme == "https" or parts.hostname in ("127.0.0.1", "localhost"))

    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            self._local.session = session = requests.Session()
            session.headers["User-Agent"] = f"becat/{becat_version()}"
            session.headers["Accept-Encoding"] = "identity"  # a .gz is to come as it is
        return self._local.session

    def _wait(self, turn: int, asked_s: float | None = None) -> None:
        wait = asked_s if asked_s is not None else self.limits.first_wait_s * 2 ** (turn - 1) * (1 + random.random())
        wait = min(wait, self.limits.longest_wait_s)
        if asked_s is not None:  # the service has asked: no other connection goes on meanwhile
            with self._lock:
                self._not_before = max(self._not_before, time.monotonic() + wait)
        self._sleep(wait)

    def _wait_for_all(self) -> None:
        wait = self._not_before - time.monotonic()
        if wait > 0:
            self._sleep(wait)


def _judge(answer: requests.Response, start: bytes) -> None:
    judge(answer.status_code, answer.headers.get("Content-Type", ""), start, _leads_to(answer))


def _judge_table(answer: requests.Response, start: bytes) -> None:
    if answer.status_code != 200:
        _judge(answer, start)
    judge_table(start)


def _judge_json(answer: requests.Response, start: bytes) -> None:
    if answer.status_code != 200 or not start.lstrip().startswith((b"{", b"[")):
        _judge(answer, start)


def _read(answer: requests.Response, n_bytes: int) -> bytes:
    from urllib3.exceptions import HTTPError

    try:
        return answer.raw.read(n_bytes, decode_content=False)
    except (HTTPError, OSError) as error:
        raise Busy(f"the connection broke ({type(error).__name__})") from None


def _leads_to(answer: requests.Response) -> str:
    return answer.headers.get("Location", "") if 300 <= answer.status_code < 400 else ""


def _retry_after(answer: requests.Response) -> float | None:
    """Seconds that the service asks to wait; None where it says none, or a date."""
    words = answer.headers.get("Retry-After", "")
    return float(words) if words.isdigit() else None


def room_for(folder: Path, n_bytes: int, limits: Limits) -> None:
    """Refuse to fill the disk.

    Raises
    ------
    BecatError
        Less would stay free than `Limits.free_bytes_kept`.
    """
    free = shutil.disk_usage(folder).free
    if free - n_bytes < limits.free_bytes_kept:
        raise BecatError(
            f"{folder} has {free / 1e9:.1f} GB free, and {n_bytes / 1e9:.1f} GB are to come: free some space (becat leaves"
            f" {limits.free_bytes_kept / 1e9:.0f} GB), then run the same command again"
        )
