"""Arrow columns as numpy arrays and back."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

__all__ = ["lists", "matrix", "nullable", "struct", "vector"]


def _whole(column):
    """The column as one array."""
    if isinstance(column, pa.ChunkedArray):
        return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return column


def matrix(column):
    """Fixed-length arrays as a matrix, without a copy where no element is NULL.

    Parameters
    ----------
    column : pyarrow array of n fixed-size lists of p floats

    Returns
    -------
    matrix : (n, p) float array
        NULL elements are NaN; rows of NULL are undefined.
    present : (n,) bool array
        False where the row is NULL.
    """
    array = _whole(column)
    n_pixels = array.type.list_size
    values = array.values.slice(array.offset * n_pixels, len(array) * n_pixels)
    return values.to_numpy(zero_copy_only=False).reshape(len(array), n_pixels), _present(array)


def vector(column):
    """Numbers as a float64 array, NaN where NULL.

    Parameters
    ----------
    column : pyarrow array of n numbers

    Returns
    -------
    (n,) float64 array
    """
    return _whole(column).to_numpy(zero_copy_only=False).astype(np.float64, copy=False)


def _present(array):
    if array.null_count == 0:
        return np.ones(len(array), dtype=bool)
    return np.asarray(array.is_valid().to_numpy(zero_copy_only=False))


def nullable(values, type_):
    """Numbers as an Arrow array: what is not finite, or masked, is NULL.

    Parameters
    ----------
    values : (n,) number or object array, or masked array
    type_ : pyarrow type

    Returns
    -------
    pyarrow.Array
    """
    mask = np.ma.getmaskarray(values)
    values = np.ma.getdata(values)
    if np.issubdtype(values.dtype, np.floating):
        mask = mask | ~np.isfinite(values)
    if values.dtype == object:
        return pa.array(values.tolist(), type=type_)
    if not mask.any():
        return pa.array(values).cast(type_, safe=False)
    return pa.array(np.where(mask, values.dtype.type(0), values), mask=mask).cast(type_, safe=False)


def lists(values, counts, type_):
    """Ragged rows as a list column.

    Parameters
    ----------
    values : (n_all,) array
        Elements of all rows, row after row.
    counts : (n,) int array
        Number of elements of each row; negative for NULL.
    type_ : pyarrow type
        Type of the elements.

    Returns
    -------
    pyarrow.ListArray
    """
    offsets = np.concatenate([[0], np.cumsum(np.maximum(counts, 0))]).astype(np.int32)
    mask = pa.array(counts < 0) if np.any(counts < 0) else None
    return pa.ListArray.from_arrays(pa.array(offsets), nullable(values, type_), mask=mask)


def struct(fields, present):
    """Columns as one struct column.

    Parameters
    ----------
    fields : dict of str to pyarrow.Array
    present : (n,) bool array
        False where the whole value is NULL.

    Returns
    -------
    pyarrow.StructArray
    """
    mask = None if np.all(present) else pa.array(~np.asarray(present))
    return pa.StructArray.from_arrays(list(fields.values()), names=list(fields), mask=mask)
