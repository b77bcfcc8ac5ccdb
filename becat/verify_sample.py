"""Spectra of a catalogue read again from their files, reduced, measured and scored again, and compared with what is stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from sqlalchemy import REAL
from tqdm import tqdm

from becat.etl.catalogue.batches import EVERYTHING, SPECTRA_PER_BATCH, matrix
from becat.etl.catalogue.versions import code_version
from becat.etl.kinematics.fill import kinematics_again
from becat.etl.load.load import Batch, Options, read_and_reduce
from becat.etl.load.release import VALUES, entries
from becat.etl.measure import COLUMNS, THRESHOLDS, measure_partition
from becat.etl.score import Asked, score_partition
from becat.models.classifiers import load
from becat.schema import parameters
from becat.schema.grid import ARMS
from becat.schema.quality import Quality
from becat.schema.tables import TABLES
from becat.schema.words import counted

__all__ = ["Sample", "recompute"]

# The arrays were written as float32, and sums may be made in another order: what is computed again agrees to these.
TOLERANCE = 1e-5
FLOAT32_TOLERANCE = 1e-6
MEASURED_TOLERANCE = 1e-3
# Another processor may round the whole numbers of the classifier otherwise.
PROBABILITY_TOLERANCE = 0.02
FILES_AT_ONCE = 64
# Columns of `spectrum` that do not follow from the file, the release's catalogues and the given positions.
NOT_OF_FILE = {"star_id", "reduction_version", "run_id", "file"}
POSITION_BITS = int(Quality.NO_POSITION | Quality.POSITION_DOUBTFUL)


@dataclass
class Sample:
    """What came of a sample: by check, what failed it; and how many could be compared at all."""

    n: int
    n_of: int
    failed: dict[str, list[str]] = field(default_factory=dict)
    n_read: int = 0
    n_gone: int = 0
    n_stale: int = 0
    n_measured: int = 0
    n_scored: int = 0
    n_velocities: int = 0

    def fail(self, check: str, what: str) -> None:
        self.failed.setdefault(check, []).append(what)

    def lines(self) -> Iterator[str]:
        """What was read, and what could not be."""
        yield (
            f"{self.n_read:,} of {counted(self.n_of, 'spectrum')} from the files, {self.n_measured:,} of them measured and"
            f" {self.n_scored:,} scored again"
        )
        if self.n_velocities:
            yield f"{counted(self.n_velocities, 'velocity', 'velocities')} of their stars computed again"
        if self.n_gone:
            yield f"not read: {counted(self.n_gone, 'spectrum')} of the sample, because the file is missing"
        if self.n_stale:
            yield f"not read: {counted(self.n_stale, 'spectrum')} of the sample, reduced by another version (`becat run` reduces them again)"


def recompute(connection, n_sample: int | None, seed: int) -> Sample:
    """Do everything again for some spectra.

    Parameters
    ----------
    connection : duckdb connection
    n_sample : int or None
        How many; None for all.
    seed : int
        Seed of the choice.
    """
    rows = connection.execute("select spectrum_id, file, reduction_version, coadd from spectrum order by 1").fetchall()
    chosen = [rows[i] for i in np.random.default_rng(seed).permutation(len(rows))[:n_sample]]
    sample = Sample(len(chosen), len(rows))
    version = code_version("reduce")
    by_file: dict[tuple[str, bool], list[int]] = {}
    for spectrum_id, file, reduced_by, coadd in sorted(chosen, key=lambda row: (row[1], row[0])):
        if not Path(file).exists():
            sample.n_gone += 1
        elif reduced_by != version:
            sample.n_stale += 1
        else:
            by_file.setdefault((file, coadd), []).append(spectrum_id)
    groups = list(by_file.items())
    with tqdm(total=len(chosen), desc="reading again", unit=" spectra", disable=None, leave=False) as bar:
        for start in range(0, len(groups), FILES_AT_ONCE):
            _compare_files(connection, groups[start : start + FILES_AT_ONCE], sample)
            bar.update(sum(len(ids) for _, ids in groups[start : start + FILES_AT_ONCE]))
    return sample


def _compare_files(connection, groups: list, sample: Sample) -> None:
    ids = [spectrum_id for _, some in groups for spectrum_id in some]
    connection.execute("create or replace temp table _sampled as select unnest(?::bigint[]) as spectrum_id", [ids])
    stored = _rows_by_id(connection, "from spectrum semi join _sampled using (spectrum_id)")
    overlay = _given_elsewhere(connection)
    for (file, coadd), some in groups:
        batch = read_and_reduce([file], Options("coadd" if coadd else "single", need_snr=False))
        for spectrum_id in some:
            sample.n_read += 1
            _compare_spectrum(connection, batch, spectrum_id, stored[spectrum_id], overlay.get(spectrum_id, {}), sample)
    _compare_measurements(connection, sample)
    _compare_scores(connection, sample)
    _compare_velocities(connection, sample)
    connection.execute("drop table _sampled")


def _rows_by_id(connection, sql: str) -> dict[int, dict]:
    return {row["spectrum_id"]: row for row in connection.execute(sql).to_arrow_table().to_pylist()}


def _given_elsewhere(connection) -> dict[int, dict]:
    """What release catalogues and tables of positions say of the sampled spectra, by their number."""
    of_sample = (
        "(from release_entry semi join (from spectrum semi join _sampled using (spectrum_id)) using (survey, obsid))"
    )
    return _rows_by_id(
        connection,
        f"""
        with entry as (
            select s.spectrum_id, e.* exclude (survey, obsid, lmjm)
            from spectrum s semi join _sampled using (spectrum_id)
            join ({entries(of_sample)}) as e
                on s.survey = e.survey and s.obsid = e.obsid and e.lmjm = case when s.coadd then 0 else s.lmjm end
        )
        select s.spectrum_id, e.* exclude (spectrum_id), g.designation, g.ra_deg, g.dec_deg,
            r.ra_deg as resolved_ra_deg, r.dec_deg as resolved_dec_deg
        from spectrum s semi join _sampled using (spectrum_id)
        left join entry e using (spectrum_id)
        left join given_position g using (file)
        left join resolved_name r on r.designation = s.designation
        """,
    )


def _expected(row: dict, given: dict, stored_source: str | None) -> dict:
    """The row of a spectrum as its file, the release and the given positions make it."""
    expected = {**row, **{name: given[name] for name in VALUES if given.get(name.removeprefix("e_")) is not None}}
    if given.get("snr_r") is not None and stored_source == "catalogue":
        expected["snr_source"] = "catalogue"  # where the two agree, it may be said of either
    if given.get("designation") is not None:
        expected["designation"] = given["designation"]
    for name in ("ra_deg", "dec_deg"):
        if given.get(name) is not None:
            expected[name] = given[name]
        elif row.get(name) is None:
            expected[name] = given.get(f"resolved_{name}")
    if expected["ra_deg"] != row.get("ra_deg"):
        expected["quality"] &= ~POSITION_BITS
    return expected


def _compare_spectrum(connection, batch: Batch, spectrum_id: int, stored: dict, given: dict, sample: Sample) -> None:
    check = "the sample read again from the files agrees"
    row = next((row for read in batch.files for row in read.spectra if row["spectrum_id"] == spectrum_id), None)
    if row is None:
        sample.fail(check, f"{spectrum_id}: its file no longer gives it")
        return
    expected = _expected(row, given, stored["snr_source"])
    for column in TABLES["spectrum"].columns:
        name = column.name
        if name not in NOT_OF_FILE and not _same(stored[name], expected.get(name), _tolerance(column)):
            sample.fail(check, f"{spectrum_id}: {name} is {stored[name]}, its file gives {expected.get(name)}")
    for arm in ARMS:
        if not _same_arrays(connection, batch, arm, spectrum_id):
            sample.fail(check, f"{spectrum_id}: flux_{arm}")


def _same_arrays(connection, batch: Batch, arm: str, spectrum_id: int) -> bool:
    sql = f"select flux, ivar, mask from flux_{arm} where spectrum_id = ?"
    stored = connection.execute(sql, [spectrum_id]).to_arrow_table(1)
    if arm not in batch.arrays or spectrum_id not in batch.arrays[arm][0]:
        return len(stored) == 0
    if len(stored) != 1:
        return False
    ids, *arrays = batch.arrays[arm]
    place = int(np.flatnonzero(ids == spectrum_id)[0])
    return all(
        np.allclose(matrix(stored[name])[0][0], array[place], rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
        for name, array in zip(("flux", "ivar", "mask"), arrays, strict=True)
    )


def _tolerance(column) -> float:
    """Relative tolerance of a column of `spectrum`: what is computed from pixels, what is kept as float32, and the rest."""
    if column.name.startswith("continuum_error"):
        return MEASURED_TOLERANCE
    return FLOAT32_TOLERANCE if isinstance(column.type, REAL) else 0.0


def _same(one, other, tolerance: float, absolute: float = 0.0) -> bool:
    """Whether two cells agree: numbers to a tolerance, NULL and NaN being alike."""
    if _is_empty(one) or _is_empty(other):
        return _is_empty(one) and _is_empty(other)
    if isinstance(one, float) or isinstance(other, float):
        return bool(np.isclose(float(one), float(other), rtol=tolerance, atol=absolute))
    return one == other


def _is_empty(cell) -> bool:
    return cell is None or (isinstance(cell, float) and np.isnan(cell))


def _compare_measurements(connection, sample: Sample) -> None:
    """Measure the sampled spectra again, where this code with the thresholds in force has measured them."""
    in_force = {name: parameters.value(name, connection) for name in THRESHOLDS}
    version = code_version("measure", in_force)
    table = connection.execute(
        f"""
        select {COLUMNS} from {EVERYTHING} semi join _sampled using (spectrum_id)
        semi join (from line_measurement where measure_version = $1) m using (spectrum_id)
        semi join (from profile_class where profile_version = $1) c using (spectrum_id)
        semi join (from radial_velocity where velocity_version = $1) v using (spectrum_id)
        """,
        [version],
    ).to_arrow_table(SPECTRA_PER_BATCH)
    if not len(table):
        return
    sample.n_measured += len(table)
    again = measure_partition((table, in_force))
    for name in ("line_measurement", "profile_class", "radial_velocity"):
        stored = _rows_by_id(connection, f"from {name} semi join _sampled using (spectrum_id)")
        for row in _stored_like(again[name], name).to_pylist():
            for column, value in row.items():
                kept = stored[row["spectrum_id"]][column]
                if not _same(kept, value, MEASURED_TOLERANCE, MEASURED_TOLERANCE):
                    sample.fail(
                        "the sample measured again agrees",
                        f"{row['spectrum_id']}: {column} is {kept}, measured again {value}",
                    )


def _stored_like(table: pa.Table, name: str) -> pa.Table:
    """The columns of a computed table that its stored one has."""
    return table.select([column for column in table.column_names if column in TABLES[name].columns])


def _compare_scores(connection, sample: Sample) -> None:
    """Score the sampled spectra again, where the models at hand and this code have scored them."""
    scored_by = {row[0] for row in connection.execute("select model_id from model where is_current").fetchall()}
    if not scored_by:
        return
    asked = Asked.of(load())
    if set(asked.model_ids) != scored_by:
        return
    table = connection.execute(
        """
        select r.spectrum_id, r.flux, r.ivar
        from flux_red r semi join _sampled using (spectrum_id)
        where r.spectrum_id in (
            select k.spectrum_id from be_score k join etl_run e using (run_id) join model m using (model_id)
            where m.is_current and e.code_version = ?
        )
        """,
        [code_version("score")],
    ).to_arrow_table(SPECTRA_PER_BATCH)
    if not len(table):
        return
    sample.n_scored += len(table)
    again = score_partition((table, asked))["be_score"].to_pylist()
    stored = {
        row[:2]: row[2]
        for row in connection.execute(
            "select spectrum_id, model_id, be_probability from be_score semi join _sampled using (spectrum_id)"
        ).fetchall()
    }
    for row in again:
        number, found = row["spectrum_id"], row["be_probability"]
        kept = stored.get((number, row["model_id"]))
        if _is_empty(kept) != _is_empty(found) or (not _is_empty(kept) and abs(kept - found) > PROBABILITY_TOLERANCE):
            sample.fail("the sample scored again agrees", f"{number}: {kept}, scored again {found}")


def _compare_velocities(connection, sample: Sample) -> None:
    """Compute the velocities of the sampled stars again, in every kinematic model."""
    stars = "select star_id from spectrum semi join _sampled using (spectrum_id) where star_id is not null"
    stored = {
        (row["star_id"], row["kinematic_model"]): row
        for row in connection.execute(f"from kinematics where star_id in ({stars})").to_arrow_table().to_pylist()
    }
    for table in kinematics_again(connection, stars):
        sample.n_velocities += len(table)
        for row in table.to_pylist():
            kept = stored[row["star_id"], row["kinematic_model"]]
            for column, value in row.items():
                if not _same(kept[column], value, MEASURED_TOLERANCE, MEASURED_TOLERANCE):
                    sample.fail(
                        "the velocities of the sample computed again agree",
                        f"{row['star_id']}: {column} is {kept[column]}, computed again {value}",
                    )
