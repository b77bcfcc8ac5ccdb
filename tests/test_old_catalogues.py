"""Catalogues of earlier versions: every command brings them up to date, or says in one line what to do.

tests/data holds one of each version, with four simulated spectra, a release's catalogue and three archives (tests/data/README.md).
"""

from __future__ import annotations

import lzma
from pathlib import Path

import duckdb
import pytest

from becat.etl.archives.stage import match_archives
from becat.etl.catalogue.checksums import differences
from becat.etl.catalogue.connection import open_catalogue
from becat.etl.load.load import load_spectra
from becat.etl.measure import measure_spectra
from becat.etl.score import score_spectra
from becat.schema import build
from becat.schema.errors import BecatError
from tests.tools.pipeline_tools import becat, new_catalogue

DATA = Path(__file__).parent / "data"
VERSIONS = sorted(path.name.removesuffix(".duckdb.xz") for path in DATA.glob("*.duckdb.xz"))


@pytest.fixture(params=VERSIONS)
def old(request, tmp_path):
    path = tmp_path / "c.duckdb"
    path.write_bytes(lzma.decompress((DATA / f"{request.param}.duckdb.xz").read_bytes()))
    return path


def schema_of(path):
    with duckdb.connect(str(path), read_only=True) as connection:
        return {
            name: set(connection.execute(f"select {columns} from {name}() where not internal").fetchall())
            for name, columns in (
                ("duckdb_columns", "table_name, column_name, data_type, comment"),
                ("duckdb_views", "view_name, sql"),
            )
        }


def test_there_is_one_of_each_version():
    assert VERSIONS == ["becat-0.1.0", "becat-0.2.0"]


def test_reading_commands_say_in_one_line_what_to_do(old, tmp_path):
    before = old.read_bytes()
    with pytest.raises(BecatError, match="bring it up to date with `becat upgrade") as told, open_catalogue(old, True):
        pass
    assert "\n" not in str(told.value)
    said = becat("publish", tmp_path / "c.sqlite", "-c", old, check=1).stderr.strip()
    assert said.splitlines()[-1] == f"becat: {told.value}"
    assert old.read_bytes() == before


def test_a_command_that_writes_upgrades_and_everything_works_on(old, tmp_path):
    with open_catalogue(old) as connection:
        assert match_archives(connection)
        spectra = connection.execute("select count(*), count(star_id) from spectrum").fetchone()
        assert spectra == connection.execute("select count(*), count(*) from verdict").fetchone() == (4, 4)
        assert load_spectra(connection, [])["missing"] == 4  # their files are not here
        assert measure_spectra(connection)["measured"] == score_spectra(connection, every=True)["scored"] == 4
    fresh = schema_of(new_catalogue(tmp_path / "fresh.duckdb"))
    upgraded = schema_of(old)
    for kind in fresh:
        assert fresh[kind] <= upgraded[kind], kind


def test_upgrade_brings_it_up_to_date_and_back_what_was_dropped(old):
    becat("upgrade", old)
    with open_catalogue(old, read_only=True) as connection:
        assert connection.execute("select stars from funnel where step = 0").fetchone() == (4,)
        assert [str(one) for one in differences(connection)] == []
    with duckdb.connect(str(old)) as connection:
        connection.execute("drop view runaway")
    assert f"{old} is up to date" in becat("upgrade", old).stdout
    with open_catalogue(old, read_only=True) as connection:
        connection.execute("from runaway")


def test_a_catalogue_of_a_newer_becat_is_not_touched(tmp_path):
    path = new_catalogue(tmp_path / "c.duckdb")
    with duckdb.connect(str(path)) as connection:
        connection.execute("update schema_state set digest = 'another', becat_version = '99.1.0'")
    before = path.read_bytes()
    for read_only in (True, False):
        with pytest.raises(BecatError, match=r"made by becat 99\.1\.0"), open_catalogue(path, read_only):
            pass
    assert path.read_bytes() == before


def test_a_catalogue_whose_making_is_killed_is_not_there(tmp_path, monkeypatch):
    def killed(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "_create_views", killed)
    with pytest.raises(KeyboardInterrupt):
        build.create(tmp_path / "c.duckdb", template=tmp_path / "there is none")
    assert list(tmp_path.iterdir()) == []
    left = tmp_path / f".c.duckdb.{build.leftovers.HOST}.99999999.new"  # kill -9 leaves it
    left.write_bytes(b"half")
    monkeypatch.undo()
    build.create(tmp_path / "c.duckdb")
    assert [path.name for path in tmp_path.iterdir()] == ["c.duckdb"]
