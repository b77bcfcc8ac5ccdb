"""A process that has imported becat, and forks into a command of becat each time that it is asked: what each would do anew takes seconds.

On its standard input it takes a line of JSON: the words of the command, its environment, the files for what it says, and what to do first. It answers with the number of
the process, and with its exit status once it has ended.
"""

from __future__ import annotations

import gc
import json
import os
import pickle
import sys
import tempfile
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

import duckdb
from tqdm import tqdm

# What most commands import.
MODULES = (
    "becat.cli", "becat.demo", "becat.etl.archives.stage", "becat.etl.load.load", "becat.etl.load.release", "becat.etl.match.gather",
    "becat.etl.measure", "becat.etl.score", "becat.pipeline", "becat.publish.snapshot.write", "becat.show", "becat.verify",
)  # fmt: skip
# Of the templates with which velocities of the medium-resolution survey are measured.
MEDIUM_RESOLVING_POWER = 7500.0


def prepare() -> None:
    """Import, and do what every process does once: read the code of the stages, translate the views for DuckDB and SQLite."""
    gc.disable()
    for name in MODULES:
        import_module(name)
    from becat.etl.catalogue.versions import DEPENDS_ON, code_version
    from becat.publish.snapshot import write as snapshot
    from becat.schema import build
    from becat.udfs.velocity.templates import blue_bank

    for stage in DEPENDS_ON:
        code_version(stage)
    with tempfile.TemporaryDirectory() as folder:
        build.create(Path(folder, "catalog.duckdb"))
        snapshot.write(Path(folder, "catalog.duckdb"), Path(folder, "catalog.sqlite"), progress=False)
    blue_bank(MEDIUM_RESOLVING_POWER).coarse  # noqa: B018 (it is kept)
    # Threads do not come along: who waits at its end for one of these would wait for ever.
    duckdb.default_connection().close()
    if tqdm.monitor:
        tqdm.monitor.exit()


def become(words: list[str], environment: dict[str, str], out: str, err: str, first: str) -> None:
    """Be the command, as `python -m becat` is, once what comes first is done."""
    os.environ.update(environment)  # what modules set when they are imported stays
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY), number)
    (pickle.loads(bytes.fromhex(first)) or (lambda: None))()
    sys.argv = ["becat", *words]
    import_module("becat.__main__").main()


def serve() -> None:
    """Answer until nobody asks any more."""
    gc.freeze()  # what is here already is not looked through, and so not copied, by any command
    gc.enable()
    for line in sys.stdin:
        command = get_context("fork").Process(target=become, kwargs=json.loads(line))
        command.start()
        print(command.pid, flush=True)
        command.join()
        print(command.exitcode, flush=True)


if __name__ == "__main__":
    prepare()
    serve()
