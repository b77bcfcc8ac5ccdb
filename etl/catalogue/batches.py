"""Walking through the stored spectra in bounded batches, for the stages that compute on flux."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import numpy as np
import pyarrow as pa
from tqdm import tqdm

from becat.etl.catalogue.connection import TO_READ, TO_READ_ONE_ARM, bounded_memory, one_thread

__all__ = ["arrow_columns", "flux_batches", "insert_columns", "matrix"]

SPECTRA_PER_BATCH = 2048
# A stage that needs only `flux_red` says so: the other tables make a batch three times as dear.
EVERYTHING = "flux_red r join spectrum s using (spectrum_id) left join flux_blue b using (spectrum_id)"


def flux_batches(
    connection: duckdb.DuckDBPyConnection,
    todo_sql: str,
    parameters: list,
    columns: str,
    description: str,
    tables: str = EVERYTHING,
) -> Iterator[pa.Table]:
    """Spectra that a stage has still to do, batch after batch in the order in which they are stored.

    Parameters
    ----------
    connection : duckdb connection
    todo_sql : str
        Condition on `flux_red` (named ``r``) that is true for a spectrum that is to be done.
    parameters : list
        Values of the question marks in `todo_sql`.
    columns : str
        What to select from `flux_red` ``r``, `spectrum` ``s`` and `flux_blue` ``b``.
    description : str
        Words before the progress bar.
    tables : str
        Where the columns are from: `flux_red` ``r`` and what is joined to it.

    Yields
    ------
    pyarrow.Table
        At most `SPECTRA_PER_BATCH` rows.
    """
    connection.execute(
        f"create or replace temp table todo as select rowid as place, spectrum_id from flux_red r where {todo_sql}",
        parameters,
    )
    bounds = connection.execute(
        f"""
        select min(place), max(place), count(*)
        from (select place, (row_number() over (order by place) - 1) // {SPECTRA_PER_BATCH} as batch from todo)
        group by batch order by batch
        """
    ).fetchall()
    with (
        one_thread(connection),
        bounded_memory(connection, TO_READ if tables == EVERYTHING else TO_READ_ONE_ARM),
        tqdm(total=sum(b[2] for b in bounds), desc=description, unit=" spectra", disable=None) as bar,
    ):
        for first, last, n in bounds:
            # A batch without gaps needs no list of what is in it, and a scan keeps its order without being told.
            some = f"and spectrum_id in (select spectrum_id from todo where place between {first} and {last})"
            yield connection.execute(
                f"""
                select {columns} from {tables}
                where r.rowid between {first} and {last} {some if n <= last - first else ""}
                """
            ).to_arrow_table(SPECTRA_PER_BATCH)
            bar.update(n)
    connection.execute("drop table todo")


def matrix(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """A column of fixed-length arrays as a matrix.

    Parameters
    ----------
    column : pyarrow.ChunkedArray
        (n,) fixed-size lists of length p.

    Returns
    -------
    matrix : (n, p) array
        Rows of NULL are undefined.
    present : (n,) bool array
        False where the value is NULL.
    """
    array = column.combine_chunks()
    n_pixels = array.type.list_size
    start = array.offset * n_pixels
    values = array.values.slice(start, len(array) * n_pixels)
    present = np.asarray(array.is_valid())
    return values.to_numpy(zero_copy_only=False).reshape(len(array), n_pixels), present


def insert_columns(connection: duckdb.DuckDBPyConnection, table: str, columns: dict) -> None:
    """Append rows given as columns; NaN is written as NULL.

    Parameters
    ----------
    connection : duckdb connection
    table : str
        Table to write to.
    columns : dict of str to sequence
        Values by column name, all of one length; arrays of numpy (also masked ones), of Arrow, or lists.
    """
    connection.register("new_row", arrow_columns(columns))
    connection.execute(f"insert into {table} by name select * from new_row")
    connection.unregister("new_row")


def arrow_columns(columns: dict) -> pa.Table:
    """Columns of numpy (also masked), of Arrow, or lists as a table; NaN becomes NULL."""
    return pa.table({name: _arrow(values) for name, values in columns.items()})


def _arrow(values) -> pa.Array | pa.ChunkedArray:
    if isinstance(values, np.ma.MaskedArray):
        return pa.array(values.data, mask=np.ma.getmaskarray(values))
    if isinstance(values, np.ndarray):
        return pa.array(values, from_pandas=True)
    return values if isinstance(values, pa.ChunkedArray) else pa.array(values)
