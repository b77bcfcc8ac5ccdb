"""Files that were read wait beside the catalogue for whole groups of rows: a kill costs no more than what was not finished."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from becat.etl.catalogue.connection import ROWS_PER_GROUP, Run, open_catalogue
from becat.etl.catalogue.ledger import file_read
from becat.etl.load import load, partitions
from becat.schema.errors import BecatError
from becat.schema.grid import ARMS
from tests.tools.pipeline_tools import contents, new_catalogue, real_spectra


def copied(folder: Path) -> Path:
    folder.mkdir()
    for path in real_spectra()[:4]:
        shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory):
    """A folder of spectra that no test changes."""
    return copied(tmp_path_factory.mktemp("unchanged") / "spectra")


@pytest.fixture(scope="module")
def whole(unchanged, tmp_path_factory):
    """What a load of the unchanged spectra in one go leaves."""
    path = new_catalogue(tmp_path_factory.mktemp("whole") / "c.duckdb")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load, "FILES_PER_BATCH", 1)
        load_all(path, unchanged)
    return contents(path)


@pytest.fixture
def spectra(tmp_path):
    return copied(tmp_path / "spectra")


@pytest.fixture(autouse=True)
def one_file_a_partition(monkeypatch):
    monkeypatch.setattr(load, "FILES_PER_BATCH", 1)


def load_all(path: Path, folder: Path) -> dict[str, int]:
    with open_catalogue(path) as connection:
        return load.load_spectra(connection, [folder], exposures="all", workers=1)


def stopped(path: Path, folder: Path, monkeypatch, after: int) -> Path:
    """A load that ends without a word after so many files; the folder of its partitions."""
    read = load.read_file
    files = []

    def stopping(file, **options):
        files.append(file)
        if len(files) > after:
            raise KeyboardInterrupt
        return read(file, **options)

    with monkeypatch.context() as patch:
        patch.setattr(load, "read_file", stopping)
        with pytest.raises(KeyboardInterrupt):
            load_all(path, folder)
    return path.with_name(f"{path.name}.partitions")


def files_read(monkeypatch) -> list[str]:
    read, files = load.read_file, []

    def noting(file, **options):
        files.append(Path(file).name)
        return read(file, **options)

    monkeypatch.setattr(load, "read_file", noting)
    return files


def test_what_a_stopped_load_has_read_is_not_read_again(tmp_path, unchanged, whole, monkeypatch):
    path = new_catalogue(tmp_path / "c.duckdb")
    folder = stopped(path, unchanged, monkeypatch, after=3)
    assert len(list(folder.iterdir())) == 3
    read = files_read(monkeypatch)
    assert load_all(path, unchanged)["loaded"] == 4
    assert read == [max(unchanged.iterdir()).name]
    assert contents(path) == whole
    assert not folder.exists()


def damaged(folder: Path) -> None:
    kept = min(folder.iterdir())
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 1
    kept.write_bytes(content)


def cut_off(folder: Path) -> None:
    kept = min(folder.iterdir())
    kept.write_bytes(kept.read_bytes()[:10])


def half_written(folder: Path) -> None:
    kept = min(folder.iterdir())
    kept.rename(kept.with_name(f"{kept.name}.1{partitions.UNFINISHED}"))


@pytest.mark.parametrize("accident", [damaged, cut_off, half_written])
def test_what_is_not_as_it_was_is_read_again(tmp_path, unchanged, whole, monkeypatch, accident):
    path = new_catalogue(tmp_path / "c.duckdb")
    folder = stopped(path, unchanged, monkeypatch, after=3)
    accident(folder)
    read = files_read(monkeypatch)
    load_all(path, unchanged)
    assert len(read) == 2
    assert contents(path) == whole
    assert not folder.exists()


def test_a_file_that_has_changed_is_read_again(tmp_path, spectra, monkeypatch):
    at_once, path = new_catalogue(tmp_path / "at_once.duckdb"), new_catalogue(tmp_path / "c.duckdb")
    folder = stopped(path, spectra, monkeypatch, after=3)
    shutil.copy(max(spectra.iterdir()), min(spectra.iterdir()))
    read = files_read(monkeypatch)
    load_all(path, spectra)
    assert len(read) == 2
    load_all(at_once, spectra)
    assert contents(path) == contents(at_once)
    assert not folder.exists()


def test_what_other_code_has_read_or_of_other_exposures_is_read_again(tmp_path, unchanged, monkeypatch):
    path = new_catalogue(tmp_path / "c.duckdb")
    stopped(path, unchanged, monkeypatch, after=3)
    read = files_read(monkeypatch)
    with monkeypatch.context() as patch, open_catalogue(path) as connection:
        patch.setattr(load, "code_version", lambda *_: "newer")
        load.load_spectra(connection, [unchanged], exposures="all", workers=1)
    assert len(read) == 4


def test_of_two_files_with_one_spectrum_the_first_has_it_though_it_was_read_last(tmp_path, spectra, monkeypatch):
    at_once, path = new_catalogue(tmp_path / "at_once.duckdb"), new_catalogue(tmp_path / "c.duckdb")
    stopped(path, spectra, monkeypatch, after=3)
    shutil.copy(max(spectra.iterdir()), spectra / "aaa.fits.gz")
    shutil.copy(min(p for p in spectra.iterdir() if p.name != "aaa.fits.gz"), spectra / "aab.fits.gz")
    load_all(path, spectra)
    load_all(at_once, spectra)
    assert contents(path) == contents(at_once)


def test_catalogue_is_the_same_however_many_are_written_at_once(tmp_path, spectra, monkeypatch):
    shutil.copy(max(spectra.iterdir()), spectra / "aaa.fits.gz")
    load_all(new_catalogue(tmp_path / "c.duckdb"), spectra)
    expected = contents(tmp_path / "c.duckdb")
    for rows_per_group in (1, 3, 1000):
        monkeypatch.setattr(load, "ROWS_PER_GROUP", rows_per_group)
        monkeypatch.setattr(load, "AT_MOST", 4 * rows_per_group)
        path = new_catalogue(tmp_path / f"{rows_per_group}.duckdb")
        load_all(path, spectra)
        assert contents(path) == expected, rows_per_group


def test_partition_that_cannot_be_kept_is_told_and_nothing_is_lost(tmp_path, spectra):
    path = new_catalogue(tmp_path / "c.duckdb")
    in_the_way = tmp_path / "c.duckdb.partitions"
    in_the_way.write_text("")
    with pytest.raises(BecatError):
        load_all(path, spectra)
    in_the_way.unlink()
    assert load_all(path, spectra)["loaded"] == 4


def test_whole_group_goes_straight_to_the_file(tmp_path, spectra):
    """Not by way of the log; what is over goes with it, and is not merged and written again by a checkpoint."""
    path = new_catalogue(tmp_path / "c.duckdb")
    n = ROWS_PER_GROUP + 40
    rng = np.random.default_rng(1)
    (known,) = load.read_and_reduce([str(min(spectra.iterdir()))], load.Options(need_snr=False)).files
    row = known.spectra[0]
    first = file_read(min(spectra.iterdir()))
    first.spectra = [row | {"spectrum_id": i, "place_red": i, "place_blue": i, "obsid": i} for i in range(n)]
    flux = {}
    for arm, grid in ARMS.items():
        shape = (n, grid.n_pixels)
        values = 1 + 0.01 * rng.standard_normal(shape, np.float32)
        flux[arm] = load.flux_table(np.arange(n), values, values + 1, np.zeros(shape, np.uint8))
    at = partitions.keep(tmp_path / "kept", "v:all", [first], flux)
    with open_catalogue(path) as connection, Run(connection, "load", "v:all") as run:
        (partition, _) = partitions.open_partition(at) or pytest.fail("it cannot be opened")
        written = load._write_committed(connection, partition, "v:all", run)
        assert written["spectra"] == n and not at.exists()
        assert path.with_name("c.duckdb.wal").stat().st_size < 4_000_000  # the arrays are 134 MB
        connection.execute("checkpoint")
        for arm in ARMS:
            groups = connection.execute(
                f"select sum(count) from pragma_storage_info('flux_{arm}') where column_name = 'spectrum_id'"
                " and segment_type = 'BIGINT' group by row_group_id order by row_group_id"
            ).fetchall()
            assert groups == [(ROWS_PER_GROUP,), (40,)]
            stored = connection.execute(f"select flux from flux_{arm} order by spectrum_id").fetchnumpy()["flux"]
            assert np.array_equal(np.stack(stored), np.stack(flux[arm]["flux"].to_numpy()))
