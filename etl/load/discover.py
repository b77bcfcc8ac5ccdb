"""Finding the files of spectra below the paths that a user names."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from becat.schema.errors import BecatError

__all__ = ["SIDECAR", "find_spectra"]

_PACKED = ("", ".gz", ".bz2", ".xz", ".zip", ".fz")
SPECTRUM_SUFFIXES = tuple(ending + packed for ending in (".fits", ".fit", ".fts") for packed in _PACKED)
# What may be a spectrum, and may be anything: it must be named.
OTHER_SUFFIXES = (".csv", ".txt", ".dat", ".s", ".asc", ".ascii", ".spec", ".xml", ".vot", ".ecsv")
SIDECAR = "positions.csv"  # names and positions for the spectra beside it


def find_spectra(paths: Iterable[str | Path], others: list[Path] | None = None) -> list[Path]:
    """Files of spectra, in a stable order.

    A file that is named is taken whatever it is called; in a directory, and below it, files with a FITS ending are.

    Parameters
    ----------
    paths : iterable of path
        Files or directories.
    others : list of Path, optional
        Is given the files of directories that may be spectra as text or in other formats, and are passed over.

    Raises
    ------
    BecatError
        A path does not exist, or a directory below it cannot be listed.
    """
    found: dict[Path, None] = {}
    for given in paths:
        path = Path(given)
        if path.is_dir():
            found.update(dict.fromkeys(_below(path, others)))
        elif path.exists():
            found[_absolute(path)] = None
        else:
            raise BecatError(f"no such file or directory: {path}")
    return list(found)


def _below(directory: Path, others: list[Path] | None) -> list[Path]:
    found = []
    for folder, folders, files in os.walk(directory, onerror=_stop):
        folders.sort()
        found += [_absolute(Path(folder, name)) for name in sorted(files) if name.lower().endswith(SPECTRUM_SUFFIXES)]
        if others is not None:
            others += [
                Path(folder, name)
                for name in sorted(files)
                if name.lower().endswith(OTHER_SUFFIXES) and name != SIDECAR
            ]
    return found


def _stop(error: OSError) -> None:
    """A directory that is passed over would leave a hole in the survey that nobody sees."""
    raise BecatError(f"{error.filename} cannot be listed ({error.strerror}): make it readable, or give other paths")


def _absolute(path: Path) -> Path:
    """The path without `..`, so that one file has one name; links are kept as they are."""
    return Path(os.path.abspath(path))
