"""The one way in which an input that cannot be trusted is reported, and what is never opened."""

from __future__ import annotations

import os
from pathlib import Path

from becat.schema.errors import BecatError

__all__ = ["NAMELESS", "Rejected", "is_utf8", "refuse_odd"]

NAMELESS = "its name, or that of a folder above it, is not UTF-8, so that no table can name it: rename it"


def is_utf8(words: str) -> bool:
    """Python reads bytes of a name or an argument that are not UTF-8 as halves of letters, which cannot be written."""
    return words.isascii() or words == words.encode("utf-8", "ignore").decode()


def refuse_odd(path: Path) -> None:
    """Raise `BecatError` for a name that no table can hold, and for a pipe or a device: reading the one may wait for ever,
    the other never ends."""
    if not is_utf8(str(path)):
        raise BecatError(f"{os.fsencode(path).decode('utf-8', 'backslashreplace')} cannot be used: {NAMELESS}")
    if path.exists() and not path.is_file() and not path.is_dir():
        raise BecatError(f"{path} is not a regular file: write its content to a file first, and name that file")


class Rejected(Exception):
    """An input, or a part of one, that is not taken in: a row of the table ``rejected_input``.

    Parameters
    ----------
    file : path
        The input.
    stage : str
        Where it failed: ``open``, ``read``, ``catalogue``, ...
    reason : str
        What is wrong and what to do about it, in one line.
    detail : str, optional
        HDU, row or cell; empty where the whole file is meant.
    """

    def __init__(self, file: str | Path, stage: str, reason: str, detail: str = "") -> None:
        super().__init__(str(file), stage, reason, detail)
        self.file = str(file)
        self.stage = stage
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        place = f"{self.file} [{self.detail}]" if self.detail else self.file
        return f"{place}: {self.reason}"
