"""The zero point of Gaia's parallaxes: the published coefficients by hand, and from a table of Gaia to the list of runaways."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from astropy.coordinates import SkyCoord
from zero_point import zpt

from becat.etl.archives.apply import apply
from becat.etl.archives.ingest import ingest_file
from becat.etl.archives.zero_point import parallax_zero_points
from becat.etl.kinematics.fill import compute_kinematics
from becat.etl.kinematics.velocity import KinematicModel, peculiar_velocity
from tests.tools.view_rows import add_match, add_star, catalogue

EQUINOX, POLE = (0.0, 0.0), (270.0, 66.560709)  # where the ecliptic latitude is 0 and 90 degrees

# Lindegren et al. 2021, A&A 649, A4, tables 9 (five parameters) and 10 (six), at magnitudes that stand there: no interpolation.
# With sin(latitude) = 0 or 1 and wavenumbers from 1.48 to 1.72 the sum is q00 + q01 s + q02 (s^2 - 1/3) + (nu - 1.48) (q10 + ...).
BY_HAND = [
    (EQUINOX, 10.8, 1.48, None, 31, -27.23 - 23.04 / 3),
    (POLE, 10.8, 1.48, None, 31, -27.23 - 3.07 + 23.04 * 2 / 3),
    (EQUINOX, 10.8, 1.60, None, 31, -27.23 - 23.04 / 3 + 0.12 * 35.3),
    (POLE, 12.9, 1.68, None, 31, -19.53 - 1.64 + 15.86 * 2 / 3 + 0.2 * (-66.8 + 20.6)),
    (EQUINOX, 13.1, None, 1.60, 95, -38.29 - 16.20 / 3 + 0.12 * (-10.5 - 0.4 / 3)),
]


@pytest.mark.parametrize(("place", "g_mag", "nu_eff", "pseudocolour", "solved", "expected_uas"), BY_HAND)
def test_the_published_coefficients(place, g_mag, nu_eff, pseudocolour, solved, expected_uas):
    columns = [np.array([np.nan if x is None else x]) for x in (*place, g_mag, nu_eff, pseudocolour, solved)]
    assert parallax_zero_points(*columns) * 1000 == pytest.approx([expected_uas], abs=0.001)


def test_ecliptic_latitudes_are_astropys():
    rng = np.random.default_rng(1)
    n = 1000
    ra, dec = rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    g_mag, solved = rng.uniform(6.1, 20.9, n), np.where(rng.random(n) < 0.5, 31, 95)
    nu_eff = np.where(solved == 31, rng.uniform(1.15, 1.85, n), np.nan)
    pseudocolour = np.where(solved == 95, rng.uniform(1.25, 1.7, n), np.nan)
    latitude = SkyCoord(ra, dec, unit="deg").barycentricmeanecliptic.lat.deg
    zpt.load_tables()
    expected = zpt.get_zpt(g_mag, nu_eff, pseudocolour, latitude, solved, _warnings=False)
    found = parallax_zero_points(ra, dec, g_mag, nu_eff, pseudocolour, solved)
    assert np.isfinite(found).all() and np.abs(found - expected).max() <= 2e-6


@pytest.mark.parametrize(("g_mag", "nu_eff", "pseudocolour", "solved"), [
    (5.0, 1.6, np.nan, 31), (np.nan, 1.6, np.nan, 31), (10.0, np.nan, 1.5, 31), (10.0, 2.0, np.nan, 31), (10.0, 1.6, np.nan, 95),
    (10.0, 1.6, np.nan, 3), (10.0, 1.6, np.nan, np.nan),
])  # fmt: skip
def test_outside_of_the_calibration_it_is_unknown(g_mag, nu_eff, pseudocolour, solved):
    """And a star beside it keeps its own."""
    columns = zip((10.0, 60.0, g_mag, nu_eff, pseudocolour, solved), (10.0, 60.0, 11.0, 1.6, np.nan, 31), strict=True)
    unknown, known = parallax_zero_points(*(np.array(pair, float) for pair in columns))
    assert np.isnan(unknown) and -0.06 < known < 0


NEEDED = {"nu_eff_used_in_astrometry": 1.6, "pseudocolour": None, "astrometric_params_solved": 31}


@pytest.mark.parametrize("has_inputs", [True, False])
def test_from_a_table_of_gaia_to_the_list_of_models(tmp_path, has_inputs):
    """A table fetched before becat asked for what the zero point needs leaves it unknown, and the view says what to do."""
    row = {"source_id": 7, "ra": 30.0, "dec": 60.0, "pmra": -6.0, "pmra_error": 0.02, "pmdec": 2.0, "pmdec_error": 0.02, "parallax": 0.5,
           "parallax_error": 0.02, "ruwe": 1.0, "phot_g_mean_mag": 12.9, "phot_bp_mean_mag": 13.0, "phot_rp_mean_mag": 12.8}  # fmt: skip
    pd.DataFrame([row | (NEEDED if has_inputs else {})]).to_csv(tmp_path / "gaia.csv", index=False)
    with catalogue(tmp_path / "c.duckdb") as con:
        add_star(con, 1, ra_deg=30.0, dec_deg=60.0)
        add_match(con, 1, "neiner_2011", "CBe")
        ingest_file(con, "gaia", tmp_path / "gaia.csv")
        apply(con, 1)
        compute_kinematics(con)
        [(zero_point,)] = con.execute("select parallax_zero_point_mas from astrometry").fetchall()
        found = con.execute("""
            select v_tp_km_s, n_unknown, decided_by
            from kinematic_dependence join kinematics using (kinematic_model)
            where kinematic_model = 'wang_2022_lindegren_2021'""").fetchall()
        assert con.execute(
            "select n_unknown, decided_by from kinematic_dependence where kinematic_model = 'wang_2022'"
        ).fetchall() == [(0, None)]
    if not has_inputs:
        assert zero_point is None
        [(velocity, n_unknown, decided_by)] = found
        assert velocity is None and n_unknown == 1 and "becat fetch gaia" in decided_by
        return
    place = [np.array([value]) for value in (30.0, 60.0, -6.0, 2.0, 0.5 - zero_point)]
    model = KinematicModel("x", 11.10, 12.24, 7.25, 8.5, 220.0, 0.0, 20.5)
    assert zero_point == pytest.approx(
        parallax_zero_points(*(np.array([x]) for x in (30.0, 60.0, 12.9, 1.6, np.nan, 31)))[0]
    )
    assert found == [(pytest.approx(peculiar_velocity(*place, model).v_tp_km_s[0]), 0, None)]
