"""The SQLite snapshot that Datasette serves."""

from __future__ import annotations

from pathlib import Path

import duckdb

from becat.publish.snapshot.profiles import PROFILES_MAX, chosen_sql
from becat.publish.snapshot.provenance import state, state_of
from becat.publish.snapshot.write import write
from becat.schema.words import counted

__all__ = ["is_published", "publish_snapshot"]


def is_published(connection: duckdb.DuckDBPyConnection, snapshot: Path) -> bool:
    """Whether a snapshot was made from the catalogue as it is."""
    return snapshot.is_file() and state_of(snapshot) == state(connection)


def publish_snapshot(catalog: Path, snapshot: Path, profiles: str = "all", n_profiles_max: int = PROFILES_MAX) -> str:
    """Write the snapshot of a catalogue and say so in a line.

    Parameters
    ----------
    catalog, snapshot : Path
    profiles : str
        Whose H-alpha profiles are published: one of `becat.publish.snapshot.profiles.CHOICES`.
    n_profiles_max : int
        At most so many of them.

    Raises
    ------
    BecatError
        It could not be written.
    """
    made = write(catalog, snapshot, profile_sql=chosen_sql(profiles, n_profiles_max))
    left_out = made.n_spectra - made.n_profiles
    without = f", {counted(left_out, 'spectrum')} without one" if left_out else ""
    return f"{snapshot} ({made.size_bytes / 1e6:.1f} MB, {counted(made.n_profiles, 'H-alpha profile')}{without})"
