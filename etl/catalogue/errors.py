"""The one way in which an input that cannot be trusted is reported, and what is never opened."""

from __future__ import annotations

from pathlib import Path

from becat.schema.errors import BecatError

__all__ = ["Rejected", "refuse_odd"]


def refuse_odd(path: Path) -> None:
    """Raise `BecatError` for a pipe or a device: reading the one may wait for ever, the other never ends."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise BecatError(f"{path} is not a regular file: write what comes from it to a file first, and name that")


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
