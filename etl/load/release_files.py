"""LAMOST's own catalogues: S/N, T_eff, log g, [Fe/H] and radial velocity of each spectrum.

The general and the stellar-parameter catalogue of the medium-resolution survey have one row per spectrum and band; they
become one row per obsid and exposure. Those of the low-resolution survey have one row per spectrum already. Whatever
the size, rows pass through in slices; the bands of a spectrum are brought together in a DuckDB that spills to disk.
"""

from __future__ import annotations

import difflib
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

from becat.etl.catalogue.connection import interruptible
from becat.etl.catalogue.errors import Rejected
from becat.etl.catalogue.memory import unpacked_bytes_max
from becat.schema import leftovers
from becat.schema.lines import SPEED_OF_LIGHT_KM_S

__all__ = ["COLUMNS", "CatalogueBatch", "read_catalogue"]

COLUMNS = (
    "obsid", "lmjm", "survey", "snr_b", "snr_r", "teff_k", "e_teff_k", "logg_dex", "feh_dex", "rv_km_s", "e_rv_km_s",
    "rv_corrected_km_s", "vsini_km_s", "e_vsini_km_s", "gaia_source_id", "fibermask", "bad_b", "bad_r", "moon_angle_deg", "moon_flag",
)  # fmt: skip
SURVEYS = ("LAMOST LRS", "LAMOST MRS")
OFTEN_ABSENT = ("vsini_km_s", "moon_angle_deg")
ROWS_A_SLICE = 100_000
MAX_HEADER_BYTES = 1_000_000
MAX_REPORTED = 1000  # bad rows listed one by one; the rest is counted
LARGEST = float(np.finfo(np.float32).max)
NULL_BELOW = -990.0  # LAMOST writes -999 or -9999 for "no value"
MEMORY_LIMIT = "1GB"
MAX_OBSID = 9_000_000_000
MAX_LMJM = 1_000_000_000  # minutes; it has 8 digits until the year 2049
MAX_STELLAR_REDSHIFT = 0.01

# What each column is called in the catalogues of DR1 to DR13, the best first; an error is name + "_err".
MRS_NEEDED = ("obsid", "lmjm", "band", "coadd", "snr")
LRS_NEEDED = ("obsid",)
VALUES = {
    "teff_k": ("teff_lasp", "teff"),
    "logg_dex": ("logg_lasp", "logg"),
    "feh_dex": ("feh_lasp", "feh"),
    "rv_km_s": ("rv_br0", "rv_r0", "rv_b0", "rv_lasp0", "rv_lasp", "rv_ku0", "rv"),
    "vsini_km_s": ("vsini_lasp",),
    "moon_angle_deg": ("moon_angle",),
}
# A velocity whose flag is not 0 is not taken: too many bad pixels, above 450 km/s, or a poor match.
FLAG_OF = {"rv_br0": "rv_br_flag", "rv_r0": "rv_r_flag", "rv_b0": "rv_b_flag"}
# The same velocity with the zero point of its spectrograph (rv_br1 to rv_br0) stands in a column of its own.
CORRECTED = {name: f"{name.removesuffix('0')}1" for names in VALUES.values() for name in names if name.endswith("0")}
OF_THE_SAME_ROW = {"rv_corrected_km_s": "rv_km_s"}
WHOLE = {
    "gaia_source_id": "gaia_source_id",
    "fibermask": "fibermask",
    "bad_b": "bad_b",
    "bad_r": "bad_r",
    "moon_flag": "moon_flg",
}
REDSHIFT = "z"  # of the low-resolution survey: the only velocity of stars too hot for its pipeline
LRS_SNR = {"snr_b": "snrg", "snr_r": "snrr"}
ONLY_MRS = {"band", "coadd", "lmjm", "mobsid", "teff_lasp", "snr"}
STORED = {
    **{name: "REAL" for name in COLUMNS[3:]},
    "survey": "VARCHAR",
    **{name: "BIGINT" for name in ("obsid", "lmjm", *WHOLE)},
    "preference": "BIGINT",
}
EMPTY = ["", " ", "NULL", "null", "NaN", "nan", "None", "--", "\\N"]


def _merged(name: str) -> str:
    """SQL for one column: the value of the preferred row that has one, and the error and the like that belong to that row."""
    value = OF_THE_SAME_ROW.get(name, name.removeprefix("e_"))
    return f"arg_min_null({name}, preference) filter ({value} is not null) as {name}"


MERGE = (
    f"select survey, obsid, lmjm, {', '.join(_merged(name) for name in COLUMNS[3:])}"
    " from entry group by survey, obsid, lmjm order by survey, obsid, lmjm"
)
ALL_NAMES = {*MRS_NEEDED, *LRS_SNR.values(), *(name for names in VALUES.values() for name in names),
             *FLAG_OF.values(), *CORRECTED.values(), *WHOLE.values(), REDSHIFT, "class"}  # fmt: skip


@dataclass
class CatalogueBatch:
    """A slice of a catalogue.

    Attributes
    ----------
    table : pyarrow.Table
        Columns `COLUMNS`, keyed by survey, obsid and lmjm, for the numbers of the two surveys overlap; lmjm is 0 for a
        coadd; NULL where the catalogue has no value.
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
    OSError
        The system fails, such as a disk that is full.
    """
    path = Path(path)
    bad = _BadRows(path)
    with (
        leftovers.scratch("becat-release") as scratch,
        duckdb.connect(str(scratch / "rows.duckdb")) as connection,
        interruptible(connection),
    ):
        connection.execute(f"set memory_limit = '{MEMORY_LIMIT}'")
        connection.execute(f"create table entry ({', '.join(f'{n} {t}' for n, t in STORED.items())})")
        try:
            for first, frame in _slices(path, rows_a_batch, bad, scratch):
                connection.register("slice", _normal(frame, first, bad))
                connection.execute("insert into entry by name select * from slice")
                connection.unregister("slice")
        except OSError as error:
            if error.errno:  # a full disk, say: it says nothing of the file, which is read again when it has passed
                raise
            raise Rejected(path, "catalogue", f"cannot be read ({error}): check the file and the disk") from error
        rejected = bad.all()
        reader = connection.execute(MERGE).to_arrow_reader(rows_a_batch)
        for batch in reader:
            yield CatalogueBatch(pa.Table.from_batches([batch]), rejected)
            rejected = []
        if rejected:
            yield CatalogueBatch(reader.schema.empty_table(), rejected)


def _slices(path: Path, n_rows: int, bad: _BadRows, scratch: Path) -> Iterator[tuple[int, pa.Table]]:
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
        bytes_max = unpacked_bytes_max(path)
        with igzip.IGzipFile(path, "rb") as source, target.open("wb") as plain:
            while piece := source.read(1 << 20):
                if plain.tell() > bytes_max:
                    raise Rejected(path, "open", f"unpacks to more than {bytes_max >> 20:,} MiB: not a catalogue")
                plain.write(piece)
    except (OSError, EOFError, isal_zlib.error) as error:  # pyright: ignore[reportGeneralTypeIssues]
        if isinstance(error, OSError) and error.errno:  # of the disk, not of what is in the file
            raise
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
    if "obsid_list" in found:
        raise Rejected(
            path, "catalogue", "has lists of a star's epochs in a row (mec): give the general catalogue", "obsid"
        )
    is_mrs = bool(found & ONLY_MRS)
    for name in _needed(found, is_mrs):
        if name not in found:
            raise Rejected(path, "catalogue", _missing(name, names), name)
    if not is_mrs and not found & {*LRS_SNR.values(), *VALUES["teff_k"], *VALUES["rv_km_s"]}:
        raise Rejected(path, "catalogue", _missing("snrr", names), "snrr")
    for column, options in VALUES.items():
        if column in OFTEN_ABSENT or found & set(options):
            continue
        close = difflib.get_close_matches(options[0], found - ALL_NAMES, 1, 0.8)
        if close:
            raise Rejected(path, "catalogue", _missing(options[0], names), options[0])
    errors = {f"{name}_err" for name in (*(name for options in VALUES.values() for name in options), REDSHIFT)}
    return [name for name in names if name in ALL_NAMES | errors]


def _needed(found: set[str], is_mrs: bool) -> tuple[str, ...]:
    """Columns without which a catalogue is of no use; the band only matters where there is a S/N, which is that of a band."""
    if not is_mrs:
        return LRS_NEEDED
    return MRS_NEEDED if found & {"band", "snr", "mobsid"} else ("obsid", "lmjm")


def _own_names(names: list[str]) -> list[str]:
    """Names without the table's own that a service puts before each of them, as in med_catalogue_obsid."""
    prefix = next((name.removesuffix("obsid") for name in names if name.endswith("_obsid")), "")
    if "obsid" in names or not prefix or not all(name.startswith(prefix) for name in names):
        return names
    return [name.removeprefix(prefix) for name in names]


def _missing(name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, [other for other in names if other not in ALL_NAMES], 1, 0.4)
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
        names = _own_names([name.strip().strip('"').lstrip("#").strip().lower() for name in header.split(separator)])
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
                lower = _own_names([name.strip().lower() for name in table.columns.names])  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]
                spelt = dict(zip(lower, table.columns.names, strict=True))  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]
                wanted = _wanted(path, lower)
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
        reject(values > LARGEST, f"{name} is too large", name)
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
    is_mrs = bool(set(names) & ONLY_MRS)
    entry: dict[str, np.ndarray | pa.Array] = _mrs_snr(frame, numbers, reject) if is_mrs else _lrs_snr(frame, numbers)
    for column, options in VALUES.items():
        entry |= _first_value(column, [name for name in options if name in names], names, numbers, len(frame))
    if not is_mrs and REDSHIFT in names:
        _fill_from_redshift(entry, frame, numbers)
    for column, name in WHOLE.items():
        entry[column] = _integers(frame[name], name, reject) if name in names else pa.nulls(len(frame), pa.int64())
    entry["preference"] = entry["preference"] * 2**40 + row
    entry["obsid"] = obsid
    entry["survey"] = pa.array([SURVEYS[is_mrs]] * len(frame))
    keep = pa.array(good)
    return pa.table({name: _stored(name, values).filter(keep) for name, values in entry.items()})


def _stored(name: str, values: np.ndarray | pa.Array) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    if STORED[name] == "BIGINT":  # a key: where it is no whole number the row is left out
        return pa.array(np.where(np.abs(values) < 2**62, values, 0).astype("int64"))
    return pa.array(values, from_pandas=True)


def _first_value(column: str, options: list[str], names, numbers, n_rows: int) -> dict[str, np.ndarray]:
    """The first of the options that has a value and is not flagged, and the error and the corrected value that belong to it."""
    values = errors = corrected = np.full(n_rows, np.nan)
    for name in options:
        found = numbers(name)
        if FLAG_OF.get(name) in names:
            found = np.where(numbers(FLAG_OF[name]) > 0, np.nan, found)
        take = np.isnan(values) & np.isfinite(found)
        values = np.where(take, found, values)
        errors = np.where(take, numbers(f"{name}_err") if f"{name}_err" in names else np.nan, errors)
        corrected = np.where(take, numbers(CORRECTED[name]) if CORRECTED.get(name) in names else np.nan, corrected)
    entry = {column: values}
    if f"e_{column}" in STORED:
        entry[f"e_{column}"] = errors
    if column == "rv_km_s":
        entry["rv_corrected_km_s"] = corrected
    return entry


def _fill_from_redshift(entry: dict, frame: pa.Table, numbers) -> None:
    """The redshift of a star as its velocity, where the catalogue gives no other."""
    redshift = numbers(REDSHIFT)
    star = np.abs(redshift) < MAX_STELLAR_REDSHIFT
    if "class" in frame.column_names:
        kind = pc.utf8_upper(pc.utf8_trim_whitespace(frame["class"].cast(pa.string()))).to_pandas()  # pyright: ignore[reportAttributeAccessIssue]
        star &= (kind == "STAR").to_numpy(dtype=bool)
    take = np.isnan(entry["rv_km_s"]) & star
    entry["rv_km_s"] = np.where(take, redshift * SPEED_OF_LIGHT_KM_S, entry["rv_km_s"])
    if f"{REDSHIFT}_err" in frame.column_names:
        error = numbers(f"{REDSHIFT}_err") * SPEED_OF_LIGHT_KM_S
        entry["e_rv_km_s"] = np.where(take, np.where(error > 0, error, np.nan), entry["e_rv_km_s"])


def _integers(column: pa.ChunkedArray, name: str, reject) -> pa.Array:
    """Whole numbers, never by way of a float, which would round a source_id to that of another star; NULL where there is none."""
    try:
        if pa.types.is_floating(column.type):
            column = column.cast(pa.string())  # a float is none, whatever it is
        values = column.cast(pa.int64()).combine_chunks()
    except pa.ArrowInvalid:  # some cell is no whole number: look at each
        cells = column.cast(pa.string()).to_pandas().str.strip()
        whole = cells.str.fullmatch(r"-?\d{1,18}(\.0*)?" if name != "gaia_source_id" else r"-?\d{1,19}").fillna(False)
        given = ~(cells.isna() | cells.str.lower().isin({*(text.lower() for text in EMPTY), "none", "nan"}))
        lost = (given & ~whole & ~cells.str.startswith("-9999", na=False)).to_numpy(dtype=bool)
        reject(lost, f"{name} is not a whole number: it stays NULL, the rest of the row is kept", name, keep=True)
        values = pa.array(
            [int(cell.split(".")[0]) if ok else None for cell, ok in zip(cells, whole, strict=True)], pa.int64()
        )
    return pc.if_else(pc.greater(values, int(NULL_BELOW)), values, pa.scalar(None, pa.int64()))  # pyright: ignore[reportAttributeAccessIssue]


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
    """One row per band: which band and exposure it is, and its S/N; or one per exposure where the catalogue has no S/N."""
    names = frame.column_names
    nothing = np.full(len(frame), np.nan)
    minute = numbers("lmjm")
    coadd = np.isnan(minute).astype(float)
    if "coadd" in names:
        coadd = numbers("coadd", needed=True)
        reject(~np.isin(coadd, (0, 1)), "coadd is neither 0 nor 1", "coadd")
    lmjm = np.where(coadd == 1, 0, minute)
    reject(lmjm > MAX_LMJM, "lmjm is too large", "lmjm")
    reject(
        ~(lmjm >= 0) | (lmjm != np.floor(lmjm)),
        "lmjm of a single exposure is empty or not a whole number",
        "lmjm",
    )
    entry = {
        "lmjm": np.nan_to_num(lmjm),
        "snr_b": nothing,
        "snr_r": nothing,
        "preference": np.zeros(len(frame), "int64"),
    }
    if "band" not in names:
        return entry
    band = (
        pc.utf8_upper(pc.utf8_trim_whitespace(frame["band"].cast(pa.string())))  # pyright: ignore[reportAttributeAccessIssue]
        .to_numpy(zero_copy_only=False)
        .astype(str)
    )
    reject(~np.isin(band, ("B", "R")), "band is neither B nor R", "band")
    snr = numbers("snr")
    reject(np.isnan(snr), "snr is empty: S/N stays NULL, the rest of the row is kept", keep=True)
    return entry | {
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
