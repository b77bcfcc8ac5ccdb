"""How SQLite is told to open a snapshot."""

from __future__ import annotations

from pathlib import Path

__all__ = ["address_of"]


def address_of(path: str | Path) -> str:
    """The address of a file that does not change while it is open, whatever signs its name has."""
    return f"{Path(path).absolute().as_uri()}?immutable=1"
