"""Peculiar velocities against the printed table, astropy, galpy and Monte Carlo."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import ICRS, Galactic, SkyCoord
from scipy.stats import maxwell

from becat.etl.kinematics.fill import compute_kinematics, fit_limits
from becat.etl.kinematics.velocity import KinematicModel, fit_maxwellian, galactic, peculiar_velocity, velocity_errors
from benchmarks.kinematic_models import printed_stars, read_models
from tests.tools.pipeline_tools import contents, new_catalogue

PAPER = KinematicModel("wang_2022", 11.10, 12.24, 7.25, 8.5, 220.0, 0.0, 20.5, 192.95948, 27.12825)
IAU_POLE = replace(PAPER, pole_ra_deg=192.85948)
TABLE9 = Path(__file__).parent.parent / "etl" / "data" / "wang2022" / "table9_runaways.csv"


def printed_runaways():
    with TABLE9.open() as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def position(designation):
    words = f"{designation[1:3]}:{designation[3:5]}:{designation[5:10]} {designation[10:13]}:{designation[13:15]}:{designation[15:]}"
    coordinates = SkyCoord(words, unit=(u.hourangle, u.deg))
    return coordinates.ra.deg, coordinates.dec.deg


@pytest.fixture(scope="module")
def stars():
    """A thousand stars all over the sky, with proper motions of tens of km/s at 0.2 to 5 kpc."""
    rng = np.random.default_rng(7)
    n = 1000
    return {
        "ra_deg": rng.uniform(0, 360, n),
        "dec_deg": np.degrees(np.arcsin(rng.uniform(-1, 1, n))),
        "pmra_mas_yr": rng.normal(0, 4, n),
        "pmdec_mas_yr": rng.normal(0, 4, n),
        "parallax_mas": 1 / rng.uniform(0.2, 5, n),
    }


def test_all_sixteen_printed_runaways():
    rows = printed_runaways()
    assert len(rows) == 16
    ra, dec = np.array([position(row["designation"]) for row in rows]).T
    pmra, pmdec, parallax, v = (
        np.array([float(row[name]) for row in rows])
        for name in ("pmra_mas_yr", "pmdec_mas_yr", "parallax_mas", "v_tp_km_s")
    )
    found = peculiar_velocity(ra, dec, pmra, pmdec, parallax, PAPER)
    assert np.abs(found.v_tp_km_s - v).max() <= 0.1
    # The pole of the Hipparcos catalogue, which the paper misprints, does as well to the last printed digit.
    assert np.abs(peculiar_velocity(ra, dec, pmra, pmdec, parallax, IAU_POLE).v_tp_km_s - v).max() < 0.11


def test_galactic_frame_is_astropys(stars):
    sky = SkyCoord(
        stars["ra_deg"] * u.deg,
        stars["dec_deg"] * u.deg,
        pm_ra_cosdec=stars["pmra_mas_yr"] * u.mas / u.yr,
        pm_dec=stars["pmdec_mas_yr"] * u.mas / u.yr,
    ).galactic
    l_deg, b_deg, pml, pmb = galactic(stars["ra_deg"], stars["dec_deg"], stars["pmra_mas_yr"], stars["pmdec_mas_yr"])
    assert np.abs((l_deg - sky.l.deg + 180) % 360 - 180).max() < 2e-3  # near the pole a degree of longitude is short
    assert np.abs(b_deg - sky.b.deg).max() < 1e-5
    assert np.abs(pml - sky.pm_l_cosb.value).max() < 2e-3 and np.abs(pmb - sky.pm_b.value).max() < 2e-3


def astropy_velocity(stars, model):
    """The same through three-dimensional vectors: the star's space velocity for no radial motion, less the Sun's
    peculiar motion and the difference of the circular motions, projected on the sky."""
    sky = SkyCoord(
        stars["ra_deg"] * u.deg,
        stars["dec_deg"] * u.deg,
        distance=1 / stars["parallax_mas"] * u.kpc,
        pm_ra_cosdec=stars["pmra_mas_yr"] * u.mas / u.yr,
        pm_dec=stars["pmdec_mas_yr"] * u.mas / u.yr,
        radial_velocity=0 * u.km / u.s * np.ones(len(stars["ra_deg"])),
        frame=ICRS,
    ).transform_to(Galactic)
    place = sky.cartesian.without_differentials().xyz.to_value(u.kpc)
    velocity = sky.velocity.d_xyz.to_value(u.km / u.s)
    x, y = model.r0_kpc - place[0], place[1]  # from the Galactic centre: towards the Sun, and in the sense of rotation
    radius = np.hypot(x, y)
    theta = model.theta0_km_s + model.theta_slope_km_s_kpc * (radius - model.r0_kpc)
    circular = np.stack([theta * y / radius, theta * x / radius, np.zeros_like(x)])
    sun = np.array([model.u_sun_km_s, model.theta0_km_s + model.v_sun_km_s, model.w_sun_km_s])[:, None]
    peculiar = velocity + sun - circular
    direction = place / np.linalg.norm(place, axis=0)
    return np.linalg.norm(peculiar - direction * (peculiar * direction).sum(axis=0), axis=0)


@pytest.mark.parametrize("slope", [0.0, -1.7])
def test_velocities_agree_with_astropy_over_the_sky(stars, slope):
    model = replace(IAU_POLE, theta_slope_km_s_kpc=slope)
    found = peculiar_velocity(*stars.values(), model).v_tp_km_s
    assert np.abs(found - astropy_velocity(stars, model)).max() < 0.01


def test_proper_motions_agree_with_galpy(stars):
    from galpy.util import coords

    expected = coords.pmrapmdec_to_pmllpmbb(
        stars["pmra_mas_yr"], stars["pmdec_mas_yr"], stars["ra_deg"], stars["dec_deg"], degree=True, epoch=2000.0
    )
    _, _, pml, pmb = galactic(stars["ra_deg"], stars["dec_deg"], stars["pmra_mas_yr"], stars["pmdec_mas_yr"])
    speed = 4.74047 / stars["parallax_mas"]
    assert np.abs(speed * (pml - expected[:, 0])).max() < 0.01 and np.abs(speed * (pmb - expected[:, 1])).max() < 0.01


def test_errors_agree_with_monte_carlo():
    rng = np.random.default_rng(11)
    n_stars, n_draws = 40, 40_000
    ra, dec = rng.uniform(0, 360, n_stars), rng.uniform(-20, 80, n_stars)
    centre = np.stack([rng.normal(0, 3, n_stars), rng.normal(0, 3, n_stars), rng.uniform(0.4, 1.5, n_stars)], axis=-1)
    for i in range(n_stars):
        error = np.array([0.03, 0.03, 0.012])
        correlation = np.array([[1, 0.3, -0.4], [0.3, 1, 0.2], [-0.4, 0.2, 1]])
        covariance = correlation * np.outer(error, error)
        draws = rng.multivariate_normal(centre[i], covariance, n_draws)
        spread = peculiar_velocity(np.full(n_draws, ra[i]), np.full(n_draws, dec[i]), *draws.T, PAPER)
        e_v, e_z = velocity_errors(ra[i : i + 1], dec[i : i + 1], *centre[i : i + 1].T, covariance[None], PAPER)
        if spread.v_tp_km_s.mean() > 5 * e_v[0]:  # a speed near zero cannot be negative: its errors are not normal
            assert e_v[0] == pytest.approx(spread.v_tp_km_s.std(), rel=0.03)
        assert e_z[0] == pytest.approx(spread.z_pc.std(), rel=0.03)


def test_no_velocity_without_positive_parallax():
    found = peculiar_velocity([10.0, 10.0], [20.0, 20.0], [1.0, 1.0], [1.0, 1.0], [-0.1, 0.0], PAPER)
    assert np.isnan(found.v_tp_km_s).all() and np.isnan(found.z_pc).all()


def test_a_fit_finds_the_scale_of_a_maxwellian():
    # scipy's Maxwell distribution has exp(-v^2 / 2 scale^2): b = scale sqrt(2).
    speeds = maxwell.rvs(scale=8.701 / np.sqrt(2), size=20_000, random_state=3)
    _, b, _, e_b = fit_maxwellian(speeds)
    assert abs(b - 8.701) < 4 * e_b + 0.02 and e_b < 0.15
    with pytest.raises(ValueError, match="ten"):
        fit_maxwellian([1.0, 2.0])


@pytest.fixture
def catalogue(tmp_path):
    path = new_catalogue(tmp_path / "c.duckdb")
    rows = printed_runaways()
    with duckdb.connect(str(path)) as connection:
        for i, row in enumerate(rows):
            connection.execute(
                "insert into astrometry (star_id, ra_deg, dec_deg, pmra_mas_yr, e_pmra_mas_yr, pmdec_mas_yr,"
                " e_pmdec_mas_yr, parallax_mas, e_parallax_mas, ruwe, run_id) values (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 1)",
                [i, *position(row["designation"]), *(float(row[n]) for n in list(row)[1:7])],
            )
    return path


def test_stage_fills_every_model_once(catalogue):
    with duckdb.connect(str(catalogue)) as connection:
        n_models = len(KinematicModel.read_all(connection))
        assert compute_kinematics(connection) == 16 * n_models
        assert fit_limits(connection) == {}
    before = contents(catalogue, with_runs=True)
    with duckdb.connect(str(catalogue)) as connection:
        assert compute_kinematics(connection) == 0
        assert connection.execute(
            "select count(*) from kinematics where kinematic_model = 'wang_2022' and v_tp_km_s > 24.05"
        ).fetchone() == (16,)
    assert contents(catalogue, with_runs=True) == before
    with duckdb.connect(str(catalogue)) as connection:
        connection.execute("update astrometry set parallax_mas = -1, run_id = 1000 where star_id = 3")
        assert compute_kinematics(connection) >= n_models
        assert connection.execute(
            "select bool_and(v_tp_km_s is null) from kinematics where star_id = 3"
        ).fetchone() == (True,)


def test_the_zero_point_leaves_nine_or_ten_printed_runaways_by_the_pole():
    """With 0.03 mas on every parallax one star stays above the limit with the right pole, and not with the printed one."""
    names, stars, _ = printed_stars()
    models, limit = read_models()
    right = next(model for model in models if model.kinematic_model == "wang_2022_zero_point")
    moved = stars + np.array([0, 0, 0, 0, right.parallax_offset_mas])[:, None]

    def runaways(model):
        fast = peculiar_velocity(*moved, model).v_tp_km_s > limit
        return {name for name, is_fast in zip(names, fast, strict=True) if is_fast}

    with_right, with_printed = runaways(right), runaways(replace(right, pole_ra_deg=192.95948))
    assert (len(with_right), len(with_printed)) == (10, 9)
    assert with_right - with_printed == {"J221950.08+572428.5"}
