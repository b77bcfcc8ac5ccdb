"""A process that answers visitors' SQL on one snapshot: ``python -m becat.publish.question_worker SNAPSHOT``.

SQLite asks only between its own steps whether time is up, and one step can last: `instr` on long texts, `printf` with a
wide field. Here it can be ended by killing the process, and nobody else's question waits. Questions come on the standard
input and answers go to the standard output, as JSON after four bytes that say how long it is.
"""

from __future__ import annotations

import base64
import json
import os
import queue
import resource
import sqlite3
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import IO

from becat.publish.guarded import ANSWER_BYTES_MAX, TOO_MANY_BYTES, open_guarded
from becat.publish.vo.tap import walls
from becat.publish.vo.tap.geometry import register

__all__ = ["LENGTH", "answers", "prepare", "to_json"]

LENGTH = struct.Struct(">I")
PART_ROWS, PART_BYTES = 500, 500_000
STEPS = 1000  # of SQLite between two looks at the clock
MEMORY_BYTES = 1 << 30
FILE_BYTES = 1 << 30  # of what is sorted on the disk
INTERRUPTED = "interrupted"


def to_json(found: object) -> bytes:
    """JSON in which bytes are an object ``{"b": base64}``."""
    text = json.dumps(found, ensure_ascii=False, separators=(",", ":"), default=_blob)
    return text.encode("utf-8", "replace")


def _blob(value: object) -> dict[str, str]:
    if not isinstance(value, bytes):
        raise TypeError(f"{type(value).__name__} is no value of SQLite")
    return {"b": base64.b64encode(value).decode()}


def prepare(connection: sqlite3.Connection) -> None:
    """Give a connection what Datasette's have: the functions of the sky and of the search, text that is not UTF-8."""
    from datasette.sql_functions import prepare_connection

    connection.text_factory = lambda text: str(text, "utf-8", "replace")
    prepare_connection(connection)
    register(connection)
    sqlite3.enable_callback_tracebacks(False)  # which Datasette switches on: a visitor could fill the log


def answers(connection: sqlite3.Connection, question: dict) -> Iterator[dict]:
    """The answer of a question in parts: ``names`` and ``rows``; last ``whole``, or ``error``.

    Parameters
    ----------
    connection : sqlite3.Connection
    question : dict
        ``sql``, ``parameters`` (of the statement), ``rows_max``, ``limit_ms``.
    """
    deadline = time.perf_counter() + question["limit_ms"] / 1000
    connection.set_progress_handler(lambda: time.perf_counter() >= deadline, STEPS if question["limit_ms"] > 20 else 1)
    try:
        with closing(connection.cursor()) as cursor:
            cursor.execute(question["sql"], question["parameters"])
            yield {"names": [column[0] for column in cursor.description or ()], "rows": []}
            yield from _parts(cursor, question["rows_max"], deadline)
    except (sqlite3.Error, OverflowError, ValueError) as error:  # a value or a text that SQLite does not take
        yield {"error": str(error)}
    except MemoryError:
        yield {"error": "the query needs more memory than it may use"}
    finally:
        connection.set_progress_handler(None, STEPS)


def _parts(cursor: sqlite3.Cursor, rows_max: int, deadline: float) -> Iterator[dict]:
    rows: list[tuple] = []
    n_bytes = of_part = 0
    whole = True
    for n_rows, row in enumerate(cursor):
        if time.perf_counter() >= deadline:  # a row can be too short for SQLite to look at the clock, and yet take long
            raise sqlite3.OperationalError(INTERRUPTED)
        if n_rows == rows_max:
            whole = False
            break
        rows.append(row)
        of_part += 8 * len(row) + sum(len(value) for value in row if isinstance(value, str | bytes))
        if len(rows) >= PART_ROWS or of_part > PART_BYTES:
            n_bytes += of_part
            if n_bytes > ANSWER_BYTES_MAX:
                raise sqlite3.OperationalError(TOO_MANY_BYTES)
            yield {"rows": rows}
            rows, of_part = [], 0
    yield {"rows": rows, "whole": whole}


def _read_questions(source: IO[bytes], questions: queue.SimpleQueue) -> None:
    """Pass questions on; when the server is gone, however it went, this process goes too, in the middle of a query."""
    while len(head := source.read(LENGTH.size)) == LENGTH.size:
        questions.put(json.loads(source.read(LENGTH.unpack(head)[0])))
    os._exit(0)


def _limit() -> None:
    for what, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    os.nice(5)


def main() -> None:
    """Answer questions until there are no more."""
    walls.leave_the_network()
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    connection = open_guarded(sys.argv[1])
    prepare(connection)
    _limit()
    walls.stay_within(None)
    questions: queue.SimpleQueue = queue.SimpleQueue()
    threading.Thread(target=_read_questions, args=(sys.stdin.buffer, questions), daemon=True).start()
    _tell(out, {"ready": True})
    while True:
        for part in answers(connection, questions.get()):
            _tell(out, part)


def _tell(out: IO[bytes], part: dict) -> None:
    said = to_json(part)
    out.write(LENGTH.pack(len(said)) + said)
    out.flush()


if __name__ == "__main__":
    main()
