"""What the process of a stranger's query cannot do, whatever its tables make a library try: open other files, use the network.

The query's SQL has its own guard (`becat.publish.allowed_sql`); this is for Python code, astropy's above all.
"""

from __future__ import annotations

import ctypes
import os
import sys
import sysconfig
from pathlib import Path

import becat.publish as publish
import becat.schema as schema

__all__ = ["environment", "leave_the_network", "stay_within"]

NEW_USER, NEW_NETWORK = 0x10000000, 0x40000000  # of Linux's unshare
CLOSED = (
    "socket.", "subprocess.", "urllib.", "ftplib.", "http.", "smtplib.", "poplib.", "imaplib.", "nntplib.", "telnetlib.",
    "webbrowser.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.startfile", "os.link", "os.symlink",
    "os.kill", "pty.", "sqlite3.load_extension", "sqlite3.enable_load_extension", "glob.",
)  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def environment() -> dict[str, str]:
    """What such a process needs to know of the server: none of its secrets."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH", "PYTHONPATH") if name in os.environ}
    return kept | {"PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1"}


def leave_the_network() -> bool:
    """Go to a network of one's own, in which there is nothing; false where the system does not let us.

    It must be called while the process has one thread.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        unshare = ctypes.CDLL(None, use_errno=True).unshare
        if unshare(NEW_NETWORK) == 0:
            return True
        # who has no right to that has it as a user of their own; root would lose its right to others' files so
        return os.geteuid() != 0 and unshare(NEW_USER | NEW_NETWORK) == 0
    except (OSError, AttributeError):
        return False


def stay_within(folder: Path | None) -> None:
    """From now on Python opens files in a folder and those of its libraries, to read, and nothing else; it cannot be undone.

    Without a folder it writes nowhere.

    SQLite opens the snapshot itself and is not asked here.
    """
    own = () if folder is None else (os.path.realpath(folder),)
    readable = (*own, *_libraries())
    null = os.path.realpath(os.devnull)

    def decide(event: str, arguments: tuple) -> None:
        if event == "open":
            path, mode, flags = arguments
            if isinstance(path, int) or path is None:
                return
            place = os.path.realpath(os.fsdecode(path))
            writes = bool((flags or 0) & WRITING) or (isinstance(mode, str) and any(sign in mode for sign in "wax+"))
            if place != null and not _is_in(place, own if writes else readable):
                raise PermissionError("a query may not open this file")
        elif event.startswith(CLOSED):
            raise PermissionError("a query may not use the network or start programs")
        elif event == "sqlite3.connect" and arguments[0] != ":memory:":
            raise PermissionError("a query may not open another database")

    sys.addaudithook(decide)


def _is_in(place: str, folders: tuple[str, ...]) -> bool:
    return any(place == folder or place.startswith(folder.rstrip(os.sep) + os.sep) for folder in folders)


def _libraries() -> list[str]:
    """Where Python's code lies. The folder of a checkout is not among them: people keep data there."""
    known = sysconfig.get_paths()
    found = {known[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    found |= {path for path in sys.path if path and Path(path).resolve() != Path.cwd()}
    # In a checkout the rooms lie side by side, and an editable install may link to their files.
    found |= {str(Path(room.__file__ or "").resolve().parent) for room in (sys.modules["becat"], publish, schema)}
    return sorted({os.path.realpath(path) for path in found})
