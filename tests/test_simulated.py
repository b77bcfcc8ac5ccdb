"""Whatever lists stars or spectra says which of them are simulated: every view, and every table that is written to a file."""

from __future__ import annotations

import csv

import pytest
from astropy.table import Table
from pyarrow import parquet

from becat.publish.hats import EXPORTS
from becat.publish.table_file import write_table
from becat.schema import build
from becat.schema.tables import TABLES
from tests.tools.view_rows import add_match, add_star, catalogue, insert

KEYS = {"star_id", "spectrum_id"}
LOOKED_UP = ("current_score", "inspection_tally", "infrared_colour", "literature_flag", "adopted_type")


@pytest.fixture(scope="module")
def con(tmp_path_factory):
    """Star 1 is observed, star 2 simulated; both have all that is looked up."""
    connection = catalogue(tmp_path_factory.mktemp("simulated") / "c.duckdb")
    for star_id in (1, 2):
        add_star(connection, star_id)
        add_match(connection, star_id, "neiner_2011", "CBe")
        insert(connection, "inspection", inspection_id=star_id, star_id=star_id, inspector="me", is_be=True,
               inspected_at="2026-01-01")  # fmt: skip
    connection.execute("update star set is_simulated = star_id = 2")
    connection.execute("update spectrum set is_simulated = star_id = 2")
    yield connection
    connection.close()


def columns_of(con, sql):
    return [row[0] for row in con.execute(f"describe {sql}").fetchall()]


def test_every_view_and_every_export_of_stars_or_spectra_says_which_are_simulated(con):
    queries = {view.name: f"from {view.name}" for view in build.VIEWS}
    queries |= {f"HATS {name}": query for name, (_, query) in EXPORTS.items()}
    columns = {name: columns_of(con, sql) for name, sql in queries.items()}
    assert [name for name, found in columns.items() if KEYS & set(found) and "is_simulated" not in found] == []


@pytest.mark.parametrize("view", LOOKED_UP)
def test_what_is_looked_up_is_marked_by_its_star_or_spectrum(con, view):
    key = (KEYS & set(columns_of(con, f"from {view}"))).pop()
    assert con.execute(f"select {key}, is_simulated from {view} order by 1").fetchall() == [(1, False), (2, True)]


def test_other_views_do_not_join_what_marks_it(con):
    for view in build.VIEWS:
        kept = con.execute("select sql from duckdb_views() where view_name = ?", [view.name]).fetchone()[0]
        assert view.name in LOOKED_UP or not any(f"bare.{name}" in kept for name in ("*", "star_id")), view.name
        assert not any(f"FROM {name}" in kept or f"JOIN {name}" in kept for name in LOOKED_UP if view.name != "funnel")


def test_every_table_of_stars_or_spectra_is_exported_with_the_mark(con, tmp_path):
    told = [name for name, table in TABLES.items() if KEYS & set(table.columns.keys())]
    for name in told:
        write_table(con, name, tmp_path / f"{name}.parquet")
        schema = parquet.read_schema(tmp_path / f"{name}.parquet")
        assert schema.field("is_simulated").metadata[b"description"], name
    assert len(told) > 20
    assert parquet.read_table(tmp_path / "line_measurement.parquet")["is_simulated"].to_pylist() == [False, True]
    assert parquet.read_table(tmp_path / "inspection.parquet")["is_simulated"].to_pylist() == [False, True]
    write_table(con, "selection_parameter", tmp_path / "other.parquet")
    assert "is_simulated" not in parquet.read_schema(tmp_path / "other.parquet").names


@pytest.mark.parametrize("ending", ["csv", "fits", "vot"])
def test_the_mark_is_in_every_format(con, tmp_path, ending):
    path = tmp_path / f"be_score.{ending}"
    write_table(con, "be_score", path)
    if ending == "csv":
        found = [row["is_simulated"] == "true" for row in csv.DictReader(path.open(encoding="utf-8"))]
    else:
        found = [bool(value) for value in Table.read(path)["is_simulated"]]
    assert found == [False, True]
