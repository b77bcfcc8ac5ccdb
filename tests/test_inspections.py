"""Judgements by eye: from the labels' file to the catalogue, where they decide."""

from __future__ import annotations

import duckdb

from becat.etl.catalogue.connection import open_catalogue
from becat.inspections import take_inspections
from becat.publish.inspection import add_inspector, judge
from tests.tools.pipeline_tools import becat, contents, new_catalogue


def test_judgements_are_taken_in_once_and_decide(tmp_path):
    catalogue, labels = new_catalogue(tmp_path / "c.duckdb"), tmp_path / "labels.sqlite"
    with open_catalogue(catalogue) as connection:
        assert take_inspections(connection, labels) == 0 and not labels.exists()
    becat("inspector", labels, "Ada", "--password", "a long password")
    add_inspector(labels, "Caroline", "another password")
    judge(labels, "Ada", 7, False, comment="a ridge between two cores")
    judge(labels, "Caroline", 7, True)
    judge(labels, "Ada", 8, True, profile_class="emission")
    with open_catalogue(catalogue) as connection:
        assert take_inspections(connection, labels) == 3
    before = contents(catalogue, with_runs=True)
    with open_catalogue(catalogue) as connection:
        assert take_inspections(connection, labels) == 0
    assert contents(catalogue, with_runs=True) == before
    with duckdb.connect(str(catalogue), read_only=True) as connection:
        tally = connection.execute("select star_id, n_be, n_not_be from inspection_tally order by 1").fetchall()
    assert tally == [(7, 1, 1), (8, 1, 0)]


def test_short_password_is_refused(tmp_path):
    assert "ten characters" in becat("inspector", tmp_path / "l.sqlite", "Ada", "--password", "short", check=2).stderr
