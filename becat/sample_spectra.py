"""The real LAMOST spectra that come with a package, for the demo and the tests."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from becat.schema.errors import BecatError

__all__ = ["real_spectra"]


def real_spectra() -> list[Path]:
    """The eight LAMOST DR7 medium-resolution files inside the package laspec (MIT licence).

    The package itself is not imported: only its files are used.

    Raises
    ------
    BecatError
        The package is not installed.
    """
    try:
        found = [Path(str(file.locate())) for file in files("laspec") or [] if file.name.startswith("med-")]
    except PackageNotFoundError:
        raise BecatError(
            "the demo reads the real LAMOST spectra in the package laspec: pip install laspec==2021.508.0 --no-deps"
        ) from None
    return sorted(found)
