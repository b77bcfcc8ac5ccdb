"""The memory that DuckDB may use while spectra pass: bounded, and never more than it may use anyway."""

from __future__ import annotations

import duckdb
import pytest

from becat.etl.catalogue.connection import TO_READ, TO_WRITE, bounded_memory, open_catalogue
from tests.tools.pipeline_tools import new_catalogue


def limit(connection) -> str:
    return connection.execute("select current_setting('memory_limit')").fetchone()[0]


@pytest.mark.parametrize(
    ("allowed", "enough_mb", "inside"),
    [
        ("8GB", TO_READ, "1.1 GiB"),  # (768 + 2 x 256) MB
        ("8GB", TO_WRITE, "366.2 MiB"),  # (256 + 2 x 64) MB
        ("3TB", TO_READ, "1.1 GiB"),
        ("-1", TO_READ, "1.1 GiB"),  # no limit
        ("1281MB", TO_READ, "1.1 GiB"),
        ("600MB", TO_READ, "572.2 MiB"),  # a small machine, or a user who wants it so
        ("600MB", TO_WRITE, "366.2 MiB"),
        ("100MB", TO_WRITE, "95.3 MiB"),
    ],
)
def test_the_smaller_limit_is_in_force_and_the_old_one_afterwards(allowed, enough_mb, inside):
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute(f"set memory_limit = '{allowed}'")
        before = limit(connection)
        with bounded_memory(connection, enough_mb):
            assert limit(connection) == inside
        assert limit(connection) == before
        with pytest.raises(KeyError), bounded_memory(connection, enough_mb):
            raise KeyError
        assert limit(connection) == before


def test_every_thread_gets_its_share():
    settings = {"threads": 6, "memory_limit": "8GB"}
    with duckdb.connect(config=settings) as connection, bounded_memory(connection, TO_READ):
        assert limit(connection) == "2.1 GiB"  # (768 + 6 x 256) MB


def test_what_does_not_fit_into_memory_lies_beside_the_catalogue(tmp_path):
    """And not where the command was started, where two commands would take each other's."""
    places = []
    for name in ("a.duckdb", "b.duckdb"):
        with open_catalogue(new_catalogue(tmp_path / name)) as connection:
            places.append(connection.execute("select current_setting('temp_directory')").fetchone())
    assert places == [(f"{tmp_path / name}.tmp",) for name in ("a.duckdb", "b.duckdb")]
