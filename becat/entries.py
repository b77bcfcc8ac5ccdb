"""The entries of a configuration: what is wrong with one is told by its name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from becat.schema.errors import BecatError

__all__ = ["ConfigurationError", "refuse_unknown"]


class ConfigurationError(BecatError):
    """A configuration that cannot be followed; the message names the entry."""

    exit_code = 2


def refuse_unknown(entries: Iterable[str], known: Iterable[str], table: str = "") -> None:
    """Name the first entry that nobody reads, and what may have been meant.

    Parameters
    ----------
    entries, known : iterable of str
    table : str, optional
        The table of the file in which they stand.

    Raises
    ------
    ConfigurationError
        An entry is unknown.
    """
    names = list(known)
    for name in entries:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"the entries are {', '.join(names)}"
            raise ConfigurationError(f"unknown entry {name!r}{f' in [{table}]' if table else ''}: {hint}")
