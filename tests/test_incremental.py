"""A catalogue that grew by a random history is the one that a fresh run makes: a few histories; benchmarks/incremental.py has more."""

from __future__ import annotations

import shutil

import duckdb

from benchmarks import incremental
from tests.tools.pipeline_tools import new_catalogue


def test_random_histories_end_as_a_fresh_run():
    told: list[str] = []
    assert not incremental.play(n_sequences=2, n_steps=6, seed=5, tell=told.append), "\n".join(told)


def test_what_differs_is_found(tmp_path):
    one, other = new_catalogue(tmp_path / "one.duckdb"), tmp_path / "other.duckdb"
    shutil.copyfile(one, other)
    assert incremental.compare(one, other) == []
    with duckdb.connect(str(other)) as connection:
        connection.execute("insert into star (star_id, ra_deg, dec_deg, is_simulated) values (1, 10, 20, false)")
        connection.execute("update literature_catalogue set n_rows = 5 where catalogue_id = 'skiff_2014'")
    found = incremental.compare(one, other)
    assert [words.split(":")[0].split(" ")[0] for words in found] == ["main.literature_catalogue", "main.star"]
