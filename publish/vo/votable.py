"""Rows of the site as VOTable, written piece by piece, so that an answer of any length needs little memory.

This module imports nothing but the standard library: the processes that answer queries start with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

__all__ = ["Field", "end", "field_element", "row_element", "start", "to_votable", "votable_error"]

NAMESPACE = 'xmlns="http://www.ivoa.net/xml/VOTable/v1.3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'

# Units that VOUnits 1.0 deprecates or lacks, and how it writes them; a unit in quotes is one of the writer's own.
VO_UNITS = {"Angstrom": "0.1nm", "dex": "'dex'", "dex(cm.s**-2)": "'dex'", "dex(yr)": "'dex'"}
TYPES = {
    "text": 'datatype="unicodeChar" arraysize="*"',
    "char": 'datatype="char" arraysize="*"',
    "timestamp": 'datatype="char" arraysize="*" xtype="timestamp"',
    "pair": 'datatype="double" arraysize="2"',
    "point": 'datatype="double" arraysize="2" xtype="point"',
    "circle": 'datatype="double" arraysize="3" xtype="circle"',
    "polygon": 'datatype="double" arraysize="*" xtype="polygon"',
}


@dataclass(frozen=True)
class Field:
    """A column as the Virtual Observatory describes it; `kind` is short, int, long, float, double, boolean or one of `TYPES`."""

    name: str
    kind: str
    unit: str = ""
    ucd: str = ""
    description: str = ""
    utype: str = ""
    identity: str = ""


def start(
    fields: Sequence[Field],
    *,
    name: str,
    description: str = "",
    infos: Iterable[tuple[str, str]] = (),
    extra: str = "",
    params: str = "",
    utype: str = "",
) -> Iterator[str]:
    """Lines of a VOTable 1.4 document up to its first row; the arguments are those of `to_votable`."""
    yield f'<?xml version="1.0" encoding="utf-8"?>\n<VOTABLE version="1.4" {NAMESPACE}>\n<RESOURCE type="results"{_attribute("utype", utype)}>'
    yield '<INFO name="QUERY_STATUS" value="OK"/>'
    for key, value in infos:
        yield f"<INFO name={quoteattr(key)} value={quoteattr(_xml(value))}/>"
    yield f"{extra}<TABLE name={quoteattr(_xml(name))}{_attribute('utype', utype)}>"
    if description:
        yield f"<DESCRIPTION>{escape(_xml(description))}</DESCRIPTION>"
    if params:
        yield params
    for field in fields:
        yield field_element(field)
    yield "<DATA><TABLEDATA>"


def row_element(row: Sequence) -> str:
    """A row; None is null, shapes are given as the text of their numbers."""
    return f"<TR>{''.join(f'<TD>{_cell(value)}</TD>' for value in row)}</TR>"


def end(overflow: bool = False) -> str:
    """The document after its last row; `overflow` says that not all rows are here."""
    more = '<INFO name="QUERY_STATUS" value="OVERFLOW"/>\n' if overflow else ""
    return f"</TABLEDATA></DATA></TABLE>\n{more}</RESOURCE>\n</VOTABLE>\n"


def to_votable(fields: Sequence[Field], rows: Iterable[Sequence], *, overflow: bool = False, **described) -> str:
    """A VOTable 1.4 document.

    Parameters
    ----------
    fields : sequence of Field
    rows : iterable of sequences
        Values in the order of the fields; None is null.
    overflow : bool
        Not all rows are here.
    name, description : str
        Of the table.
    infos : iterable of (str, str)
        Names and values of INFO elements, such as the query.
    extra, params : str
        XML elements to put before the table, and in it before its fields.
    utype : str
        Place of the table in a data model.
    """
    booleans = [position for position, field in enumerate(fields) if field.kind == "boolean"]
    parts = list(start(fields, **described))
    for row in rows:
        cells = list(row)
        for position in booleans:
            cells[position] = None if cells[position] is None else "T" if cells[position] else "F"
        parts.append(row_element(cells))
    return "\n".join([*parts, end(overflow)])


def votable_error(message: str, infos: Iterable[tuple[str, str]] = ()) -> str:
    """A VOTable document that says what went wrong, as DALI and, in its first element, cone search ask for."""
    text = _xml(message)
    notes = "".join(f"<INFO name={quoteattr(key)} value={quoteattr(_xml(value))}/>\n" for key, value in infos)
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<VOTABLE version="1.4" {NAMESPACE}>\n<RESOURCE type="results">\n'
        f'<INFO ID="Error" name="Error" value={quoteattr(text)}/>\n{notes}'
        f'<INFO name="QUERY_STATUS" value="ERROR">{escape(text)}</INFO>\n</RESOURCE>\n</VOTABLE>\n'
    )


def field_element(field: Field, element: str = "FIELD", value: str | None = None) -> str:
    """A FIELD, or a PARAM with its value."""
    attributes = "".join(
        (
            _attribute("ID", field.identity),
            f" name={quoteattr(_xml(field.name))}",
            f" {TYPES.get(field.kind, f'datatype={quoteattr(field.kind)}')}",
            _attribute("unit", VO_UNITS.get(field.unit, field.unit)),
            _attribute("ucd", field.ucd),
            _attribute("utype", field.utype),
            "" if value is None else f" value={quoteattr(_xml(value))}",
        )
    )
    if not field.description:
        return f"<{element}{attributes}/>"
    return f"<{element}{attributes}><DESCRIPTION>{escape(_xml(field.description))}</DESCRIPTION></{element}>"


def _attribute(name: str, value: str) -> str:
    return f" {name}={quoteattr(_xml(value))}" if value else ""


def _cell(value) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value) if abs(value) < float("inf") else {"inf": "+Inf", "-inf": "-Inf"}.get(repr(value), "NaN")
    return escape(_xml(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)))


def _xml(text: str) -> str:
    """Text without what XML has no way to write: most control characters, halves of pairs, and two that are no letters."""
    return text.translate(NOT_XML)


NOT_XML = dict.fromkeys([*(n for n in range(32) if n not in (9, 10, 13)), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF])
