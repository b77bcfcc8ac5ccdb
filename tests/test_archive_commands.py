"""`becat fetch --from` and `becat match`, as a user types them."""

from __future__ import annotations

import duckdb
import pytest

from tests.tools.pipeline_tools import becat, contents, new_catalogue


@pytest.fixture
def catalogue(tmp_path):
    path = new_catalogue(tmp_path / "c.duckdb")
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "insert into star (star_id, designation, ra_deg, dec_deg, is_simulated) values (7, 'J0', 359.9999, 60.0, false)"
        )
    (tmp_path / "types.csv").write_text(
        "_RAJ2000,_DEJ2000,Name,SpType,Bibcode\n0.0001,60.0,across the meridian,B2 Ve,1955ApJS....2...41M\n120.0,5.0,far,A0,2000X\n"
    )
    return path


def test_a_table_from_disk_reaches_the_catalogue_once(catalogue, tmp_path):
    out = becat("fetch", "skiff_2014", "--from", tmp_path / "types.csv", "-c", catalogue).stdout
    assert "2 new rows" in out and "spectral_type 1" in out
    with duckdb.connect(str(catalogue), read_only=True) as connection:
        row = connection.execute(
            "select star_id, spectral_type, subtype_min, luminosity_min, year, is_emission, is_adopted, separation_arcsec from spectral_type"
        ).fetchone()
    assert row[:-1] == (7, "B2 Ve", 12, 5, 1955, True, True) and row[-1] == pytest.approx(0.36, abs=0.01)
    before = contents(catalogue, with_runs=True)
    assert "nothing is new" in becat("fetch", "skiff_2014", "--from", tmp_path / "types.csv", "-c", catalogue).stdout
    assert "nothing is new" in becat("match", "-c", catalogue).stdout
    assert contents(catalogue, with_runs=True) == before


def test_a_table_of_ones_own(catalogue):
    with duckdb.connect(str(catalogue)) as connection:
        connection.execute("create table targets as select 0.0 as ra, 60.0001 as dec, 'x' as name")
    assert (
        "1 pair within 2 arcsec in table match_targets"
        in becat("match", "targets", "--radius", 2, "-c", catalogue).stdout
    )
    assert "0 pairs" in becat("match", "targets", "--radius", 0.1, "-c", catalogue).stdout


def test_a_file_of_ones_own(catalogue, tmp_path):
    own = tmp_path / "my targets.v1.csv"
    own.write_text("name,ra_deg,dec_deg\nx,0.0,60.0001\ny,10.0,60.0\n")
    for _ in range(2):  # the second time it is replaced
        assert (
            "1 pair within 2 arcsec in table match_my_targets"
            in becat("match", own, "--radius", 2, "-c", catalogue).stdout
        )
    star = tmp_path / "star.csv"
    star.write_text(own.read_text())
    assert "rename the file" in becat("match", star, "--radius", 2, "-c", catalogue, check=1).stderr
    bad = tmp_path / "unreadable.csv"
    bad.write_text("name,ra,dec\na,12:00:00,+10:00:00\nb,somewhere,+10:00:00\n")
    assert "somewhere" in becat("match", bad, "-c", catalogue, check=1).stderr
    assert "somewhere" not in becat("match", "unreadable", "-c", catalogue, check=1).stderr  # no table is left of it
    star.write_text("nothing")
    assert "star.csv" in becat("match", star, "--radius", 2, "-c", catalogue, check=1).stderr
    with duckdb.connect(str(catalogue), read_only=True) as connection:
        assert connection.execute("select name, star_id from match_my_targets").fetchall() == [("x", 7)]
        assert connection.execute("select count(*) from star").fetchone() == (1,)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["fetch", "nonsense"], 2, "the sources are tmass"),
        (["fetch", "tmass", "gaia", "--from", "{types}"], 2, "name one source"),
        (["fetch", "tmass", "--from", "{types}"], 1, "types.csv"),
        (["match", "--radius", "2"], 2, "name the TABLE"),
        (["match", "nowhere", "--radius", "2"], 1, "nowhere"),
    ],
)
def test_wrong_words_are_named_in_one_line(catalogue, tmp_path, words, code, said):
    words = [word.format(types=tmp_path / "types.csv") for word in words]
    done = becat(*words, "-c", catalogue, check=code)
    assert said in done.stderr and done.stderr.count("\n") == 1
