"""Angular distances, in Python and in both databases, against astropy over the whole sphere."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import duckdb
import numpy as np
import pytest
from astropy.coordinates import angular_separation

from becat.etl.match.sphere import MAX_RADIUS_ARCSEC, Side, match
from becat.schema.sphere import separation_deg, separation_sql

SEED = 17
BOUND_ARCSEC = 1e-9
APART_ARCSEC = (0.0, 1e-6, 1e-3, 1.0, 60.0, 3600.0)
PLACES = ("ra_1", "dec_1", "ra_2", "dec_2")


def pairs() -> np.ndarray:
    """Pairs of points, degrees (n, 4): anywhere, near each other, at the poles, across 0h, and opposite each other."""
    rng = np.random.default_rng(SEED)
    ra, dec = rng.uniform(0, 360, (2, 400)), np.degrees(np.arcsin(rng.uniform(-1, 1, (2, 400))))
    found = [np.column_stack([ra[0], dec[0], ra[1], dec[1]])]
    for ra_1, dec_1 in [
        (0, 90),
        (0, -90),
        (10, 89.9999),
        (0, 0),
        (359.9999999, -30),
        *zip(ra[0, :40], dec[0, :40], strict=True),
    ]:
        for apart in APART_ARCSEC:
            found.append([(ra_1, dec_1, ra_1, dec_1 - np.sign(dec_1 or 1) * apart / 3600)])
            found.append([(ra_1, dec_1, (ra_1 + apart / 3600) % 360, dec_1)])
            found.append([(ra_1, dec_1, (ra_1 + 180 + apart / 3600) % 360, -dec_1)])
        found.append([(ra_1, dec_1, (ra_1 + 180) % 360, dec_1)])
    return np.concatenate(found)


def astropys_arcsec(points: np.ndarray) -> np.ndarray:
    return np.degrees(angular_separation(*np.radians(points).T)) * 3600


def of_python(points):
    return [separation_deg(*row) for row in points.tolist()]


def of_duckdb(points):
    frame = dict(zip(PLACES, points.T, strict=True))  # noqa: F841 - read by name
    return duckdb.connect().execute(f"select {separation_sql(*PLACES)} as deg from frame").fetchnumpy()["deg"]


def of_sqlite(points):
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"create table pair ({', '.join(PLACES)})")
        connection.executemany("insert into pair values (?, ?, ?, ?)", points.tolist())
        return [row[0] for row in connection.execute(f"select {separation_sql(*PLACES)} from pair order by rowid")]


@pytest.mark.parametrize("of", [of_python, of_duckdb, of_sqlite])
def test_distances_are_astropys(of):
    points = pairs()
    np.testing.assert_allclose(np.array(of(points)) * 3600, astropys_arcsec(points), rtol=1e-13, atol=BOUND_ARCSEC)


def test_the_chord_of_the_cross_match_is_astropys():
    points = pairs()
    points = points[astropys_arcsec(points) <= 0.999 * MAX_RADIUS_ARCSEC]
    connection = duckdb.connect()
    for name, columns in (("one", points[:, :2]), ("other", points[:, 2:])):
        frame = {"n": np.arange(len(points)), "ra_deg": columns[:, 0], "dec_deg": columns[:, 1]}  # noqa: F841 - read by name
        connection.execute(f"create table {name} as select * from frame")
    match(connection, Side("one", "n"), Side("other", "n"), MAX_RADIUS_ARCSEC, "found", rank=False)
    rows = connection.execute(
        "select separation_arcsec from found where left_id = right_id order by left_id"
    ).fetchall()
    assert len(rows) == len(points) > 100
    np.testing.assert_allclose(np.ravel(rows), astropys_arcsec(points), rtol=1e-11, atol=BOUND_ARCSEC)
