"""Version of the installed program."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

__all__ = ["becat_version"]


def becat_version() -> str:
    """Version of the installed package."""
    try:
        return version("becat")
    except PackageNotFoundError:
        return "unknown"
