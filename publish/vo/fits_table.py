"""Rows of the site as a FITS binary table, with units and UCDs."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from astropy.io import fits

from becat.publish.vo.votable import Field

__all__ = ["table_hdus", "to_fits"]

_NULL = np.iinfo(np.int64).min
CARD_LETTERS = 66


def to_fits(
    fields: Sequence[Field], rows: Sequence[Sequence], *, name: str, cards: Mapping[str, object] | None = None
) -> bytes:
    """A FITS file with one binary table, from rows: see `table_hdus`."""
    buffer = io.BytesIO()
    columns = ([row[position] for row in rows] for position in range(len(fields)))
    table_hdus(fields, columns, name=name, cards=cards).writeto(buffer)
    return buffer.getvalue()


def table_hdus(
    fields: Sequence[Field], columns: Iterable[Sequence], *, name: str, cards: Mapping[str, object] | None = None
) -> fits.HDUList:
    """A FITS file with one binary table; a null number is NaN or the column's TNULL.

    Parameters
    ----------
    fields : sequence of Field
    columns : iterable of sequences
        Values of each field; None is null.
    name : str
        Of the table.
    cards : mapping of str to value
        More keywords of the table's header.
    """
    made = [_column(field, values) for field, values in zip(fields, columns, strict=True)]
    table = fits.BinTableHDU.from_columns(made, name=name[:68])
    for number, field in enumerate(fields, 1):
        _describe(table.header, number, field)
    for keyword, value in (cards or {}).items():
        table.header.set(keyword, value)
    return fits.HDUList([fits.PrimaryHDU(), table])


def _describe(header: fits.Header, number: int, field: Field) -> None:
    """Meaning, UCD and utype of a column; a meaning too long for a card ends in dots there and is whole in a comment."""
    words = field.description.encode("ascii", "replace").decode()
    if words:
        header.set(f"TCOMM{number}", textwrap.shorten(words, CARD_LETTERS, placeholder=" ..."))
    if len(words) > CARD_LETTERS:
        header.add_comment(f"{field.name}: {words}")
    if field.ucd:
        header.set(f"TUCD{number}", field.ucd)
    if field.utype:
        header.set(f"TUTYP{number}", field.utype)


def _column(field: Field, values: Sequence) -> fits.Column:
    if field.kind == "text":
        texts = ["" if value is None else str(value).encode("ascii", "replace").decode() for value in values]
        width = max((len(text) for text in texts), default=1) or 1
        column = fits.Column(field.name, f"{width}A", array=np.array(texts, dtype=f"S{width}"))
    elif field.kind == "double":
        numbers = np.array([np.nan if value is None else value for value in values], float)
        column = fits.Column(field.name, "D", array=numbers)
    else:
        numbers = np.array([_NULL if value is None else int(value) for value in values], np.int64)
        column = fits.Column(field.name, "K", array=numbers, null=_NULL)
    column.unit = field.unit or None
    return column
