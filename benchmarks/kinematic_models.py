"""How the runaways of Wang et al. 2022 depend on the kinematic model, on the pole and on the error of the parallax.

    python -m benchmarks.kinematic_models

Prints V_Tp of the sixteen stars of Table 9 in every model of `schema/kinematic_models.toml`, the errors and heights
beside the printed ones, and what first-order errors are worth for poor parallaxes (simulated).
"""

from __future__ import annotations

import csv
import tempfile
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord

from becat.etl.kinematics.velocity import KinematicModel, peculiar_velocity, velocity_errors
from becat.schema import build

TABLE_9 = Path(__file__).parents[1] / "etl" / "data" / "wang2022" / "table9_runaways.csv"


def printed_stars() -> tuple[list[str], np.ndarray, dict[str, np.ndarray]]:
    """Designations; right ascension, declination, proper motion and parallax (5, 16); all printed columns."""
    with TABLE_9.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    names = [row.pop("designation") for row in rows]
    columns = {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
    words = [f"{n[1:3]} {n[3:5]} {n[5:10]} {n[10:13]} {n[13:15]} {n[15:]}" for n in names]
    place = SkyCoord(words, unit=(u.hourangle, u.deg))
    motion = [columns[name] for name in ("pmra_mas_yr", "pmdec_mas_yr", "parallax_mas")]
    return names, np.stack([place.ra.deg, place.dec.deg, *motion]), columns


def read_models() -> tuple[list[KinematicModel], float]:
    """The models as shipped, the default one first, and its limit, km/s."""
    with tempfile.TemporaryDirectory() as folder:
        build.create(Path(folder) / "c.duckdb")
        with duckdb.connect(str(Path(folder) / "c.duckdb")) as connection:
            row = connection.execute("select v_limit_km_s from runaway_limit where is_default").fetchone()
            assert row is not None
            return KinematicModel.read_all(connection), float(row[0])


def without_distances(models: list[KinematicModel]) -> list[KinematicModel]:
    """The models that need no distances: none are printed."""
    return [model for model in models if model.distance_source is None]


def speeds_by_model(stars: np.ndarray, models: list[KinematicModel]) -> np.ndarray:
    """V_Tp (n_models, n_stars) of places, motions and parallaxes (5, n_stars), each model with its own parallaxes, km/s."""
    offsets = [np.array([0, 0, 0, 0, model.parallax_offset_mas or 0])[:, None] for model in models]
    return np.stack(
        [peculiar_velocity(*(stars + d), model).v_tp_km_s for model, d in zip(models, offsets, strict=True)]
    )


def models_table() -> str:
    """Speeds of the printed stars in every model, and how many are above the default limit."""
    names, stars, printed = printed_stars()
    models, limit = read_models()
    models = without_distances(models)
    speeds = speeds_by_model(stars, models)
    lines = [
        f"| star | printed | {' | '.join(model.kinematic_model for model in models)} |",
        f"|---|{'---:|' * (len(models) + 1)}",
    ]
    for i, name in enumerate(names):
        lines.append(f"| {name} | {printed['v_tp_km_s'][i]:.1f} | {' | '.join(f'{v:.1f}' for v in speeds[:, i])} |")
    counts = " | ".join(str(int(n)) for n in (speeds > limit).sum(axis=1))
    return "\n".join([*lines, f"| above {limit:.2f} km/s | {(printed['v_tp_km_s'] > limit).sum()} | {counts} |"])


def errors_table() -> str:
    """Errors and heights beside the printed ones."""
    names, stars, printed = printed_stars()
    model = read_models()[0][0]
    errors = np.stack([printed[name] for name in ("e_pmra", "e_pmdec", "e_parallax")], axis=-1)
    covariance = np.eye(3) * errors[:, :, None] ** 2
    e_v, _ = velocity_errors(*stars, covariance, model)
    found = peculiar_velocity(*stars, model)
    simple = found.v_tp_km_s * printed["e_parallax"] / printed["parallax_mas"]
    lines = [
        "| star | printed e(V_Tp) | V_Tp e(parallax)/parallax | propagated | printed z | z |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for i, name in enumerate(names):
        lines.append(
            f"| {name} | {printed['e_v_tp_km_s'][i]:.1f} | {simple[i]:.1f} | {e_v[i]:.1f}"
            f" | {printed['z_pc'][i]:.1f} | {found.z_pc[i]:.1f} |"
        )
    return "\n".join(lines)


def pole_shift() -> float:
    """Largest change of V_Tp of the printed stars from the printed pole to that of the Hipparcos catalogue, km/s."""
    _, stars, _ = printed_stars()
    right = read_models()[0][0]
    paper = replace(right, pole_ra_deg=192.95948)
    return float(np.abs(peculiar_velocity(*stars, paper).v_tp_km_s - peculiar_velocity(*stars, right).v_tp_km_s).max())


def parallax_table(n_draws: int = 200_000) -> str:
    """Simulated: a star with V_Tp of 21.8 km/s at 2.5 kpc, measured with worse and worse parallaxes."""
    rng = np.random.default_rng(1)
    model = read_models()[0][0]
    star = np.array([[90.0], [28.0], [0.8], [-2.8], [0.4]])
    lines = [
        "| parallax/error | first-order error | half of 16-84 % | median shift | parallax not positive |",
        "|---:|---:|---:|---:|---:|",
    ]
    for ratio in (20, 10, 5, 3, 2, 1):
        error = 0.4 / ratio
        first_order = velocity_errors(*star, np.diag([0, 0, error**2])[None], model)[0][0]
        draws = np.repeat(star, n_draws, axis=1)
        draws[4] += error * rng.normal(size=n_draws)
        speeds = peculiar_velocity(*draws, model).v_tp_km_s
        low, middle, high = np.nanpercentile(speeds, [16, 50, 84])
        true = peculiar_velocity(*star, model).v_tp_km_s[0]
        lines.append(
            f"| {ratio} | {first_order:.1f} | {(high - low) / 2:.1f} | {middle - true:+.1f} | {np.isnan(speeds).mean():.1%} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print everything."""
    print(models_table(), f"\nThe pole moves V_Tp of these stars by up to {pole_shift():.2f} km/s\n", sep="\n")
    print(errors_table(), parallax_table(), sep="\n\n")


if __name__ == "__main__":
    main()
