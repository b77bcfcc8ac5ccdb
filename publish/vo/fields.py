"""What the schema says of the columns of a table, a view or a query, for VOTable and FITS."""

from __future__ import annotations

from collections.abc import Sequence

from becat.publish.snapshot.metadata import column_note
from becat.publish.vo.votable import Field
from becat.schema.tables import TABLES

__all__ = ["describe_fields"]


def describe_fields(table: str | None, columns: Sequence[str], rows: Sequence[Sequence]) -> list[Field]:
    """Fields of a table, a view or a query: the kind from the schema or from the values, the rest from the schema."""
    fields = []
    for position, column in enumerate(columns):
        description, unit, ucd = column_note(table or "", column)
        values = [row[position] for row in rows if row[position] is not None]
        fields.append(Field(column, _kind(column, values), unit, ucd, description))
    return fields


def _kind(column: str, values: list) -> str:
    if any(isinstance(value, str | bytes) for value in values):
        return "text"
    if any(isinstance(value, float) for value in values):
        return "double"
    declared = next((str(table.columns[column].type) for table in TABLES.values() if column in table.columns), "")
    if declared == "BOOLEAN":
        return "boolean"
    if values or "INT" in declared:
        return "long"
    return "double" if declared in ("FLOAT", "DOUBLE") else "text"
