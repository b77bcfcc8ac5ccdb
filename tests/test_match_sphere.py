"""Cross-match against astropy and STILTS: the same pairs, at the poles, across 0h and with proper motion."""

from __future__ import annotations

import shutil
import subprocess
import warnings

import duckdb
import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord, search_around_sky
from astropy.table import Table
from astropy.time import Time
from erfa import ErfaWarning
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from becat.etl.match.sphere import Side, match, match_table

ARCSEC = 1 / 3600


def hard_sky(n, rng):
    """(n,) positions, degrees: over the whole sky, crowded at both poles and along 0h."""
    ra = rng.uniform(0, 360, n)
    dec = np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    part = n // 8
    dec[:part] = 90 - rng.exponential(600 * ARCSEC, part)
    dec[part : 2 * part] = -90 + rng.exponential(600 * ARCSEC, part)
    ra[2 * part : 3 * part] = rng.normal(0, 3 * ARCSEC, part) % 360
    ra[3 * part], dec[3 * part] = 0, 90
    ra[3 * part + 1], dec[3 * part + 1] = 360, -90
    ra[3 * part + 2], dec[3 * part + 2] = 0, 0
    return ra, dec


def shifted(ra, dec, sigma_arcsec, rng):
    """The same positions, each moved by a Gaussian distance in a random direction."""
    moved = SkyCoord(ra, dec, unit="deg").directional_offset_by(
        rng.uniform(0, 360, len(ra)) * u.deg, np.abs(rng.normal(0, sigma_arcsec, len(ra))) * u.arcsec
    )
    return moved.ra.deg, moved.dec.deg


def connection_with(**tables):
    connection = duckdb.connect()
    for name, columns in tables.items():
        frame = pd.DataFrame(columns)  # noqa: F841 (read by DuckDB)
        connection.execute(f"create table {name} as select row_number() over () - 1 as id, * from frame")
    return connection


def pairs_of(connection, table="pairs"):
    return connection.execute(f"from {table} order by left_id, right_id").fetchnumpy()


def astropy_pairs(a, b, radius_arcsec):
    left, right, separation, _ = search_around_sky(a, b, radius_arcsec * u.arcsec)
    order = np.lexsort((right, left))
    return left[order], right[order], separation.arcsec[order]


@pytest.mark.parametrize("radius_arcsec", [0.05, 1.0, 3.0, 30.0, 2000.0])
def test_same_pairs_as_astropy(radius_arcsec):
    rng = np.random.default_rng(7)
    n = 30_000 if radius_arcsec < 100 else 1_500
    ra, dec = hard_sky(n, rng)
    ra2, dec2 = shifted(ra, dec, radius_arcsec, rng)
    connection = connection_with(a={"ra_deg": ra, "dec_deg": dec}, b={"ra_deg": ra2, "dec_deg": dec2})
    n_pairs = match(connection, Side("a", "id"), Side("b", "id"), radius_arcsec, "pairs")
    found = pairs_of(connection)
    left, right, separation = astropy_pairs(
        SkyCoord(ra, dec, unit="deg"), SkyCoord(ra2, dec2, unit="deg"), radius_arcsec
    )
    assert n_pairs == len(left) > n // 2
    np.testing.assert_array_equal(found["left_id"], left)
    np.testing.assert_array_equal(found["right_id"], right)
    np.testing.assert_allclose(found["separation_arcsec"], separation, atol=1e-9 * 3600, rtol=1e-9)


def test_separation_is_exact_at_a_milliarcsecond():
    step = np.array([1e-3, 1e-2, 0.1, 1.0])
    connection = connection_with(
        a={"ra_deg": np.full(4, 123.4), "dec_deg": np.array([-60.0, 0.0, 30.0, 89.0])},
        b={"ra_deg": np.full(4, 123.4), "dec_deg": np.array([-60.0, 0.0, 30.0, 89.0]) + step * ARCSEC},
    )
    match(connection, Side("a", "id"), Side("b", "id"), 2, "pairs")
    np.testing.assert_allclose(pairs_of(connection)["separation_arcsec"], step, atol=1e-9)


def test_ranks_best_and_ambiguous():
    connection = connection_with(
        a={"ra_deg": [10.0, 10.0 + 1.2 * ARCSEC, 50.0], "dec_deg": [0.0, 0.0, 0.0]},
        b={"ra_deg": [10.0 + 0.5 * ARCSEC, 10.0 + 2.0 * ARCSEC, 50.0], "dec_deg": [0.0, 0.0, 1 * ARCSEC]},
    )
    match(connection, Side("a", "id"), Side("b", "id"), 2.5, "pairs")
    rows = connection.execute(
        "select left_id, right_id, match_rank, is_best, is_ambiguous from pairs order by left_id, match_rank"
    ).fetchall()
    assert rows == [
        (0, 0, 1, True, True),
        (0, 1, 2, False, True),
        (1, 0, 1, False, True),  # nearest to the second star, but itself nearer to the first
        (1, 1, 2, False, True),
        (2, 2, 1, True, False),
    ]


def test_positions_that_are_none_match_nothing():
    connection = connection_with(
        a={"ra_deg": [10.0, np.nan, 20.0, np.inf, 370.0], "dec_deg": [0.0, 0.0, 91.0, 0.0, 0.0]},
        b={"ra_deg": [10.0, 20.0, -350.0], "dec_deg": [0.0, 91.0, 0.0]},
    )
    connection.execute("insert into a values (9, null, 0)")
    match(connection, Side("a", "id"), Side("b", "id"), 1, "pairs")
    found = pairs_of(connection)
    assert list(zip(found["left_id"].tolist(), found["right_id"].tolist(), strict=True)) == [
        (0, 0),
        (0, 2),
        (4, 0),
        (4, 2),
    ]


@pytest.mark.parametrize("radius", [0, -1, np.nan, 1e6])
def test_radius_out_of_range(radius):
    connection = connection_with(a={"ra_deg": [1.0], "dec_deg": [1.0]})
    with pytest.raises(ValueError, match="radius"):
        match(connection, Side("a", "id"), Side("a", "id"), radius, "pairs")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.floats(0, 360), st.floats(-90, 90)), min_size=1, max_size=12),
    st.floats(0, 360),
    st.floats(0.01, 3000),
    st.floats(0, 1.5),
)
def test_any_positions_and_radius(positions, bearing, radius_arcsec, fraction):
    here = SkyCoord([p[0] for p in positions], [p[1] for p in positions], unit="deg")
    there = here.directional_offset_by(bearing * u.deg, fraction * radius_arcsec * u.arcsec)
    connection = connection_with(
        a={"ra_deg": here.ra.deg, "dec_deg": here.dec.deg}, b={"ra_deg": there.ra.deg, "dec_deg": there.dec.deg}
    )
    match(connection, Side("a", "id"), Side("b", "id"), radius_arcsec, "pairs")
    found = pairs_of(connection)
    separation = here[:, None].separation(there[None, :]).arcsec
    kept = {(int(a), int(b)) for a, b in zip(found["left_id"], found["right_id"], strict=True)}
    inside = {tuple(map(int, pair)) for pair in np.argwhere(separation < radius_arcsec - 1e-6)}
    outside = {tuple(map(int, pair)) for pair in np.argwhere(separation > radius_arcsec + 1e-6)}
    assert inside <= kept
    assert not kept & outside


def moving_sky(rng, n):
    ra, dec = hard_sky(n, rng)
    speed, angle = rng.exponential(800, n), rng.uniform(0, 2 * np.pi, n)
    return ra, dec, speed * np.sin(angle), speed * np.cos(angle)


def after(ra, dec, pmra, pmdec, epoch, to_epoch):
    """Positions at another epoch by astropy; the stars are put far away, so that nothing but the motion counts."""
    start = SkyCoord(
        ra * u.deg,
        dec * u.deg,
        distance=np.full(len(ra), 10) * u.kpc,
        pm_ra_cosdec=pmra * u.mas / u.yr,
        pm_dec=pmdec * u.mas / u.yr,
        radial_velocity=np.zeros(len(ra)) * u.km / u.s,
        obstime=Time(epoch, format="jyear"),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ErfaWarning)  # of speeds that no star has at this distance
        moved = start.apply_space_motion(new_obstime=Time(to_epoch, format="jyear"))
    return moved.ra.deg, moved.dec.deg


@pytest.mark.parametrize("moving", ["left", "right", "both"])
def test_proper_motion_is_applied_between_epochs(moving):
    rng = np.random.default_rng(3)
    n = 2000
    ra, dec, pmra, pmdec = moving_sky(rng, n)
    epochs = rng.choice([1991.25, 2000.0, 2010.5], n)
    ra2, dec2 = after(ra, dec, pmra, pmdec, np.full(n, 2016.0), epochs)
    ra2, dec2 = shifted(ra2, dec2, 0.3, rng)
    connection = connection_with(
        gaia={"ra_deg": ra, "dec_deg": dec, "epoch_yr": np.full(n, 2016.0), "pmra": pmra, "pmdec": pmdec},
        old={"ra_deg": ra2, "dec_deg": dec2, "epoch_yr": epochs, "pmra": pmra, "pmdec": pmdec},
    )
    knows = {"epoch": "epoch_yr", "pmra": "pmra", "pmdec": "pmdec"}
    gaia = Side("gaia", "id", **knows)
    old = Side("old", "id", **(knows if moving == "both" else {"epoch": "epoch_yr"}))
    left, right = (old, gaia) if moving == "right" else (gaia, old)
    match(connection, left, right, 1.0, "pairs")
    found = pairs_of(connection)
    if moving == "right":
        found["left_id"], found["right_id"] = found["right_id"], found["left_id"]
    # the truth: each epoch by itself, with the moving rows brought there
    expected = {}
    for epoch in np.unique(epochs):
        there = np.flatnonzero(epochs == epoch)
        if moving == "both":  # the right rows move to 2016
            moved = SkyCoord(
                *after(ra2[there], dec2[there], pmra[there], pmdec[there], np.full(len(there), epoch), 2016.0),
                unit="deg",
            )
            i, j, separation, _ = search_around_sky(SkyCoord(ra, dec, unit="deg"), moved, 1 * u.arcsec)
        else:
            now = SkyCoord(*after(ra, dec, pmra, pmdec, np.full(n, 2016.0), epoch), unit="deg")
            i, j, separation, _ = search_around_sky(now, SkyCoord(ra2[there], dec2[there], unit="deg"), 1 * u.arcsec)
        expected.update({(a, b): s for a, b, s in zip(i.tolist(), there[j].tolist(), separation.arcsec, strict=True)})
    got = dict(
        zip(
            zip(found["left_id"].tolist(), found["right_id"].tolist(), strict=True),
            found["separation_arcsec"],
            strict=True,
        )
    )
    edge = {pair for pair, s in (expected | got).items() if abs(s - 1) < 1e-5}
    assert set(got) - edge == set(expected) - edge
    assert len(expected) > 0.9 * n
    assert max(abs(got[p] - expected[p]) for p in set(got) & set(expected)) < 1e-5


def test_unknown_epoch_or_motion_counts_as_no_motion():
    connection = connection_with(
        a={"ra_deg": [10.0, 20.0, 30.0], "dec_deg": [0.0] * 3, "epoch": [2000.0, np.nan, 2000.0]},
        b={
            "ra_deg": [10.0 + 16 * ARCSEC, 20.0, 30.0],
            "dec_deg": [0.0] * 3,
            "epoch": [2016.0] * 3,
            "pmra": [1000.0, 1000.0, np.nan],
            "pmdec": [0.0] * 3,
        },
    )
    connection.execute("update a set epoch = null where isnan(epoch)")
    match(
        connection,
        Side("a", "id", epoch="epoch"),
        Side("b", "id", epoch="epoch", pmra="pmra", pmdec="pmdec"),
        0.1,
        "pairs",
    )
    assert pairs_of(connection)["left_id"].tolist() == [0, 1, 2]


@pytest.mark.skipif(shutil.which("stilts") is None, reason="stilts is not installed (Debian package stilts)")
def test_same_pairs_as_stilts(tmp_path):
    rng = np.random.default_rng(11)
    ra, dec = hard_sky(20_000, rng)
    ra2, dec2 = shifted(ra, dec, 1.0, rng)
    names = []
    for name, (x, y) in {"a": (ra, dec), "b": (ra2, dec2)}.items():
        names.append(tmp_path / f"{name}.fits")
        Table({"id": np.arange(len(x)), "ra_deg": x, "dec_deg": y}).write(names[-1])
    out = tmp_path / "out.fits"
    files = [f"in1={names[0]}", f"in2={names[1]}", f"out={out}"]
    columns = ["ra1=ra_deg", "dec1=dec_deg", "ra2=ra_deg", "dec2=dec_deg"]
    # with its own choice of HEALPix level STILTS 3.4.7 loses pairs that lie across 0h
    how = ["error=1.5", "find=all", "join=1and2", "tuning=12"]
    subprocess.run(["stilts", "tskymatch2", *files, *columns, *how], check=True, capture_output=True)
    theirs = Table.read(out)
    connection = connection_with(a={"ra_deg": ra, "dec_deg": dec}, b={"ra_deg": ra2, "dec_deg": dec2})
    match(connection, Side("a", "id"), Side("b", "id"), 1.5, "pairs")
    found = pairs_of(connection)
    order = np.lexsort((theirs["id_2"], theirs["id_1"]))
    np.testing.assert_array_equal(found["left_id"], theirs["id_1"][order])
    np.testing.assert_array_equal(found["right_id"], theirs["id_2"][order])
    np.testing.assert_allclose(found["separation_arcsec"], theirs["Separation"][order], atol=1e-5)


def star_catalogue():
    connection = duckdb.connect()
    connection.execute("create table star as select 1 as star_id, 10.0::double as ra_deg, 20.0::double as dec_deg")
    return connection


@pytest.mark.parametrize(
    ("ra", "dec"), [("RAJ2000", "DEJ2000"), ("ra", "dec"), ("_RA.icrs", "_DE.icrs"), ("RA_ICRS", "DE_ICRS")]
)
def test_own_table_with_the_usual_names(ra, dec):
    connection = star_catalogue()
    connection.execute(
        f'create table mine as select 10.0001 as "{ra}", 20.0 as "{dec}", 7 as note union all select 99, 20, 8'
    )
    assert match_table(connection, "mine", 2) == ("match_mine", 1)
    row = connection.execute(
        "select note, star_id, separation_arcsec, match_rank, is_best, is_ambiguous from match_mine"
    ).fetchone()
    assert row[:2] + row[3:] == (7, 1, 1, True, False)
    assert row[2] == pytest.approx(0.36 * np.cos(np.radians(20)), rel=1e-6)


@pytest.mark.parametrize(
    ("ra", "dec"),
    [
        ("00:40:00.024", "+20:00:00"),
        ("0h40m00.024s", "20d00m00s"),
        (" 00 40 00.024", "20 00 00.0 "),
        ("10.0001", "2e1"),
    ],
)
def test_own_table_with_positions_as_text(ra, dec):
    connection = star_catalogue()
    connection.execute("create table mine as select ? as ra, ? as dec union all select null, ''", [ra, dec])
    assert match_table(connection, "mine", 2) == ("match_mine", 1)
    row = connection.execute("select ra, dec, separation_arcsec from match_mine").fetchone()
    assert row[:2] == (ra, dec)  # as they were written
    assert row[2] == pytest.approx(0.36 * np.cos(np.radians(20)), rel=1e-6)


@pytest.mark.parametrize(
    ("sql", "arguments", "words"),
    [
        ("select 1", ("nowhere", 2), "no table nowhere"),
        ("select 1", ("nowhere.csv", 2), "no table nowhere.csv in this catalogue, and no such file"),
        ("create table my_stars as select 1 as ra, 2 as dec", ("my_star", 2), "did you mean my_stars"),
        ("create table mine as select 1 as x, 2 as y", ("mine", 2), "name them with --ra and --dec; it has x, y"),
        ("create table mine as select 1 as x, 2 as y", ("mine", 2, "x", "z"), "no column z"),
        ("create table mine as select 1 as x, 2 as y", ("mine", 2, "x"), "both columns"),
        ("create table mine as select '00:12:x' as ra, 2 as dec", ("mine", 2), "ra has 00:12:x, which is no position"),
        ("create table mine as select date '2020-01-01' as ra, 2 as dec", ("mine", 2), "neither degrees nor text"),
        ("create table mine as select 1 as ra, 2 as dec, 3 as star_id", ("mine", 2), "has a column star_id"),
        ("create table mine as select 1 as ra, 2 as dec", ("mine", 0), "radius of 0"),
        ("create table mine as select 1 as ra, 2 as dec", ("mine", float("nan")), "radius of nan"),
        ("create table mine as select 1 as ra, 2 as dec", ("mine", 2, None, None, "STAR"), "that no match made"),
        ("create view mine as select 1 as ra, 2 as dec", ("mine", 2, None, None, "mine"), "that no match made"),
        ("select 1", ("http://127.0.0.1:1/x.csv", 2), "no table http://127.0.0.1:1/x.csv in this catalogue"),
    ],
)
def test_own_table_with_wrong_words(sql, arguments, words):
    connection = star_catalogue()
    connection.execute(sql)
    with pytest.raises(ValueError, match=words):
        match_table(connection, *arguments)


def test_be_stars_of_1982_in_a_table_like_hipparcos(real_data):
    """A list of epoch 2000 finds its stars in a catalogue of epoch 1991.25 with proper motions."""
    connection = duckdb.connect()
    be = pd.read_csv(real_data / "catalogues" / "jaschek_egret_1982.csv")[["bd", "ra_deg", "dec_deg"]]
    be.insert(0, "id", np.arange(len(be)))
    connection.execute("create table be as from be")
    rng = np.random.default_rng(4)
    pmra, pmdec = rng.normal(0, 300, (2, len(be)))
    ra, dec = after(be.ra_deg.to_numpy(), be.dec_deg.to_numpy(), pmra, pmdec, np.full(len(be), 2000.0), 1991.25)
    hipparcos = pd.DataFrame({"HIP": be.id, "RAICRS": ra, "DEICRS": dec, "pmRA": pmra, "pmDE": pmdec})  # noqa: F841
    connection.execute("create table hipparcos as from hipparcos")
    left = Side("be", "id", epoch="2000.0")
    right = Side("hipparcos", "HIP", "RAICRS", "DEICRS", epoch="1991.25", pmra="pmRA", pmdec="pmDE")
    match(connection, left, right, 0.05, "pairs")
    assert connection.execute("select count(distinct left_id) from pairs where left_id = right_id").fetchone() == (
        len(be),
    )
    connection.execute("alter table be rename to star")
    connection.execute("alter table star rename id to star_id")
    assert match_table(connection, "hipparcos", 20)[1] >= len(be)
