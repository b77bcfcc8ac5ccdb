"""Reading a VOTable that somebody else made: no address that stands in it is ever followed.

A VOTable may keep its rows elsewhere (``<STREAM href="file:///etc/passwd"/>``, FITS and Parquet files), and astropy opens
whatever stands there. Here each file is looked through to its end before astropy sees any of it. The module stands in
`schema` because both the loaders (`etl`) and the site (`publish`), which do not import each other, read through it.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Mapping
from types import SimpleNamespace
from typing import IO, Any, NoReturn
from xml.parsers import expat

__all__ = ["UnsafeVOTable", "follow_no_address", "parse_votable"]

PIECE_BYTES = 1 << 16
ELSEWHERE = ("FITS", "PARQUET")  # such data always lie in a file of their own
BYTES = {
    "short": 2,
    "int": 4,
    "float": 4,
    "unicodeChar": 4,
    "long": 8,
    "double": 8,
    "floatComplex": 8,
    "doubleComplex": 16,
}


class UnsafeVOTable(ValueError):
    """The file asks for more than reading it; the message says what, in one line."""


def parse_votable(file: IO[bytes], *, bytes_max: int | None = None, **options) -> Any:
    """Read a VOTable whose rows lie inside it.

    Parameters
    ----------
    file : binary file
        Plain or gzipped; it must be able to go back to its start.
    bytes_max : int, optional
        The most it may have when unpacked.
    **options
        As `astropy.io.votable.parse` takes them.

    Returns
    -------
    astropy.io.votable.tree.VOTableFile

    Raises
    ------
    UnsafeVOTable
        It names a file or an address to read from, declares a document type or entities, or is too big.
    xml.parsers.expat.ExpatError
        It is not XML to its end.
    """
    from astropy.io.votable import parse  # here, because it takes longer to load than most queries to run

    follow_no_address()
    is_packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    plain: Any = gzip.GzipFile(fileobj=file, mode="rb") if is_packed else file
    _look_through(plain, bytes_max)
    plain.seek(0)
    return parse(plain.read, **options)  # a function: astropy unpacks nothing more, so it sees what was looked through


def follow_no_address() -> None:
    """Take from astropy's reader of VOTables, in this process, the means to open an address: the second wall."""
    from astropy.io.votable import tree

    tree.urllib = SimpleNamespace(request=SimpleNamespace(urlopen=_refuse))  # pyright: ignore[reportAttributeAccessIssue]


def _refuse(*_address, **_how) -> NoReturn:
    raise UnsafeVOTable(
        "its rows are in another file or at an address, which becat does not read: put them into this file"
    )


def _look_through(plain: IO[bytes], bytes_max: int | None) -> None:
    """Parse the whole file and refuse what leads out of it, or becomes too big; element names count with any prefix and in any case."""
    n_told = n_rows = row_bytes = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal n_told, n_rows, row_bytes
        element = _local(name).upper()
        if element in ELSEWHERE or (element == "STREAM" and any(_local(key).lower() == "href" for key in attributes)):
            _refuse()
        if element == "TABLE":
            n_told, n_rows, row_bytes = _number(attributes.get("nrows", "")), 0, 0
        elif element == "FIELD":
            row_bytes += _bytes_of_cell(attributes)
        elif element == "TR":
            n_rows += 1
        if bytes_max is not None and max(n_told, n_rows) * row_bytes > bytes_max:
            raise UnsafeVOTable(
                f"its rows have more than {bytes_max:,} bytes by the nrows and arraysize that it declares"
            )

    def declared(*_what) -> NoReturn:
        raise UnsafeVOTable(
            "it declares a document type or entities (<!DOCTYPE>), which are not accepted: leave them out"
        )

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = declared
    parser.EntityDeclHandler = declared
    parser.ExternalEntityRefHandler = declared
    n_bytes = 0
    while piece := plain.read(PIECE_BYTES):
        n_bytes += len(piece)
        if bytes_max is not None and n_bytes > bytes_max:
            raise UnsafeVOTable(f"it has more than {bytes_max:,} bytes when it is unpacked")
        parser.Parse(piece, False)
    parser.Parse(b"", True)


def _bytes_of_cell(field: Mapping[str, str]) -> int:
    """What astropy keeps for a cell, whatever is in it: all that is declared, or where the length is free, where it lies."""
    length = field.get("arraysize", "").strip()
    if length.endswith("*"):
        return 8
    return BYTES.get(field.get("datatype", ""), 1) * math.prod(_number(part.strip()) for part in length.split("x"))


def _number(word: str) -> int:
    """A number of at most 18 digits; 1 of what is none, for astropy to judge."""
    return int(word) if word.isdecimal() and len(word) < 19 else 1


def _local(name: str) -> str:
    return name.rpartition(":")[2]
