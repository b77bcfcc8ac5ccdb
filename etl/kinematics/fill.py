"""Peculiar velocities of the stars that have astrometry, in every kinematic model, and the fitted Maxwellians."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from tqdm import tqdm

from becat.etl.catalogue.batches import arrow_columns, insert_columns
from becat.etl.catalogue.connection import Run, transaction
from becat.etl.catalogue.versions import code_version
from becat.etl.kinematics.velocity import KinematicModel, fit_maxwellian, peculiar_velocity, velocity_errors
from becat.schema.build import shipped_limits

__all__ = ["compute_kinematics", "fit_limits", "kinematics_again"]

STARS_PER_BATCH = 100_000
# A Maxwellian fitted to fewer stars says little of the tail that makes the limit; the published one then stays.
MIN_STARS_OF_FIT = 100
FITTED = "fitted to"
UNPLACED = """from kinematics where star_id not in (select star_id from astrometry)
    or kinematic_model not in (select kinematic_model from kinematic_model)"""


ASTROMETRY = """a.star_id, a.ra_deg, a.dec_deg, a.pmra_mas_yr, a.pmdec_mas_yr, a.parallax_mas,
    a.e_pmra_mas_yr, a.e_pmdec_mas_yr, a.e_parallax_mas, a.parallax_zero_point_mas, a.distance_pc, a.distance_lo_pc, a.distance_hi_pc,
    coalesce(a.pmra_pmdec_corr, 0) as pmra_pmdec_corr,
    coalesce(a.parallax_pmra_corr, 0) as parallax_pmra_corr, coalesce(a.parallax_pmdec_corr, 0) as parallax_pmdec_corr"""


def compute_kinematics(connection: duckdb.DuckDBPyConnection) -> int:
    """Fill `kinematics` for every star whose astrometry is new, in every model; all anew where the constants of one changed.

    Stars of bad RUWE are computed too: the views leave them out, so that the limit can be moved.

    Returns
    -------
    int
        Number of rows written.
    """
    models = KinematicModel.read_all(connection)
    n_written = 0
    version = _version(models)
    with Run(connection, "kinematics", version) as run:
        for model in models:
            stars = _todo(connection, model, version)
            starts = range(0, len(stars["star_id"]), STARS_PER_BATCH)
            for first in tqdm(starts, desc=f"kinematics {model.kinematic_model}", disable=None, leave=False):
                batch = {name: values[first : first + STARS_PER_BATCH] for name, values in stars.items()}
                with transaction(connection):
                    _write(connection, batch, model, run.run_id)
                n_written += len(batch["star_id"])
        row = connection.execute(f"select count(*) {UNPLACED}").fetchone()
        if row and row[0]:
            run.record()
            connection.execute(f"delete {UNPLACED}")
        run.n_done = n_written
    return n_written


def _version(models: list[KinematicModel]) -> str:
    """Of the code and of the constants of all models."""
    return hashlib.sha256(repr((code_version("kinematics"), models)).encode()).hexdigest()[:12]


def _todo(connection, model: KinematicModel, version: str) -> dict[str, np.ndarray]:
    """Astrometry of the stars that this model has not been computed for, or not by this code."""
    return connection.execute(
        f"""
        select {ASTROMETRY} from astrometry a
        where not exists (
            from kinematics k join etl_run r using (run_id)
            where k.star_id = a.star_id and k.kinematic_model = ? and r.code_version = ? and k.run_id >= a.run_id
        )
        order by a.star_id
        """,
        [model.kinematic_model, version],
    ).fetchnumpy()


def _write(connection, batch: dict[str, np.ndarray], model: KinematicModel, run_id: int) -> None:
    columns = _columns(batch, model)
    connection.register("computed", pa.table({"star_id": columns["star_id"]}))
    connection.execute(
        "delete from kinematics where kinematic_model = ? and star_id in (select star_id from computed)",
        [model.kinematic_model],
    )
    connection.unregister("computed")
    insert_columns(connection, "kinematics", {**columns, "run_id": [run_id] * len(columns["star_id"])})


def _columns(batch: Mapping[str, Any], model: KinematicModel) -> dict:
    """Columns of `kinematics`, but the run, for stars with `ASTROMETRY`."""
    values = {
        name: np.ma.filled(np.ma.asarray(v).astype(float), np.nan) for name, v in batch.items() if name != "star_id"
    }
    _take_distance(values, model)
    ra, dec, pmra, pmdec, parallax = (
        values[name] for name in ("ra_deg", "dec_deg", "pmra_mas_yr", "pmdec_mas_yr", "parallax_mas")
    )
    found = peculiar_velocity(ra, dec, pmra, pmdec, parallax, model)
    e_v_tp, e_z = velocity_errors(ra, dec, pmra, pmdec, parallax, _covariance(values), model)
    return {
        "star_id": np.asarray(batch["star_id"]),
        "kinematic_model": [model.kinematic_model] * len(batch["star_id"]),
        **vars(found),
        "e_v_tp_km_s": e_v_tp,
        "e_z_pc": e_z,
    }


def kinematics_again(connection: duckdb.DuckDBPyConnection, stars: str) -> list[pa.Table]:
    """Rows of `kinematics`, but the run, as they come out now; nothing is written.

    Parameters
    ----------
    connection : duckdb connection
    stars : str
        Query of the star_id of those that are wanted.

    Returns
    -------
    list of pyarrow.Table
        One a kinematic model; of the rows that this code has computed from the astrometry as it is.
    """
    tables = []
    models = KinematicModel.read_all(connection)
    for model in models:
        batch = connection.execute(
            f"""
            select {ASTROMETRY} from astrometry a
            join kinematics k using (star_id) join etl_run r on r.run_id = k.run_id
            where star_id in ({stars}) and k.kinematic_model = ? and r.code_version = ? and k.run_id >= a.run_id
            """,
            [model.kinematic_model, _version(models)],
        ).fetchnumpy()
        if len(batch["star_id"]):
            tables.append(arrow_columns(_columns(batch, model)))
    return tables


def _take_distance(values: dict[str, np.ndarray], model: KinematicModel) -> None:
    """Give the parallaxes their own zero point, the offset of a model, or those of the distances of Bailer-Jones with their half widths."""
    if model.distance_source == "Bailer-Jones":
        distance_pc = values["distance_pc"]
        values["parallax_mas"] = 1000 / distance_pc
        half_width_pc = 0.5 * (values["distance_hi_pc"] - values["distance_lo_pc"])
        values["e_parallax_mas"] = values["parallax_mas"] * half_width_pc / distance_pc
        for name in ("parallax_pmra_corr", "parallax_pmdec_corr"):
            values[name] = np.zeros(len(distance_pc))
    elif model.distance_source == "zero point":
        values["parallax_mas"] = values["parallax_mas"] - values["parallax_zero_point_mas"]
    elif model.parallax_offset_mas:
        values["parallax_mas"] = values["parallax_mas"] + model.parallax_offset_mas


def _covariance(values: dict[str, np.ndarray]) -> np.ndarray:
    """(n, 3, 3) covariance of pmra, pmdec and parallax from errors and correlations."""
    errors = np.stack([values[f"e_{name}"] for name in ("pmra_mas_yr", "pmdec_mas_yr", "parallax_mas")], axis=-1)
    correlation = np.broadcast_to(np.eye(3), (len(errors), 3, 3)).copy()
    for (i, j), name in (((0, 1), "pmra_pmdec"), ((0, 2), "parallax_pmra"), ((1, 2), "parallax_pmdec")):
        correlation[:, i, j] = correlation[:, j, i] = values[f"{name}_corr"]
    return correlation * errors[:, :, None] * errors[:, None, :]


def fit_limits(connection: duckdb.DuckDBPyConnection) -> dict[str, float]:
    """Fit the Maxwellian of every model but the published one to this catalogue's classical Be stars.

    Where there are fewer than `MIN_STARS_OF_FIT` stars, or no fit is found, a model has again what it was shipped with.

    Returns
    -------
    dict
        b in km/s of the models that changed.
    """
    changed = {}
    shipped = shipped_limits()
    with Run(connection, "fit maxwellian") as run:
        models = [
            row[0]
            for row in connection.execute(
                "select kinematic_model from kinematic_model where maxwellian_source not like 'published%'"
            ).fetchall()
        ]
        for model in models:
            speeds = _speeds(connection, model)
            columns = "maxwellian_b_km_s, e_maxwellian_b_km_s, maxwellian_source"
            old = connection.execute(
                f"select {columns} from kinematic_model where kinematic_model = ?", [model]
            ).fetchone()
            was_fitted = bool(old) and str(old[2]).startswith(FITTED)
            new = _fitted(speeds) or (shipped.get(model) if was_fitted else None)
            if new is not None and old != new:
                connection.execute(
                    "update kinematic_model set maxwellian_b_km_s = ?, e_maxwellian_b_km_s = ?,"
                    " maxwellian_source = ?, run_id = ? where kinematic_model = ?",
                    [*new, run.run_id, model],
                )
                changed[model] = new[0]
    return changed


def _speeds(connection, model: str) -> np.ndarray:
    """Velocities of the classical Be stars in one model, km/s; none where too few stars have any for a fit."""
    has_one = "where kinematic_model = ? and v_tp_km_s is not null"
    row = connection.execute(f"select count(*) from kinematics {has_one}", [model]).fetchone()
    if not row or row[0] < MIN_STARS_OF_FIT:
        return np.zeros(0)
    found = connection.execute(f"select v_tp_km_s from runaway_by_model {has_one}", [model]).fetchnumpy()
    return found["v_tp_km_s"]


def _fitted(speeds: np.ndarray) -> tuple[float, float, str] | None:
    """b and its error in km/s, and what they are from; None where too few stars, or none that a Maxwellian fits, are there."""
    if len(speeds) < MIN_STARS_OF_FIT:
        return None
    try:
        _, b, _, e_b = fit_maxwellian(speeds)
    except ValueError:
        return None
    return round(b, 6), round(e_b, 6), f"{FITTED} {len(speeds)} stars"
