"""Eight real spectra, nothing fetched: every place says what is not known, and how to know it."""

from __future__ import annotations

import asyncio

import duckdb
import pytest

from becat.publish import site
from becat.publish.snapshot import write as snapshot
from tests.tools.pipeline_tools import becat, real_spectra

# What each archive decides, and the command that brings it.
LATER = {
    "q_index": "becat fetch tmass",
    "contaminant": "becat fetch",
    "spectral_type": "becat fetch skiff_2014 simbad",
    "infrared": "becat fetch tmass",
}


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    folder = tmp_path_factory.mktemp("newcomer")
    path = folder / "catalog.duckdb"
    becat("init", path)
    for command in (("load", *real_spectra()), ("measure",), ("score", "--all")):
        becat(*command, "-c", path)
    return path


@pytest.fixture(scope="module")
def farthest_star(catalogue):
    """The star that gets farthest."""
    with duckdb.connect(str(catalogue), read_only=True) as con:
        assert con.execute("select count(*) from star").fetchone()[0] >= 1
        return con.execute("select star_id, designation from verdict order by step desc nulls first limit 1").fetchone()


def test_no_verdict_rests_on_what_is_not_loaded(catalogue):
    with duckdb.connect(str(catalogue), read_only=True) as con:
        rows = con.execute("""
            select name, result, any_value(decided_by), count(*) from verdict_step
            where name in ('q_index', 'contaminant', 'spectral_type', 'infrared') and quantity not like '%nebular%' group by name, result
        """).fetchall()
        assert {(name, result) for name, result, *_ in rows} == {(name, "unknown") for name in LATER}
        for name, _, decided_by, _ in rows:
            assert LATER[name] in decided_by
        assert con.execute("select count(*) from verdict where result = 'fail' and step >= 80").fetchone() == (0,)


def test_why_says_what_would_decide(catalogue, farthest_star):
    told = becat("why", farthest_star[1], "-c", catalogue).stdout
    assert "no spectral type: `becat fetch skiff_2014 simbad`" in told and "unknown" in told
    assert "Herbig" not in told or "no list of Herbig stars is loaded" in told


def test_the_site_says_which_archives_are_loaded(catalogue, farthest_star):
    path = snapshot.write(catalogue, catalogue.with_suffix(".sqlite"), progress=False).path

    async def pages():
        datasette = site.create(path)
        await datasette.invoke_startup()
        return [(await datasette.client.get(address)).text for address in ("/", f"/star/{farthest_star[0]}")]

    front, star = asyncio.run(pages())
    assert "becat fetch" in front and "not loaded" in front.lower()
    assert "becat fetch skiff_2014 simbad" in star and "unknown" in star.lower()
    assert "becat fetch gaia" in star
