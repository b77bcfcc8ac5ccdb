"""Fetching through the real astroquery clients from servers on loopback: every fault is mended or named."""

from __future__ import annotations

import dataclasses
import shutil

import duckdb
import numpy as np
import pandas as pd
import pytest

from becat.etl.archives import sources
from becat.etl.archives.apply import apply
from becat.etl.archives.fetch import Manners, fetch
from becat.etl.archives.ingest import ingest_file
from becat.etl.match.stars import gather
from becat.schema.errors import BecatError
from tests.tools.pipeline_tools import becat
from tests.tools.servers.archive_server import ArchiveServer
from tests.tools.view_rows import catalogue

N = 25
QUICK = Manners(chunk=10, tries=4, first_wait_s=0.01, pause_s=0.0, timeout_s=1.0)
BY_POSITION = ["tmass", "gaia", "gaia_distance", "simbad"]


def sky():
    """Positions of N stars, and last of the star that every archive must know."""
    rng = np.random.default_rng(5)
    ra, dec = rng.uniform(0, 360, N), rng.uniform(-10, 80, N)
    place = sources.sentinel()
    return np.append(ra, place.ra_deg), np.append(dec, place.dec_deg)


@pytest.fixture
def server():
    ra, dec = sky()
    dec = dec + 0.3 / 3600
    n = len(ra)
    number = np.arange(n)
    mag = 9 + number / 10
    tmass = pd.DataFrame({
        "2MASS": [f"{i:08d}+0000000" for i in number], "RAJ2000": ra, "DEJ2000": dec, "Jmag": mag, "e_Jmag": 0.02,
        "Hmag": mag - 0.1, "e_Hmag": 0.02, "Kmag": mag - 0.15, "e_Kmag": 0.02, "Qfl": "AAA",
    })  # fmt: skip
    ids = 5_000_000_000_000_000_001 + number  # more digits than a double holds
    gaia = {name[0]: 1.0 for name in sources.source("gaia").columns.values()} | {"source_id": ids, "ra": ra, "dec": dec}
    gaia = pd.DataFrame(gaia | {"pmra": 0.5, "pmdec": -0.5, "parallax": 0.4, "pmra_pmdec_corr": 0.1})
    distance = pd.DataFrame({"source_id": ids, "r_med_geo": 1000.0 + number, "r_lo_geo": 900.0, "r_hi_geo": 1100.0})
    simbad = pd.DataFrame({
        "main_id": [f"* {i}" for i in number], "otype": ["Be*" if i % 2 else "*" for i in number], "ra": ra, "dec": dec,
        "sp_type": ["B2Ve" if i % 3 else None for i in number], "sp_bibcode": "1955ApJS....2...41M", "pmra": 0.5, "pmdec": -0.5,
    })  # fmt: skip
    chen = pd.DataFrame({"_RAJ2000": ra[:5], "_DEJ2000": dec[:5], "Name": [f"Chen {i}" for i in range(5)]})
    server = ArchiveServer(
        {
            "vizier:II/246/out": tmass,
            "gaiaedr3.gaia_source": gaia,
            "external.gaiaedr3_distance": distance,
            "basic": simbad,
            "J/MNRAS/463/1162": chen,
        },
        {"vizier:II/246/out": ("RAJ2000", "DEJ2000")},
    )
    yield server
    server.close()


@pytest.fixture(scope="module")
def with_stars(tmp_path_factory):
    """A catalogue with the first stars of the sky; to be copied."""
    path = tmp_path_factory.mktemp("stars") / "catalogue.duckdb"
    with catalogue(path) as connection:
        add_stars(connection, *(values[:N] for values in sky()))
    return path


@pytest.fixture
def connection(with_stars, tmp_path):
    with duckdb.connect(str(shutil.copy(with_stars, tmp_path))) as connection:
        yield connection


def add_stars(connection, ra, dec, first=1):
    frame = pd.DataFrame({"spectrum_id": first + np.arange(len(ra)), "ra_deg": ra, "dec_deg": dec})  # noqa: F841
    connection.execute("""
        insert into spectrum (spectrum_id, ra_deg, dec_deg, designation, is_simulated, survey, file, coadd, has_blue)
        select spectrum_id, ra_deg, dec_deg, 'J' || spectrum_id, false, 'LAMOST MRS', 'f', true, true from frame
    """)
    gather(connection, 1)


def fetched(connection, server, names, cache, manners=QUICK):
    waits = []
    results = fetch(connection, names, cache, servers=server.servers, manners=manners, sleep=waits.append)
    return {result.source: result for result in results}, waits


def archive_rows(connection, name):
    return connection.execute(f"select count(*) from archive.{name}").fetchone()[0]


def test_everything_is_fetched_and_matched(connection, server, tmp_path):
    done, _ = fetched(connection, server, [*BY_POSITION, "chen_2016"], tmp_path / "cache")
    assert {name: result.error for name, result in done.items()} == dict.fromkeys([*BY_POSITION, "chen_2016"])
    assert [done[name].n_rows for name in BY_POSITION] == [N] * 4  # the sentinel is in none
    assert done["chen_2016"].n_rows == 5
    assert server.asked == {"xmatch": 3, "gaia_tap": 6, "simbad_tap": 3, "vizier": 1}
    assert server.most_at_once == 1
    assert any(agent.startswith("becat/") for agent in server.agents)
    apply(connection, 1)
    assert connection.execute("select count(*), count(j_mag), count(g_mag) from photometry").fetchone() == (N, N, N)
    assert connection.execute("select count(*), min(source_id), min(distance_pc) from astrometry").fetchone() == (
        N,
        5_000_000_000_000_000_001,
        1000.0,
    )
    kinds = connection.execute(
        "select catalogue_id, object_class, count(*) from literature_match group by all order by all"
    ).fetchall()
    assert kinds == [("chen_2016", "CBe", 5), ("simbad", "*", 13), ("simbad", "CBe", 12)]
    assert connection.execute("select count(*) from spectral_type where is_adopted and year = 1955").fetchone() == (16,)


# Every fault for every service; half a whole table is known only by rows_min, and the slow fault is tried once a client.
FAULTS = [(name, fault) for name in BY_POSITION for fault in ("500", "cut", "empty", "half", "extra")]
FAULTS += [("chen_2016", fault) for fault in ("500", "cut", "empty")]
FAULTS += [(name, "timeout") for name in ("tmass", "gaia", "simbad", "chen_2016")]


@pytest.mark.parametrize(("name", "fault"), FAULTS)
def test_a_passing_fault_is_mended(connection, server, tmp_path, name, fault):
    server.faults = [fault]
    done, waits = fetched(connection, server, [name], tmp_path / "cache")
    assert done[name].error is None
    assert done[name].n_rows == (5 if name == "chen_2016" else N)
    assert (
        archive_rows(connection, name)
        == connection.execute(f"select count(*) from (select distinct * from archive.{name})").fetchone()[0]
    )
    assert any(wait > 0 for wait in waits)


def test_a_lasting_fault_is_named_and_the_fetch_goes_on_later(connection, server, tmp_path):
    server.faults = [""] + ["500"] * 4  # the second of three chunks fails for good
    done, waits = fetched(connection, server, ["tmass", "chen_2016"], tmp_path / "cache")
    assert "no whole answer about 10 stars in 4 tries" in done["tmass"].error
    assert done["chen_2016"].error is None
    backoff = [wait for wait in waits if wait > 0]
    assert len(backoff) == 3 and 0.01 <= backoff[0] <= 0.02 and 0.04 <= backoff[2] <= 0.08
    assert connection.execute("select count(*) from archive.source where source = 'tmass'").fetchone() == (0,)
    server.asked.clear()
    done, _ = fetched(connection, server, ["tmass", "chen_2016"], tmp_path / "cache")
    assert done["tmass"].error is None
    assert (done["tmass"].n_asked, done["tmass"].n_known, done["tmass"].n_rows) == (10, 15, N)
    assert server.asked == {"xmatch": 1}


def test_nothing_is_asked_twice_and_only_new_stars_are(connection, server, tmp_path):
    fetched(connection, server, BY_POSITION, tmp_path / "cache")
    server.asked.clear()
    fetched(connection, server, BY_POSITION, tmp_path / "cache")
    assert not server.asked
    place = sources.sentinel()
    add_stars(connection, np.array([place.ra_deg]), np.array([place.dec_deg]), first=1000)
    done, _ = fetched(connection, server, BY_POSITION, tmp_path / "cache")
    assert {r.n_asked for r in done.values()} == {1}
    assert archive_rows(connection, "tmass") == N + 1


def test_no_counterpart_is_a_valid_answer(connection, server, tmp_path):
    server.tables["vizier:II/246/out"] = server.tables["vizier:II/246/out"].iloc[
        -1:
    ]  # the archive knows only the sentinel
    done, waits = fetched(connection, server, ["tmass"], tmp_path / "cache")
    assert (done["tmass"].error, done["tmass"].n_rows) == (None, 0)
    assert not any(waits)
    server.asked.clear()
    fetched(connection, server, ["tmass"], tmp_path / "cache")
    assert not server.asked
    apply(connection, 1)
    assert connection.execute("select count(*) from photometry").fetchone() == (0,)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [("tmass", "Jmag", "Jmagnitude"), ("gaia", "ruwe", "renormalised"), ("chen_2016", "Name", "Star_name")],
)
def test_a_renamed_column_is_named_at_once(connection, server, tmp_path, name, old, new):
    server.renamed = {old: new}
    done, waits = fetched(connection, server, [name], tmp_path / "cache")
    assert f"must have a column {old}" in done[name].error
    assert sum(server.asked.values()) == 1
    assert not any(waits)


def test_a_source_without_a_service(connection, server, tmp_path):
    done, _ = fetched(connection, server, ["neiner_2011"], tmp_path / "cache")
    assert "--from FILE" in done["neiner_2011"].error
    with pytest.raises(BecatError, match="did you mean tmass"):
        fetch(connection, ["tmas"], tmp_path / "cache")


MEMBERS = {"RA_ICRS": [10.0, 20.0], "DE_ICRS": [60.0, 61.0], "Source": [2**62 + 1, 2**62 + 3], "Cluster": ["NGC_1", "NGC_2"],
           "PMemb": [1.0, 0.5], "pmRA": [1.0, 2.0], "pmDE": [0.0, 0.0], "plx": [0.5, 0.4], "Gmag": [9.0, 9.0]}  # fmt: skip


def test_a_large_table_comes_with_the_columns_that_are_read(connection, server, tmp_path, monkeypatch):
    server.tables["J/A+A/618/A93/members"] = pd.DataFrame(MEMBERS)
    small = dataclasses.replace(sources.load()["cantat_gaudin_2018"], rows_min=2)
    monkeypatch.setitem(sources.load(), "cantat_gaudin_2018", small)
    done, _ = fetched(connection, server, ["cantat_gaudin_2018"], tmp_path / "cache")
    assert done["cantat_gaudin_2018"].error is None and server.asked == {"tapvizier": 1}
    names = [row[0] for row in connection.execute("describe archive.cantat_gaudin_2018").fetchall()]
    assert set(names) == set(MEMBERS) - {"Gmag"}
    assert connection.execute("select max(Source) from archive.cantat_gaudin_2018").fetchone() == (2**62 + 3,)
    server.renamed = {"Cluster": "Name"}
    monkeypatch.setitem(sources.load(), "cantat_gaudin_2018", dataclasses.replace(small, rows_min=1))
    done, _ = fetched(connection, server, ["cantat_gaudin_2018"], tmp_path / "cache")
    assert "Cluster" in done["cantat_gaudin_2018"].error


def test_vioque_is_asked_for_its_two_tables_only(connection, server, tmp_path):
    place = {"RAdeg": [10.0], "DEdeg": [60.0]}
    server.tables["J/A+A/638/A21/pms"] = pd.DataFrame({**place, "Name": ["a"]})
    server.tables["J/A+A/638/A21/cbe"] = pd.DataFrame({"RAdeg": [20.0], "DEdeg": [60.0], "Name": ["b"]})
    server.tables["J/A+A/638/A21/sos"] = pd.DataFrame({**place, "Name": ["an ordinary star"]})
    add_stars(connection, [10.0, 20.0], [60.0, 60.0], first=1000)
    done, _ = fetched(connection, server, ["vioque_2020"], tmp_path / "cache")
    assert done["vioque_2020"].error is None
    apply(connection, 1)
    found = connection.execute(
        "select object_name, object_class from literature_match where catalogue_id = 'vioque_2020' order by 1"
    ).fetchall()
    assert found == [("a", "Herbig Ae/Be"), ("b", "CBe")]


def test_what_was_seen_of_each_source_is_listed():
    out = becat("fetch", "--list").stdout
    assert "J/A+A/638/A21/pms, J/A+A/638/A21/cbe" in out and "not checked: that this table exists" in out
    for one in sources.load().values():
        assert one.name in out and (one.seen or one.unseen or one.service == "file"), one.name
    assert "name a source" in becat("fetch", check=2).stderr


def test_sizes_that_are_wrong_are_missing_and_the_others_are_degrees(connection, real_data):
    ingest_file(connection, "dias_2021", real_data / "catalogues" / "dias_2021_clusters.csv")
    apply(connection, 1)
    found = dict(connection.execute("select cluster, r50_deg from cluster").fetchall())
    assert [found[name] for name in ("Berkeley 58", "Blanco 1", "NGC 7789", "Berkeley 59")] == [None] * 4
    assert found["NGC 457"] == pytest.approx(0.1, abs=0.1) and sum(r50 is None for r50 in found.values()) == 4


def test_classes_are_the_same_in_capitals_and_small_letters(connection, tmp_path):
    add_stars(connection, [10.0, 20.0], [60.0, 60.0], first=1000)
    (tmp_path / "hou.csv").write_text("_RAJ2000,_DEJ2000,ID,Type\n10,60,a,CBE\n20,60,b,haebe \n")
    ingest_file(connection, "hou_2016", tmp_path / "hou.csv")
    apply(connection, 1)
    rows = connection.execute("select object_name, object_class from literature_match order by 1").fetchall()
    assert rows == [("a", "CBe"), ("b", "Herbig Ae/Be")]


def test_a_list_that_is_younger_than_the_paper_makes_no_star_known(connection, tmp_path):
    add_stars(connection, [10.0], [60.0], first=1000)
    (tmp_path / "an.csv").write_text("ra,dec,Name\n10,60,a\n")
    ingest_file(connection, "an_2026", tmp_path / "an.csv")
    apply(connection, 1)
    assert connection.execute("select object_class from literature_match").fetchall() == [("CBe",)]
    assert connection.execute("select count(*) from literature_flag").fetchone() == (0,)
    connection.execute("update selection_parameter set value = 2026 where name = 'known_until_year'")
    assert connection.execute("select n_cbe_lists, cbe_list from literature_flag").fetchall() == [(1, "an_2026")]
