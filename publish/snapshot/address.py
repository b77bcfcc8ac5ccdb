"""How SQLite is told to open a snapshot, and how it is seen that the file has been replaced."""

from __future__ import annotations

from pathlib import Path

__all__ = ["address_of", "stamp"]


def address_of(path: str | Path) -> str:
    """The address of a file that does not change while it is open, whatever signs its name has."""
    return f"{Path(path).absolute().as_uri()}?immutable=1"


def stamp(path: Path) -> tuple[int, int, int]:
    """What changes when a file is replaced, or written anew in place."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns
