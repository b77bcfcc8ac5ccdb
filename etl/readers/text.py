"""Spectra as text: two columns, wavelength and flux, or three with the error of the flux."""

from __future__ import annotations

import io
import re

import numpy as np

from becat.etl.readers.observatory import make_spectrum
from becat.etl.readers.problem import Problem
from becat.etl.readers.spectrum import RawSpectrum, hashed_id

__all__ = ["looks_like_text", "read_text"]

MAX_LINES = 1_000_000
NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][+-]?\d+)?|[+-]?nan|[+-]?inf"
ROW = re.compile(rf"\s*({NUMBER})\s*[\s,;|]\s*({NUMBER})(?:\s*[\s,;|]\s*({NUMBER}))?\s*[,;]?\s*$", re.IGNORECASE)
UNIT = re.compile(r"\b(angstrom|nm|micron|um)\b", re.IGNORECASE)


def looks_like_text(content: bytes | bytearray) -> bool:
    """True where the beginning of a file is text without control characters."""
    head = content[:4096]
    return not any(byte < 9 or 13 < byte < 32 or byte == 127 for byte in head)


def read_text(content: bytes | bytearray) -> RawSpectrum:
    """The spectrum of a text file; lines before the first row of numbers, and lines that begin with #, are comments.

    Parameters
    ----------
    content : bytes

    Raises
    ------
    Problem
        It is not a table of two or three columns of numbers, or it cannot be trusted.
    """
    text = content.decode("utf-8-sig", "replace")
    lines = [line for line in io.StringIO(text) if line.strip() and not line.lstrip().startswith(("#", ";", "%"))]
    if len(lines) > MAX_LINES:
        raise Problem(f"has more than {MAX_LINES} lines: not one spectrum", stage="open")
    first = next((i for i, line in enumerate(lines[:100]) if ROW.match(line)), None)
    if first is None:
        raise Problem("is neither FITS nor a table of wavelength and flux: not a spectrum", stage="open")
    rows = []
    for line in lines[first:]:
        found = ROW.match(line)
        if not found:
            raise Problem(f"the line {line.strip()[:40]!r} is not a row of wavelength and flux")
        rows.append([float(part.replace("D", "E").replace("d", "e")) if part else np.nan for part in found.groups()])
    wavelength, flux, error = np.array(rows).T.copy()
    unit = UNIT.search(text[: text.find(lines[first])])
    ivar = np.where(error > 0, 1 / error**2, 0.0)
    return make_spectrum(
        "text of two columns",
        wavelength,
        unit[1] if unit else "",
        flux,
        ivar if ivar.any() else None,
        [],
        hashed_id(content),
    )
