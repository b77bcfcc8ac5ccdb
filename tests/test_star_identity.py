"""Stars are gathered by position: once, incrementally, and whatever their designations."""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord, search_around_sky
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from becat.etl.match.gather import gather_stars
from becat.etl.match.stars import gather
from becat.schema import build

ARCSEC = 1 / 3600


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    path = tmp_path_factory.mktemp("identity") / "catalogue.duckdb"
    build.create(path)
    with duckdb.connect(str(path)) as connection:
        yield connection


@pytest.fixture
def connection(catalogue):
    for table in ("spectrum", "star", "star_alias", "photometry"):
        catalogue.execute(f"delete from {table}")
    return catalogue


def load(connection, spectrum_id, ra, dec, designation=None, simulated=False):
    frame = pd.DataFrame({"spectrum_id": spectrum_id, "ra_deg": ra, "dec_deg": dec})
    frame["designation"] = designation
    frame["is_simulated"] = simulated
    connection.execute("""
        insert into spectrum (spectrum_id, ra_deg, dec_deg, designation, is_simulated, survey, file, coadd, has_blue)
        select spectrum_id, ra_deg, dec_deg, designation, is_simulated, 'LAMOST MRS', 'x.fits', true, true from frame
    """)


def stars_of(connection):
    return dict(connection.execute("select spectrum_id, star_id from spectrum").fetchall())


def everything(connection):
    return [connection.execute(f"from {t} order by all").fetchall() for t in ("spectrum", "star", "star_alias")]


def test_designations_that_differ_in_the_last_digit_are_one_star(connection):
    designations = ["J011833.07+582230.5", "J011833.06+582230.4"]  # tables 6 and 8 of Wang et al. 2022
    where = SkyCoord(["01h18m33.07s", "01h18m33.06s"], ["58d22m30.5s", "58d22m30.4s"])
    load(connection, [5, 3], where.ra.deg, where.dec.deg, designations)
    done = gather(connection, 1)
    assert (done.n_spectra, done.n_new_stars) == (2, 1)
    star_id, designation, ra, dec = connection.execute(
        "select star_id, designation, ra_deg, dec_deg from star"
    ).fetchone()
    assert (designation, ra, dec) == (designations[1], where.ra.deg[1], where.dec.deg[1])
    assert star_id == round(ra * 36000) * 10**7 + round((dec + 90) * 36000) < 2**53
    assert connection.execute("select designation from star_alias order by 1").fetchall() == [
        (d,) for d in sorted(designations)
    ]


def test_two_spectra_that_are_read_again_at_once_are_given_their_star(connection):
    """Of one place and name, so that the same happens to two rows: a checksum by XOR would not see it."""
    load(connection, [3, 5], 85.0, 0.0, "one star")
    gather_stars(connection)
    before = stars_of(connection)
    connection.execute("update spectrum set star_id = null")  # as new rows have none
    gather_stars(connection)
    assert stars_of(connection) == before
    assert None not in before.values()


def test_a_second_call_changes_nothing(connection):
    rng = np.random.default_rng(2)
    load(connection, np.arange(500), rng.uniform(0, 360, 500), rng.uniform(-90, 90, 500), [f"J{i}" for i in range(500)])
    gather(connection, 1)
    before = everything(connection)
    assert gather(connection, 2) == type(gather(connection, 2))(0, 0, 0)
    assert everything(connection) == before


def test_stars_do_not_depend_on_the_order_in_which_spectra_came(connection):
    ids, ra = np.array([10, 11, 1, 2]), 100.0 + np.array([0, 3, 1.4, 1.6]) * ARCSEC
    load(connection, ids[:2], ra[:2], [0.0, 0.0], ["A", "B"])
    gather(connection, 1)
    assert len(set(stars_of(connection).values())) == 2  # farther apart than the radius of 2 arcsec
    load(connection, ids[2:], ra[2:], [0.0, 0.0], ["C", "D"])  # a chain of both
    gather(connection, 2)
    grown = [
        connection.execute(f"select * exclude run_id from {t} order by all").fetchall() for t in ("star", "star_alias")
    ]
    for table in ("spectrum", "star", "star_alias"):
        connection.execute(f"delete from {table}")
    load(connection, ids, ra, np.zeros(4), ["A", "B", "C", "D"])
    gather(connection, 1)
    assert grown == [
        connection.execute(f"select * exclude run_id from {t} order by all").fetchall() for t in ("star", "star_alias")
    ]
    assert len(grown[0]) == 1 and grown[0][0][1] == "C"


def test_a_judgement_follows_its_spectrum_to_a_star_of_another_number(connection):
    load(connection, [10], [100.0], [0.0], ["A"])
    gather(connection, 1)
    (old,) = stars_of(connection).values()
    connection.execute("delete from inspection")
    connection.execute(
        "insert into inspection (inspection_id, star_id, spectrum_id) values ('x', ?, 10), ('y', ?, null)", [old, old]
    )
    connection.execute("insert into star_link (designation, star_id) values ('Z', ?)", [old])
    load(connection, [5, 6], [100.0 + 1.5 * ARCSEC, 30.0], [0.0, 0.0], ["B", "Z"])
    gather(connection, 2)
    now = stars_of(connection)
    assert now[5] == now[6] == now[10] != old
    assert connection.execute("select distinct star_id from inspection").fetchall() == [(now[5],)]
    connection.execute("delete from inspection")
    connection.execute("delete from star_link")


def test_another_radius_makes_other_stars(connection):
    load(connection, [1, 2], [10.0, 10.0 + 3 * ARCSEC], [0.0, 0.0], ["A", "B"])
    assert gather_stars(connection) == 2
    connection.execute("update selection_parameter set value = 4 where name = 'star_radius_arcsec'")
    try:
        assert gather_stars(connection) == 1
    finally:
        connection.execute("update selection_parameter set value = default_value")
    assert gather_stars(connection) == 2
    runs = connection.execute("select count(*) from etl_run").fetchone()
    assert gather_stars(connection) == 2 and connection.execute("select count(*) from etl_run").fetchone() == runs


def test_a_chain_is_one_star(connection):
    load(connection, np.arange(6), 50 + np.arange(6) * 1.5 * ARCSEC, np.zeros(6))
    gather(connection, 1)
    assert len(set(stars_of(connection).values())) == 1
    load(connection, [7, 8], [50 + 9 * ARCSEC, 50 + 10.5 * ARCSEC], [0.0, 0.0])  # the second touches only the first
    gather(connection, 2)
    assert len(set(stars_of(connection).values())) == 1


def test_poles_and_0h(connection):
    load(
        connection,
        np.arange(6),
        [0.0, 180.0, 10.0, 190.0, 0.0, 360 - ARCSEC],
        [90, 90 - 0.5 * ARCSEC, -90, -90 + ARCSEC, 0, 0],
    )
    gather(connection, 1)
    star = stars_of(connection)
    assert star[0] == star[1] and star[2] == star[3] and star[4] == star[5]
    assert len(set(star.values())) == 3


def test_stars_in_the_same_tenth_of_an_arcsecond_get_different_ids(connection):
    connection.execute("update selection_parameter set value = 0.01 where name = 'star_radius_arcsec'")
    try:
        for step in range(3):  # three calls, so that taken ids are met too
            load(
                connection,
                [2 * step, 2 * step + 1],
                [80.0, 80.0],
                np.array([0.02, 0.03]) * ARCSEC + 0.015 * step * 1.5 * ARCSEC,
            )
            gather(connection, 1)
        star = stars_of(connection)
        assert len(set(star.values())) == connection.execute("select count(*) from star").fetchone()[0] >= 5
        assert max(star.values()) < 2**53
    finally:
        connection.execute("update selection_parameter set value = default_value")


def test_no_position_no_star(connection):
    load(connection, [1, 2, 3], [None, 10.0, 10.0], [0.0, None, 95.0], "X")
    assert gather(connection, 1).n_spectra == 0
    assert set(stars_of(connection).values()) == {None}
    assert connection.execute("select count(*) from star").fetchone() == (0,)


def test_a_star_without_spectra_goes_with_what_was_known_of_it(connection):
    load(connection, [1, 2], [10.0, 20.0], [0.0, 0.0], ["A", "B"])
    gather(connection, 1)
    connection.execute("insert into photometry (star_id) select star_id from star")
    connection.execute("delete from spectrum where spectrum_id = 1")
    assert gather(connection, 2).n_removed_stars == 1
    assert connection.execute("select designation from star").fetchall() == [("B",)]
    assert connection.execute("select count(*) from photometry").fetchone() == (1,)
    assert connection.execute("select designation from star_alias").fetchall() == [("B",)]


def test_simulated_only_where_all_spectra_are(connection):
    load(connection, [1, 2], [10.0, 20.0], [0.0, 0.0], ["A", "B"], simulated=True)
    gather(connection, 1)
    load(connection, [3], [10.0], [0.0], ["A"], simulated=False)
    gather(connection, 2)
    assert connection.execute("select designation, is_simulated, run_id from star order by 1").fetchall() == [
        ("A", False, 2),
        ("B", True, 1),
    ]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.integers(1, 80), st.sampled_from([0.0, 89.9999, -90.0]))
def test_groups_are_the_connected_components(connection, seed, n, dec0):
    rng = np.random.default_rng(seed)
    for table in ("spectrum", "star", "star_alias"):
        connection.execute(f"delete from {table}")
    ra = rng.uniform(0, 20 * ARCSEC, n) % 360 if dec0 == 0 else rng.uniform(0, 360, n)
    dec = np.clip(dec0 + rng.uniform(-10, 10, n) * ARCSEC, -90, 90)
    load(connection, np.arange(n), ra, dec)
    gather(connection, 1)
    sky = SkyCoord(ra, dec, unit="deg")
    i, j, _, _ = search_around_sky(sky, sky, 2 * u.arcsec)
    expected = connected_components(coo_array((np.ones(len(i)), (i, j)), shape=(n, n)), directed=False)[1]
    star = stars_of(connection)
    _, got = np.unique([star[k] for k in range(n)], return_inverse=True)
    assert len(set(zip(expected, got, strict=True))) == len(set(expected)) == len(set(got))
