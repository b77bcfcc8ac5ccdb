"""Rows of the site as VOTable and FITS, with units and UCDs from the schema."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from astropy.io import fits

from publish.metadata import column_note
from schema.tables import TABLES

__all__ = ["Field", "describe_fields", "to_fits", "to_votable", "votable_error"]

NAMESPACE = 'xmlns="http://www.ivoa.net/xml/VOTable/v1.3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'

# Units that VOUnits 1.0 deprecates or lacks, and how it writes them; a unit in quotes is one of the writer's own.
VO_UNITS = {"Angstrom": "0.1nm", "dex": "'dex'", "dex(cm.s**-2)": "'dex'", "dex(yr)": "'dex'"}


@dataclass(frozen=True)
class Field:
    """A column as the Virtual Observatory describes it; `kind` is long, double, boolean or text."""

    name: str
    kind: str
    unit: str = ""
    ucd: str = ""
    description: str = ""


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


def to_votable(
    fields: Sequence[Field],
    rows: Iterable[Sequence],
    *,
    name: str,
    description: str = "",
    infos: Iterable[tuple[str, str]] = (),
    overflow: bool = False,
) -> str:
    """A VOTable 1.4 document.

    Parameters
    ----------
    fields : sequence of Field
    rows : iterable of sequences
        Values in the order of the fields; None is null.
    name, description : str
        Of the table.
    infos : iterable of (str, str)
        Names and values of INFO elements, such as the query.
    overflow : bool
        Not all rows are here.
    """
    parts = [
        f'<?xml version="1.0" encoding="utf-8"?>\n<VOTABLE version="1.4" {NAMESPACE}>\n<RESOURCE type="results">',
        '<INFO name="QUERY_STATUS" value="OK"/>',
        *(f"<INFO name={quoteattr(key)} value={quoteattr(_xml(value))}/>" for key, value in infos),
        f"<TABLE name={quoteattr(_xml(name))}>",
        f"<DESCRIPTION>{escape(_xml(description))}</DESCRIPTION>" if description else "",
        *(_field_element(field) for field in fields),
        "<DATA><TABLEDATA>",
    ]
    for row in rows:
        cells = "".join(f"<TD>{_cell(value, field)}</TD>" for value, field in zip(row, fields, strict=True))
        parts.append(f"<TR>{cells}</TR>")
    parts.append("</TABLEDATA></DATA></TABLE>")
    if overflow:
        parts.append('<INFO name="QUERY_STATUS" value="OVERFLOW"/>')
    parts.append("</RESOURCE>\n</VOTABLE>\n")
    return "\n".join(part for part in parts if part)


def votable_error(message: str) -> str:
    """A VOTable document that says what went wrong, as cone search asks for."""
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<VOTABLE version="1.4" {NAMESPACE}>\n<RESOURCE type="results">\n'
        f'<INFO ID="Error" name="Error" value={quoteattr(_xml(message))}/>\n'
        f'<INFO name="QUERY_STATUS" value="ERROR"/>\n</RESOURCE>\n</VOTABLE>\n'
    )


def _field_element(field: Field) -> str:
    types = {"text": 'datatype="unicodeChar" arraysize="*"'}
    unit = f" unit={quoteattr(VO_UNITS.get(field.unit, field.unit))}" if field.unit else ""
    ucd = f" ucd={quoteattr(field.ucd)}" if field.ucd else ""
    start = f"<FIELD name={quoteattr(_xml(field.name))} {types.get(field.kind, f'datatype={quoteattr(field.kind)}')}{unit}{ucd}"
    if not field.description:
        return f"{start}/>"
    return f"{start}><DESCRIPTION>{escape(_xml(field.description))}</DESCRIPTION></FIELD>"


def _cell(value, field: Field) -> str:
    if value is None:
        return ""
    if field.kind == "boolean":
        return "T" if value else "F"
    return escape(_xml(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)))


def _xml(text: str) -> str:
    """Text without the control characters that XML has no way to write."""
    return "".join(letter for letter in text if letter >= " " or letter in "\t\n\r")


def to_fits(fields: Sequence[Field], rows: Sequence[Sequence], *, name: str) -> bytes:
    """A FITS file with one binary table; a null number is NaN or the column's TNULL."""
    null = np.iinfo(np.int64).min
    columns = []
    for position, field in enumerate(fields):
        values = [row[position] for row in rows]
        if field.kind == "text":
            texts = ["" if value is None else str(value).encode("ascii", "replace").decode() for value in values]
            width = max((len(text) for text in texts), default=1) or 1
            column = fits.Column(field.name, f"{width}A", array=np.array(texts, dtype=f"S{width}"))
        elif field.kind == "double":
            column = fits.Column(
                field.name, "D", array=np.array([np.nan if value is None else value for value in values], float)
            )
        else:
            numbers = np.array([null if value is None else int(value) for value in values], np.int64)
            column = fits.Column(field.name, "K", array=numbers, null=null)
        column.unit = field.unit or None
        columns.append(column)
    table = fits.BinTableHDU.from_columns(columns, name=name[:68])
    for number, field in enumerate(fields, 1):
        if field.description:
            table.header.set(f"TCOMM{number}", field.description.encode("ascii", "replace").decode()[:66])
        if field.ucd:
            table.header.set(f"TUCD{number}", field.ucd[:66])
    buffer = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(buffer)
    return buffer.getvalue()
