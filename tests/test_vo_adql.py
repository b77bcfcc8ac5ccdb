"""ADQL on the snapshot: the same rows as astropy and plain SQL find, and nothing that is not published."""

from __future__ import annotations

import csv
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord, search_around_sky
from hypothesis import given, settings
from hypothesis import strategies as st

from becat.publish.allowed_sql import guard
from becat.publish.vo.tap import worker
from becat.publish.vo.tap.adql import AdqlError, translate
from becat.publish.vo.tap.geometry import register
from becat.publish.vo.votable import Field
from tests.tools.vo_fixture import Asker

EXAMPLES = Path(__file__).parents[1] / "publish" / "vo" / "tap" / "examples"


@pytest.fixture(autouse=True)
def _errors_in_functions_are_sqlite_s_alone():
    """Datasette, where it was imported before, has them printed too, and pytest takes that for a failure."""
    sqlite3.enable_callback_tracebacks(False)


@pytest.fixture(scope="module")
def asker(tmp_path_factory):
    return Asker(tmp_path_factory)


@pytest.fixture(scope="module")
def stars(asker):
    with closing(sqlite3.connect(asker.path)) as connection:
        rows = connection.execute("select star_id, ra_deg, dec_deg from star order by star_id").fetchall()
    identities, ra, dec = np.array(rows).T
    return identities.astype(int), SkyCoord(ra, dec, unit="deg")


@pytest.mark.parametrize(
    ("centre", "radius"), [((120.0, 45.0), 20.0), ((0.3, 40.0), 25.0), ((200.0, 89.0), 40.0), ((90.0, -80.0), 120.0)]
)
def test_circles_hold_the_stars_that_astropy_finds(asker, stars, centre, radius):
    identities, sky = stars
    near = sky.separation(SkyCoord(*centre, unit="deg")).deg <= radius
    expected = sorted(identities[near].tolist())
    assert expected
    point, circle = "POINT('ICRS', ra_deg, dec_deg)", f"CIRCLE('ICRS', {centre[0]}, {centre[1]}, {radius})"
    for condition in (
        f"1 = CONTAINS({point}, {circle})",
        f"CONTAINS({point}, {circle}) = 1",
        f"NOT (0 = CONTAINS({point}, {circle}))",
        f"1 = INTERSECTS({circle}, {point})",
        f"DISTANCE({point}, POINT('ICRS', {centre[0]}, {centre[1]})) <= {radius}",
        f"{radius} >= DISTANCE(ra_deg, dec_deg, {centre[0]}, {centre[1]})",
        f"1 = CONTAINS(POINT(ra_deg, dec_deg), CIRCLE(POINT({centre[0]}, {centre[1]}), {radius}))",
    ):
        found = asker.rows(f"SELECT star_id FROM becat.star WHERE {condition} ORDER BY star_id")
        assert [int(row["star_id"]) for row in found] == expected, condition


@pytest.mark.parametrize("shape", ["circle('',1,2,3)", "box('',1,2,3,4)", "polygon('',1,-2, 3,-2, 3,4.5)"])
def test_shapes_use_the_index_on_declination(asker, shape):
    columns = {name: Field(name, "double") for name in ("star_id", "ra_deg", "dec_deg")}
    sql = translate(f"select star_id from star where 1=contains(point('',ra_deg,dec_deg),{shape})", {("becat", "star"): columns}).sql  # fmt: skip
    with closing(sqlite3.connect(asker.path)) as connection:
        register(connection)
        plan = " ".join(row[3] for row in connection.execute("explain query plan " + sql.replace('"becat".', "")))
    assert "USING" in plan and "INDEX" in plan and "dec_deg>? AND dec_deg<?" in plan


def test_boxes_and_polygons(asker, stars):
    identities, sky = stars
    box = (np.abs((sky.ra.deg - 10 + 180) % 360 - 180) <= 30) & (np.abs(sky.dec.deg - 50) <= 20)
    found = asker.rows(
        "SELECT star_id FROM star WHERE 1=CONTAINS(POINT('ICRS',ra_deg,dec_deg), BOX('ICRS',10,50,60,40))"
    )
    assert sorted(int(row["star_id"]) for row in found) == sorted(identities[box].tolist())
    octant = (sky.ra.deg <= 90) & (sky.dec.deg >= 0)
    found = asker.rows(
        "SELECT star_id FROM star WHERE 1=CONTAINS(POINT('',ra_deg,dec_deg), POLYGON('',0,0, 90,0, 0,90))"
    )
    assert sorted(int(row["star_id"]) for row in found) == sorted(identities[octant].tolist())


def test_a_join_of_positions_is_that_of_astropy(asker, stars):
    identities, sky = stars
    first, second, _, _ = search_around_sky(sky, sky, 4 * u.deg)
    expected = {(int(identities[a]), int(identities[b])) for a, b in zip(first, second, strict=True) if a != b}
    assert expected
    for condition in (
        "1 = CONTAINS(POINT('ICRS', b.ra_deg, b.dec_deg), CIRCLE('ICRS', a.ra_deg, a.dec_deg, 4))",
        "DISTANCE(POINT(a.ra_deg, a.dec_deg), POINT(b.ra_deg, b.dec_deg)) <= 4",
    ):
        found = asker.rows(
            f"SELECT a.star_id AS one, b.star_id AS other FROM star AS a JOIN star AS b ON {condition}"
            " WHERE a.star_id <> b.star_id"
        )
        assert {(int(row["one"]), int(row["other"])) for row in found} == expected


# Pairs of ADQL and what SQLite itself is asked; the rows must be the same.
PAIRS = [
    ("SELECT TOP 7 star_id, snr_r FROM spectrum ORDER BY snr_r DESC",
     "select star_id, snr_r from spectrum order by snr_r desc limit 7"),
    ("SELECT s.star_id, COUNT(*) AS n FROM star AS s, spectrum AS t WHERE s.star_id = t.star_id GROUP BY s.star_id HAVING COUNT(*) > 2 ORDER BY 1",
     "select star_id, count(*) from spectrum group by star_id having count(*) > 2 order by 1"),
    ("SELECT star_id, designation FROM star NATURAL JOIN kinematics WHERE v_tp_km_s > 5 ORDER BY star_id",
     "select star_id, designation from star join kinematics using (star_id) where v_tp_km_s > 5 order by star_id"),
    ("SELECT DISTINCT survey FROM becat.spectrum", "select distinct survey from spectrum"),
    ("SELECT star_id FROM star WHERE star_id IN (SELECT star_id FROM classical_be) AND designation LIKE 'J%' ORDER BY star_id OFFSET 2",
     "select star_id from star where star_id in (select star_id from classical_be) and designation glob 'J*' order by star_id limit -1 offset 2"),
    ("SELECT star_id FROM star WHERE designation ILIKE 'j0%' ORDER BY star_id",
     "select star_id from star where designation like 'j0%' order by star_id"),
    ("(SELECT TOP 2 star_id FROM star ORDER BY star_id) UNION (SELECT TOP 2 star_id FROM star ORDER BY star_id DESC) ORDER BY star_id",
     "select * from (select star_id from star order by star_id limit 2) union select * from (select star_id from star order by star_id desc limit 2) order by 1"),
    ("WITH hot AS (SELECT star_id, teff_k FROM spectrum WHERE teff_k > 8000) SELECT COUNT(*) AS n FROM hot",
     "select count(*) from spectrum where teff_k > 8000"),
    ("SELECT TOP 3 LOG(snr_r) AS a, LOG10(snr_r) AS b, POWER(snr_r, 2) AS c, MOD(star_id, 7) AS d, CEILING(snr_r) AS e, TRUNCATE(snr_r, 1) AS f, ROUND(snr_r, -1) AS g, SQRT(snr_r) AS h, COT(snr_r) AS i, PI() AS j, ATAN2(snr_r, 2) AS k, DEGREES(snr_r) AS l FROM spectrum ORDER BY spectrum_id",
     "select ln(snr_r), log10(snr_r), snr_r * snr_r, star_id % 7, ceil(snr_r), trunc(snr_r * 10) / 10.0, round(snr_r / 10) * 10.0, sqrt(snr_r), 1 / tan(snr_r), pi(), atan2(snr_r, 2), degrees(snr_r) from spectrum order by spectrum_id limit 3"),
    ("SELECT CAST(snr_r AS INTEGER) AS a, CAST(star_id AS VARCHAR(20)) AS b, CAST('2.5' AS DOUBLE PRECISION) AS c, 7/2 AS d, 7/2.0 AS e, 'a' || 'b' AS f, COALESCE(teff_k, -1) AS g FROM spectrum ORDER BY spectrum_id",
     "select cast(snr_r as integer), cast(star_id as text), 2.5, 3, 3.5, 'ab', coalesce(teff_k, -1) from spectrum order by spectrum_id"),
    ("SELECT s.star_id FROM star AS s LEFT OUTER JOIN literature_match AS m ON s.star_id = m.star_id WHERE m.star_id IS NULL AND s.ra_deg BETWEEN 10 AND 200 ORDER BY s.star_id",
     "select star_id from star where star_id not in (select star_id from literature_match) and ra_deg between 10 and 200 order by star_id"),
    ("SELECT v.star_id FROM verdict AS v WHERE EXISTS (SELECT 1 FROM runaway AS r WHERE r.star_id = v.star_id) ORDER BY v.star_id",
     "select star_id from runaway order by star_id"),
    ("SELECT r.* FROM (SELECT TOP 4 * FROM star ORDER BY star_id) AS r ORDER BY ra_deg",
     "select * from (select * from star order by star_id limit 4) order by ra_deg"),
]  # fmt: skip


@pytest.mark.parametrize(("adql", "sql"), PAIRS)
def test_queries_give_the_rows_of_plain_sql(asker, adql, sql):
    found = [list(row.values()) for row in asker.rows(adql)]
    with closing(sqlite3.connect(asker.path)) as connection:
        expected = connection.execute(sql).fetchall()
    assert len(found) == len(expected) > 0
    for ours, theirs in zip(found, expected, strict=True):
        for our, their in zip(ours, theirs, strict=True):
            if isinstance(their, float):
                assert float(our) == pytest.approx(their, rel=1e-12)
            else:
                assert our == ("" if their is None else str(their))


def test_every_column_of_every_table_can_be_asked_for_by_its_published_name(asker):
    columns: dict[str, list[str]] = {}
    for row in asker.rows("SELECT table_name, column_name FROM TAP_SCHEMA.columns"):
        columns.setdefault(row["table_name"], []).append(row["column_name"])
    assert len(columns) > 55
    for table, names in columns.items():
        outcome = asker.answer(f"SELECT TOP 1 {', '.join(names)} FROM {table}", "votable")
        assert outcome["ok"], (table, outcome)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.adql")), ids=lambda path: path.stem)
def test_examples_run(asker, path):
    asker.rows("\n".join(path.read_text(encoding="utf-8").splitlines()[2:]))


def test_units_ucds_and_types_come_from_the_schema(asker):
    table = asker.table(
        "SELECT b.star_id, b.ra_deg AS alpha, MAX(ew_halpha_a) AS strongest, COUNT(*) AS n, is_new,"
        " POINT(b.ra_deg, b.dec_deg) AS place FROM classical_be AS b GROUP BY b.star_id, b.ra_deg, b.dec_deg, is_new"
    )
    assert table["alpha"].unit == u.deg
    assert table["alpha"].meta["ucd"].startswith("pos.eq.ra")
    assert table["strongest"].unit == u.Angstrom
    assert table["star_id"].dtype == np.int64
    assert table["is_new"].dtype == np.int16 and set(table["is_new"]) <= {0, 1}
    assert table["place"].shape == (len(table), 2)
    np.testing.assert_allclose(table["place"][:, 0], table["alpha"])
    empty = asker.table("SELECT star_id, designation, ra_deg FROM star WHERE 1 = 0")
    assert [empty[name].dtype.kind for name in empty.colnames] == ["i", "O", "f"]


def test_formats_hold_the_same_rows(asker):
    adql = "SELECT star_id, designation, ra_deg, teff_k FROM spectrum ORDER BY spectrum_id"
    votable, fits = asker.table(adql), asker.table(adql, "fits")
    rows = asker.rows(adql)
    assert len(votable) == len(fits) == len(rows)
    assert [int(row["star_id"]) for row in rows] == votable["star_id"].tolist() == fits["star_id"].tolist()
    np.testing.assert_array_equal(votable["ra_deg"], [float(row["ra_deg"]) for row in rows])
    assert asker.answer(adql, "tsv")["ok"]
    assert len(list(csv.reader(asker.result().decode().splitlines(), dialect="excel-tab"))) == len(rows) + 1


def test_maxrec_says_when_rows_are_left(asker):
    outcome = asker.answer("SELECT star_id FROM star", "votable", rows_max=5)
    assert outcome["overflow"] and outcome["rows"] == 5 and b'value="OVERFLOW"' in asker.result()
    outcome = asker.answer("SELECT TOP 5 star_id FROM star", "votable", rows_max=5)
    assert not outcome["overflow"] and b"OVERFLOW" not in asker.result()
    outcome = asker.answer("SELECT star_id FROM star", "votable", rows_max=0)
    assert outcome["rows"] == 0 and b"<FIELD" in asker.result()


REFUSED = [
    ("SELECT * FROM sqlite_master", "no table sqlite_master"),
    ("SELECT * FROM main.sqlite_master", "no table main.sqlite_master"),
    ("SELECT * FROM star_search", "no table star_search"),
    ("SELECT * FROM becat.star_search_data", "no table"),
    ("SELECT * FROM pragma_table_info('star')", "no function pragma_table_info"),
    ("SELECT * FROM json_each('[1]')", "no function json_each"),
    ("SELECT load_extension('x') FROM star", "no function load_extension"),
    ("SELECT readfile('/etc/passwd') FROM star", "no function readfile"),
    ("SELECT becat_point(1, 2) FROM star", "no function becat_point"),
    ("SELECT randomblob(1000000000) FROM star", "no function randomblob"),
    ("SELECT printf('%1000000000d', 1) FROM star", "no function printf"),
    ("DELETE FROM star", "only SELECT"),
    ("DROP TABLE star", "only SELECT"),
    ("SELECT 1 FROM star; DROP TABLE star", "one SELECT"),
    ("ATTACH DATABASE '/tmp/x' AS y", ""),
    ("PRAGMA table_info(star)", ""),
    ("VACUUM INTO '/tmp/x'", ""),
    ("INSERT INTO star SELECT * FROM star", ""),
    ("SELECT * INTO x FROM star", ""),
    ("WITH RECURSIVE n(i) AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n", "not in the ADQL"),
    ("SELECT dec FROM star", "no column dec in the tables of this query; is it dec_deg?"),
    ("SELECT star_id FROM star, spectrum", "in several tables"),
    ("SELECT star_id FROM starr", "is it star"),
    ("SELECT ABS(1, 2) FROM star", "ABS takes 1"),
    ("SELECT POINT('GALACTIC', ra_deg, dec_deg) FROM star", "ICRS"),
    ("SELECT CIRCLE('ICRS', 1, 2, -3) FROM star", "radius"),
    ("SELECT POLYGON('ICRS', 1, 2, 3, 4) FROM star", "three vertices"),
    ("SELECT", "not ADQL"),
    ("", "one SELECT"),
    ("SELECT " + "(" * 3000 + "1" + ")" * 3000 + " FROM star", "nested"),
    ("SELECT star_id FROM star WHERE " + " OR ".join(["star_id = 1"] * 5000), "longer than"),
    ("SELECT CAST(ra_deg AS BLOB) FROM star", "no type"),
    ("SELECT star_id FROM star TABLESAMPLE (10)", ""),
    ("SELECT star_id FROM star WHERE designation = 'x' FOR UPDATE", ""),
]


@pytest.mark.parametrize(("adql", "says"), REFUSED, ids=[words[:40] for words, _ in REFUSED])
def test_what_is_not_published_is_refused_in_words(asker, adql, says):
    before = asker.path.stat()
    said = asker.error(adql)
    assert says in said
    assert "\x1b" not in said and "sqlglot" not in said
    after = asker.path.stat()
    assert (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size)


def test_quotes_and_comments_break_out_of_nothing(asker):
    assert asker.rows("SELECT star_id FROM star WHERE designation = 'x''; DROP TABLE star; --'") == []
    assert asker.rows('SELECT \'a"]; drop table star --\' AS "x"";drop" FROM star WHERE star_id = 10000 -- */ drop')
    assert len(asker.rows("SELECT star_id FROM star")) == 90


def test_the_second_wall_holds_without_the_first(asker):
    with closing(worker.connect(str(asker.path), str(asker.tap_schema))) as connection:
        guard(connection, pages=False)
        for sql in (
            "select * from becat.sqlite_master", "pragma table_info(star)", "attach ':memory:' as x",
            "create table t (a)", "create temp table t (a)", "delete from becat.star", "select load_extension('x')",
            "vacuum", "with recursive n(i) as (select 1 union all select i+1 from n) select * from n limit 3",
        ):  # fmt: skip
            with pytest.raises(sqlite3.DatabaseError):
                connection.execute(sql).fetchall()
        assert connection.execute("select count(*) from star").fetchone() == (90,)


WORDS = (
    "SELECT FROM WHERE star spectrum star_id ra_deg ( ) , * = < 1 2.5 'x' \" ' -- ; AND OR NOT TOP POINT CIRCLE CONTAINS JOIN ON"
    " AS a b UNION ORDER BY GROUP COUNT CAST INTEGER NULL IN EXISTS /* */ . || + - / becat TAP_SCHEMA tables"
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(WORDS.split()), max_size=25))
def test_any_words_give_an_answer_or_a_plain_error(words):
    columns = {name: Field(name, "double") for name in ("star_id", "ra_deg")}
    catalogue = {("becat", "star"): columns, ("becat", "spectrum"): columns}
    try:
        translate("SELECT " + " ".join(words), catalogue)
    except AdqlError as error:
        assert str(error)
