"""The bytes of a file, decompressed and bounded, and proved whole where it was compressed."""

from __future__ import annotations

import bz2
import io
import lzma
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, BinaryIO

import deflate
from isal import isal_zlib

from becat.etl.readers.problem import Problem

__all__ = ["MAX_BYTES", "gunzip", "read_content"]

MAX_BYTES = 64 * 2**20  # decompressed; the largest LAMOST file, with forty exposures, has 3 MB
GZIP_MAGIC = b"\x1f\x8b"
GZIP_TRAILER = 8  # bytes at the end of a member: CRC and size of what it holds
MAX_MEMBERS = 1000
FIRST_PART, LARGEST_PART = 2**12, 2**20  # bytes of a gzip stream handed over at once: what is behind a member is copied
GZIP_WINDOW = 31  # zlib's number for "a gzip header and trailer, CRC checked"


def read_content(path: str | Path) -> bytes | bytearray:
    """All bytes of a file; gzip, bzip2, xz and zip are recognised by their first bytes, whatever the file is called.

    Parameters
    ----------
    path : path

    Raises
    ------
    Problem
        Not a readable regular file, empty, larger than `MAX_BYTES`, or a damaged archive.
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
        content = _all_of(descriptor, status.st_size + 1)
    except OSError as error:
        raise Problem(f"cannot be read ({error.strerror}): check the disk", stage="open") from error
    finally:
        os.close(descriptor)
    unpack = next((each for magic, each in UNPACK.items() if content.startswith(magic)), None)
    if unpack:
        content = unpack(content)
    if not content:
        raise Problem("is empty: fetch it again", stage="open")
    return content


def _all_of(descriptor: int, at_once: int) -> bytes:
    """What is in a file that is open, up to one byte more than `MAX_BYTES`; read in so large steps."""
    parts, left = [], MAX_BYTES + 1
    while left and (part := os.read(descriptor, min(at_once, left))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


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
    """What a gzip file of one member holds, decompressed in one step; None where it is damaged or may be anything else."""
    trailer = content[-GZIP_TRAILER:]
    crc, size = struct.unpack("<II", trailer.rjust(GZIP_TRAILER, b"\0"))
    # What was decompressed was compared with its own trailer. If that is the one at the end of the file, and stands nowhere
    # before it, nothing stands behind the member, not even a second one that is equal to it.
    if not 0 < size <= MAX_BYTES or content.rfind(trailer, 0, -1) >= 0:
        return None
    try:
        member = deflate.gzip_decompress(content, size)
    except deflate.DeflateError:
        return None
    return member if len(member) == size and deflate.crc32(member) == crc else None


def _all_members(content: bytes) -> bytes:
    members = []
    room, place = MAX_BYTES, 0
    while place < len(content):
        if len(members) == MAX_MEMBERS:
            raise Problem(f"gzip has more than {MAX_MEMBERS} members: not the file of one spectrum", stage="open")
        member, place = _member(content, place, room)
        members.append(member)
        room -= len(member)
        while place < len(content) and content[place] == 0:  # tape-style padding is allowed after a member
            place += 1
    return members[0] if len(members) == 1 else b"".join(members)


def _member(content: bytes, place: int, room: int) -> tuple[bytes, int]:
    """One member, of at most `room` bytes, and where it ends."""
    stream = isal_zlib.decompressobj(GZIP_WINDOW)
    parts, size, step = [], 0, FIRST_PART
    while not stream.eof:
        if place >= len(content):
            raise Problem("gzip is truncated: fetch it again", stage="open")
        part = content[place : place + step]
        try:
            parts.append(stream.decompress(part, room - size + 1))
        except (isal_zlib.error, EOFError, ValueError) as error:  # pyright: ignore[reportGeneralTypeIssues]
            raise Problem(f"gzip is corrupt ({str(error).strip()}): fetch it again", stage="open") from error
        size += len(parts[-1])
        if size > room:
            raise Problem(f"gzip holds more than {MAX_BYTES >> 20} MiB: not the file of one spectrum", stage="open")
        place += len(part) - len(stream.unused_data) - len(stream.unconsumed_tail)
        step = min(2 * step, LARGEST_PART)
    return b"".join(parts), place


def _unpack_stream(name: str, opened: BinaryIO | IO[bytes]) -> bytes:
    try:
        with opened:
            unpacked = opened.read(MAX_BYTES + 1)
    except (OSError, EOFError, lzma.LZMAError, ValueError) as error:
        raise Problem(f"{name} is damaged ({error}): fetch it again", stage="open") from error
    if len(unpacked) > MAX_BYTES:
        raise Problem(f"{name} holds more than {MAX_BYTES >> 20} MiB: not the file of one spectrum", stage="open")
    return unpacked


def _bunzip2(content: bytes) -> bytes:
    return _unpack_stream("bzip2", bz2.BZ2File(io.BytesIO(content)))


def _unxz(content: bytes) -> bytes:
    return _unpack_stream("xz", lzma.LZMAFile(io.BytesIO(content)))


def _unzip(content: bytes) -> bytes:
    """The one file of a zip archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [m for m in archive.infolist() if not (m.is_dir() or m.filename.startswith("__MACOSX/"))]
            if len(members) != 1:
                raise Problem(f"zip holds {len(members)} files: unpack it, a file is one spectrum", stage="open")
            return _unpack_stream("zip", archive.open(members[0]))
    except (zipfile.BadZipFile, zlib.error, RuntimeError, OSError, ValueError) as error:
        raise Problem(f"zip is damaged or locked ({error}): fetch it again", stage="open") from error


def _compress(content: bytes) -> bytes:
    raise Problem("is packed by the old program compress (.Z): unpack it with gunzip", stage="open")


UNPACK: dict[bytes, Callable[[bytes], bytes | bytearray]] = {
    GZIP_MAGIC: gunzip,
    b"BZh": _bunzip2,
    b"\xfd7zXZ": _unxz,
    b"PK\x03\x04": _unzip,
    b"\x1f\x9d": _compress,
}
