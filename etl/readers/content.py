"""The bytes of a file, decompressed and bounded, and proved whole where it was compressed."""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path

import deflate
from isal import isal_zlib

from becat.etl.readers.problem import Problem

__all__ = ["MAX_BYTES", "gunzip", "read_content"]

MAX_BYTES = 64 * 2**20  # decompressed; the largest LAMOST file, with forty exposures, has 3 MB
GZIP_MAGIC = b"\x1f\x8b"
GZIP_WINDOW = 31  # zlib's number for "a gzip header and trailer, CRC checked"


def read_content(path: str | Path) -> bytes | bytearray:
    """All bytes of a file; gzip is recognised by its first two bytes, whatever the file is called.

    Parameters
    ----------
    path : path

    Raises
    ------
    Problem
        Not a readable regular file, empty, larger than `MAX_BYTES`, or damaged gzip.
    """
    try:
        # O_NONBLOCK: opening a named pipe must not wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise Problem(
            f"cannot be opened ({error.strerror}): check that it exists and may be read", stage="open"
        ) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Problem("is not a regular file: name the file itself", stage="open")
        if status.st_size > MAX_BYTES:
            raise Problem(f"is larger than {MAX_BYTES >> 20} MiB: not the file of one spectrum", stage="open")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Problem(f"cannot be read ({error.strerror}): check the disk", stage="open") from error
    finally:
        os.close(descriptor)
    if content.startswith(GZIP_MAGIC):
        content = gunzip(content)
    if not content:
        raise Problem("is empty: fetch it again", stage="open")
    return content


def gunzip(content: bytes) -> bytes | bytearray:
    """Decompress every member of a gzip stream.

    The whole stream is read even where its beginning would do, since the CRC that proves it stands at the end.

    Parameters
    ----------
    content : bytes

    Raises
    ------
    Problem
        Truncated, corrupt, followed by foreign bytes, or larger than `MAX_BYTES` when decompressed.
    """
    whole = _single_member(content)
    return _all_members(content) if whole is None else whole


def _single_member(content: bytes) -> bytearray | None:
    """What a gzip file of one member holds, decompressed in one step; None where it is damaged or anything else."""
    crc, size = struct.unpack("<II", content[-8:].rjust(8, b"\0"))
    if not 0 < size <= MAX_BYTES:
        return None
    try:
        member = deflate.gzip_decompress(content, size)
    except deflate.DeflateError:
        return None
    # It was compared with its own trailer; if that is the one at the end of the file, nothing stands behind it.
    return member if len(member) == size and deflate.crc32(member) == crc else None


def _all_members(content: bytes) -> bytes:
    members = []
    room = MAX_BYTES
    while content:
        stream = isal_zlib.decompressobj(GZIP_WINDOW)
        try:
            member = stream.decompress(content, room + 1)
        except (isal_zlib.error, EOFError, ValueError) as error:  # pyright: ignore[reportGeneralTypeIssues]
            raise Problem(f"gzip is corrupt ({str(error).strip()}): fetch it again", stage="open") from error
        room -= len(member)
        if room < 0:
            raise Problem(f"gzip holds more than {MAX_BYTES >> 20} MiB: not the file of one spectrum", stage="open")
        if not stream.eof:
            raise Problem("gzip is truncated: fetch it again", stage="open")
        members.append(member)
        content = stream.unused_data.lstrip(b"\0")  # tape-style padding is allowed after a member
    return members[0] if len(members) == 1 else b"".join(members)
