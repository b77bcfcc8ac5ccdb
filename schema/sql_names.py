"""Names of tables and columns, and words, in SQL, whatever letters they have; nothing but the standard library, for processes that start often."""

from __future__ import annotations

__all__ = ["literal", "quoted", "quoted_table"]


def literal(words: str) -> str:
    """Words in single quotes, as a value."""
    return "'" + words.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """A column's or table's name in double quotes: archives have columns like ``BP-RP`` and ``_RA.icrs``."""
    return '"' + name.replace('"', '""') + '"'


def quoted_table(name: str) -> str:
    """A table's name, each part of ``schema.table`` in double quotes."""
    return ".".join(quoted(part) for part in name.split("."))
