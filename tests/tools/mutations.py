"""Damage to files: blind, and aware of the structure of FITS. Used by the tests and by benchmarks/fuzz_readers.py."""

from __future__ import annotations

import gzip
import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from astropy.io import fits

__all__ = ["Mutant", "mutants", "packaged_spectra", "with_checksums"]

KEYWORDS = [
    "SIMPLE",
    "BITPIX",
    "NAXIS",
    "NAXIS1",
    "NAXIS2",
    "PCOUNT",
    "GCOUNT",
    "TFIELDS",
    "TFORM1",
    "TFORM2",
    "TFORM3",
    "TTYPE1",
    "TTYPE3",
    "TTYPE5",
    "XTENSION",
    "EXTNAME",
    "SNR",
    "SNRG",
    "SNRR",
    "OBSID",
    "RA",
    "DEC",
    "LMJM",
    "LMJMLIST",
    "LMJMLIS0",
    "EXPTIME",
    "DATE-BEG",
    "DATE-END",
    "DATE-OBS",
    "COEFF0",
    "COEFF1",
    "CRVAL1",
    "CDELT1",
    "CRPIX1",
    "SPID",
    "FIBERID",
    "FIBERTYP",
    "VACUUM",
    "Z",
    "END",
]
VALUES = (
    b"-1", b"0", b"1", b"999999999999999999", b"-99999999999999999999999999", b"1E400", b"NAN", b"'abc'", b"'unclosed",
    b"T", b"", b"/", b"''", b"3.5", b"\xff\xfe\x80", b"'99999999E'", b"'E'", b"'1PE(5)'", b"8", b"-32", b"2.0D5",
)  # fmt: skip


@dataclass
class Mutant:
    """A damaged file.

    Attributes
    ----------
    name : str
        What was done to what.
    content : bytes
    sealed : bool
        The file carries a CRC or a checksum made before the damage: altered data must not be accepted.
    """

    name: str
    content: bytes
    sealed: bool


def packaged_spectra() -> list[Path]:
    """The real LAMOST files inside the package laspec."""
    folder = Path(str(files("laspec"))) / "data"
    return sorted(p for p in folder.rglob("*.fits*") if p.name.startswith(("med-", "spec-")))


def with_checksums(content: bytes) -> bytes:
    """The same FITS file with CHECKSUM and DATASUM in each HDU."""
    target = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(io.BytesIO(content)) as hdus:
            hdus.writeto(target, checksum=True, output_verify="ignore")
    return target.getvalue()


def mutants(path: Path, n: int, rng: np.random.Generator) -> Iterator[Mutant]:
    """Damaged versions of a file.

    Parameters
    ----------
    path : path
        A FITS file, plain or gzipped.
    n : int
        How many.
    rng : numpy Generator
    """
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    packed = gzip.compress(content, 1, mtime=0)
    summed = with_checksums(content)
    blind = [_flip, _overwrite, _delete, _insert, _truncate, _zero]
    aware = [_keyword, _keyword, _drop_card, _values, _values, _shuffle_blocks]
    for i in range(n):
        kind = i % 5
        if kind == 0:
            damage = _pick(blind, rng)
            yield Mutant(f"{damage.__name__} in gzip of {path.name}", damage(packed, rng), True)
        elif kind == 1:
            damage = _pick(blind, rng)
            yield Mutant(f"{damage.__name__} in checksummed {path.name}", damage(summed, rng), True)
        elif kind == 2:
            damage = _pick(blind, rng)
            yield Mutant(f"{damage.__name__} in plain {path.name}", damage(content, rng), False)
        elif kind == 3:
            damage = _pick(aware, rng)
            yield Mutant(f"{damage.__name__} in plain {path.name}", damage(content, rng), False)
        else:
            damage = _pick(aware[:-1], rng)  # a checksum does not see an exchange of blocks
            yield Mutant(f"{damage.__name__} in checksummed {path.name}", damage(summed, rng), True)


def _pick(options, rng):
    return options[rng.integers(len(options))]


def _flip(content: bytes, rng) -> bytes:
    damaged = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        damaged[rng.integers(len(damaged))] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def _span(content: bytes, rng) -> tuple[int, int]:
    start = int(rng.integers(len(content)))
    return start, min(len(content), start + int(rng.choice([1, 3, 80, 500, 2880])))


def _overwrite(content: bytes, rng) -> bytes:
    start, end = _span(content, rng)
    return content[:start] + rng.bytes(end - start) + content[end:]


def _zero(content: bytes, rng) -> bytes:
    start, end = _span(content, rng)
    return content[:start] + bytes(end - start) + content[end:]


def _delete(content: bytes, rng) -> bytes:
    start, end = _span(content, rng)
    return content[:start] + content[end:]


def _insert(content: bytes, rng) -> bytes:
    start, end = _span(content, rng)
    return content[:start] + rng.bytes(end - start) + content[start:]


def _truncate(content: bytes, rng) -> bytes:
    end = int(rng.integers(len(content)))
    return content[: end - end % 2880 if rng.integers(2) else end]


def _cards(content: bytes) -> list[int]:
    """Places of the cards whose keyword the readers look at."""
    wanted = {key.encode().ljust(8) for key in KEYWORDS}
    found, in_header, start = [], True, 0
    while start < len(content) - 80:
        keyword = content[start : start + 8]
        if not in_header and (keyword == b"XTENSION" and start % 2880 == 0):
            in_header = True
        if in_header and keyword in wanted:
            found.append(start)
        if in_header and keyword == b"END     ":
            in_header = False
        start += 80 if in_header else 2880 - start % 2880
    return found


def _keyword(content: bytes, rng) -> bytes:
    place = _pick(_cards(content), rng)
    card = content[place : place + 8] + b"= " + _pick(VALUES, rng).rjust(20)
    return content[:place] + card.ljust(80)[:80] + content[place + 80 :]


def _drop_card(content: bytes, rng) -> bytes:
    """A card made blank, so that nothing moves."""
    place = _pick(_cards(content), rng)
    return content[:place] + b"COMMENT".ljust(80) + content[place + 80 :]


def _values(content: bytes, rng) -> bytes:
    """NaN, infinity, zero, a constant or noise over a stretch of a data unit."""
    block = int(rng.integers(1, len(content) // 2880)) * 2880
    n = int(rng.choice([1, 10, 720, 7200]))
    value = _pick([np.nan, np.inf, -np.inf, 0.0, -1.0, 3.8, 6500.0, 1e38], rng)
    patch = np.full(n, value, ">f4").tobytes()
    return content[:block] + patch[: len(content) - block] + content[block + len(patch) :]


def _shuffle_blocks(content: bytes, rng) -> bytes:
    blocks = [content[i : i + 2880] for i in range(0, len(content), 2880)]
    a, b = rng.integers(len(blocks), size=2)
    blocks[a], blocks[b] = blocks[b], blocks[a]
    return b"".join(blocks)
