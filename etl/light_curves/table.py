"""A table of photometry as its file has it: columns by their names in small letters, and what stands above them."""

from __future__ import annotations

import io
import warnings
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from becat.etl.archives.tables import COLUMNS_MAX, read_table
from becat.etl.catalogue.errors import refuse_odd
from becat.schema.errors import BecatError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PhotometryTable", "read_photometry"]


BYTES_MAX = 256 << 20


@dataclass(frozen=True, eq=False)
class PhotometryTable:
    """A table of a file.

    Attributes
    ----------
    columns : pandas.DataFrame
        Names in small letters.
    header : dict
        Keywords of a FITS file, of its first header and of that of the table.
    units : dict
        Unit of each column of a FITS file that states one.
    comments : str
        Lines of a CSV file that begin with #.
    """

    columns: pd.DataFrame
    header: dict[str, Any] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    comments: str = ""

    def has(self, *names: str) -> bool:
        """Whether all these columns are there."""
        return set(names) <= set(self.columns)

    def first(self, names: Iterable[str]) -> str | None:
        """The first of some columns that is there."""
        return next((name for name in names if name in self.columns), None)

    def numbers(self, name: str | None) -> np.ndarray:
        """(n_rows,) float64 values of a column; NaN where it has no number, or is not there."""
        import pandas as pd

        if name is None:
            return np.full(len(self.columns), np.nan)
        numbers: Any = pd.to_numeric(self.columns[name], errors="coerce")
        return numbers.to_numpy(float, na_value=np.nan)

    def places(self) -> np.ndarray:
        """(n_rows, 2) right ascensions and declinations, degrees; (n_rows, 0) where the table has none."""
        names = ("ra", "dec") if self.has("ra", "dec") else ()
        return np.array([self.numbers(name) for name in names]).reshape(len(names), len(self.columns)).T

    def words(self, name: str | None) -> np.ndarray:
        """(n_rows,) object array of a column's words without blanks around them; None where it is empty, or not there."""
        found = np.full(len(self.columns), None, object)
        if name is not None:
            column = self.columns[name]
            stripped = column.astype(str).str.strip().to_numpy(object)
            known = column.notna().to_numpy(bool) & (stripped != "")
            found[known] = stripped[known]
        return found


def read_photometry(path: Path) -> PhotometryTable:
    """Read a FITS, VOTable, Parquet or CSV file; lines of a CSV file that begin with # stand above its header.

    Raises
    ------
    BecatError
        The file cannot be read as any of them.
    """
    refuse_odd(path)
    try:
        if path.stat().st_size > BYTES_MAX:
            raise BecatError(f"{path} has more than {BYTES_MAX >> 20} MiB: that is not a light curve of one star")
        with path.open("rb") as stream:
            start = stream.read(4096)
    except OSError as error:
        raise BecatError(f"{path} cannot be read: {error.strerror or error}") from None
    if start.startswith(b"SIMPLE  ="):
        return _read_fits(path)
    if _unpacked(start).startswith(b"SIMPLE"):
        raise BecatError(f"{path} is a packed FITS file: unpack it first (gunzip)")
    if start.startswith((b"PAR1", b"\x1f\x8b")) or start.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(
        (b"<?xml", b"<VOTABLE")
    ):
        return PhotometryTable(_named(read_table(path, BYTES_MAX)[0].to_pandas()))
    return _read_csv(path)


def _unpacked(start: bytes) -> bytes:
    """The first bytes of a gzip stream; none where it is none."""
    try:
        return zlib.decompressobj(wbits=31).decompress(start, 80)
    except zlib.error:
        return b""


def _read_fits(path: Path) -> PhotometryTable:
    from astropy.io import fits

    try:
        with warnings.catch_warnings(), fits.open(path, memmap=False) as hdus:
            warnings.simplefilter("ignore")  # of units such as e-/s, which are off the standard
            table: Any = next((hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU)), None)
            if table is None or table.data is None:
                raise BecatError(f"{path} has no table: a light curve is a table of times and fluxes")
            first: Any = hdus[0]
            header = {key: card for hdu in (first, table) for key, card in hdu.header.items() if _is_set(card)}
            columns = {name: table.data[name] for name in table.columns.names if table.data[name].ndim == 1}
            units = {column.name.lower(): column.unit for column in table.columns if column.unit}
    except BecatError:
        raise
    except Exception as error:  # a broken file has many ways to fail; whatever it is, the file is of no use
        words = str(error).strip().splitlines() or [type(error).__name__]
        raise BecatError(f"{path} is not a complete FITS table: {words[0]}") from None
    import pandas as pd

    frame = pd.DataFrame({name: values.astype(values.dtype.newbyteorder("=")) for name, values in columns.items()})
    return PhotometryTable(_named(frame), header, units)


def _is_set(card: object) -> bool:
    return isinstance(card, str | int | float) and card != ""


def _read_csv(path: Path) -> PhotometryTable:
    import pandas as pd

    lines = path.read_bytes().decode("utf-8-sig", "replace").splitlines()
    above = "\n".join(line for line in lines if line.startswith("#"))
    rows = "\n".join(line for line in lines if line.strip() and not line.startswith("#"))
    if rows.partition("\n")[0].count(",") >= COLUMNS_MAX:
        raise BecatError(f"{path} has more than {COLUMNS_MAX:,} columns: that is not a light curve")
    try:
        frame = pd.read_csv(io.StringIO(rows), dtype=str, keep_default_na=False, index_col=False)
    except (ValueError, pd.errors.ParserError) as error:
        words = str(error).strip().splitlines() or ["it is empty"]
        raise BecatError(f"{path} is not a complete CSV table: {words[0]}") from None
    return PhotometryTable(_named(frame), comments=above)


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    """Names in small letters; of two that are the same then, the first column stays."""
    named = frame.rename(columns=lambda name: str(name).strip().lower())
    return named.loc[:, ~named.columns.duplicated()]
