"""What a stage needs of the machine, said before it begins."""

from __future__ import annotations

from becat.schema.errors import BecatError

__all__ = ["need_address_space", "not_enough_memory"]

# Reading, measuring and scoring with two threads run in 3 GiB of addresses, most of them reserved and never used; in 2 GiB they do not.
NEEDED_GIB = 3


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
