"""Reading a table of any of the usual formats into Arrow, with its units."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from isal import igzip

from becat.etl.catalogue.errors import refuse_odd
from becat.etl.catalogue.memory import not_enough_memory, unpacked_bytes_max
from becat.schema.errors import BecatError
from becat.schema.votable_safe import parse_votable

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["COLUMNS_MAX", "from_astropy", "read_table"]

_SEPARATORS = ",;|\t"
PIECE_BYTES = 1 << 20
ROWS_A_PIECE = 4096
COLUMNS_MAX = 10_000


def read_table(path: str | Path, bytes_max: int | None = None) -> tuple[pa.Table, dict[str, str]]:
    """Read a CSV, VOTable, FITS or Parquet file, plain or (but Parquet) gzipped; the content decides which it is.

    Parameters
    ----------
    path : path
        File.
    bytes_max : int, optional
        The most that it may have when unpacked; by default that of `unpacked_bytes_max`.

    Returns
    -------
    table : pyarrow.Table
        Its columns by their own names; blank strings and NaN are null, strings are stripped.
    units : dict
        Unit of each column that states one.

    Raises
    ------
    BecatError
        The file cannot be read as any of them, has fewer than two columns, or is too large.
    """
    path = Path(path)
    refuse_odd(path)
    try:
        bytes_max = bytes_max or unpacked_bytes_max(path)
        with path.open("rb") as file:
            is_packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            with igzip.open(file, "rb") if is_packed else nullcontext(file) as stream:
                _refuse_large(stream, bytes_max)
                start = stream.read(4096)
                stream.seek(0)
                table, units = _read(stream, start, bytes_max)
    except OSError as error:
        raise BecatError(f"{path} cannot be read: {error.strerror or error}") from None
    except MemoryError:
        raise not_enough_memory(f"to read {path}") from None
    except _TooLargeError as error:
        raise BecatError(
            f"{path} has more than {error.args[0] >> 20:,} MiB when it is unpacked: split it, or keep only the columns that are needed"
        ) from None
    except Exception as error:  # every reader has its own errors; whatever it is, the file is of no use
        words = str(error).strip().splitlines() or [type(error).__name__]
        raise BecatError(f"{path} is not a complete CSV, VOTable, FITS or Parquet table: {words[0]}") from None
    if table.num_columns < 2:
        raise BecatError(f"{path} has fewer than two columns: the separator must be a comma, semicolon, | or tab")
    return table, units


class _TooLargeError(Exception):
    """A table that has, or becomes, more than the bytes it may, which are given."""


def _refuse_large(stream, bytes_max: int) -> None:
    """Go through what is packed to its end: a small file may unpack to more than there is memory."""
    n_bytes = 0
    while piece := stream.read(PIECE_BYTES):
        n_bytes += len(piece)
        if n_bytes > bytes_max:
            raise _TooLargeError(bytes_max)
    stream.seek(0)


def _read(stream, start, bytes_max):
    """From the open file alone: no reader is handed a name, which it might take for an address and fetch."""
    if start.startswith(b"PAR1"):
        table = _read_parquet(stream, bytes_max)
        units = {f.name: f.metadata[b"unit"].decode() for f in table.schema if f.metadata and b"unit" in f.metadata}
        return _cleaned({name: table[name] for name in table.column_names}), units
    if start.startswith(b"SIMPLE  ="):
        from astropy.table import Table  # slow to import

        return from_astropy(Table.read(stream, format="fits"))
    if start.lstrip(b"\xef\xbb\xbf \r\n\t").startswith((b"<?xml", b"<VOTABLE", b"<!DOCTYPE")):
        from astropy.table import Table

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of units and UCDs that are off the standard
            votable = parse_votable(stream, bytes_max=bytes_max)
            return from_astropy(Table.read(votable, format="votable", use_names_over_ids=True))
    return _read_csv(stream, start), {}


def _read_parquet(stream, bytes_max):
    """In pieces, since a column of a kilobyte may hold a billion rows that are alike; words from a dictionary count each time."""
    file, batches, n_bytes = pq.ParquetFile(stream), [], 0
    fields = (f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in file.schema_arrow)
    schema = pa.schema(fields)
    for packed in file.iter_batches(ROWS_A_PIECE):
        columns = [c.dictionary_decode() if isinstance(c, pa.DictionaryArray) else c for c in packed.columns]
        batch = pa.RecordBatch.from_arrays(columns, schema=schema)
        n_bytes += batch.nbytes
        if n_bytes > bytes_max:
            raise _TooLargeError(bytes_max)
        batches.append(batch)
    return pa.Table.from_batches(batches, schema)


def _read_csv(stream, start):
    import pandas as pd  # slow to import

    header = next((line for line in start.decode("utf-8-sig", "replace").splitlines() if line.strip()), "")
    if not header:
        raise BecatError("it is empty")
    separator = max(_SEPARATORS, key=header.count)
    while not (line := stream.readline(PIECE_BYTES)).strip():
        pass
    stream.seek(0)
    if line.count(separator.encode()) >= COLUMNS_MAX:
        raise BecatError(f"it has more than {COLUMNS_MAX:,} columns")
    frame = pd.read_csv(stream, sep=separator, encoding="utf-8-sig", dtype_backend="pyarrow", skip_blank_lines=True)
    frame.columns = [str(name).strip() for name in frame.columns]
    return _cleaned({name: pa.chunked_array(pa.array(frame[name])) for name in frame.columns})


def from_astropy(table: Table) -> tuple[pa.Table, dict[str, str]]:
    """An astropy table as Arrow, with its units; columns of arrays are left out.

    Parameters
    ----------
    table : astropy.table.Table
        Masked cells become null.

    Returns
    -------
    table : pyarrow.Table
    units : dict
    """
    from astropy.table import MaskedColumn

    columns, units = {}, {}
    for name in table.colnames:
        column = table[name]
        if column.ndim > 1:  # pyright: ignore[reportAttributeAccessIssue]
            continue
        mask = np.asarray(column.mask) if isinstance(column, MaskedColumn) else np.zeros(len(column), dtype=bool)
        values = np.ma.getdata(column)
        if values.dtype.kind in "SUO":
            words = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values.tolist()]
            array = pa.array(
                [None if m or w is None else str(w) for w, m in zip(words, mask, strict=True)], pa.string()
            )
        else:
            array = pa.array(np.asarray(values).astype(values.dtype.newbyteorder("=")), mask=mask)
        columns[name] = pa.chunked_array([array])
        if column.unit is not None:  # pyright: ignore[reportAttributeAccessIssue]
            units[name] = str(column.unit)  # pyright: ignore[reportAttributeAccessIssue]
    return _cleaned(columns), units


def _cleaned(columns: Mapping[str, pa.ChunkedArray]) -> pa.Table:
    """Blank strings and NaN as null, so that a missing value is missing in every format."""
    cleaned = {}
    for name, values in columns.items():
        if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
            values = pc.utf8_trim_whitespace(pc.cast(values, pa.string()))  # pyright: ignore[reportAttributeAccessIssue]
            values = pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values)  # pyright: ignore[reportAttributeAccessIssue]
        elif pa.types.is_floating(values.type):
            values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)  # pyright: ignore[reportAttributeAccessIssue]
        cleaned[name] = values
    return pa.table(cleaned)
