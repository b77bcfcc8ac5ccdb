"""Reading a table of any of the usual formats into Arrow, with its units."""

from __future__ import annotations

import gzip
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from becat.etl.catalogue.errors import refuse_odd
from becat.schema.errors import BecatError
from becat.schema.votable_safe import parse_votable

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["from_astropy", "read_table"]

_SEPARATORS = ",;|\t"


def read_table(path: str | Path) -> tuple[pa.Table, dict[str, str]]:
    """Read a CSV, VOTable, FITS or Parquet file, plain or (but Parquet) gzipped; the content decides which it is.

    Parameters
    ----------
    path : path
        File.

    Returns
    -------
    table : pyarrow.Table
        Its columns by their own names; blank strings and NaN are null, strings are stripped.
    units : dict
        Unit of each column that states one.

    Raises
    ------
    BecatError
        The file cannot be read as any of them, or has no rows and columns.
    """
    path = Path(path)
    refuse_odd(path)
    try:
        with path.open("rb") as file:
            is_packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            with gzip.open(file) if is_packed else nullcontext(file) as stream:
                start = stream.read(4096)
                stream.seek(0)
                table, units = _read(stream, start)
    except OSError as error:
        raise BecatError(f"{path} cannot be read: {error.strerror or error}") from None
    except Exception as error:  # every reader has its own errors; whatever it is, the file is of no use
        words = str(error).strip().splitlines() or [type(error).__name__]
        raise BecatError(f"{path} is no whole CSV, VOTable, FITS or Parquet table: {words[0]}") from None
    if table.num_columns < 2:
        raise BecatError(f"{path} has fewer than two columns: is its separator one of comma, semicolon, | or tab?")
    return table, units


def _read(stream, start):
    """From the open file alone: no reader is handed a name, which it might take for an address and fetch."""
    if start.startswith(b"PAR1"):
        table = pq.read_table(stream)
        units = {f.name: f.metadata[b"unit"].decode() for f in table.schema if f.metadata and b"unit" in f.metadata}
        return _cleaned({name: table[name] for name in table.column_names}), units
    if start.startswith(b"SIMPLE  ="):
        from astropy.table import Table  # slow to import

        return from_astropy(Table.read(stream, format="fits"))
    if start.lstrip(b"\xef\xbb\xbf \r\n\t").startswith((b"<?xml", b"<VOTABLE", b"<!DOCTYPE")):
        from astropy.table import Table

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of units and UCDs that are off the standard
            return from_astropy(Table.read(parse_votable(stream), format="votable", use_names_over_ids=True))
    return _read_csv(stream, start), {}


def _read_csv(stream, start):
    import pandas as pd  # slow to import

    header = next((line for line in start.decode("utf-8-sig", "replace").splitlines() if line.strip()), "")
    if not header:
        raise BecatError("it is empty")
    separator = max(_SEPARATORS, key=header.count)
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
        if pa.types.is_dictionary(values.type):
            values = pc.cast(values, values.type.value_type)
        if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
            values = pc.utf8_trim_whitespace(pc.cast(values, pa.string()))  # pyright: ignore[reportAttributeAccessIssue]
            values = pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values)  # pyright: ignore[reportAttributeAccessIssue]
        elif pa.types.is_floating(values.type):
            values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)  # pyright: ignore[reportAttributeAccessIssue]
        cleaned[name] = values
    return pa.table(cleaned)
