"""`becat verify`: does the catalogue hold together, and does it still say what the files say?

The audits are made from the schema: keys are unique, references point somewhere, what must be there is there, and a
value lies in the range that its UCD allows. A random sample of spectra is read from the files and reduced again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
from tqdm import tqdm

from becat.etl.catalogue.versions import code_version
from becat.etl.load.load import Options, read_and_reduce
from becat.models.score import DEFAULT_MODEL
from becat.schema import parameters
from becat.schema.grid import ARMS
from becat.schema.tables import TABLES

__all__ = ["Finding", "verify"]

# Columns whose UCD says what values can be.
RANGE_OF_UCD = {
    "pos.eq.ra": (0, 360),
    "pos.eq.dec": (-90, 90),
    "stat.probability": (0, 1),
    "stat.correlation": (-1, 1),
    "phys.temperature.effective": (0, 300_000),
}
# The arrays were written as float32: a spectrum that is reduced again must agree to its rounding.
TOLERANCE = 1e-5
MAX_EXAMPLES = 5
# Tables with a row a spectrum that a run writes.
SPECTRUM_TABLES = ("spectrum", "line_measurement", "profile_class", "be_score")
# What the tables are filled for; how much of it may be NULL is the parameter null_rate_max.
NEEDED = {
    "spectrum": ("mjd", "snr_r", "good_fraction_red"),
    "line_measurement": ("ew_halpha_a", "e_ew_halpha_a", "n_peaks"),
    "be_score": ("be_probability",),
}


@dataclass(frozen=True)
class Finding:
    """Something that is off: which check, how many rows, and the first of them."""

    check: str
    n_rows: int
    examples: str


def verify(connection: duckdb.DuckDBPyConnection, n_sample: int = 20, seed: int = 1) -> list[Finding]:
    """Every check of a catalogue.

    Parameters
    ----------
    connection : duckdb connection
        Open for reading.
    n_sample : int
        Spectra to read from their files and reduce again.
    seed : int
        Seed of the sample.

    Returns
    -------
    list of Finding
        Empty if all is well.
    """
    limits = {name: parameters.value(name, connection) for name in ("null_rate_max", "null_rate_change_max")}
    audits = [
        *_key_audits(),
        *_reference_audits(),
        *_required_audits(),
        *_range_audits(),
        *_count_audits(),
        *_null_audits(limits["null_rate_max"]),
        *_null_change_audits(limits["null_rate_change_max"]),
    ]
    found = []
    for check, sql in tqdm(audits, desc="auditing", unit=" checks", disable=None, leave=False):
        rows = connection.execute(sql).fetchall()
        if rows:
            found.append(Finding(check, len(rows), "; ".join(str(row) for row in rows[:MAX_EXAMPLES])))
    return found + list(_changed_models(connection)) + list(_differing_spectra(connection, n_sample, seed))


def _key_audits() -> Iterator[tuple[str, str]]:
    for table in TABLES.values():
        key = ", ".join(column.name for column in table.primary_key.columns)
        if key:
            yield (
                f"{table.name}: one row a key ({key})",
                f"select {key} from {table.name} group by {key} having count(*) > 1",
            )


def _reference_audits() -> Iterator[tuple[str, str]]:
    for table in TABLES.values():
        for column in table.columns:
            if "refers" not in column.info:
                continue
            target, key = column.info["refers"].split(".")
            if target != table.name:
                yield (
                    f"{table.name}.{column.name} is in {target}",
                    f"select distinct {column.name} from {table.name} where {column.name} is not null"
                    f" and {column.name} not in (select {key} from {target})",
                )


def _required_audits() -> Iterator[tuple[str, str]]:
    for table in TABLES.values():
        for column in table.columns:
            if not column.nullable and not column.primary_key:
                yield (
                    f"{table.name}.{column.name} is given",
                    f"select * from {table.name} where {column.name} is null",
                )


def _range_audits() -> Iterator[tuple[str, str]]:
    for table in TABLES.values():
        for column in table.columns:
            words = column.info["ucd"].split(";")
            if words[0] == "stat.error" and column.name.startswith("e_"):
                condition = f"{column.name} < 0"
            else:
                limits = next((RANGE_OF_UCD[word] for word in words if word in RANGE_OF_UCD), None)
                if limits is None or words[0] == "pos.pm" or column.type.__class__.__name__ == "Text":
                    continue
                condition = f"not {column.name} between {limits[0]} and {limits[1]}"
            yield (
                f"{table.name}.{column.name} is in range",
                f"select {column.name} from {table.name} where {condition} or isnan({column.name})",
            )


def _null_audits(highest: float) -> Iterator[tuple[str, str]]:
    """Columns that a table is there for: they may be NULL here and there, not throughout."""
    for table, columns in NEEDED.items():
        for column in columns:
            yield (
                f"{table}.{column} is there in at least {1 - highest:.0%} of the rows",
                f"select count(*) - count({column}) as n_null, count(*) as n_rows from {table}"
                f" having n_null > {highest} * n_rows",
            )


def _null_change_audits(largest: float) -> Iterator[tuple[str, str]]:
    """The rows of the last run against those of all runs before it: what does a new version, or new data, leave out?

    Each row knows its run, so that the catalogue itself is the record. Spectra are compared with those of their own layout
    (a survey without a blue arm has no Mg b); few rows say nothing: the change must be five times its standard error.
    """
    for name in SPECTRUM_TABLES:
        rows = "spectrum" if name == "spectrum" else f"{name} join spectrum s using (spectrum_id)"
        run_id = "run_id" if name == "spectrum" else f"{name}.run_id"
        for column in TABLES[name].columns:
            if not column.nullable or column.name == "run_id":
                continue
            yield (
                f"{name}.{column.name} is as often NULL in the last run as before",
                f"""
                with counted as (
                    select layout, has_blue, {run_id} = max({run_id}) over (partition by layout, has_blue) as is_last,
                        {name}.{column.name} is null as is_null
                    from {rows}
                ),
                rates as (
                    select layout, has_blue, is_last, count(*)::double as n, avg(is_null::int) as rate
                    from counted group by all
                )
                select new.layout, round(new.rate, 3) as last_run, round(old.rate, 3) as before
                from rates new join rates old using (layout, has_blue)
                where new.is_last and not old.is_last and abs(new.rate - old.rate) > greatest({largest},
                    5 * sqrt((new.rate * (1 - new.rate) + old.rate * (1 - old.rate)) / least(new.n, old.n)),
                    5 / least(new.n, old.n))
                """,
            )


def _count_audits() -> Iterator[tuple[str, str]]:
    yield "every spectrum has its red flux", "select spectrum_id from spectrum anti join flux_red using (spectrum_id)"
    yield (
        "a spectrum with a blue arm, and no other, has its blue flux",
        "select spectrum_id from spectrum s left join flux_blue b using (spectrum_id)"
        " where s.has_blue <> (b.spectrum_id is not null)",
    )
    yield (
        "the ledger counts the spectra of each file",
        "select file, n_rows, count(spectrum_id) from input_file left join spectrum using (file)"
        " where kind = 'spectra' group by all having n_rows <> count(spectrum_id)",
    )
    yield (
        "no measurement without flux",
        "select spectrum_id from line_measurement anti join flux_red using (spectrum_id)",
    )
    yield (
        "every spectrum is measured, or missing_result says why not",
        "select spectrum_id from spectrum left join line_measurement m using (spectrum_id) where m.ew_halpha_a is null"
        " and exists (from etl_run where command = 'measure')"
        " and spectrum_id not in (select spectrum_id from missing_result where stage = 'measure')",
    )
    yield (
        "every spectrum is scored by the current model, or missing_result says why not",
        "select spectrum_id from spectrum left join current_score k using (spectrum_id) where k.be_probability is null"
        " and exists (from model where is_current)"
        " and spectrum_id not in (select spectrum_id from missing_result where stage = 'score')",
    )
    yield "every run came to its end", "select run_id, command, status from etl_run where status = 'running'"
    yield "one model is the current one", "select count(*) from model where is_current having count(*) > 1"


def _changed_models(connection) -> Iterator[Finding]:
    """The shipped model, where the catalogue was scored with a file of that name."""
    for name, sha256 in connection.execute("select name, sha256 from model where is_current").fetchall():
        path = DEFAULT_MODEL.with_name(name)
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            yield Finding("the model file is the one that scored", 1, f"{name}: run `becat score` again")


def _differing_spectra(connection, n_sample: int, seed: int) -> Iterator[Finding]:
    """Spectra of the sample that their files give otherwise than the catalogue does."""
    rows = connection.execute("select spectrum_id, file, reduction_version, coadd from spectrum order by 1").fetchall()
    chosen = np.random.default_rng(seed).permutation(len(rows))[:n_sample]
    version = code_version("reduce")
    missing, stale, differing = [], [], []
    for spectrum_id, file, reduced_by, coadd in tqdm(
        [rows[i] for i in chosen], desc="reading again", unit=" spectra", disable=None, leave=False
    ):
        if not Path(file).exists():
            missing.append(file)
        elif reduced_by != version:
            stale.append(spectrum_id)
        elif not _agrees(connection, spectrum_id, file, coadd):
            differing.append(spectrum_id)
    for check, bad in (
        ("the files of the sample are there", missing),
        ("the sample was reduced by this version of the code (`becat run` or `becat load` does it again)", stale),
        ("the sample read again from the files agrees", differing),
    ):
        if bad:
            yield Finding(check, len(bad), "; ".join(map(str, bad[:MAX_EXAMPLES])))


def _agrees(connection, spectrum_id: int, file: str, coadd: bool) -> bool:
    batch = read_and_reduce([file], Options("coadd" if coadd else "single", need_snr=False))
    for arm in ARMS:
        stored = connection.execute(
            f"select flux, ivar from flux_{arm} where spectrum_id = ?", [spectrum_id]
        ).fetchone()
        none = np.empty((0, 0))
        ids, flux, ivar, _ = batch.arrays.get(arm, (np.array([]), none, none, none))
        place = np.flatnonzero(ids == spectrum_id)
        if (stored is None) != (place.size == 0):
            return False
        if stored is not None:
            again = (flux[place[0]], ivar[place[0]])
            for kept, computed in zip(stored, again, strict=True):
                if not np.allclose(np.array(kept, float), computed, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True):
                    return False
    return True
