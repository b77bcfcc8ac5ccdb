"""Counts in words: 1 file, 2 files."""

from __future__ import annotations

__all__ = ["counted"]

IRREGULAR = {"spectrum": "spectra", "copy": "copies", "person": "people"}


def counted(n: int, one: str, many: str = "") -> str:
    """A number with its noun, and what else depends on it: ``1 spectrum``, ``1,024 spectra``.

    Parameters
    ----------
    n : int
    one : str
        What is said of one: ``spectrum``, ``new row``, or with a verb ``file is``.
    many : str, optional
        What is said of another number; without it the plural of the last word.
    """
    head, _, noun = one.rpartition(" ")
    plural = many or f"{head} {IRREGULAR.get(noun, f'{noun}s')}".lstrip()
    return f"{n:,} {one if n == 1 else plural}"
