"""`becat verify`: does the catalogue hold together, and does it still say what the files say?

The audits are made from the schema: keys are unique, references point somewhere, what must be there is there, and a
value lies in the range that its UCD allows. The rows of each table are compared with the checksums of the runs that wrote
them, views and macros with those of a new catalogue, and a sample of spectra with what their files give when everything is
done again. What none of this sees stands in docs/storage.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import duckdb
import pyarrow as pa
from tqdm import tqdm

from becat.etl.catalogue.batches import matrix
from becat.etl.catalogue.checksums import differences, engine, flux_checksum, last_run_of_checksums
from becat.models.score import FOLDER
from becat.schema import parameters
from becat.schema.grid import ARMS
from becat.schema.tables import TABLES
from becat.schema.words import counted
from becat.verify_nulls import SPECTRUM_TABLES, null_rate_changes
from becat.verify_sample import recompute
from becat.verify_template import differences_from_template

__all__ = ["Finding", "verify"]

# Columns whose UCD says what values can be.
RANGE_OF_UCD = {
    "pos.eq.ra": (0, 360),
    "pos.eq.dec": (-90, 90),
    "stat.probability": (0, 1),
    "stat.correlation": (-1, 1),
    "phys.temperature.effective": (0, 300_000),
}
SPECTRA_AT_ONCE = 2048
MAX_EXAMPLES = 5
# A chain of spectra, each within the radius of the next, is one star: its ends may be some radii apart.
FAR_RADII = 10
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


def verify(
    connection: duckdb.DuckDBPyConnection,
    n_sample: int | None = 20,
    seed: int = 1,
    tell: Callable[[str], None] = lambda words: None,
) -> list[Finding]:
    """Every check of a catalogue.

    Parameters
    ----------
    connection : duckdb connection
        Open for reading.
    n_sample : int or None
        Spectra to read from their files, reduce, measure and score again; None for all.
    seed : int
        Seed of the sample.
    tell : callable
        Is given a line for each thing that was read, and for each that could not be.

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
    ]
    found, unasked = [], []
    for check, sql in tqdm(audits, desc="auditing", unit=" checks", disable=None, leave=False):
        try:
            rows = [str(row) for row in connection.execute(sql).fetchall()]
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            unasked.append(f"{check} ({str(error).splitlines()[0]})")
            continue
        if rows:
            found.append(_finding(check, rows))
    n_audits = len(audits) - len(unasked)
    for table in SPECTRUM_TABLES:
        try:
            changed = null_rate_changes(connection, table, limits["null_rate_change_max"])
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            unasked.append(f"{table}: as many NULL as before ({str(error).splitlines()[0]})")
            continue
        n_audits += len(changed)
        found += [_finding(check, wrong) for check, wrong in changed.items() if wrong]
    tell(f"{n_audits} audits of keys, references, ranges and completeness")
    if unasked:
        found.append(_finding("the catalogue has all that the audits need (`becat run` brings it up to date)", unasked))
    found += [_finding(check, wrong) for check, wrong in differences_from_template(connection)]
    tell("views, macros, columns, thresholds and constants against a new catalogue")
    found += [*_checksums(connection, tell), *_flux(connection, tell), *_changed_models(connection)]
    sample = recompute(connection, n_sample, seed)
    for line in sample.lines():
        tell(line)
    return found + [_finding(check, wrong) for check, wrong in sample.failed.items()]


def _key_audits() -> Iterator[tuple[str, str]]:
    for table in TABLES.values():
        key = ", ".join(column.name for column in table.primary_key.columns)
        if key:
            yield (
                f"{table.name}: one row per key ({key})",
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
        "every spectrum that reaches the classifiers is scored, or missing_result says why not",
        "select spectrum_id from (select spectrum_id from step_40_q_index union select spectrum_id from current_score)"
        " left join current_score k using (spectrum_id) where k.be_probability is null"
        " and exists (from model where is_current)"
        " and spectrum_id not in (select spectrum_id from missing_result where stage = 'score')",
    )
    yield (
        "every measured spectrum has its profile class, and no other",
        "select spectrum_id from line_measurement m full join profile_class p using (spectrum_id)"
        " where m.spectrum_id is null or p.spectrum_id is null",
    )
    yield (
        "every measured spectrum has its row of velocities, and no other",
        "select spectrum_id from line_measurement m full join radial_velocity v using (spectrum_id)"
        " where m.spectrum_id is null or v.spectrum_id is null",
    )
    yield (
        "every spectrum with a position is of a star, and every star has one",
        "select spectrum_id, star_id from spectrum s full join star using (star_id) where s.spectrum_id is null"
        " or (star.star_id is null and isfinite(s.ra_deg) and exists (from etl_run where command = 'gather stars'))",
    )
    yield (
        "the names of a star's spectra are its aliases",
        "(select star_id, designation from spectrum where star_id is not null and designation is not null)"
        " except select star_id, designation from star_alias",
    )
    yield (
        f"the spectra of a star are at its position, except those that `becat alias` gave it ({FAR_RADII} radii)",
        f"""
        select spectrum_id, star_id from spectrum s join star using (star_id)
        where not exists (from star_link l where l.designation = s.designation)
            and sqrt(((s.ra_deg - star.ra_deg + 540) % 360 - 180)**2 * cos(radians(star.dec_deg))**2
                + (s.dec_deg - star.dec_deg)**2) * 3600 > {FAR_RADII} * (
                select max(greatest(value, default_value)) from selection_parameter
                where name in ('star_radius_arcsec', 'star_radius_other_arcsec'))
        """,
    )
    yield (
        "every star with astrometry has its velocities in each model, and no other star has any",
        "select star_id, kinematic_model from astrometry cross join kinematic_model"
        " full join kinematics k using (star_id, kinematic_model)"
        " where (k.star_id is null and exists (from etl_run where command = 'kinematics')) or astrometry.star_id is null",
    )
    yield "every run finished", "select run_id, command, status from etl_run where status = 'running'"
    yield (
        "one model of each network is the current one",
        "select network from model where is_current group by network having count(*) > 1",
    )


def _changed_models(connection) -> Iterator[Finding]:
    """The shipped model, where the catalogue was scored with a file of that name."""
    for name, sha256 in connection.execute("select name, sha256 from model where is_current").fetchall():
        path = FOLDER / name
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            yield Finding("the model file is the one that gave the scores", 1, f"{name}: run `becat score` again")


def _checksums(connection, tell: Callable[[str], None]) -> Iterator[Finding]:
    """Tables whose rows are not those that becat left there."""
    then, now = last_run_of_checksums(connection)
    if then is None:
        tell(
            "not compared: checksums of the tables, because no command has made any yet (the next one that writes will)"
        )
        return
    if then < now:
        tell(
            f"not compared: checksums of the tables, because run {now} was killed before it made them (the next command will)"
        )
        return
    found = list(differences(connection))
    if found:
        yield _finding("the rows of each table are those that becat wrote", [str(each) for each in found])
    row = connection.execute(
        "select count(distinct table_name), coalesce(sum(n_rows), 0), count(*) filter (engine <> ?) from table_checksum",
        [engine()],
    ).fetchone()
    tell(f"{counted(row[0], 'table')} with {counted(row[1], 'row')} against the checksums of their runs")
    if row[2]:
        tell(f"not compared: {counted(row[2], 'checksum')} that another version of DuckDB made")


def _flux(connection, tell: Callable[[str], None]) -> Iterator[Finding]:
    """Rows of flux that are not those that were written."""
    for arm in ARMS:
        table = f"flux_{arm}"
        if not _has_column(connection, table, "checksum"):
            tell(f"not compared: {table}, written by an older becat, without checksums")
            continue
        changed: list[str] = []
        n_known, n_all = connection.execute(f"select count(checksum), count(*) from {table}").fetchall()[0]
        reader = connection.execute(
            f"select spectrum_id, flux, ivar, mask, checksum from {table} where checksum is not null"
        ).to_arrow_reader(SPECTRA_AT_ONCE)
        with tqdm(total=n_known, desc=f"reading {table}", unit=" spectra", disable=None, leave=False) as bar:
            for batch in reader:
                rows = pa.Table.from_batches([batch])
                ids, kept = rows["spectrum_id"].to_numpy(), rows["checksum"].to_numpy()
                arrays = (matrix(rows[name])[0] for name in ("flux", "ivar", "mask"))
                changed += map(str, ids[flux_checksum(ids, *arrays) != kept])
                bar.update(len(rows))
        if changed:
            yield _finding(f"the rows of {table} are those that becat wrote", changed)
        older = f" ({n_all - n_known:,} of an older becat have none)" if n_all > n_known else ""
        tell(f"{counted(n_known, 'row')} of {table} against the checksums{older}")


def _has_column(connection, table: str, column: str) -> bool:
    return column in [row[0] for row in connection.execute(f"describe {table}").fetchall()]


def _finding(check: str, wrong: list[str]) -> Finding:
    return Finding(check, len(wrong), "; ".join(wrong[:MAX_EXAMPLES]))
