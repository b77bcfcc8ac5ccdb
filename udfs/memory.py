"""Big blocks of freed memory kept for the next batch."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

__all__ = ["keep_freed_memory"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_KEPT_BYTES = 256 * 2**20
# The largest first; glibc before 2.35 takes no more than 32 MiB.
_HEAP_BYTES = (128 * 2**20, 32 * 2**20)


@cache
def keep_freed_memory() -> bool:
    """Let this process keep up to 256 MiB of memory that it has freed, for the next batch of spectra.

    Each batch of arrays, in numpy as in DuckDB's calls of Python functions, takes blocks of megabytes and frees them.
    By default the C library hands such blocks back to the kernel, which clears every page anew when the next batch
    takes them: half of the time of reducing a spectrum, and two thirds of handing a whole arm to a function of SQL.

    Returns
    -------
    bool
        True where it was done; False where the C library is not glibc: there nothing changes.

    Notes
    -----
    It holds for the whole process and for processes forked from it, and changes no result. It is a function to be called
    and not done on import, for it is the program that decides about its memory, not a library.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    taken = any(mallopt(_M_MMAP_THRESHOLD, size) for size in _HEAP_BYTES)
    return bool(taken and mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES))
