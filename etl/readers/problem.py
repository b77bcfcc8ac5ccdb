"""What the readers raise inside; `read_file` adds the file's name and the stage."""

from __future__ import annotations

__all__ = ["Problem"]


class Problem(Exception):
    """Something in a file that cannot be trusted.

    Parameters
    ----------
    reason : str
        What is wrong and what to do, in one line.
    detail : str, optional
        HDU or column.
    stage : str, optional
        ``open`` (cannot get at the bytes) or ``read`` (cannot believe them).
    """

    def __init__(self, reason: str, detail: str = "", stage: str = "read") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail
        self.stage = stage
