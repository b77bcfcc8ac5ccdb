"""Known holes of SQLite itself, and what closes them here: ``python -m becat.publish.sqlite_holes``.

The version is that of the library which Python found on the machine; a distribution may have mended a hole and kept the
number, so that this list says more than is true rather than less.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

__all__ = ["HOLES", "Hole", "open_holes"]

Version = tuple[int, int, int]


@dataclass(frozen=True)
class Hole:
    """A hole that versions from `first` to before `mended` have; `closed_by` is empty where nothing of becat's is in its way."""

    name: str
    first: Version
    mended: Version
    what: str
    closed_by: str


HOLES = (
    Hole("CVE-2022-35737", (1, 0, 12), (3, 39, 2), "texts of 2 GB given to printf",
         "no text is longer than 1 MB (10 MB in TAP)"),
    Hole("CVE-2023-7104", (3, 0, 0), (3, 43, 1), "changesets of the session extension", "Python's module has no way to it"),
    Hole("CVE-2024-0232", (3, 43, 0), (3, 43, 2), "JSON parsed again after an error", ""),
    Hole("CVE-2025-29087", (3, 44, 0), (3, 49, 1), "concat_ws with a separator of 2 MB and more (also CVE-2025-3277)",
         "no value of a page is longer than 1 MB, and ADQL has no concat_ws"),
    Hole("CVE-2025-29088", (0, 0, 0), (3, 49, 1), "sqlite3_db_config called with huge numbers", "visitors cannot call it"),
    Hole("CVE-2025-6965", (0, 0, 0), (3, 50, 2), "more than 32,767 columns or functions in one aggregate query",
         "a statement has at most 120,000 bytes: so many columns cannot be named in it"),
    Hole("CVE-2025-7709", (3, 49, 1), (3, 50, 3), "a crafted database with an FTS5 index", "only becat's own file is opened"),
)  # fmt: skip


def open_holes(version: Version = sqlite3.sqlite_version_info) -> list[Hole]:
    """Holes that a version has and nothing here closes."""
    return [hole for hole in HOLES if hole.first <= version < hole.mended and not hole.closed_by]


def main() -> None:
    """Say of each known hole of the SQLite that runs whether visitors can reach it."""
    version = sqlite3.sqlite_version_info
    print(f"SQLite {sqlite3.sqlite_version}")
    for hole in HOLES:
        if hole.first <= version < hole.mended:
            mended = ".".join(map(str, hole.mended))
            said = f"closed: {hole.closed_by}" if hole.closed_by else "OPEN: take another SQLite"
            print(f"{hole.name} ({hole.what}; mended in {mended}): {said}")
    raise SystemExit(bool(open_holes()))


if __name__ == "__main__":
    main()
