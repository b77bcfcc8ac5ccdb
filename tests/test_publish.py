"""The snapshot against the catalogue that it was made from."""

from __future__ import annotations

import math
import os
import shutil
import sqlite3
import threading
from contextlib import closing
from datetime import datetime
from pathlib import Path

import duckdb
import pytest
import sqlglot
from astropy.io.votable.ucd import parse_ucd

from becat.publish.snapshot import profiles
from becat.publish.snapshot import write as snapshot
from becat.publish.snapshot.metadata import column_note, describe
from becat.publish.snapshot.transpile import Macro, inline, read_macros, to_sqlite
from becat.schema import build
from becat.schema.tables import TABLES
from tests.tools.site_fixture import HTML_NAME, SQL_NAME, make_catalogue

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    return make_catalogue(tmp_path_factory.mktemp("catalogue") / "catalog.duckdb", n_stars=200)


@pytest.fixture(scope="module")
def published(catalogue, tmp_path_factory):
    return snapshot.write(catalogue, tmp_path_factory.mktemp("site") / "catalog.sqlite", progress=False)


@pytest.fixture(scope="module")
def site(published):
    with closing(sqlite3.connect(f"file:{published.path}?immutable=1", uri=True)) as connection:
        yield connection


def _plain(value):
    """A value of DuckDB as the snapshot holds it."""
    if isinstance(value, float):
        return None if not math.isfinite(value) else value
    if isinstance(value, bool):
        return int(value)
    return str(value) if isinstance(value, datetime) or (isinstance(value, int) and abs(value) > 2**53) else value


def _sortable(row):
    return [(value is not None, isinstance(value, str), value if value is not None else 0) for value in row]


def _rows(connection, query):
    cursor = connection.execute(query)
    names = [column[0] for column in cursor.description]
    rows = [[_plain(value) for value in row] for row in cursor.fetchall()]
    if "file" in names:  # the snapshot drops the directory that all files share
        place = names.index("file")
        for row in rows:
            row[place] = row[place].rsplit("/", 1)[-1]
    return names, sorted(rows, key=_sortable)


@pytest.mark.parametrize("view", [view.name for view in build.VIEWS])
def test_every_view_has_the_same_rows_in_both_databases(catalogue, site, view):
    with duckdb.connect(str(catalogue), read_only=True) as source:
        names, expected = _rows(source, f'select * from "{view}"')
    found_names, found = _rows(site, f'select * from "{view}"')
    assert found_names == names
    assert len(found) == len(expected)
    # DuckDB adds columns of four-byte floats in four bytes, SQLite in eight: they differ by some millionths.
    for mine, theirs in zip(found, expected, strict=True):
        for name, value, truth in zip(names, mine, theirs, strict=True):
            assert value == (pytest.approx(truth, rel=1e-6, abs=5e-6) if isinstance(truth, float) else truth), name


@pytest.mark.parametrize("table", [name for name in TABLES if name not in snapshot.UNPUBLISHED])
def test_every_table_has_the_same_rows_in_both_databases(catalogue, site, table):
    """With what says which rows are simulated, where the table leaves that to its star or spectrum."""
    columns = TABLES[table].columns.keys()
    by = next((key for key in ("star_id", "spectrum_id") if key in columns and "is_simulated" not in columns), "")
    told = f" left join (select {by}, is_simulated from {by[:-3]}) using ({by})" if by else ""
    with duckdb.connect(str(catalogue), read_only=True) as source:
        expected = _rows(source, f'select * from "{table}"{told}')
    assert _rows(site, f'select * from "{table}"') == expected


def test_views_stay_views_and_move_with_the_thresholds(published, catalogue, tmp_path):
    assert published.n_views >= len(build.VIEWS) - len(published.materialised)
    copy = tmp_path / "copy.sqlite"
    copy.write_bytes(published.path.read_bytes())
    change = "update selection_parameter set value = 0.99 where name = 'be_probability_min'"
    with closing(sqlite3.connect(copy)) as site, duckdb.connect(str(catalogue)) as source:
        source.execute("begin")
        source.execute(change)
        site.execute(change)
        count = "select count(*) from be_candidate"
        assert site.execute(count).fetchone() == source.execute(count).fetchone()
        source.execute("rollback")
        assert site.execute(count).fetchone() != source.execute(count).fetchone()


def test_slow_views_are_written_as_tables_and_say_so(catalogue, tmp_path):
    made = snapshot.write(catalogue, tmp_path / "slow.sqlite", slow_view_s=0, progress=False)
    assert set(made.materialised) == {view.name for view in build.VIEWS}
    with closing(sqlite3.connect(made.path)) as site, duckdb.connect(str(catalogue), read_only=True) as source:
        kinds = set(site.execute("select kind, reason <> '' from view_definition"))
        assert kinds == {("table", 1)}
        assert _rows(site, "select * from be_candidate") == _rows(source, "select * from be_candidate")
    note = describe(made.path)["databases"]["slow"]["tables"]["be_candidate"]["description"]
    assert "Written as a table" in note


def test_gaia_numbers_are_whole(catalogue, site):
    with duckdb.connect(str(catalogue), read_only=True) as source:
        expected = {str(row[0]) for row in source.execute("select source_id from astrometry").fetchall()}
    assert {row[0] for row in site.execute("select source_id from astrometry")} == expected


def test_references_and_search(site):
    assert site.execute("pragma foreign_key_check").fetchall() == []
    found = site.execute("select rowid from star_search where names match '\"EM* SIM\"'").fetchall()
    assert found
    for name in (HTML_NAME, SQL_NAME):
        assert site.execute("select count(*) from star where designation = ?", [name]).fetchone() == (1,)


def test_profiles_of_the_candidates_and_of_a_chosen_set(catalogue, site, tmp_path):
    missing = (
        "select count(*) from spectrum where star_id in (select star_id from be_candidate)"
        " and spectrum_id not in (select spectrum_id from halpha_profile)"
    )
    assert site.execute(missing).fetchone() == (0,)
    start, step, peak = site.execute(
        "select start_a, step_a, (select max(value) from json_each(flux)) from halpha_profile order by 3 desc"
    ).fetchone()
    assert (start, step) == (6520.0, 0.125)
    assert peak > 1.5
    chosen = snapshot.write(
        catalogue, tmp_path / "all.sqlite", profile_sql="select spectrum_id from spectrum", progress=False
    )
    with duckdb.connect(str(catalogue), read_only=True) as source:
        assert source.execute("select count(*) from spectrum").fetchone() == (chosen.n_profiles,)


def test_profiles_that_fit_are_those_of_candidates_then_of_those_that_came_farthest(catalogue, tmp_path):
    """What stays outside the limit never came farther than what is inside."""
    with duckdb.connect(str(catalogue), read_only=True) as source:

        def chosen(*words):
            return [row[0] for row in source.execute(profiles.chosen_sql(*words)).fetchall()]

        of_candidates = set(chosen("candidates"))
        steps = dict(source.execute("select spectrum_id, coalesce(failed_test, 999) from spectrum_verdict").fetchall())
        first = {
            row[0]
            for row in source.execute("select spectrum_id from spectrum_verdict where rank_in_star = 1").fetchall()
        }
        everything = chosen("all")
        assert set(everything[: len(of_candidates)]) == of_candidates
        others = [spectrum_id for spectrum_id in everything[len(of_candidates) :] if spectrum_id in first]
        assert others == everything[len(of_candidates) :][: len(others)]
        assert [steps[spectrum_id] for spectrum_id in others] == sorted((steps[i] for i in others), reverse=True)
        assert chosen("all", 3) == everything[:3]
        assert of_candidates < set(chosen("near")) < set(everything)


def test_paths_of_the_machine_stay_at_home(published):
    assert b"/data/dr7" not in published.path.read_bytes()


def test_provenance_names_program_run_model_and_sources(site):
    facts = dict(site.execute("select name, value from provenance"))
    assert {"becat_version", "published_at", "run_id", "model", "thresholds_changed"} <= set(facts)
    for bibtex, doi in site.execute("select bibtex, doi from citation"):
        assert bibtex.startswith("@")
        assert doi in bibtex


def test_the_file_is_replaced_in_one_step(catalogue, published, tmp_path):
    out = tmp_path / "catalog.sqlite"
    for name in ("catalog.sqlite", "catalog.metadata.json"):
        shutil.copy(published.path.with_name(name), out.with_name(name))
    stop, seen = threading.Event(), []

    def read():
        while not stop.is_set():
            with closing(sqlite3.connect(f"file:{out}?immutable=1", uri=True)) as connection:
                seen.append(connection.execute("select count(*) from be_candidate").fetchone()[0])

    reader = threading.Thread(target=read)
    reader.start()
    snapshot.write(catalogue, out, progress=False)
    stop.set()
    reader.join()
    assert len(set(seen)) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["catalog.metadata.json", "catalog.sqlite"]


def test_what_cannot_be_done_is_said_in_one_line(catalogue, tmp_path):
    with pytest.raises(snapshot.BecatError, match="there is no catalogue"):
        snapshot.write(tmp_path / "none.duckdb", tmp_path / "out.sqlite")
    with pytest.raises(snapshot.BecatError, match="cannot be written"):
        snapshot.write(catalogue, tmp_path / "no folder" / "out.sqlite", progress=False)
    (tmp_path / "text.duckdb").write_text("not a database")
    with pytest.raises(snapshot.BecatError, match="cannot be opened"):
        snapshot.write(tmp_path / "text.duckdb", tmp_path / "out.sqlite", progress=False)
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


def test_macros_are_written_out_as_they_compute():
    connection = duckdb.connect()
    connection.execute("create macro twice(x) as x + x")
    connection.execute("create macro shifted(x, y) as twice(x - y) * 3")
    connection.execute("create table t as select 5.0 as x, 2.0 as y, 7.0 as z")
    macros = read_macros(connection)
    sqlite = sqlite3.connect(":memory:")
    sqlite.execute("create table t (x real, y real, z real)")
    sqlite.execute("insert into t values (5, 2, 7)")
    for query in (
        "select shifted(x, y) from t",
        "select shifted(y * x, x) from t",
        "select twice(twice(z) - x) from t",
        "select 10 - twice(x) from t",
        "select greatest(x, null, y), least(null, z) from t",
        "select 7 / 2 from t",
        "select bool_or(x > y), bool_and(x < y) from t",
    ):
        expected = [float(value) for value in connection.execute(query).fetchone()]
        assert list(sqlite.execute(to_sqlite(query, macros)).fetchone()) == expected, query
    connection.close()
    endless = Macro(("x",), sqlglot.parse_one("f(x)", read="duckdb"))
    with pytest.raises(ValueError, match="without end"):
        inline(sqlglot.parse_one("select f(1)", read="duckdb"), {"f": endless})


def test_every_published_column_is_described_with_words_of_the_ucd_vocabulary(site):
    undescribed = []
    for (name,) in site.execute(
        "select name from sqlite_master where type in ('table', 'view') and name not like 'sq%'"
    ):
        if name.startswith("star_search"):
            continue
        for row in site.execute(f'pragma table_info("{name}")').fetchall():
            description, _, ucd = column_note(name, row[1])
            if ucd:
                parse_ucd(ucd, check_controlled_vocabulary=True)
            if not description:
                undescribed.append(f"{name}.{row[1]}")
    assert undescribed == []
