"""Files of a star with the same measurements, however they are called or packed: as with spectra, the first in the alphabet has them."""

from __future__ import annotations

import duckdb

from becat.etl.catalogue.checksums import rows_digest
from becat.etl.catalogue.connection import Run
from becat.etl.catalogue.ledger import FileRead, Waiting, write_rejections
from becat.schema.tables import TABLES

__all__ = ["CAUSE", "bereft_copies", "settle_copies"]

CAUSE = "other light curve"
OF_A_FILE = ("star_id", "file", "row_in_file", "run_id")
MEASURED = ", ".join(column.name for column in TABLES["light_curve"].columns if column.name not in OF_A_FILE)
SAME = f"""
    with content as (
        select file, ({rows_digest(MEASURED)}) as measured from light_curve where star_id = ? group by file
    )
    select file from content where measured = (select measured from content where file = ?) order by file
"""
COPIES = """
    select file, held_by, held_by in (select file from input_file where status = 'loaded') from waiting_input where cause = ?
"""


def settle_copies(connection: duckdb.DuckDBPyConnection, file: str, star_id: int, run: Run) -> str:
    """Of a file that was just written and others of its star with the same measurements, keep the rows of one alone.

    Parameters
    ----------
    connection : duckdb connection
        In a transaction of the caller.
    file : str
    star_id : int
    run : Run

    Returns
    -------
    str
        The file that has the rows: this one, or the one of which it is a copy.
    """
    # What this file has now may not be theirs any more.
    connection.execute(
        "update input_file set version = 'stale' where file in (select file from waiting_input where cause = ? and held_by = ?)",
        [CAUSE, file],
    )
    holder, *copies = [found for (found,) in connection.execute(SAME, [star_id, file]).fetchall()]
    for copy in copies:
        connection.execute("delete from light_curve where file = ?", [copy])
        connection.execute("delete from rejected_input where file = ?", [copy])
        connection.execute("update input_file set status = 'duplicate', n_rows = 0 where file = ?", [copy])
        waits = FileRead(copy, None, None, None, waiting=[Waiting(0, CAUSE, held_by=holder)])
        write_rejections(connection, [waits], run.run_id)
    return holder


def bereft_copies(connection: duckdb.DuckDBPyConnection, stale: set[str]) -> set[str]:
    """Copies of files that are to be read again, or that the catalogue does not have any more.

    Parameters
    ----------
    connection : duckdb connection
    stale : set of str
        Files that are to be read again.
    """
    rows = connection.execute(COPIES, [CAUSE]).fetchall()
    return {file for file, held_by, is_there in rows if held_by in stale or not is_there}
