"""Judgements by eye: people who may sign in, what they said, how well they agree. Kept in a SQLite file of its own."""

from __future__ import annotations

import hashlib
import re
import secrets
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path

from becat.schema.errors import BecatError

__all__ = [
    "CLASSES",
    "add_inspector",
    "agreement",
    "end_session",
    "is_inspector",
    "judge",
    "judged_by",
    "last_judged",
    "latest",
    "make",
    "open_session",
    "take_in",
    "who",
]

CLASSES = ("emission", "emission with shell", "absorption with shell", "absorption")
COMMENT_MAX = 2000
SCRYPT = {"n": 2**14, "r": 8, "p": 1}  # some 50 ms and 16 MB a try
SCHEMA = """
create table if not exists inspector (name text primary key, salt blob not null, hash blob not null);
create table if not exists session (token text primary key, name text not null, salt blob not null, ends_at real not null);
create table if not exists inspection (
  inspection_id text primary key, star_id integer not null, spectrum_id integer, inspector text not null references inspector,
  is_be integer check (is_be in (0, 1)), profile_class text, shell_type integer check (shell_type between 1 and 3),
  comment text, inspected_at text not null);
create index if not exists inspection_of on inspection (inspector, star_id);
"""


OWN_TABLES = frozenset(re.findall(r"create table if not exists (\w+)", SCHEMA))
NAME_LETTERS_MAX = 100
SESSION_S = 7 * 86_400


@contextmanager
def _open(labels: str | Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(labels, timeout=10)
    try:
        tables = connection.execute("select name from sqlite_master where type = 'table' and name not like 'sqlite%'")
        others = {name for (name,) in tables} - OWN_TABLES
        if others:  # a snapshot: all could read the hashes of passwords
            raise BecatError(f"{labels} holds other tables, such as {min(others)}: labels need a file of their own")
        connection.executescript(SCHEMA)
        with connection:
            yield connection
    finally:
        connection.close()


def _hash(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, maxmem=64 * 2**20, **SCRYPT)


def make(labels: str | Path) -> None:
    """Make the file of labels where it is missing.

    Raises
    ------
    BecatError
        The file holds other tables: it is a snapshot, for example.
    """
    with _open(labels):
        pass


def add_inspector(labels: str | Path, name: str, password: str) -> None:
    """Let a person sign in, or give them another password.

    Raises
    ------
    ValueError
        The name is empty or too long, or the password has fewer than ten characters.
    """
    if not name.strip() or len(name) > NAME_LETTERS_MAX or len(password) < 10:
        raise ValueError(
            f"a name of at most {NAME_LETTERS_MAX} letters and a password of at least ten characters are needed"
        )
    salt = secrets.token_bytes(16)
    with _open(labels) as connection:
        connection.execute(
            "insert or replace into inspector values (?, ?, ?)", (name.strip(), salt, _hash(password, salt))
        )


def is_inspector(labels: str | Path, name: str, password: str) -> bool:
    """True if name and password belong together; takes as long for a name that nobody has."""
    with _open(labels) as connection:
        found = connection.execute("select salt, hash from inspector where name = ?", (name,)).fetchone()
    salt, expected = found or (b"0" * 16, b"")
    return secrets.compare_digest(_hash(password[:1000], salt), expected)


def open_session(labels: str | Path, name: str, *, now: float | None = None) -> str:
    """Let a person in for `SESSION_S` seconds; the token is for their cookie, its hash is kept."""
    token, now = secrets.token_urlsafe(32), time.time() if now is None else now
    with _open(labels) as connection:
        connection.execute("delete from session where ends_at < ?", (now,))
        connection.execute(
            "insert into session select ?, name, salt, ? from inspector where name = ?",
            (_mark(token), now + SESSION_S, name),
        )
    return token


def who(labels: str | Path, token: str, *, now: float | None = None) -> str | None:
    """Whose token it is: None where it has ended, the person is gone or has another password since."""
    with _open(labels) as connection:
        found = connection.execute(
            "select name from session join inspector using (name, salt) where token = ? and ends_at > ?",
            (_mark(token), time.time() if now is None else now),
        ).fetchone()
    return found[0] if found else None


def end_session(labels: str | Path, token: str) -> None:
    """Let nobody in with this token any more."""
    with _open(labels) as connection:
        connection.execute("delete from session where token = ?", (_mark(token),))


def _mark(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def judge(
    labels: str | Path,
    inspector: str,
    star_id: int,
    is_be: bool | None,
    *,
    spectrum_id: int | None = None,
    profile_class: str | None = None,
    shell_type: int | None = None,
    comment: str = "",
) -> None:
    """Add a judgement. Nothing is overwritten: the latest word of each inspector on a star counts.

    Raises
    ------
    ValueError
        The profile class or the shell type is not one of those that there are.
    """
    if profile_class not in (None, *CLASSES) or shell_type not in (None, 1, 2, 3):
        raise ValueError("there is no such profile class or shell type")
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    row = (
        secrets.token_hex(16),
        star_id,
        spectrum_id,
        inspector,
        is_be,
        profile_class,
        shell_type,
        comment[:COMMENT_MAX],
        now,
    )
    with _open(labels) as connection:
        connection.execute("insert into inspection values (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)


def judged_by(labels: str | Path, inspector: str) -> set[int]:
    """Stars that a person has judged."""
    with _open(labels) as connection:
        return {
            star for (star,) in connection.execute("select star_id from inspection where inspector = ?", (inspector,))
        }


def last_judged(labels: str | Path, inspector: str) -> int | None:
    """The star that a person judged last."""
    with _open(labels) as connection:
        row = connection.execute(
            "select star_id from inspection where inspector = ? order by inspected_at desc, inspection_id desc limit 1",
            (inspector,),
        ).fetchone()
    return row[0] if row else None


def latest(labels: str | Path) -> dict[tuple[str, int], bool | None]:
    """The latest word of each inspector on each star: Be, not Be, or undecided (None)."""
    with _open(labels) as connection:
        rows = connection.execute(
            "select inspector, star_id, is_be from inspection order by inspected_at, inspection_id"
        )
        return {(inspector, star): None if is_be is None else bool(is_be) for inspector, star, is_be in rows}


def agreement(labels: str | Path) -> list[dict]:
    """How well each two inspectors agree on the stars that both have decided.

    Returns
    -------
    list of dict
        Keys ``inspectors`` (two names), ``n_stars``, ``fraction`` (of stars with the same word) and ``kappa``, which is
        Cohen's (1960, Educ. Psychol. Meas. 20, 37): 1 is full agreement, 0 what chance gives; None where chance alone
        gives full agreement.
    """
    words = {key: is_be for key, is_be in latest(labels).items() if is_be is not None}
    people = sorted({inspector for inspector, _ in words})
    found = []
    for one, other in combinations(people, 2):
        pairs = Counter(
            (is_be, words[other, star]) for (who, star), is_be in words.items() if who == one and (other, star) in words
        )
        n = sum(pairs.values())
        if not n:
            continue
        fraction = (pairs[True, True] + pairs[False, False]) / n
        yes_one = (pairs[True, True] + pairs[True, False]) / n
        yes_other = (pairs[True, True] + pairs[False, True]) / n
        chance = yes_one * yes_other + (1 - yes_one) * (1 - yes_other)
        kappa = (fraction - chance) / (1 - chance) if chance < 1 else None
        found.append({"inspectors": (one, other), "n_stars": n, "fraction": fraction, "kappa": kappa})
    return found


def take_in(catalogue, labels: str | Path, run_id: int) -> int:
    """Copy judgements into the catalogue's table ``inspection``, where the views use them; those there already stay.

    Parameters
    ----------
    catalogue : DuckDB connection
    labels : path
        The file that the site writes.
    run_id : int
        Run that takes them in.

    Returns
    -------
    int
        Number of judgements that were new.
    """
    with _open(labels) as connection:
        rows = connection.execute(
            "select inspection_id, star_id, spectrum_id, inspector, is_be, profile_class, shell_type, comment, inspected_at"
            " from inspection order by inspected_at"
        ).fetchall()
    before = catalogue.execute("select count(*) from inspection").fetchone()[0]
    if rows:
        catalogue.executemany(
            "insert or ignore into inspection (inspection_id, star_id, spectrum_id, inspector, is_be, profile_class, shell_type,"
            " comment, inspected_at, run_id) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(*row, run_id) for row in rows],
        )
    return catalogue.execute("select count(*) from inspection").fetchone()[0] - before
