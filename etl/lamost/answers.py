"""What came, where a file was asked for: LAMOST's service says many things with status 200."""

from __future__ import annotations

import json
import re
from urllib.parse import urlsplit

from isal import igzip, isal_zlib

from becat.etl.readers.content import gunzip
from becat.etl.readers.problem import Problem

__all__ = [
    "Busy",
    "NeedsToken",
    "NotThere",
    "Refused",
    "Unusable",
    "check_gzip",
    "judge",
    "judge_table",
    "opened_spectrum",
]

GZIP = b"\x1f\x8b"
CARD, BLOCK = 80, 2880
LOGIN = re.compile(rb"oauth\.china-vo\.org|user/login|name=[\"']?password", re.IGNORECASE)
OF_THE_QUESTION = re.compile(
    r"syntax|does not exist|ambiguous|permission denied|not allowed|statement timeout", re.IGNORECASE
)
SHOWN = 120


class Unusable(Exception):
    """Something else than what was asked for; the message says what it is."""


class NeedsToken(Unusable):
    """The service wants a token, or another one."""


class NotThere(Unusable):
    """This version of the release does not hold it."""


class Busy(Unusable):
    """The service asks to come later."""

    def __init__(self, message: str, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class Refused(Unusable):
    """The service answers with an error of its own."""


def judge(status: int, kind: str, start: bytes, location: str = "") -> None:
    """Raise what an answer is, unless it begins as gzip.

    Parameters
    ----------
    status : int
        Of HTTP; a redirection is judged by where it leads.
    kind : str
        Content-Type.
    start : bytes
        The first bytes, at least two if there are so many.
    location : str
        Where a redirection leads.

    Raises
    ------
    NeedsToken, NotThere, Busy, Refused, Unusable
    """
    if status == 429 or status >= 500:
        raise Busy(f"the service is busy (HTTP {status})")
    if status in (401, 403):
        raise NeedsToken(f"the service requires a token, or another one (HTTP {status})")
    if 300 <= status < 400:
        if LOGIN.search(location.encode()):
            raise NeedsToken("the service redirects to its login page")
        raise Refused(f"the service redirects elsewhere, to {urlsplit(location).hostname or 'another page'}")
    if status == 404:
        raise NotThere("the service has nothing at this address (HTTP 404)")
    if status >= 400:
        raise Refused(f"the service refuses the request (HTTP {status}){_said(start)}")
    if start.startswith(GZIP):
        return
    _judge_words(kind, start)


def judge_table(start: bytes) -> None:
    """Raise what an answer to a question in SQL is, unless it looks like a table in words, or is empty.

    Parameters
    ----------
    start : bytes
        Its first bytes.

    Raises
    ------
    NeedsToken, Busy, Refused
    """
    words = start.lstrip(b"\xef\xbb\xbf \r\n\t")
    if words.startswith(b"{"):
        text = _error_of(words)
        if OF_THE_QUESTION.search(text):
            raise Refused(f"the service refuses the query ({text[:SHOWN]})")
        _judge_json(words)
    if LOGIN.search(start):
        raise NeedsToken("a login page came instead of a table")
    if words.lower().startswith((b"<!doctype html", b"<html", b"<head", b"not found")):
        raise Refused("a web page, or Not Found, came instead of a table")


def _judge_words(kind: str, start: bytes) -> None:
    words = start.lstrip(b"\xef\xbb\xbf \r\n\t")
    if not words:
        raise NotThere("the answer is empty, which in old releases means that there is no such file")
    if words.startswith(b"{"):
        _judge_json(words)
    if LOGIN.search(start):
        raise NeedsToken("a login page came instead of the file")
    if words.lower().startswith((b"<!doctype html", b"<html", b"<head")):
        raise Refused("a web page came instead of the file")
    if words.lower().startswith(b"not found"):
        raise NotThere("the service says Not Found")
    if start.startswith(b"SIMPLE  ="):
        raise Unusable("a plain FITS file came instead of the gzipped one requested")
    raise Unusable(f"the answer does not begin as gzip ({kind or 'no type'}{_said(words)})")


def _error_of(words: bytes) -> str:
    try:
        said = json.loads(words)
    except ValueError:
        said = {"error": words[:SHOWN].decode("utf-8", "replace")}
    return " ".join(str(said.get(key, "")) for key in ("error", "description", "message") if said.get(key))


def _judge_json(words: bytes) -> None:
    text = _error_of(words)
    if re.search(r"token|login|unauthori[sz]ed|permission", text, re.IGNORECASE):
        raise NeedsToken("the service says that the token is missing, wrong or expired")
    if re.search(r"internal server error", text, re.IGNORECASE):
        raise Busy(f"the service reports an internal error ({text[:SHOWN]})")
    raise NotThere(f"the service answers with an error instead of the file ({text[:SHOWN] or 'no message'})")


def _said(start: bytes) -> str:
    text = " ".join(start[:SHOWN].decode("utf-8", "replace").split())
    return f": {text!r}" if text.isprintable() and text else ""


def check_gzip(path) -> int:
    """Unpack a file to its end, comparing its CRC; returns the size unpacked.

    Raises
    ------
    Unusable
        It is cut off or damaged.
    """
    n_bytes = 0
    try:
        with igzip.open(path, "rb") as stream:
            while piece := stream.read(1 << 20):
                n_bytes += len(piece)
    except (OSError, EOFError, isal_zlib.error) as error:  # pyright: ignore[reportGeneralTypeIssues]
        raise Unusable(f"gzip is cut off or damaged ({error})") from None
    return n_bytes


def opened_spectrum(content: bytes, obsid: int) -> str:
    """Release by which a gzipped FITS file calls itself, if it is whole and holds the spectrum asked for.

    Parameters
    ----------
    content : bytes
        The file as it came.
    obsid : int

    Returns
    -------
    str
        ``DR11``; empty where the header does not say.

    Raises
    ------
    Unusable
        It does not begin as gzip, does not unpack to its CRC, unpacks to more than a spectrum has, does not begin SIMPLE, or holds another OBSID.
    """
    judge(200, "", content[:4096])
    try:
        plain = gunzip(content)
    except Problem as problem:
        raise Unusable(f"it cannot be unpacked: {problem}") from None
    if not plain.startswith(b"SIMPLE  ="):
        raise Unusable("it is gzip, but not a FITS file")
    cards = _cards(plain)
    found = cards.get("OBSID", "").split("/")[0].strip(" '")
    if found != str(obsid):
        raise Unusable(f"it holds OBSID {found or '(none)'}, not {obsid}")
    return cards.get("DATA_V", "").split("/")[0].strip(" '").removeprefix("LAMOST").strip()


def _cards(plain: bytes | bytearray) -> dict[str, str]:
    """Keywords of the primary header and their values as they are written."""
    cards: dict[str, str] = {}
    for start in range(0, len(plain), CARD):
        card = plain[start : start + CARD].decode("ascii", "replace")
        if card.startswith("END") and not card[3:].strip():
            break
        if card[8:10] == "= ":
            cards.setdefault(card[:8].strip(), card[10:])
        if start > 100 * BLOCK:
            break
    return cards
