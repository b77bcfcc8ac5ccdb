"""Shapes on the sky as SQLite functions, against astropy and against a plane on which great circles are straight."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from matplotlib.path import Path as PlanePath

from becat.publish.vo.tap.geometry import Shape, area_deg2, contains, decode, intersects, register
from becat.schema.sphere import separation_deg

RNG = np.random.default_rng(3)


@pytest.fixture(autouse=True)
def _errors_in_functions_are_sqlite_s_alone():
    """Datasette, where it was imported before, has them printed too, and pytest takes that for a failure."""
    sqlite3.enable_callback_tracebacks(False)


def sky(n, lon=(0.0, 360.0), lat=(-90.0, 90.0)):
    sines = RNG.uniform(np.sin(np.radians(lat[0])), np.sin(np.radians(lat[1])), n)
    return RNG.uniform(*lon, n), np.degrees(np.arcsin(sines))


def test_separations_are_those_of_astropy():
    (lon1, lat1), (lon2, lat2) = sky(500), sky(500)
    lon2[:100], lat2[:100] = lon1[:100] + 1e-7, np.clip(lat1[:100] + 1e-7, -90, 90)
    lon2[100:150], lat2[100:150] = lon1[100:150] + 180, -lat1[100:150]
    theirs = SkyCoord(lon1, lat1, unit="deg").separation(SkyCoord(lon2, lat2, unit="deg")).deg
    ours = [separation_deg(*four) for four in zip(lon1, lat1, lon2, lat2, strict=True)]
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("centre", [(10.0, 5.0), (359.5, -30.0), (120.0, 88.0)])
def test_polygons_hold_what_they_hold_on_the_gnomonic_plane(centre):
    corners = [(8, 0), (2, 3), (4, 9), (-3, 4), (-7, 6), (-5, -6), (0, -2)]  # degrees east and north; not convex
    origin = SkyCoord(*centre, unit="deg")
    frame = origin.skyoffset_frame()
    vertices = SkyCoord(*np.array(corners).T, unit="deg", frame=frame).icrs
    shape = Shape("polygon", tuple(np.column_stack([vertices.ra.deg, vertices.dec.deg]).ravel()))
    lon, lat = RNG.uniform(-12, 12, 2000), RNG.uniform(-12, 12, 2000)
    points = SkyCoord(lon, lat, unit="deg", frame=frame)

    def plane(coordinates):
        x, y, z = coordinates.transform_to(frame).cartesian.xyz.value
        return np.column_stack([y / x, z / x])

    inside = PlanePath(plane(vertices)).contains_points(plane(points))
    ours = [shape.holds(a, d) for a, d in zip(points.icrs.ra.deg, points.icrs.dec.deg, strict=True)]
    assert 200 < inside.sum() < 1800
    assert np.array_equal(ours, inside)
    far = origin.directional_offset_by(0 * u.deg, 180 * u.deg)
    assert not shape.holds(far.ra.deg, far.dec.deg)
    assert shape.holds(*shape.numbers[:2])


def test_boxes_are_ranges_of_longitude_and_latitude():
    box = Shape("box", (359.0, 60.0, 6.0, 10.0))
    lon, lat = sky(3000, lon=(350, 370), lat=(50, 70))
    expected = (np.abs((lon - 359 + 180) % 360 - 180) <= 3) & (np.abs(lat - 60) <= 5)
    assert [box.holds(*point) for point in zip(lon % 360, lat, strict=True)] == expected.tolist()


def test_shapes_against_shapes_agree_with_their_points():
    circle, small = Shape("circle", (40.0, 30.0, 5.0)), Shape("circle", (42.0, 30.0, 1.0))
    square = Shape("polygon", (30.0, 20.0, 50.0, 20.0, 50.0, 40.0, 30.0, 40.0))
    box = Shape("box", (40.0, 30.0, 30.0, 30.0))
    away = Shape("circle", (80.0, 30.0, 5.0))
    touching = Shape("circle", (55.0, 30.0, 6.0))
    assert contains(small, circle) and not contains(circle, small)
    assert contains(circle, square) and not contains(square, circle)
    assert contains(square, box) and contains(square, Shape("circle", (40.0, 30.0, 30.0)))
    assert not intersects(away, square) and not intersects(away, circle)
    assert intersects(touching, square) and not contains(touching, square)
    assert intersects(Shape("polygon", (25.0, 29.0, 60.0, 29.0, 60.0, 31.0)), square)  # crosses, no vertex inside
    assert intersects(Shape("point", (40.0, 30.0)), square) and not contains(square, Shape("point", (40.0, 30.0)))


def test_areas():
    assert area_deg2(Shape("circle", (1.0, 2.0, 180.0))) == pytest.approx(41252.96, rel=1e-6)
    octant = Shape("polygon", (0.0, 0.0, 90.0, 0.0, 0.0, 90.0))
    assert area_deg2(octant) == pytest.approx(41252.96 / 8, rel=1e-6)
    assert area_deg2(Shape("box", (0.0, 0.0, 360.0, 180.0))) == pytest.approx(41252.96, rel=1e-6)


def test_functions_in_sqlite():
    with closing(sqlite3.connect(":memory:")) as connection:
        complaints = register(connection)

        def ask(sql):
            return connection.execute(f"select {sql}").fetchone()[0]

        assert decode(ask("becat_point(1, 2)")).text() == "1.0 2.0"
        assert ask("becat_point(null, 2)") is None
        assert ask("becat_contains(becat_point(1, 2), becat_circle(1, 2.5, 0.6))") == 1
        assert ask("becat_distance(becat_point(1, 2), becat_point(1, 5))") == pytest.approx(3)
        assert ask("becat_coord2(becat_centroid(becat_box(1, 2, 3, 4)))") == 2
        for wrong in (
            "becat_point(1, 91)", "becat_circle(1, 2, -1)", "becat_polygon(1, 2, 3, 4)", "becat_contains(1, 2)",
            "becat_point('x', 2)", "becat_area('text')", "becat_polygon(0, 0, 120, 0, 240, 0)", "becat_point(9e999, 2)",
            "becat_contains(x'50', x'43')", "becat_coord1(becat_circle(1, 2, 3))",
        ):  # fmt: skip
            with pytest.raises(sqlite3.OperationalError):
                ask(wrong)
        assert len(complaints) == 10
        assert "latitude" in complaints[0]
