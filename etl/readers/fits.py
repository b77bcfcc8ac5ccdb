"""A lean reader of FITS: headers as bytes, columns and images straight from the buffer, nothing that is not asked for.

Astropy takes 8 ms for a LAMOST file of 20 tables, nearly all of it for header cards that nobody reads. Here a header is
cut into cards at once and a card is parsed when it is asked for. What is unusual (scaled columns,
variable-length arrays, compressed images, values continued over several cards) goes to astropy, one HDU at a time.
"""

from __future__ import annotations

import io
import re
import struct
import warnings
from math import prod

import numpy as np

from becat.etl.readers.problem import Problem

__all__ = ["Hdu", "parse"]

BLOCK = 2880
MAX_HEADER = 100 * BLOCK  # 3,600 cards; LAMOST's longest header has 130
MAX_HDUS = 1000
MAX_PIXELS = 2**23  # of a compressed image
CARD = struct.Struct("8s72s")
COMMENT = re.compile(r"= *(?:'(?:[^']|'')*'|[^/']*)\s*/(.*)", re.DOTALL)
REMARK = re.compile(rb"(?:COMMENT |HISTORY ).{72}", re.DOTALL)
ISO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
IRAF_TIME = re.compile(r"(\d\d:\d\d:\d\d) \((\d\d)/(\d\d)/(\d{4})\)")
END = b"END" + b" " * 77
BITPIX = {8, 16, 32, 64, -32, -64}
IMAGE_TYPE = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
COLUMN_TYPE = {"B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}
COLUMN_SIZE = {"L": 1, "A": 1, "B": 1, "I": 2, "J": 4, "K": 8, "E": 4, "D": 8, "C": 8, "M": 16, "P": 8, "Q": 16}
COLUMN_FORM = re.compile(r"(\d{0,9})([LXBIJKAEDCMPQ])")


class Hdu:
    """One header and where its data stand.

    Attributes
    ----------
    index : int
        Position in the file, from 0.
    name : str
        EXTNAME in capitals; ``PRIMARY`` or empty where there is none.
    n_bytes : int
        Size of the data without padding.
    stale_checksum : str
        What does not agree with a checksum that is older than the file; empty where all is well.
    """

    def __init__(self, content: bytes | bytearray, index: int, start: int, header_size: int) -> None:
        self._content = content
        self._start = start
        self.index = index
        self.data_start = start + header_size
        header = content[start : self.data_start]
        whole = len(header) // CARD.size * CARD.size
        # The first of two cards with one keyword counts, as in astropy.
        self._cards = dict(reversed(list(CARD.iter_unpack(header[:whole]))))
        self.name = self.string("EXTNAME").upper() or ("PRIMARY" if index == 0 else "")
        self._bitpix = self._required("BITPIX")
        self.shape = self._shape()
        self.n_bytes = self._n_bytes()
        self.stale_checksum = ""
        self._columns: dict[str, tuple[int, int, str, int]] | None = None

    def __contains__(self, key: str) -> bool:
        return key.encode().ljust(8) in self._cards

    def _value(self, key: str) -> str | None:
        """Text of a value: quoted strings without quotes, everything else up to the comment; None if there is none."""
        card = self._cards.get(key.encode().ljust(8))
        if card is None or not card.startswith(b"="):
            return None
        text = card[1:].decode("ascii", "replace").strip()
        if text.startswith("'"):
            end = text.find("'", 1)
            while text[end + 1 : end + 2] == "'" and end > 0:
                end = text.find("'", end + 2)
            return text[1 : end if end > 0 else None].replace("''", "'").rstrip()
        return text.split("/", 1)[0].rstrip() or None

    def string(self, key: str, default: str = "") -> str:
        """Value of a keyword as text, `default` where there is none."""
        value = self._value(key)
        return default if value is None else value.strip()

    def text(self, key: str) -> str:
        """Value of a keyword with the blanks at its beginning and, up to the last character, inside; empty where there is none."""
        return self._value(key) or ""

    def comment(self, key: str) -> str:
        """What stands behind the value of a keyword; empty where there is nothing."""
        card = self._cards.get(key.encode().ljust(8), b"").decode("ascii", "replace")
        found = COMMENT.match(card)
        return found[1].strip() if found else ""

    def remarks(self) -> str:
        """What stands in the cards HISTORY and COMMENT, in one string."""
        header = self._content[self._start : self.data_start]
        words = (card[8:].decode("ascii", "replace").rstrip() for card in REMARK.findall(header))
        return " ".join(words)

    def number(self, key: str) -> float | None:
        """Value of a keyword as a finite number, also from a quoted one; None where the keyword is absent or empty.

        Raises
        ------
        Problem
            The value is not a number.
        """
        value = self._value(key)
        if value is None or not value.strip():
            return None
        try:
            number = float(value.strip().replace("D", "E").replace("d", "e"))
        except ValueError:
            number = np.nan
        if not np.isfinite(number):
            raise Problem(f"keyword {key} is not a number but {value!r}: the header is damaged", self.label)
        return number

    def integer(self, key: str) -> int | None:
        """Value of a keyword as an integer; None where the keyword is absent or empty.

        Raises
        ------
        Problem
            The value is not a whole number.
        """
        card = self._cards.get(key.encode().ljust(8))
        if card is None:
            return None
        if card[:1] == b"=" and card[22:23] in b" /":  # the fixed format of nearly all integers
            try:
                return int(card[1:22])
            except ValueError:
                pass
        number = self.number(key)
        if number is None:
            return None
        if number != int(number):
            raise Problem(f"keyword {key} is not a whole number but {number}: the header is damaged", self.label)
        return int(number)

    def logical(self, key: str) -> bool | None:
        """Value of a keyword that is T or F; None otherwise."""
        return {"T": True, "F": False}.get(self.string(key))

    @property
    def label(self) -> str:
        """How the HDU is named in a rejection."""
        return self.name or f"HDU {self.index}"

    def _required(self, key: str) -> int:
        number = self.integer(key)
        if number is None:
            raise Problem(f"keyword {key} is missing: the header is damaged", self.label)
        return number

    def _shape(self) -> tuple[int, ...]:
        if self._bitpix not in BITPIX:
            raise Problem(f"BITPIX is {self._bitpix}, which FITS does not know", self.label)
        n_axes = self._required("NAXIS")
        if not 0 <= n_axes <= 8:
            raise Problem(f"NAXIS is {n_axes}: not a spectrum", self.label)
        shape = tuple(self._required(f"NAXIS{i + 1}") for i in range(n_axes))
        if any(n < 0 for n in shape):
            raise Problem(f"an axis has the negative length {min(shape)}: the header is damaged", self.label)
        return shape

    def _n_bytes(self) -> int:
        if not self.shape:
            return 0
        if self.index == 0:
            groups, parameters = 1, 0
        else:
            groups = 1 if (g := self.integer("GCOUNT")) is None else g
            parameters = self.integer("PCOUNT") or 0
        if groups < 0 or parameters < 0:
            raise Problem("GCOUNT or PCOUNT is negative: the header is damaged", self.label)
        n_bytes = abs(self._bitpix) // 8 * groups * (parameters + prod(self.shape))
        left = len(self._content) - self.data_start
        if n_bytes > left:
            raise Problem(
                f"truncated: the header promises {n_bytes} bytes of data, {max(left, 0)} are left", self.label
            )
        return n_bytes

    @property
    def end(self) -> int:
        """Where the next HDU begins."""
        return self.data_start + -(-self.n_bytes // BLOCK) * BLOCK

    def verify(self) -> str:
        """Compare the HDU with its own CHECKSUM and DATASUM, where it has them.

        Returns
        -------
        str
            What does not agree, where the header says that the file was written again after its checksum was made;
            empty where all is well.

        Raises
        ------
        Problem
            One of them does not agree, and nothing explains it.
        """
        if not ("DATASUM" in self or "CHECKSUM" in self):
            return ""
        # The sums do not see zeros that are missing: the length of the file does.
        if self.end > len(self._content):
            raise Problem("truncated: its last block is not whole, fetch the file again", self.label)
        wrong = self._wrong_sum()
        if wrong and not self._written_after_its_checksum():
            raise Problem(f"{wrong}: the file is damaged, fetch it again", self.label)
        return wrong

    def _wrong_sum(self) -> str:
        wanted = self.integer("DATASUM")
        if wanted is not None and ones_complement_sum(self._content, self.data_start, self.end) != wanted:
            return "DATASUM does not agree with the data"
        if self.string("CHECKSUM").strip("0 ") and ones_complement_sum(self._content, self._start, self.end) not in (
            0,
            0xFFFFFFFF,
        ):
            return "CHECKSUM does not agree with the HDU"
        return ""

    def _written_after_its_checksum(self) -> bool:
        """True where DATE or IRAF's time of last modification is a later day than the one that each checksum was made on."""
        sealed = [found[0] for key in ("DATASUM", "CHECKSUM") if (found := ISO_TIME.search(self.comment(key)))]
        iraf = IRAF_TIME.match(self.string("IRAF-TLM"))
        written = [f"{iraf[4]}-{iraf[3]}-{iraf[2]}T{iraf[1]}"] if iraf else []
        written += [found[0] for found in [ISO_TIME.match(self.string("DATE"))] if found]
        n_sums = sum(key in self for key in ("DATASUM", "CHECKSUM"))
        return len(sealed) == n_sums and bool(written) and max(written)[:10] > max(sealed)[:10]

    @property
    def is_table(self) -> bool:
        """True for a binary table that is no compressed image."""
        return self.string("XTENSION") in ("BINTABLE", "A3DTABLE") and self.logical("ZIMAGE") is not True

    @property
    def columns(self) -> dict[str, tuple[int, int, str, int]]:
        """Columns of a binary table by name in capitals: (offset in the row, repeat count, type letter, number)."""
        if self._columns is None:
            self._columns = self._find_columns() if self.is_table else {}
        return self._columns

    def _find_columns(self):
        if len(self.shape) != 2 or self._bitpix != 8:
            raise Problem("the table does not have two axes of bytes: the header is damaged", self.label)
        n_fields = self._required("TFIELDS")
        if not 0 <= n_fields <= 999:
            raise Problem(f"TFIELDS is {n_fields}: the header is damaged", self.label)
        found = {}
        offset = 0
        for i in range(1, n_fields + 1):
            form = COLUMN_FORM.match(self.string(f"TFORM{i}"))
            if form is None:
                raise Problem(f"TFORM{i} is {self.string(f'TFORM{i}')!r}: the header is damaged", self.label)
            repeat, letter = int(form[1] or 1), form[2]
            found.setdefault(self.string(f"TTYPE{i}").upper(), (offset, repeat, letter, i))
            offset += -(-repeat // 8) if letter == "X" else repeat * COLUMN_SIZE[letter]
        if offset != self.shape[0]:
            raise Problem(f"the columns need {offset} bytes a row, NAXIS1 gives {self.shape[0]}", self.label)
        return found

    def column(self, name: str) -> np.ndarray:
        """All values of a column in one row of numbers, in the machine's byte order.

        Raises
        ------
        Problem
            There is no such column, or it holds no numbers.
        """
        if name not in self.columns:
            there = ", ".join(self.columns) or "none"
            raise Problem(f"column {name} is missing (there: {there}): not a known layout", self.label)
        offset, repeat, letter, number = self.columns[name]
        if letter not in COLUMN_TYPE or any(f"{key}{number}" in self for key in ("TSCAL", "TZERO", "TNULL")):
            return self._by_astropy(name)
        dtype = np.dtype(COLUMN_TYPE[letter])
        row_size, n_rows = self.shape
        values = np.ndarray(
            (n_rows, repeat), dtype, self._content, self.data_start + offset, (row_size, dtype.itemsize)
        )
        return values.astype(dtype.newbyteorder("=")).reshape(-1)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Lengths of the axes of an image, the first FITS axis first, also of a compressed one; empty where there is none."""
        if self.string("XTENSION") == "BINTABLE":
            if self.logical("ZIMAGE") is not True:
                return ()
            shape = tuple(self._required(f"ZNAXIS{i + 1}") for i in range(self._required("ZNAXIS")))
            if not all(0 < n <= MAX_PIXELS for n in shape) or prod(shape) > MAX_PIXELS:
                raise Problem(f"the compressed image has the axes {shape}: not a spectrum", self.label)
            return shape
        return self.shape if self.index == 0 or self.string("XTENSION") == "IMAGE" else ()

    def image(self) -> np.ndarray:
        """The image, in the machine's byte order; the first FITS axis is the last of the array.

        Raises
        ------
        Problem
            It cannot be read.
        """
        if not self.shape or (self.index > 0 and self.string("XTENSION") != "IMAGE"):
            return self._by_astropy(None)
        if any(key in self for key in ("BSCALE", "BZERO", "BLANK")) and not self._unscaled():
            return self._by_astropy(None)
        dtype = np.dtype(IMAGE_TYPE[self._bitpix])
        values = np.ndarray(self.shape[::-1], dtype, self._content, self.data_start)
        return values.astype(dtype.newbyteorder("="))

    def _unscaled(self) -> bool:
        return "BLANK" not in self and self.number("BSCALE") in (None, 1.0) and self.number("BZERO") in (None, 0.0)

    def _by_astropy(self, column: str | None) -> np.ndarray:
        """A column or (None) the image, read by astropy from this HDU alone."""
        from astropy.io import fits  # half a second to import, and needed by unusual files only

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with fits.open(io.BytesIO(self._content), memmap=False, lazy_load_hdus=True) as opened:
                    data = opened[self.index].data  # pyright: ignore[reportAttributeAccessIssue]
                    values = np.asarray(data if column is None else data[column])
        except Exception as error:  # whatever astropy makes of a damaged HDU
            raise Problem(f"cannot be read ({type(error).__name__}: {error})", self.label) from error
        if values.dtype == object and values.size == 1:  # one variable-length cell
            values = np.asarray(values.reshape(-1)[0])
        if values.dtype.kind not in "iuf":
            raise Problem(f"{column or 'the image'} holds no numbers", self.label)
        values = values.astype(values.dtype.newbyteorder("="))
        return values.reshape(-1) if column else values


def ones_complement_sum(content: bytes | bytearray, start: int, end: int) -> int:
    """The 32-bit sum with end-around carry that CHECKSUM and DATASUM are made of (FITS standard 4.0, appendix J)."""
    words = content[start:end].ljust(end - start, b"\0")
    total = int(np.frombuffer(words, ">u4").sum(dtype=np.uint64))
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def _header_size(content: bytes | bytearray, start: int) -> int:
    """Bytes of the header that begins at `start`, blocks filled."""
    limit = min(len(content), start + MAX_HEADER)
    found = content.find(END, start, limit)
    while found >= 0 and (found - start) % 80:
        found = content.find(END, found + 1, limit)
    if found < 0:
        why = "is longer than 3,600 cards" if limit < len(content) else "has no END: the file is truncated"
        raise Problem(f"the header at byte {start} {why}")
    return -(-(found + 80 - start) // BLOCK) * BLOCK


def parse(content: bytes | bytearray) -> list[Hdu]:
    """Headers of all HDUs of a FITS file, each compared with its checksums where it has them.

    Parameters
    ----------
    content : bytes
        The file, decompressed.

    Raises
    ------
    Problem
        It is not FITS, or its structure is damaged.
    """
    if not content.startswith(b"SIMPLE  ="):
        raise Problem("is not FITS: it does not begin with SIMPLE", stage="open")
    hdus: list[Hdu] = []
    start = 0
    while start < len(content):
        if hdus and not content.startswith(b"XTENSION=", start):
            if content[start:].strip(b"\0 "):
                raise Problem(f"{len(content) - start} foreign bytes after {hdus[-1].label}: the file is damaged")
            break
        if len(hdus) == MAX_HDUS:
            raise Problem(f"has more than {MAX_HDUS} HDUs: not the file of one spectrum")
        hdu = Hdu(content, len(hdus), start, _header_size(content, start))
        hdu.stale_checksum = hdu.verify()
        hdus.append(hdu)
        start = hdu.end
    return hdus
