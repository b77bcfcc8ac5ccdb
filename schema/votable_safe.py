"""Reading a VOTable that somebody else made: no address that stands in it is ever followed.

A VOTable may keep its rows elsewhere (``<STREAM href="file:///etc/passwd"/>``, FITS and Parquet files), and astropy opens
whatever stands there. Here each file is looked through to its end before astropy sees any of it. The module stands in
`schema` because both the loaders (`etl`) and the site (`publish`), which do not import each other, read through it.
"""

from __future__ import annotations

import gzip
from types import SimpleNamespace
from typing import IO, Any, NoReturn
from xml.parsers import expat

__all__ = ["UnsafeVOTable", "follow_no_address", "parse_votable"]

PIECE_BYTES = 1 << 16
ELSEWHERE = ("FITS", "PARQUET")  # such data always lie in a file of their own


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
    raise UnsafeVOTable("its rows lie in another file or at an address, and none is followed: put them inside")


def _look_through(plain: IO[bytes], bytes_max: int | None) -> None:
    """Parse the whole file and refuse what leads out of it; element names count with any prefix and in any case."""

    def start(name: str, attributes: dict[str, str]) -> None:
        element = _local(name).upper()
        if element in ELSEWHERE or (element == "STREAM" and any(_local(key).lower() == "href" for key in attributes)):
            _refuse()

    def declared(*_what) -> NoReturn:
        raise UnsafeVOTable("it declares a document type or entities (<!DOCTYPE>), which are not taken: leave them out")

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


def _local(name: str) -> str:
    return name.rpartition(":")[2]
