"""Hidden files beside a catalogue or snapshot while it is written or served, or among the temporary files of the machine, and taking away those
that a killed process left.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["own_prefix", "remove_stale", "scratch"]

HOST = re.sub(r"[^A-Za-z0-9]", "-", socket.gethostname())


def own_prefix(snapshot: Path) -> str:
    """How the names of this process's hidden files beside a snapshot begin; they say whose they are."""
    return f".{snapshot.name}.{HOST}.{os.getpid()}."


def remove_stale(snapshot: Path) -> list[Path]:
    """Remove the hidden files of processes of this machine that are gone (``kill -9``, a crash); return their paths."""
    pattern = re.compile(re.escape(f".{snapshot.name}.{HOST}.") + r"(\d+)\.")
    removed = []
    for path in snapshot.absolute().parent.iterdir():
        found = pattern.match(path.name)
        if found and not _is_running(int(found[1])):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):  # in a folder that may only be read
                    path.unlink()
            removed.append(path)
    return removed


@contextlib.contextmanager
def scratch(name: str) -> Iterator[Path]:
    """A folder among the machine's temporary files; it goes at the end, and those of killed processes go first."""
    mark = Path(tempfile.gettempdir(), name)
    remove_stale(mark)
    with tempfile.TemporaryDirectory(prefix=own_prefix(mark), dir=mark.parent) as folder:
        yield Path(folder)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's, or a number that no process can have: not ours to judge
        return True
    return True
