"""The SQLite snapshot that Datasette serves."""

from __future__ import annotations

from pathlib import Path

from becat.publish.snapshot.write import write

__all__ = ["publish_snapshot"]


def publish_snapshot(catalog: Path, snapshot: Path) -> str:
    """Write the snapshot of a catalogue and say so in a line.

    Raises
    ------
    BecatError
        It could not be written.
    """
    write(catalog, snapshot)
    return f"{snapshot} ({snapshot.stat().st_size / 1e6:.1f} MB)"
