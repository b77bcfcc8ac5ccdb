"""The rows of a release's catalogues as a plan needs them: brought together by DuckDB, which spills to disk."""

from __future__ import annotations

import difflib
import gzip
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from becat.etl.readers.lamost import NOT_A_STAR
from becat.schema.errors import BecatError
from becat.schema.sql_names import literal, quoted

__all__ = ["gather_files"]

# What the columns are called, the best first (docs/archives.md); all others are left unread.
NAMES = {
    "obsid": ("obsid",),
    "lmjd": ("lmjd",),
    "planid": ("planid",),
    "spid": ("spid",),
    "fiberid": ("fiberid",),
    "lmjm": ("lmjm",),
    "band": ("band",),
    "coadd": ("coadd",),
    "snr": ("snr",),
    "snrg": ("snrg",),
    "snrr": ("snrr",),
    "ra": ("ra", "ra_obs"),
    "dec": ("dec", "dec_obs"),
    "fibertype": ("fibertype",),
    "teff": ("teff_lasp", "teff"),
    "g_mag": ("gaia_g_mean_mag",),
    "obsdate": ("obsdate",),
}
LRS_SNR = ("snrg", "snrr")  # which its catalogues of parameters may lack
NEEDED = {"mrs": ("obsid", "lmjm", "band", "coadd", "snr"), "lrs": ("obsid", *LRS_SNR)}
TYPES = {
    **dict.fromkeys(("obsid", "lmjd", "spid", "fiberid", "lmjm", "coadd"), "BIGINT"),
    **dict.fromkeys(("snr", "snrg", "snrr", "teff", "g_mag"), "REAL"),
    **dict.fromkeys(("ra", "dec"), "DOUBLE"),
}
OF_A_FILE = ("lmjd", "planid", "spid", "fiberid")
EMPTY = ["", " ", "NULL", "null", "NaN", "nan", "None", "--", "\\N"]
FITS_ROWS = 200_000
MAX_HEADER_BYTES = 1_000_000
# The night on which a date changes has the day of its evening; LMJD is that of its morning (recorded: 58844 is 2019-12-26).
NULL_BELOW = -990  # LAMOST writes -999 or -9999 for "no value"


def gather_files(
    connection: duckdb.DuckDBPyConnection, paths: Iterable[Path], survey: str, exposures: str, into: str
) -> int:
    """Make a table of the spectra that a release's catalogues list, as far as they may be loaded.

    Parameters
    ----------
    connection : duckdb connection
    paths : iterable of Path
        General and, if there is one, stellar-parameter catalogue; CSV or FITS, also gzipped.
    survey : {'mrs', 'lrs'}
    exposures : {'coadd', 'single', 'all'}
        Which spectra of an MRS file are to be loaded.
    into : str
        Table to make, one row for each of these spectra: file, obsid, night, plan_id, ra_deg, dec_deg, snr_b, snr_r,
        teff_k, g_mag, n_rows (of the general catalogue; 0 where it does not list what is in a file).

    Returns
    -------
    int
        Rows of the catalogues that could not be used.

    Raises
    ------
    BecatError
        A file is no catalogue of this survey.
    """
    rows, nameless = [], False
    for number, path in enumerate(paths):
        found = _names(path, survey)
        source = _csv(path, found) if found.separator else _fits(connection, path, found, f"_fits_{number}")
        rows.append(_one_catalogue(source, found, survey))
        nameless = nameless or found.is_nameless
    try:
        connection.execute(
            f"create or replace temporary table {into}_all as {_merged(' union all '.join(rows), survey, exposures, nameless)}"
        )
    except duckdb.InvalidInputException as error:
        raise BecatError(f"a catalogue cannot be read: {str(error).splitlines()[0]}") from None
    n_bad = _count(connection, "select count(distinct (scan_id, file_id, line)) from reject_errors") if rows else 0
    n_bad += _count(connection, f"select coalesce(sum(n_all), 0) from {into}_all where file is null or obsid is null")
    connection.execute(
        f"create or replace temporary table {into} as select * exclude (n_all) from {into}_all"
        f" where file is not null and obsid is not null; drop table {into}_all; drop table if exists reject_errors;"
        " drop table if exists reject_scans"
    )
    return n_bad


def _count(connection, query: str) -> int:
    try:
        return int(connection.execute(query).fetchall()[0][0])
    except duckdb.CatalogException:  # without text there is no table of rejected lines
        return 0


@dataclass(frozen=True)
class _Names:
    """Columns of a catalogue, as they stand in it, and what separates them in text ("" for FITS)."""

    there: list[str]
    separator: str

    def of(self, wanted: str) -> str | None:
        spelt = {name.lower(): name for name in reversed(self.there)}
        return next((spelt[name] for name in NAMES[wanted] if name in spelt), None)

    @property
    def is_nameless(self) -> bool:
        """Whether its rows do not tell the names of the files, but the night and the number (as VizieR's)."""
        return bool(self.of("obsdate") and self.of("obsid")) and not any(self.of(name) for name in OF_A_FILE)


def _names(path: Path, survey: str) -> _Names:
    try:
        opener = gzip.open if path.open("rb").read(2) == b"\x1f\x8b" else open
        with opener(path, "rb") as file:
            start = file.readline(MAX_HEADER_BYTES)
    except (OSError, EOFError) as error:
        raise BecatError(f"{path} cannot be read: {error}") from None
    if start.startswith(b"SIMPLE  ="):
        found = _Names(_table_of(path).columns.names, "")  # pyright: ignore[reportArgumentType, reportOptionalMemberAccess]
    else:
        header = start.decode("utf-8-sig", "replace").strip()
        separator = max("|,\t;", key=header.count)
        found = _Names([name.strip().strip('"').lstrip("#").strip() for name in header.split(separator)], separator)
    for name in (*NEEDED[survey], *(() if found.is_nameless else OF_A_FILE)):
        if found.of(name) is None and not (survey == "lrs" and name in LRS_SNR and found.of("teff")):
            near = difflib.get_close_matches(name, found.there, 1, 0.5)
            hint = f"; the nearest is {near[0]!r}" if near else ""
            raise BecatError(f"{path}: column {name} is missing{hint}: not a general catalogue of the {survey.upper()}")
    return found


def _csv(path: Path, names: _Names) -> str:
    """SQL of the rows of a text; lines that do not fit are left out and counted."""
    types = {names.of(wanted): kind for wanted, kind in TYPES.items() if names.of(wanted)}
    columns = ", ".join(f"{literal(name)}: {literal(types.get(name, 'VARCHAR'))}" for name in names.there)
    return (
        f"read_csv({literal(str(path))}, auto_detect = false, header = true, delim = {literal(names.separator)}, quote = '\"',"
        f" columns = {{{columns}}}, nullstr = [{', '.join(map(literal, EMPTY))}], store_rejects = true, strict_mode = false)"
    )


def _table_of(path: Path):
    from astropy.io import fits

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            hdus = fits.open(path, memmap=True)
        return next(hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU))
    except (OSError, StopIteration):
        raise BecatError(f"{path} cannot be read as a FITS table: fetch it again") from None


def _fits(connection, path: Path, names: _Names, into: str) -> str:
    """A temporary table of the wanted columns of a FITS table; its name."""
    wanted = list(dict.fromkeys(name for of in NAMES if (name := names.of(of))))
    data = _table_of(path).data
    for start in range(0, max(len(data), 1), FITS_ROWS):
        part = data[start : start + FITS_ROWS]
        connection.register("_slice", pa.table({name: _native(part[name]) for name in wanted}))  # pyright: ignore[reportArgumentType]
        how = f"insert into {into}" if start else f"create or replace temporary table {into} as"
        connection.execute(f"{how} select * from _slice")
        connection.unregister("_slice")
    return into


def _native(column: np.ndarray) -> np.ndarray:
    values = np.asarray(column)
    return values.astype(values.dtype.newbyteorder("=")) if values.dtype.kind in "iuf" else values.astype(str)


def _one_catalogue(source: str, names: _Names, survey: str) -> str:
    """SQL of the rows of one catalogue under our names; what it lacks is NULL."""
    columns = []
    for wanted in NAMES:
        kind = TYPES.get(wanted, "VARCHAR")
        name = names.of(wanted) if wanted != "obsdate" or names.is_nameless else None
        columns.append(f"try_cast({quoted(name)} as {kind}) as {wanted}" if name else f"null::{kind} as {wanted}")
    # Which is the general catalogue: the rows of the parameters are not counted again.
    # Without names it does not list single exposures, by which the size of a file would be known.
    is_general = "false" if names.of("teff") or names.is_nameless else "true"
    return f"select {', '.join(columns)}, {is_general} as is_general from {source}"


def _merged(rows: str, survey: str, exposures: str, nameless: bool) -> str:
    """SQL of one row for each spectrum that may be loaded; files without a name in the catalogues get one by their number."""
    kind = "med" if survey == "mrs" else "spec"
    name = f"concat(survey_night, '/', planid, '/', printf('{kind}-%d-%s_sp%02d-%03d.fits.gz', lmjd, planid, spid, fiberid))"
    by_number = night_by_date = ""
    if nameless:
        by_number = ", if(planid is null, obsid, null)"
        name = f"if(planid is null, concat(survey_night, '/by_obsid/{kind}-obsid-', obsid, '.fits.gz'), {name})"
        night_by_date = "when planid is null then replace(any_value(obsdate), '-', '')"
    skipped = ", ".join(literal(word) for word in sorted(NOT_A_STAR))
    if survey == "lrs":
        exposure, mine = "0", "true"
        snr_b, snr_r, teff = "max(snrg)", "max(snrr)", "max(teff) filter (teff > {low})"
    else:
        # coadd: all rows of a file together, and of them those of the coadd; else every exposure by itself
        exposure = "0" if exposures == "coadd" else "case when coadd = 1 then 0 else lmjm end"
        mine = "coadd = 1" if exposures == "coadd" else "coadd = 0" if exposures == "single" else "true"
        snr_b, snr_r = (f"max(snr) filter (upper(band) = '{band}' and {mine})" for band in "BR")
        # LASP works on the blue arm: its value comes first where the two rows differ.
        teff = f"arg_min(teff, upper(band)) filter (teff > {{low}} and {mine})"
    return f"""
        select
            case when survey_night is not null then {name} end as file,
            obsid, survey_night as night, planid as plan_id,
            ra_deg, dec_deg,
            if(snr_b > {NULL_BELOW}, snr_b, null) as snr_b, if(snr_r > {NULL_BELOW}, snr_r, null) as snr_r,
            teff_k, if(g_mag > 0, g_mag, null) as g_mag, n_rows, n_all
        from (
            select
                lmjd, trim(planid) as planid, spid, fiberid, {exposure} as exposure,
                min(obsid) as obsid,
                case when lmjd is not null and planid is not null and spid is not null and fiberid is not null then
                    strftime(date '1858-11-16' + lmjd::integer, '%Y%m%d') {night_by_date} end as survey_night,
                any_value(ra) as ra_deg, any_value(dec) as dec_deg,
                {snr_b} as snr_b, {snr_r} as snr_r, {teff.format(low=NULL_BELOW)} as teff_k,
                any_value(g_mag) as g_mag,
                count(*) filter (is_general) as n_rows, count(*) as n_all
            from ({rows})
            where coalesce(upper(trim(fibertype)), '') not in ({skipped})
            group by lmjd, planid, spid, fiberid, exposure{by_number}
        )
    """
