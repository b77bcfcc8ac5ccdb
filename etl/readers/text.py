"""Spectra as text: columns of wavelength and flux, and perhaps of errors, with decimal points or decimal commas."""

from __future__ import annotations

import codecs
import re
from collections import Counter

import numpy as np

from becat.etl.readers.observatory import make_spectrum
from becat.etl.readers.problem import Problem
from becat.etl.readers.spectrum import RawSpectrum, hashed_id
from becat.etl.readers.units import in_angstrom

__all__ = ["looks_like_text", "read_text"]

MAX_LINES = 1_000_000
MAX_HEADING = 100
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
COMMENT = ("#", ";", "%", "*")
NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eEdD][+-]?\d+)?$|[+-]?nan$|[+-]?inf$", re.IGNORECASE)
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?$")
UNIT = re.compile(r"\b(angstroms?|nm|microns?|um)\b", re.IGNORECASE)
ERROR_NAME = re.compile(r"(?:err|error|sigma|uncertainty|flux_err|flux_error|e_flux|noise|rms)s?$", re.IGNORECASE)
NARVAL = re.compile(r"\*\s*Reduced spectrum of", re.IGNORECASE)  # LibreEsprit: nm, I/Ic, and the error last of six


def looks_like_text(content: bytes | bytearray) -> bool:
    """True where the beginning of a file is text without control characters, or announces UTF-16."""
    head = bytes(content[:4096])
    return head.startswith(UTF16) or not any(byte < 9 or 13 < byte < 32 or byte == 127 for byte in head)


def read_text(content: bytes | bytearray) -> tuple[list[RawSpectrum], list[Problem]]:
    """The spectrum of a text file; lines before the first row of numbers, and those that begin with #, ; or %, are comments.

    Parameters
    ----------
    content : bytes
        UTF-8, or UTF-16 with a byte-order mark.

    Returns
    -------
    list of RawSpectrum, list of Problem
        The spectrum, and why an arm of it was left out.

    Raises
    ------
    Problem
        It is not a table of columns of numbers, or it cannot be trusted.
    """
    text = _decoded(content)
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith(COMMENT)]
    if len(lines) > MAX_LINES:
        raise Problem(f"has more than {MAX_LINES} lines: not one spectrum", stage="open")
    first, n_columns = _first_row(lines)
    rows = []
    for line in lines[first:]:
        row = _numbers(line)
        if row is None or len(row) != n_columns:
            raise Problem(
                f"the line {line[:40]!r} is not a row of wavelength and flux with {n_columns} numbers, like the rows before it"
            )
        rows.append(row)
    columns = np.array(rows).T.copy()
    heading = text[: text.find(lines[first])]
    unit = UNIT.search(heading)
    error = _error_column(heading, lines[first - 1] if first else "", n_columns)
    ivar = None
    if error is not None:
        ivar = np.where(columns[error] > 0, 1 / columns[error] ** 2, 0.0)
    return make_spectrum(
        "text of two columns",
        in_angstrom(columns[0], unit[1] if unit else "", ""),
        columns[1],
        ivar if ivar is not None and ivar.any() else None,
        [],
        hashed_id(content),
    )


def _decoded(content: bytes | bytearray) -> str:
    if bytes(content[:2]) in UTF16:
        return content.decode("utf-16", "replace")
    return content.decode("utf-8-sig", "replace")


def _first_row(lines: list[str]) -> tuple[int, int]:
    """Where the rows begin, and how many columns they have: those of most of the lines, for a heading may hold numbers too."""
    counts = [len(row) if (row := _numbers(line)) else 0 for line in lines[: 2 * MAX_HEADING]]
    common = Counter(n for n in counts if n >= 2).most_common(1)
    first = counts.index(common[0][0]) if common else MAX_HEADING
    if first >= MAX_HEADING:
        raise Problem("is neither FITS nor a table of wavelength and flux: not a spectrum", stage="open")
    return first, common[0][0]


def _numbers(line: str) -> list[float] | None:
    """The numbers of a row, separated by semicolons, bars or tabs, by blanks, or by commas; None where something is none.

    A comma inside a cell is a decimal one, but only where another separator leaves no doubt of it.
    """
    separator = next((mark for mark in ";|\t" if mark in line.strip(";,")), None)
    if separator:
        cells = [cell.strip() for cell in line.strip(";").split(separator)]
    elif re.search(r"\S\s+\S", line):
        cells = line.split()
        if not all(DECIMAL_COMMA.match(cell) or cell.isdigit() for cell in cells):
            cells = [cell.strip() for cell in re.split(r"\s*,\s*|\s+", line.strip(", "))]
    else:
        cells = [cell.strip() for cell in line.strip(",").split(",")]
    values = []
    for cell in cells:
        if DECIMAL_COMMA.match(cell):
            cell = cell.replace(",", ".")
        if not NUMBER.match(cell):
            return None
        values.append(float(cell.replace("D", "E").replace("d", "e")))
    return values


def _error_column(heading: str, names: str, n_columns: int) -> int | None:
    """Which column holds the error of the flux: the third of three, the one that is called so, or the last of Narval's six."""
    if n_columns == 3:
        return 2
    if NARVAL.search(heading) and n_columns == 6:
        return 5
    words = re.split(r"[\s,;|]+", names.strip("# "))
    if len(words) == n_columns:
        return next((i for i, word in enumerate(words) if i > 1 and ERROR_NAME.match(word)), None)
    return None
