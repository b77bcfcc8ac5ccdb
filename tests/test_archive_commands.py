"""`becat fetch --from` and `becat match`, as a user types them."""

from __future__ import annotations

import duckdb
import pytest

from tests.pipeline_tools import becat, contents, new_catalogue


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
    assert "1 pairs in table match_targets" in becat("match", "targets", "--radius", 2, "-c", catalogue).stdout
    assert "0 pairs" in becat("match", "targets", "--radius", 0.1, "-c", catalogue).stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["fetch", "nonsense"], 2, "known are tmass"),
        (["fetch", "tmass", "gaia", "--from", "{types}"], 2, "name one source"),
        (["fetch", "tmass", "--from", "{types}"], 1, "types.csv"),
        (["match", "targets"], 2, "--radius"),
        (["match", "nowhere", "--radius", "2"], 1, "nowhere"),
    ],
)
def test_wrong_words_are_named_in_one_line(catalogue, tmp_path, words, code, said):
    words = [word.format(types=tmp_path / "types.csv") for word in words]
    done = becat(*words, "-c", catalogue, check=code)
    assert said in done.stderr and done.stderr.count("\n") == 1
