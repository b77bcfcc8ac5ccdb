"""What a stage needs of the machine, said before it begins."""

from __future__ import annotations

from pathlib import Path

from becat.schema.errors import BecatError

__all__ = ["need_address_space", "not_enough_memory", "unpacked_bytes_max"]

# Reading, measuring and scoring with two threads run in 3 GiB of addresses, most of them reserved and never used; in 2 GiB they do not.
NEEDED_GIB = 3
# 258,000 stars with 4 kB each: Gaia's whole table has 1.3 kB a star. Text is packed to a fifth; more than both is no table.
UNPACKED_BYTES_MIN, UNPACKED_RATIO = 1 << 30, 100


def need_address_space() -> None:
    """Refuse to begin where a limit on addresses (``ulimit -v``) is too low: libraries in C end or wait for ever under it.

    Raises
    ------
    BecatError
        The limit is lower than what is needed.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < NEEDED_GIB * 2**30:
        raise BecatError(
            f"{NEEDED_GIB} GiB of address space are needed, and the limit is {limit / 2**30:.1f}: raise the limit"
            f" (ulimit -v {(NEEDED_GIB + 1) * 2**20}); nothing was done"
        )


def not_enough_memory(what: str) -> BecatError:
    """The error for memory that ran out, which says nothing of the input."""
    return BecatError(
        f"there was not enough memory {what}: close other programs or use a machine with more, then run the same command again"
    )


def unpacked_bytes_max(path: Path) -> int:
    """The most that a table may have when it is unpacked, bytes: 1 GiB, and of a large file a hundred times its size."""
    return max(UNPACKED_BYTES_MIN, UNPACKED_RATIO * path.stat().st_size)
