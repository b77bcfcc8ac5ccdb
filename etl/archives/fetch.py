"""Fetching archives: in chunks, politely, again where something goes wrong, and never the same thing twice.

Every answer is kept as a Parquet file; a chunk counts as answered once the list of its stars lies beside it, so that a
fetch that was stopped goes on where it was. Only complete sources go into the catalogue.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm import tqdm

from becat.etl.archives import sources
from becat.etl.archives.ingest import checked, ingested, store
from becat.etl.archives.services import DEC, ID, RA, SERVERS, Client
from becat.etl.archives.sources import ColumnMissing
from becat.schema.errors import BecatError
from becat.schema.words import counted

__all__ = ["Fetched", "Manners", "fetch"]

_SENTINEL_ID = 2**53 - 1  # above every star_id, so that it comes last in an ordered answer
_MARGIN_ARCSEC = 5.0  # asked beyond the matching radius: a star of 0.3 arcsec/yr moves so far from 2000 to 2016


class Incomplete(Exception):
    """An answer that cannot be the whole one."""


@dataclass(frozen=True)
class Manners:
    """How to behave towards a server."""

    chunk: int = 2000  # stars a request
    tries: int = 5
    first_wait_s: float = 2.0  # doubled after every failure, with up to as much again at random
    pause_s: float = 1.0  # between requests, of which there is never more than one under way
    timeout_s: float = 120.0


@dataclass(frozen=True)
class Fetched:
    """What became of one source."""

    source: str
    n_rows: int
    n_asked: int  # stars that a server was asked about in this call
    n_known: int  # stars answered by the cache
    error: str | None = None  # why it is not complete; it was then left as it was in the catalogue


def fetch(
    connection: duckdb.DuckDBPyConnection,
    names: Iterable[str],
    cache_dir: str | Path,
    *,
    run_id: int = 0,
    servers: dict[str, str] | None = None,
    manners: Manners | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Fetched]:
    """Fetch archives for the stars of a catalogue.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        The catalogue, open for writing and not in a transaction.
    names : iterable of str
        Sources, as in sources.toml.
    cache_dir : path
        Folder of answers, made if it is not there. Delete a source's folder in it to have it fetched anew.
    run_id : int
        Written to archive.source.
    servers : dict, optional
        Other addresses than those of `becat.etl.archives.services.SERVERS`, by service.
    manners : Manners, optional
    sleep : callable
        Waits for a number of seconds.

    Returns
    -------
    list of Fetched
        One for each source; a source that failed says why and does not stop the others.

    Raises
    ------
    BecatError
        There is no source of a name.
    """
    manners = manners or Manners()
    wanted = [sources.source(name) for name in names]
    client = Client({**SERVERS, **(servers or {})}, manners.timeout_s)
    return [_fetch_one(connection, source, Path(cache_dir), client, manners, sleep, run_id) for source in wanted]


def _fetch_one(connection, source, cache_dir, client, manners, sleep, run_id):
    radius = source.radius_of(connection) + _MARGIN_ARCSEC
    # a declaration that changes asks for other columns: its answers lie elsewhere
    version = hashlib.sha256(repr((source, radius)).encode()).hexdigest()[:12]
    folder = cache_dir / source.name / version
    folder.mkdir(parents=True, exist_ok=True)
    stars = _stars(connection)
    by_position = not source.is_whole
    todo = _unanswered(stars, folder) if by_position else stars.slice(0, 0 if (folder / "all.parquet").exists() else 1)
    n_todo, error = len(todo), None
    chunks = [todo.slice(i, manners.chunk) for i in range(0, n_todo, manners.chunk)] if by_position else [None] * n_todo
    for i, chunk in enumerate(tqdm(chunks, desc=f"fetch {source.name}", unit=" chunks", disable=None, leave=False)):
        try:
            if i:
                sleep(manners.pause_s)
            table = _asked_until_whole(source, chunk, radius, client, manners, sleep)
            _keep(folder, table, chunk)
        except (BecatError, Incomplete) as failure:
            error = str(failure)
            if isinstance(failure, ColumnMissing):
                break  # the next chunk would say the same
    n_known = len(stars) - n_todo if by_position else 0
    if error is None:
        rows, digest = _rows_for(stars, folder, source)
        if ingested(connection).get(source.name) != digest:
            store(connection, source, rows, client.servers.get(source.service, ""), digest, run_id)
        return Fetched(source.name, rows.num_rows, n_todo if by_position else 0, n_known)
    return Fetched(source.name, 0, n_todo if by_position else 0, n_known, error)


def _stars(connection):
    """Stars with their positions, in an order that keeps neighbours together."""
    return connection.execute(f"""
        select star_id::bigint as {ID}, ra_deg as {RA}, dec_deg as {DEC} from star order by star_id
    """).to_arrow_table()


def _unanswered(stars, folder):
    """Stars that no kept answer covers at this position."""
    asked = [pq.read_table(path, columns=[ID, RA, DEC]) for path in sorted(folder.glob("*.asked.parquet"))]
    if not asked:
        return stars
    known = pa.concat_tables(asked)
    keys = {tuple(row) for row in zip(*(known[name].to_pylist() for name in (ID, RA, DEC)), strict=True)}
    mine = zip(*(stars[name].to_pylist() for name in (ID, RA, DEC)), strict=True)
    return stars.filter(pa.array([row not in keys for row in mine], pa.bool_()))


def _asked_until_whole(source, chunk, radius_arcsec, client, manners, sleep):
    """A whole answer, or an BecatError that says what was wrong with the last one."""
    places = None if chunk is None else _with_sentinel(chunk)
    wait, failure = manners.first_wait_s, ""
    for attempt in range(manners.tries):
        if attempt:
            sleep(wait * (1 + random.random()))
            wait *= 2
        try:
            table, units = client.ask(source, places, radius_arcsec)
            table = checked(source, table, units, client.servers[source.service])
            return _whole(source, table, places)
        except BecatError:
            raise  # a table or column that is not there will not be there the next time
        except Exception as error:  # clients raise errors of many libraries; each is worth another try
            words = str(error).strip().splitlines() or [type(error).__name__]
            failure = f"{type(error).__name__}: {words[0]}"[:300]
    what = "the whole table" if chunk is None else f"{counted(len(chunk), 'star')}"
    raise BecatError(
        f"{source.name}: no whole answer about {what} in {manners.tries} tries ({failure}); run it again later,"
        " what has been answered is kept"
    )


def _with_sentinel(chunk):
    place = sources.sentinel()
    last = pa.table({ID: [_SENTINEL_ID], RA: [place.ra_deg], DEC: [place.dec_deg]}, schema=chunk.schema)
    return pa.concat_tables([chunk, last])


def _whole(source, table, places):
    """The answer without the sentinel's rows, if it can be the whole one."""
    if places is None:
        if table.num_rows < source.rows_min:
            raise Incomplete(f"{table.num_rows} rows, of at least {source.rows_min}")
        return table
    if ID not in table.column_names:
        raise Incomplete(f"the answer lacks the column {ID} that was sent along")
    ids = pc.cast(table[ID], pa.int64())
    if not pc.any(pc.equal(ids, _SENTINEL_ID)).as_py():  # pyright: ignore[reportAttributeAccessIssue]
        raise Incomplete(f"{table.num_rows} rows, without those of the star that was asked for last")
    if not pc.all(pc.is_in(ids, places[ID].combine_chunks())).as_py():  # pyright: ignore[reportAttributeAccessIssue]
        raise Incomplete("rows of stars that were not asked for")
    table = table.set_column(table.column_names.index(ID), ID, ids)
    return table.filter(pc.not_equal(table[ID], _SENTINEL_ID))  # pyright: ignore[reportAttributeAccessIssue]


def _keep(folder, table, chunk):
    """Write an answer and then the list of its stars, each under its name only once it is whole."""
    if chunk is None:
        return _write(table, folder / "all.parquet")
    numbers = b"".join(np.ascontiguousarray(chunk[name].to_numpy()).tobytes() for name in (ID, RA, DEC))
    name = hashlib.sha256(numbers).hexdigest()[:16]
    _write(table, folder / f"{name}.rows.parquet")
    return _write(chunk, folder / f"{name}.asked.parquet")


def _write(table, path):
    part = path.with_suffix(".part")
    pq.write_table(table, part)
    part.replace(path)


def _rows_for(stars, folder, source):
    """All kept rows near the stars of the catalogue, each row of the archive once, and their hash."""
    if source.is_whole:
        whole = pq.read_table(folder / "all.parquet")
        return whole, hashlib.sha256((folder / "all.parquet").read_bytes()).hexdigest()
    files = [path.with_name(path.name.replace(".asked.", ".rows.")) for path in sorted(folder.glob("*.asked.parquet"))]
    parts = [pq.read_table(path) for path in files]
    meta = next((part.schema.metadata for part in parts if part.num_rows), parts[0].schema.metadata) if parts else None
    if not parts:
        raise BecatError(f"{source.name}: the catalogue has no stars to ask for; load spectra first")
    rows = pa.concat_tables(parts, promote_options="permissive")
    rows = rows.filter(pc.is_in(rows[ID], stars[ID].combine_chunks()))  # pyright: ignore[reportAttributeAccessIssue]
    own = [name for name in rows.column_names if name not in (ID, RA, DEC, "angDist")]
    rows = _distinct(rows.select(own))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows.combine_chunks())
    return rows.replace_schema_metadata(meta), hashlib.sha256(sink.getvalue()).hexdigest()


def _distinct(rows: pa.Table) -> pa.Table:
    """Every row once: a star near two of ours comes with both."""
    with duckdb.connect() as connection:
        connection.register("rows", rows)
        return connection.execute("select distinct * from rows order by all").to_arrow_table()
