"""Partitions of files that were read and reduced: kept beside the catalogue until as many are there as make whole groups of rows.

A partition is a file of Arrow tables that has its name only once it is whole; the name tells the CRC-32 of its content. What is found
there after a kill is taken in by the next run, as long as the files are what they were, and the code reads them as it did.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from isal import isal_zlib

from becat.etl.catalogue.connection import what_went_wrong
from becat.etl.catalogue.ledger import FileRead, size_and_time
from becat.schema.errors import BecatError
from becat.schema.grid import ARMS

__all__ = ["Partition", "clear", "keep", "left_from_before", "merged", "open_partition", "place", "rows_at"]

ENDING, UNFINISHED = ".arrow", ".unfinished"
# What decides what a partition holds, beside the version of reading and reducing.
FORMAT = ("partitions.py", "load.py")


@dataclass
class Partition:
    """Files that were read, and for each arm a table of the spectra that have it: spectrum_id, flux, ivar, mask, checksum."""

    files: list[FileRead]
    flux: dict[str, pa.Table]
    kept_in: list[Path]

    @property
    def n_spectra(self) -> dict[str, int]:
        """Spectra by arm."""
        return {arm: len(table) for arm, table in self.flux.items()}


def place(arm: str) -> str:
    """Under what name a spectrum's row says where its arrays are: two files of a batch may hold a spectrum of one number."""
    return f"place_{arm}"


def keep(folder: str | Path, version: str, files: list[FileRead], flux: dict[str, pa.Table]) -> Path:
    """Write a partition (the work of a reading process).

    Parameters
    ----------
    folder : path
        Beside the catalogue; it is made where it is not there.
    version : str
        Of reading and reducing, with the exposures that were taken.
    files : list of FileRead
    flux : dict of str to pyarrow.Table
        By arm, as in `Partition`.

    Raises
    ------
    BecatError
        It cannot be written: the disk is full, or the folder may not be written.
    """
    rows = [vars(read) | {"rejected": [list(words) for words in read.rejected], "waiting": []} for read in files]
    schema = {"version": _full(version), "arms": ",".join(flux)}
    sink = pa.BufferOutputStream()
    for table in (pa.Table.from_pylist(rows).replace_schema_metadata(schema), *flux.values()):
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
    content = sink.getvalue()
    name = hashlib.sha256(repr([version, *(read.file for read in files)]).encode()).hexdigest()[:16]
    path = Path(folder, f"{name}-{isal_zlib.crc32(content):08x}{ENDING}")
    unfinished = path.with_name(f"{path.name}.{os.getpid()}{UNFINISHED}")
    try:
        path.parent.mkdir(exist_ok=True)
        with unfinished.open("wb") as file:
            file.write(content)
        unfinished.rename(path)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        raise BecatError(what_went_wrong(error)) from None
    return path


def open_partition(path: Path) -> tuple[Partition, str] | None:
    """A partition, its arrays still on the disk, and its version; None where it is damaged, as after a loss of power."""
    try:
        with pa.memory_map(str(path)) as file:
            content = file.read_buffer()
            if f"{isal_zlib.crc32(content):08x}" != path.stem.rpartition("-")[2]:
                return None
            reader = pa.BufferReader(content)
            tables = [pa.ipc.open_stream(reader).read_all()]
            told = {key.decode(): value.decode() for key, value in tables[0].schema.metadata.items()}
            arms = [arm for arm in told["arms"].split(",") if arm]
            flux = {arm: pa.ipc.open_stream(reader).read_all() for arm in arms}
    except (OSError, pa.ArrowInvalid):
        return None
    files = [
        FileRead(**row | {"rejected": [tuple(words) for words in row["rejected"]], "waiting": []})
        for row in tables[0].to_pylist()
    ]
    return Partition(files, flux, [path]), told["version"]


def left_from_before(folder: Path, version: str, wanted: set[str]) -> Iterator[Partition]:
    """What a run that was stopped has read of files that are wanted, and are as they were then.

    Parameters
    ----------
    folder : Path
    version : str
        As for `keep`.
    wanted : set of str
        Files; those that are found are taken out.
    """
    for path in sorted(folder.glob(f"*{ENDING}")):
        found = open_partition(path)
        if found is None or found[1] != _full(version):
            continue
        partition = found[0]
        partition.files = [read for read in partition.files if read.file in wanted and _is_as_it_was(read)]
        if partition.files:
            wanted.difference_update(read.file for read in partition.files)
            yield partition


def clear(folder: Path) -> None:
    """Take away what is left, by runs before too; the folder goes where nothing else is in it."""
    for pattern in (ENDING, UNFINISHED):
        for path in folder.glob(f"*{pattern}"):
            path.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def merged(partitions: Sequence[Partition]) -> Partition:
    """Several as one, its files in the order of their names."""
    n_before = dict.fromkeys(ARMS, 0)
    for partition in partitions:
        for row in (row for read in partition.files for row in read.spectra):
            for arm in ARMS:
                if row.get(place(arm)) is not None:
                    row[place(arm)] += n_before[arm]
        for arm, n in partition.n_spectra.items():
            n_before[arm] += n
    files = [read for partition in partitions for read in partition.files]
    tables = {arm: [one.flux[arm] for one in partitions if arm in one.flux] for arm in ARMS}
    return Partition(
        sorted(files, key=lambda read: read.file),
        {arm: pa.concat_tables(some) for arm, some in tables.items() if some},
        [path for partition in partitions for path in partition.kept_in],
    )


def rows_at(table: pa.Table, places: np.ndarray) -> pa.Table:
    """Rows of a table, in pieces that lie together: nothing is copied.

    Parameters
    ----------
    table : pyarrow.Table
    places : (n,) int array
        Ascending.
    """
    starts = np.flatnonzero(np.diff(places, prepend=-2) != 1)
    ends = [*starts[1:], len(places)]
    return pa.concat_tables(
        [table.slice(int(places[start]), int(end - start)) for start, end in zip(starts, ends, strict=True)]
    )


def _is_as_it_was(read: FileRead) -> bool:
    return not read.unread and size_and_time(Path(read.file)) == (read.size_bytes, read.modified_ns)


@cache
def _format() -> str:
    content = b"".join(Path(__file__).with_name(name).read_bytes() for name in FORMAT)
    return hashlib.sha256(content).hexdigest()[:12]


def _full(version: str) -> str:
    return f"{version}:{_format()}"
