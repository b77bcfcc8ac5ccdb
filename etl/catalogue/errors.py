"""The one way in which an input that cannot be trusted is reported."""

from __future__ import annotations

from pathlib import Path

__all__ = ["Rejected"]


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
