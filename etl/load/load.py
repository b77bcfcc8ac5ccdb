"""Loading spectra: workers read and reduce partitions of files, one writer commits them with their ledger.

A partition is read and kept beside the catalogue (`becat.etl.load.partitions`) until there are as many spectra as make a whole group of
rows. These are one transaction: spectra, arrays, rows of `input_file` and rejections are there together or not at all, so that a
run that was killed goes on where it stopped, and what it had read by then is not read again.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from tqdm import tqdm

from becat.etl.catalogue.checksums import flux_checksum
from becat.etl.catalogue.connection import (
    ROWS_PER_GROUP,
    TO_WRITE,
    Run,
    bounded_memory,
    one_thread,
    transaction,
)
from becat.etl.catalogue.errors import NAMELESS, Rejected, is_utf8
from becat.etl.catalogue.ledger import (
    FileRead,
    Waiting,
    file_read,
    forget_files,
    new_or_changed,
    write_ledger,
    write_rejections,
)
from becat.etl.catalogue.memory import need_address_space, not_enough_memory
from becat.etl.catalogue.versions import code_version
from becat.etl.catalogue.workers import Tables, folder_beside, open_pool, work_through
from becat.etl.load.discover import find_spectra
from becat.etl.load.forget import drop_spectra, known_files, note_missing
from becat.etl.load.partitions import Partition, clear, keep, left_from_before, merged, open_partition, place, rows_at
from becat.etl.load.waiting import NO_SNR, STALE, cause_has_ended, lacks_snr, snr_given
from becat.etl.readers import RawSpectrum, read_file
from becat.etl.readers.content import MAX_BYTES
from becat.etl.reduce import reduce_batch
from becat.schema.errors import BecatError
from becat.schema.grid import ARMS
from becat.schema.tables import TABLES

__all__ = ["flux_table", "load_spectra", "reduce_spectra", "spectrum_row"]

FILES_PER_BATCH = 64
# Where an arm is rare, or files give no spectra: so much at once whatever it makes of the groups.
AT_MOST = 4 * ROWS_PER_GROUP
READ_AT_MOST = (
    3  # times in one run: a file is read again when another one has taken, or left, a spectrum that both hold
)


@dataclass(frozen=True)
class Options:
    """How files are read: which exposures (coadd, single or all), and whether S/N must be in the file."""

    exposures: str = "coadd"
    need_snr: bool = True


@dataclass
class Batch:
    """What a worker hands to the writer: files, and for each arm the arrays of the spectra that have it."""

    files: list[FileRead]
    arrays: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]


def load_spectra(
    connection: duckdb.DuckDBPyConnection,
    paths: Sequence[str | Path],
    *,
    exposures: str = "coadd",
    workers: int | None = None,
    scheduler: str | None = None,
) -> dict[str, int]:
    """Read, clean, rectify and grid every new or changed file, and write it to the catalogue.

    Parameters
    ----------
    connection : duckdb connection
        A catalogue open for writing.
    paths : list of path
        Files, or directories to be searched.
    exposures : {'coadd', 'single', 'all'}
        Which spectra of a file to take.
    workers : int, optional
        Processes that read; default: one per core.
    scheduler : str, optional
        Address of a Dask scheduler whose workers read instead.

    Returns
    -------
    dict
        Counts: ``files`` found, ``unchanged``, ``loaded`` files, ``spectra`` written, ``rejected`` files or parts,
        ``copies`` files whose spectra are there from another, ``others``: text files of the directories that were not looked
        at, ``missing``: files whose spectra are in the catalogue and that are not there any more,
        ``again``: files of earlier calls that were read again.

    Raises
    ------
    BecatError
        A path does not exist, cannot be searched, or goes away while it is read.
    """
    need_address_space()
    version = code_version("reduce")
    others: list[Path] = []
    # In one order, whatever the paths: of two files with one spectrum the first in the alphabet has it.
    files = sorted(find_spectra(paths, others), key=str)
    never_opened = {file: reason for file in files if (reason := _why_never_opened(file))}
    files = [file for file in files if file not in never_opened]
    counts: dict[str, int] = dict.fromkeys(
        ("files", "unchanged", "loaded", "spectra", "rejected", "copies", "others", "missing", "again"), 0
    )
    counts |= {"files": len(files) + len(never_opened), "others": len(others)}
    folder = folder_beside(connection)
    with (
        Run(connection, "load", f"{version}:{exposures}") as run,
        one_thread(connection),
        bounded_memory(connection, TO_WRITE),
    ):
        counts["rejected"] = _reject_unopened(connection, never_opened, paths, run)
        note_missing(connection, files, run)
        todo = dict.fromkeys(new_or_changed(connection, files, "spectra", f"{version}:{exposures}"), exposures)
        todo |= {path: as_before or exposures for path, as_before in cause_has_ended(connection).items()}
        n_read: Counter[Path] = Counter()
        while todo:
            for kind in sorted(set(todo.values())):
                some = sorted((path for path in todo if todo[path] == kind), key=str)
                read = _read_partitions(connection, some, f"{version}:{kind}", workers, scheduler)
                for partition in _in_whole_groups(read):
                    for name, n in _write_committed(connection, partition, f"{version}:{kind}", run).items():
                        counts[name] += n
            n_read.update(list(todo))
            again = cause_has_ended(connection, with_unreadable=False)
            todo = {path: todo.get(path) or as_before or exposures for path, as_before in again.items()}
            todo = {path: kind for path, kind in todo.items() if n_read[path] < READ_AT_MOST}
        clear(folder)
        # At the end: another file may have the spectra of one that has gone.
        counts["missing"] = len(known_files(connection, "kind = 'spectra' and status = 'missing'"))
        counts["unchanged"] = len(set(files) - set(n_read))
        counts["again"] = len(set(n_read) - set(files))
        run.n_done, run.n_rejected = counts["loaded"], counts["rejected"]
        run.message = f"{counts['spectra']} spectra from {counts['loaded']} files"
    return counts


DANGLING = "it is a link to a file that is not there: mend or remove the link"


def _why_never_opened(file: Path) -> str:
    """Why a file that is listed cannot even be looked at; empty where it can."""
    if not is_utf8(str(file)):  # on Linux any bytes may be a name
        return NAMELESS
    return DANGLING if file.is_symlink() and not file.exists() else ""


def _printable(path: Path) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _reject_unopened(connection, never_opened: dict[Path, str], paths: Sequence[str | Path], run: Run) -> int:
    """Keep `rejected_input` in step with the files below the paths that are never opened; how many were told anew."""
    wanted = {(_printable(file), reason) for file, reason in never_opened.items()}
    below = tuple(_printable(Path(os.path.abspath(path))) for path in paths)
    known = {
        row
        for row in connection.execute(
            "select file, reason from rejected_input where stage = 'open' and reason in (?, ?)", [NAMELESS, DANGLING]
        ).fetchall()
        if row[0] in below or row[0].startswith(tuple(f"{folder}/" for folder in below))
    }
    if wanted == known:
        return 0
    with transaction(connection):
        connection.execute(
            "delete from rejected_input where stage = 'open' and file in (select unnest(?::varchar[]))",
            [[file for file, _ in known - wanted]],
        )
        reads = [
            FileRead(file, None, None, None, rejected=[("open", "", reason)]) for file, reason in sorted(wanted - known)
        ]
        return write_rejections(connection, reads, run.run_id)


def _read_partitions(connection, todo: list[Path], version: str, workers, scheduler) -> Iterator[Partition]:
    """What a stopped run has left, and the rest in the order of the files."""
    folder = folder_beside(connection)
    wanted = {str(path) for path in todo}
    with tqdm(total=len(todo), desc="loading spectra", unit=" files", disable=None) as bar:
        for partition in left_from_before(folder, version, wanted):
            yield partition
            bar.update(len(partition.files))
        rest = [str(path) for path in todo if str(path) in wanted]
        chunks = [rest[i : i + FILES_PER_BATCH] for i in range(0, len(rest), FILES_PER_BATCH)]
        if not chunks:
            return
        n_processes = min(workers or os.cpu_count() or 1, len(chunks))
        with open_pool(connection, scheduler, n_processes) as pool:
            partitions = ((chunk, str(folder), version) for chunk in chunks)
            for (chunk, *_), tables in work_through(pool, read_partition, partitions, _single_files, _dead_file):
                (path,) = tables["partition"]["path"].to_pylist()
                found = open_partition(Path(path))
                if found is None:
                    raise BecatError(f"{path} is damaged: check the disk, then run the same command again")
                yield found[0]
                bar.update(len(chunk))


def _in_whole_groups(partitions: Iterator[Partition]) -> Iterator[Partition]:
    """So many together that each arm fills a group of rows, which DuckDB then writes once, and at the end the rest.

    Files that could not be read are taken out; those of a partition none of which is there end the run.
    """
    waiting: list[Partition] = []
    for partition in partitions:
        _note_vanished(partition)
        waiting.append(partition)
        n_spectra = [sum(one.n_spectra.get(arm, 0) for one in waiting) for arm in ARMS]
        n_files = sum(len(one.files) for one in waiting)
        if min((n for n in n_spectra if n), default=0) >= ROWS_PER_GROUP or max(n_files, *n_spectra) >= AT_MOST:
            yield merged(waiting)
            waiting.clear()
    if waiting:
        yield merged(waiting)


def _single_files(partition: tuple[list[str], str, str]) -> list[tuple]:
    """Each file by itself: the one that kills its reader is rejected, the others are kept."""
    files, *rest = partition
    return [([file], *rest) for file in files] if len(files) > 1 else []


def _dead_file(partition: tuple[list[str], str, str]) -> Tables:
    (file,), folder, version = partition
    read = file_read(file, MAX_BYTES)
    read.rejected.append(("read", "", "the process that read it died: the file is damaged or too large"))
    read.unread = True
    return _where(keep(folder, version, [read], {}))


def _note_vanished(partition: Partition) -> None:
    """Say of the files that are not there any more what happened.

    Raises
    ------
    BecatError
        No file of the partition is there: the directory or the disk behind it has gone.
    """
    vanished = [read for read in partition.files if read.size_bytes is None]
    if vanished and len(vanished) == len(partition.files):
        raise BecatError(
            f"{Path(vanished[0].file).parent} disappeared while it was being read; nothing was lost: when it is"
            " back, run the same command again to resume"
        )
    for read in vanished:
        read.rejected = [("open", "", "it disappeared after the directory was listed: put it back and load again")]


def _take_out_unread(partition: Partition) -> list[FileRead]:
    """Files that could not be read this time: they stay as the catalogue knows them, and are tried again."""
    unread = [read for read in partition.files if read.unread]
    for read in unread:
        read.waiting = [Waiting(0, "unreadable")]
    partition.files = [read for read in partition.files if not read.unread]
    return unread


def read_partition(partition: tuple[list[str], str, str]) -> Tables:
    """Read files, bring their spectra to the grid and keep them on the disk (the work of one process).

    Parameters
    ----------
    partition : (list of str, str, str)
        Files, the folder beside the catalogue, and the version of reading with the exposures that are taken.

    Returns
    -------
    dict of str to pyarrow.Table
        ``partition``: the path of what was kept.
    """
    files, folder, version = partition
    batch = read_and_reduce(files, Options(version.rpartition(":")[2], need_snr=False))
    flux = {arm: flux_table(*arrays) for arm, arrays in batch.arrays.items()}
    return _where(keep(folder, version, batch.files, flux))


def _where(path: Path) -> Tables:
    return {"partition": pa.table({"path": [str(path)]})}


def flux_table(ids: np.ndarray, *arrays: np.ndarray) -> pa.Table:
    """Rows of `flux_red` or `flux_blue`, but the run."""
    columns = {"spectrum_id": pa.array(ids)}
    for name, array in zip(("flux", "ivar", "mask"), arrays, strict=True):
        columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(array).ravel()), array.shape[1])
    return pa.table(columns | {"checksum": pa.array(flux_checksum(ids, *arrays))})


def read_and_reduce(files: list[str], options: Options) -> Batch:
    """Read the files and bring their spectra to the grid (the work of one process).

    Parameters
    ----------
    files : list of str
    options : Options

    Returns
    -------
    Batch
    """
    reads = []
    spectra: list[RawSpectrum] = []
    for file in files:
        read = file_read(file, MAX_BYTES)
        reads.append(read)
        try:
            found, rejected = read_file(file, exposures=options.exposures, need_snr=options.need_snr)
        except Rejected as error:
            found, rejected = [], [error]
            read.unread |= _is_of_the_system(error)
        except MemoryError as error:
            raise not_enough_memory(f"to read {file}") from error
        except Exception as error:
            # A file must never stop the run: what the readers did not foresee is a rejection too.
            found, rejected = [], [Rejected(file, "read", f"unexpected {type(error).__name__}: {error}")]
            read.unread |= _is_of_the_system(error)
        read.rejected += [(r.stage, r.detail, r.reason) for r in rejected]
        for spectrum in found:
            read.spectra.append(spectrum_row(file, spectrum))
            spectra.append(spectrum)
    rows = [row for read in reads for row in read.spectra]
    arrays = reduce_spectra(spectra, rows)
    for arm in arrays:
        having = (row for row, spectrum in zip(rows, spectra, strict=True) if arm in spectrum.arms)
        for at, row in enumerate(having):
            row[place(arm)] = at
    return Batch(reads, arrays)


def _is_of_the_system(error: BaseException | None) -> bool:
    """Whether a file could not be read for want of a permission or of a disk that answers: not for what is in it."""
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            return True
        error = error.__cause__
    return False


def spectrum_row(file: str, spectrum: RawSpectrum) -> dict:
    """What a file says of a spectrum, as columns of the table ``spectrum``; `reduce_spectra` adds what it finds."""
    digest = hashlib.sha256()
    for _, arm in sorted(spectrum.arms.items()):
        for array in (arm.wavelength_a, arm.flux, arm.ivar):
            digest.update(np.ascontiguousarray(array).tobytes())
    return {
        **spectrum.meta,
        "spectrum_id": spectrum.spectrum_id,
        "file": file,
        "quality": int(spectrum.quality),
        "content_hash": digest.hexdigest()[:16],
    }


def reduce_spectra(
    spectra: list[RawSpectrum], rows: list[dict]
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Clean, grid and rectify spectra; the quality bits and the good fraction go to the rows.

    Parameters
    ----------
    spectra : list of RawSpectrum
    rows : list of dict
        The row of each (`spectrum_row`); changed in place.

    Returns
    -------
    dict of str to tuple
        By arm: spectrum_id (n,), flux, ivar and mask (n, n_pixels of the grid) of the spectra that have it, in their order.
    """
    arrays = {}
    for name, grid in ARMS.items():
        having = [i for i, s in enumerate(spectra) if name in s.arms]
        if not having:
            continue
        resolving_power = np.array([spectra[i].meta["resolving_power"] for i in having], dtype=float)
        normalised = np.array([_is_normalised(spectra[i].meta.get("bss_norm")) for i in having])
        reduced = reduce_batch([spectra[i].arms[name] for i in having], grid, resolving_power, normalised)
        for k, i in enumerate(having):
            rows[i]["quality"] |= int(reduced.quality[k])
            rows[i][f"continuum_error_{name}"] = _number(reduced.continuum_error[k])
            if name == "red":
                rows[i]["good_fraction_red"] = float(reduced.good_fraction[k])
        ids = np.array([rows[i]["spectrum_id"] for i in having], dtype=np.int64)
        arrays[name] = (ids, reduced.flux, reduced.ivar, reduced.mask)
    return arrays


def _is_normalised(bss_norm: str | None) -> bool:
    """True where the header says how the spectrum was normalised."""
    return (bss_norm or "").strip().lower() not in ("", "0", "no", "none", "false", "f")


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _write_committed(connection, partition: Partition, version: str, run: Run) -> dict[str, int]:
    """One transaction; what is still as unreadable as the catalogue says is not written again."""
    unread = _news_of_unread(connection, _take_out_unread(partition))
    written: dict[str, int] = {}
    if partition.files or unread:
        written = _write_all(connection, partition, unread, version, run)
    partition.flux.clear()  # before its file goes: some systems keep what is open
    for path in partition.kept_in:
        path.unlink(missing_ok=True)
    return written


def _write_all(connection, partition: Partition, unread: list[FileRead], version: str, run: Run) -> dict[str, int]:
    """What was read, and what could not be read, in one transaction."""
    with transaction(connection):
        written = _write(connection, partition, version, run.run_id)
        for table in ("rejected_input", "waiting_input"):
            connection.execute(
                f"delete from {table} where file in (select unnest(?::varchar[]))", [[read.file for read in unread]]
            )
        written["rejected"] += write_rejections(connection, unread, run.run_id)
    return written


def _news_of_unread(connection, unread: list[FileRead]) -> list[FileRead]:
    """Those of the files that could not be read of which the catalogue does not say just that already."""
    rows = connection.execute(
        "select file, stage, detail, reason from rejected_input semi join waiting_input using (file)"
        " where file in (select unnest(?::varchar[]))",
        [[read.file for read in unread]],
    ).fetchall()
    return [read for read in unread if {(read.file, *words) for words in read.rejected} - set(rows)]


def _write(connection, partition: Partition, version: str, run_id: int) -> dict[str, int]:
    """Write a partition inside the transaction of the caller."""
    _reject_without_snr(connection, partition)
    kept, superseded, bereft = _settle_duplicates(connection, partition)
    changed = [read.file for read in partition.files]
    connection.execute("create or replace temp table batch_file as select unnest(?::varchar[]) as file", [changed])
    drop_spectra(
        connection,
        "file in (select file from batch_file) or spectrum_id in (select unnest(?::bigint[]))",
        [list(kept | superseded)],
    )
    forget_files(connection, changed)
    _insert_spectra(connection, partition, version.split(":")[0], run_id)
    n_loaded, n_rejected = write_ledger(connection, partition.files, "spectra", version, run_id)
    _settle_bereft(connection, bereft)
    n_copies = sum(not read.n_rows and not read.rejected for read in partition.files)
    return {"loaded": n_loaded, "spectra": len(kept), "rejected": n_rejected, "copies": n_copies}


def _reject_without_snr(connection, partition: Partition) -> None:
    """A spectrum that has no S/N must find it in the release's catalogue."""
    known = snr_given(connection, [row for read in partition.files for row in read.spectra if lacks_snr(row)])
    for read in partition.files:
        mine = []
        for row in read.spectra:
            key = row["survey"], row["obsid"], 0 if row["coadd"] else row["lmjm"]
            if not lacks_snr(row) or key in known:
                mine.append(row)
                continue
            reason = "no S/N in the header or in a release catalogue: give the general catalogue of its release"
            read.rejected.append(("load", str(row["spectrum_id"]), reason))
            read.waiting.append(Waiting(row["spectrum_id"], f"{NO_SNR} {lacks_snr(row)}", *key))
        read.spectra = mine


def _settle_duplicates(connection, partition: Partition) -> tuple[set[int], set[int], set[str]]:
    """Of two files with one spectrum the first in the alphabet has it; the other waits, and is rejected where its content differs.

    Returns
    -------
    set of int, set of int, set of str
        Identities to write, those of stored spectra that they replace, and the files that these are from.
    """
    files = {read.file for read in partition.files}
    holders = {key: held for key, held in _holders(connection, partition).items() if held[0] not in files}
    # A file that has gone has no claim: its spectra are replaced.
    gone = {file for file, *_ in holders.values() if not Path(file).exists()}
    owner = {key: held for key, held in holders.items() if held[0] not in gone}
    kept: set[int] = set()
    replaced: set[tuple[str, int, str]] = set()
    for read in partition.files:
        mine = []
        for row in read.spectra:
            keys = _keys(row)
            held = min((owner[key] for key in keys if key in owner), default=None)
            if held is None or held[0] > read.file:
                owner |= dict.fromkeys(keys, (read.file, row["spectrum_id"], row["content_hash"]))
                replaced |= {holders[key] for key in keys if key in holders}
                kept.add(row["spectrum_id"])
                mine.append(row)
                continue
            if held[0] != read.file:
                read.waiting.append(
                    Waiting(row["spectrum_id"], "other file", held_by=held[0], held_as=held[1], held_content=held[2])
                )
            if held[2] != row["content_hash"]:
                reason = (
                    f"spectrum {row['spectrum_id']} is already loaded from {held[0]} with different content:"
                    " keep only one of the two files"
                )
                read.rejected.append(("load", str(row["spectrum_id"]), reason))
        read.spectra = mine
        read.n_rows = len(mine)
    return kept, {number for _, number, _ in replaced}, {file for file, *_ in replaced}


def _keys(row: dict) -> tuple[int | str, ...]:
    """By what a spectrum is the same as another: its number and, where no obsid makes it, its content in any wrapping."""
    return (row["spectrum_id"],) if row["obsid"] is not None else (row["spectrum_id"], row["content_hash"])


def _holders(connection, partition: Partition) -> dict[int | str, tuple[str, int, str]]:
    """File, number and content of the stored spectra that the partition brings again, by each of their keys."""
    rows = [row for read in partition.files for row in read.spectra]
    stored = connection.execute(
        "select file, spectrum_id, content_hash, obsid from spectrum where spectrum_id in (select unnest(?::bigint[]))"
        " or (obsid is null and content_hash in (select unnest(?::varchar[])))",
        [[row["spectrum_id"] for row in rows], [row["content_hash"] for row in rows if row["obsid"] is None]],
    ).fetchall()
    return {
        key: (file, number, content)
        for file, number, content, obsid in sorted(stored, key=lambda found: found[0], reverse=True)
        for key in _keys({"spectrum_id": number, "content_hash": content, "obsid": obsid})
    }


def _settle_bereft(connection, bereft: set[str]) -> None:
    """Files that have lost a spectrum to another: read again where they are there, else with as many rows as are left."""
    there = [file for file in bereft if Path(file).exists()]
    connection.execute(f"update input_file set version = {STALE} where file in (select unnest(?::varchar[]))", [there])
    for file in sorted(bereft - set(there)):
        (left,) = connection.execute("select count(*) from spectrum where file = ?", [file]).fetchone()
        connection.execute("update input_file set n_rows = ? where file = ?", [left, file])
        if not left:
            forget_files(connection, [file])


def _insert_spectra(connection, partition: Partition, version: str, run_id: int) -> None:
    rows = [row for read in partition.files for row in read.spectra]
    if not rows:
        return
    written = {"reduction_version": version, "run_id": run_id}
    columns = [column.name for column in TABLES["spectrum"].columns]
    # A number that is none is NULL.
    table = pa.table({n: pa.array([written.get(n, row.get(n)) for row in rows], from_pandas=True) for n in columns})
    connection.register("new_spectrum", table)
    connection.execute("insert into spectrum by name select * from new_spectrum")
    as_read = ", ".join(column.name for column in TABLES["spectrum_as_read"].columns)
    connection.execute(f"insert into spectrum_as_read by name select {as_read} from new_spectrum")
    connection.unregister("new_spectrum")
    for arm, table in partition.flux.items():
        wanted = np.sort([row[place(arm)] for row in rows if row.get(place(arm)) is not None]).astype(int)
        if len(wanted):
            _insert_flux(connection, arm, rows_at(table, wanted), run_id)


def _insert_flux(connection, arm: str, table: pa.Table, run_id: int) -> None:
    connection.register("new_flux", table)
    connection.execute(f"insert into flux_{arm} by name select *, {run_id} as run_id from new_flux")
    connection.unregister("new_flux")
