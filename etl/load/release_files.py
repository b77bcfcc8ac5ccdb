"""LAMOST's own catalogues: S/N, T_eff, log g, [Fe/H] and radial velocity of each spectrum.

The general and the stellar-parameter catalogue of the medium-resolution survey have one row per spectrum and band; they
become one row per obsid and exposure. Those of the low-resolution survey have one row per spectrum already. Whatever
the size, rows pass through in slices; the bands of a spectrum are brought together in a DuckDB that spills to disk.
"""

from __future__ import annotations

import difflib
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from isal import igzip, isal_zlib
from pyarrow import csv

from becat.etl.catalogue.errors import Rejected

__all__ = ["COLUMNS", "CatalogueBatch", "read_catalogue"]

COLUMNS = ("obsid", "lmjm", "snr_b", "snr_r", "teff_k", "e_teff_k", "logg_dex", "feh_dex", "rv_km_s", "e_rv_km_s")
ROWS_A_SLICE = 100_000
MAX_HEADER_BYTES = 1_000_000
MAX_REPORTED = 1000  # bad rows listed one by one; the rest is counted
NULL_BELOW = -990.0  # LAMOST writes -999 or -9999 for "no value"
MEMORY_LIMIT = "1GB"
MAX_OBSID = 9_000_000_000

# What each column is called in the catalogues of DR1 to DR13, the best first; an error is name + "_err".
MRS_NEEDED = ("obsid", "lmjm", "band", "coadd", "snr")
LRS_NEEDED = ("obsid",)
VALUES = {
    "teff_k": ("teff_lasp", "teff"),
    "logg_dex": ("logg_lasp", "logg"),
    "feh_dex": ("feh_lasp", "feh"),
    "rv_km_s": ("rv_br0", "rv_r0", "rv_b0", "rv_lasp0", "rv_lasp", "rv"),
}
LRS_SNR = {"snr_b": "snrg", "snr_r": "snrr"}
ONLY_MRS = {"band", "coadd", "lmjm", "mobsid", "teff_lasp", "snr"}
STORED = {
    **{name: "BIGINT" for name in ("obsid", "lmjm")},
    **{name: "REAL" for name in COLUMNS[2:]},
    "preference": "BIGINT",
}
EMPTY = ["", " ", "NULL", "null", "NaN", "nan", "None", "--", "\\N"]


def _merged(name: str) -> str:
    """SQL for one column: the value of the preferred row that has one, and the error that belongs to that row."""
    return f"arg_min_null({name}, preference) filter ({name.removeprefix('e_')} is not null) as {name}"


MERGE = (
    f"select obsid, lmjm, {', '.join(_merged(name) for name in COLUMNS[2:])}"
    " from entry group by obsid, lmjm order by obsid, lmjm"
)
ALL_NAMES = {*MRS_NEEDED, *LRS_SNR.values(), *(name for names in VALUES.values() for name in names)}


@dataclass
class CatalogueBatch:
    """A slice of a catalogue.

    Attributes
    ----------
    table : pyarrow.Table
        Columns `COLUMNS`; lmjm is 0 for a coadd; NULL where the catalogue has no value.
    rejected : list of Rejected
        Rows that were left out, with the row number (1 is the first after the header) as detail.
    """

    table: pa.Table
    rejected: list[Rejected] = field(default_factory=list)


class _BadRows:
    """Rejections of rows, listed up to `MAX_REPORTED` and counted beyond."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listed: list[Rejected] = []
        self.more = 0
        self.skipped: list[int] = []  # rows of the wrong length, which the parser leaves out

    def add(self, row: int, reason: str) -> None:
        if len(self.listed) < MAX_REPORTED:
            self.listed.append(Rejected(self.path, "catalogue", reason, f"row {row}"))
        else:
            self.more += 1

    def all(self) -> list[Rejected]:
        if self.more:
            reason = f"{self.more} more rows were rejected: the first {MAX_REPORTED} are listed"
            return [*self.listed, Rejected(self.path, "catalogue", reason, "more rows")]
        return self.listed


def read_catalogue(path: str | Path, rows_a_batch: int = ROWS_A_SLICE) -> Iterator[CatalogueBatch]:
    """Rows of a catalogue of LAMOST, one per obsid and exposure.

    Parameters
    ----------
    path : path
        CSV separated by ``|`` or commas, plain or gzipped, with or without a byte-order mark; or FITS.
    rows_a_batch : int
        Rows read and given back at a time.

    Yields
    ------
    CatalogueBatch
        At least one, unless the catalogue has no rows. The rejected rows come with the first.

    Raises
    ------
    Rejected
        The file cannot be read to its end, or a column is missing.
    """
    path = Path(path)
    bad = _BadRows(path)
    with (
        tempfile.TemporaryDirectory(prefix="becat-") as scratch,
        duckdb.connect(str(Path(scratch, "rows.duckdb"))) as connection,
    ):
        connection.execute(f"set memory_limit = '{MEMORY_LIMIT}'")
        connection.execute(f"create table entry ({', '.join(f'{n} {t}' for n, t in STORED.items())})")
        try:
            for first, frame in _slices(path, rows_a_batch, bad, scratch):
                connection.register("slice", _normal(frame, first, bad))
                connection.execute("insert into entry by name select * from slice")
                connection.unregister("slice")
        except OSError as error:
            raise Rejected(path, "catalogue", f"cannot be read ({error}): check the file and the disk") from error
        rejected = bad.all()
        reader = connection.execute(MERGE).to_arrow_reader(rows_a_batch)
        for batch in reader:
            yield CatalogueBatch(pa.Table.from_batches([batch]), rejected)
            rejected = []
        if rejected:
            yield CatalogueBatch(reader.schema.empty_table(), rejected)


def _slices(path: Path, n_rows: int, bad: _BadRows, scratch: str) -> Iterator[tuple[int, pa.Table]]:
    """Slices of the wanted columns with the number of their first row; columns have small letters."""
    try:
        with path.open("rb") as file:
            magic = file.read(9)
    except OSError as error:
        raise Rejected(
            path, "open", f"cannot be opened ({error.strerror}): check that it exists and may be read"
        ) from error
    if not magic:
        raise Rejected(path, "open", "is empty: fetch it again")
    plain = path
    if magic.startswith(b"\x1f\x8b"):
        plain = Path(scratch, "catalogue")
        _gunzip(path, plain)
        with plain.open("rb") as file:
            magic = file.read(9)
    slices = _fits_slices if magic == b"SIMPLE  =" else _csv_slices
    yield from slices(path, plain, n_rows, bad)


def _gunzip(path: Path, target: Path) -> None:
    """Decompress to a file: the CRC at its end is compared before a single row is believed."""
    try:
        with igzip.open(path, "rb") as source, target.open("wb") as plain:
            shutil.copyfileobj(source, plain, 1 << 20)  # pyright: ignore[reportArgumentType]
    except (OSError, EOFError, isal_zlib.error) as error:  # pyright: ignore[reportGeneralTypeIssues]
        raise Rejected(path, "open", f"gzip is damaged ({error}): fetch it again") from error


def _wanted(path: Path, names: list[str]) -> list[str]:
    """The columns to read, if those that are needed are there.

    Raises
    ------
    Rejected
        A column is missing; the reason names the one that looks most like it.
    """
    found = set(names)
    if len(found) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise Rejected(path, "catalogue", f"column {', '.join(twice)} is there twice: keep one")
    is_mrs = bool(found & ONLY_MRS)
    for name in MRS_NEEDED if is_mrs else LRS_NEEDED:
        if name not in found:
            raise Rejected(path, "catalogue", _missing(name, names), name)
    if not is_mrs and not found & {*LRS_SNR.values(), *VALUES["teff_k"], *VALUES["rv_km_s"]}:
        raise Rejected(path, "catalogue", _missing("snrr", names), "snrr")
    for options in VALUES.values():
        if not found & set(options):
            close = difflib.get_close_matches(options[0], found - ALL_NAMES, 1, 0.8)
            if close:
                raise Rejected(path, "catalogue", _missing(options[0], names), options[0])
    errors = {f"{name}_err" for options in VALUES.values() for name in options}
    return [name for name in names if name in ALL_NAMES | errors]


def _missing(name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, names, 1, 0.4)
    if close:
        return f"column {name} is missing; the nearest is {close[0]!r}: rename it if that is what it holds"
    return f"column {name} is missing (there: {', '.join(names[:20])}): not a catalogue of LAMOST's"


def _csv_slices(path: Path, plain: Path, n_rows: int, bad: _BadRows) -> Iterator[tuple[int, pa.Table]]:
    with plain.open("rb") as file:
        line = file.readline(MAX_HEADER_BYTES)
        try:
            header = line.decode("utf-8-sig").strip()
        except UnicodeDecodeError as error:
            raise Rejected(path, "catalogue", "is neither text nor FITS: not a catalogue") from error
        separator = max("|,\t;", key=header.count)
        names = [name.strip().strip('"').lstrip("#").strip().lower() for name in header.split(separator)]
        wanted = _wanted(path, names)
        reader = _open_csv(file, names, wanted, separator, bad)
        if reader is None:
            return
        n_seen = 0
        try:
            for batch in reader:
                for start in range(0, batch.num_rows, n_rows):
                    part = batch.slice(start, n_rows)
                    yield n_seen + start + 1, pa.Table.from_batches([part])
                n_seen += batch.num_rows
        except pa.ArrowInvalid as error:
            raise Rejected(
                path, "catalogue", f"cannot be read ({str(error).splitlines()[0]}): fetch it again"
            ) from error


def _open_csv(file: IO[bytes], names, wanted, separator, bad: _BadRows):
    """A streaming reader from the line after the header; None where there is no such line."""

    def too_long_or_short(row) -> str:
        bad.skipped.append(row.number)
        bad.add(row.number, f"has {row.actual_columns} cells, the header {row.expected_columns}: {row.text[:60]!r}")
        return "skip"

    try:
        return csv.open_csv(
            pa.PythonFile(file, mode="r"),
            csv.ReadOptions(use_threads=False, block_size=8 << 20, column_names=names, encoding="latin-1"),
            csv.ParseOptions(delimiter=separator, invalid_row_handler=too_long_or_short),
            csv.ConvertOptions(
                include_columns=wanted,
                column_types=dict.fromkeys(wanted, pa.string()),
                strings_can_be_null=True,
                null_values=EMPTY,
            ),
        )
    except pa.ArrowInvalid as error:
        if "Empty" in str(error):
            return None
        raise


def _fits_slices(path: Path, plain: Path, n_rows: int, bad: _BadRows) -> Iterator[tuple[int, pa.Table]]:
    from astropy.io import fits  # slow to import, and few catalogues are FITS

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with plain.open("rb") as file, fits.open(file, memmap=True) as hdus:  # a name could be taken for an address
                table = next((hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU)), None)
                if table is None:
                    raise Rejected(path, "catalogue", "holds no table: not a catalogue")
                spelt = {name.strip().lower(): name for name in table.columns.names}  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]
                wanted = _wanted(path, [name.strip().lower() for name in table.columns.names])  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]
                data = table.data
                for start in range(0, len(data), n_rows):
                    part = data[start : start + n_rows]
                    yield start + 1, pa.table({name: _native(part[spelt[name]]) for name in wanted})  # pyright: ignore[reportArgumentType, reportCallIssue]
        except Rejected:
            raise
        except Exception as error:  # astropy's many ways to say that a table is damaged
            raise Rejected(path, "catalogue", f"cannot be read ({type(error).__name__}: {error})") from error


def _native(column: np.ndarray) -> np.ndarray:
    values = np.asarray(column)
    return values.astype(values.dtype.newbyteorder("=")) if values.dtype.kind in "iuf" else values.astype(str)


def _normal(frame: pa.Table, first: int, bad: _BadRows) -> pa.Table:
    """Rows of a slice in the columns of `STORED`; rows that cannot be used are reported and left out."""
    row = first + np.arange(len(frame))
    # Count in the lines that the parser skipped: the j-th of them stands before row i where its number - j <= i.
    skipped = np.asarray(bad.skipped, dtype=np.int64)
    row += np.searchsorted(skipped - np.arange(len(skipped)), row, side="right")
    good = np.ones(len(frame), bool)

    def reject(wrong: np.ndarray, reason: str, cell: str = "", keep: bool = False) -> None:
        for i in np.flatnonzero(wrong & good):
            bad.add(int(row[i]), f"{reason}: {str(frame[cell][i])[:40]!r}" if cell else reason)
        if not keep:
            good[wrong] = False

    def numbers(name: str, needed: bool = False) -> np.ndarray:
        values, wrong = _floats(frame[name])
        reject(wrong, f"{name} is not a number", name)
        values[~((values > NULL_BELOW) & (values < np.inf))] = np.nan
        if needed:
            reject(np.isnan(values), f"{name} is empty")
        return values

    names = frame.column_names
    obsid = numbers("obsid", needed=True)
    reject(
        ~((obsid > 0) & (obsid < MAX_OBSID) & (obsid == np.floor(obsid))),
        "obsid is not a positive whole number",
        "obsid",
    )
    entry: dict[str, np.ndarray] = _mrs_snr(frame, numbers, reject) if "band" in names else _lrs_snr(frame, numbers)
    for column, options in VALUES.items():
        values, errors = np.full(len(frame), np.nan), np.full(len(frame), np.nan)
        for name in options:
            if name in names:
                take = np.isnan(values)
                values = np.where(take, numbers(name), values)
                if f"{name}_err" in names:
                    errors = np.where(take, numbers(f"{name}_err"), errors)
        entry[column] = values
        if f"e_{column}" in STORED:
            entry[f"e_{column}"] = np.where(np.isnan(values), np.nan, errors)
    entry["preference"] = entry["preference"] * 2**40 + row
    entry["obsid"] = obsid
    return pa.table(
        {
            name: pa.array(values[good].astype("int64"))
            if STORED[name] == "BIGINT"
            else pa.array(values[good], from_pandas=True)
            for name, values in entry.items()
        }
    )


def _floats(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of a column, NaN where it has none, and where it has something else than a number."""
    nothing = np.zeros(len(column), bool)
    try:
        return column.cast(pa.float64()).to_numpy().copy(), nothing
    except pa.ArrowInvalid:  # some cell is no number: look at each
        cells = column.to_pandas().astype(str).str.strip()
        values = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=float, na_value=np.nan)  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
        empty = cells.str.lower().isin({*(text.lower() for text in EMPTY), "none", "nan"})
        return values.copy(), np.isnan(values) & ~empty.to_numpy(dtype=bool)


def _mrs_snr(frame: pa.Table, numbers, reject) -> dict[str, np.ndarray]:
    """One row per band: which band and exposure it is, and its S/N."""
    band = (
        pc.utf8_upper(pc.utf8_trim_whitespace(frame["band"].cast(pa.string())))  # pyright: ignore[reportAttributeAccessIssue]
        .to_numpy(zero_copy_only=False)
        .astype(str)
    )
    reject(~np.isin(band, ("B", "R")), "band is neither B nor R", "band")
    coadd = numbers("coadd", needed=True)
    reject(~np.isin(coadd, (0, 1)), "coadd is neither 0 nor 1", "coadd")
    lmjm = np.where(coadd == 1, 0, numbers("lmjm"))
    reject(
        ~(lmjm >= 0) | (lmjm != np.floor(lmjm)),
        "lmjm of a single exposure is empty or not a whole number",
        "lmjm",
    )
    snr = numbers("snr")
    reject(np.isnan(snr), "snr is empty: S/N stays NULL, the rest of the row is kept", keep=True)
    return {
        "lmjm": np.nan_to_num(lmjm),
        "snr_b": np.where(band == "B", snr, np.nan),
        "snr_r": np.where(band == "R", snr, np.nan),
        # LASP works on the blue arm: its values come first where the two rows differ.
        "preference": np.where(band == "B", 0, 1).astype("int64"),
    }


def _lrs_snr(frame: pa.Table, numbers) -> dict[str, np.ndarray]:
    nothing = np.full(len(frame), np.nan)
    entry = {column: numbers(name) if name in frame.column_names else nothing for column, name in LRS_SNR.items()}
    zero = np.zeros(len(frame), "int64")
    return {"lmjm": zero, **entry, "preference": zero.copy()}
