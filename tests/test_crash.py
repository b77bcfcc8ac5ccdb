"""Kills, full disks and directories that go away: nothing lost, nothing twice, one line, and the next run goes on."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from becat.etl.catalogue.connection import open_catalogue
from becat.etl.load import load
from becat.etl.load.discover import find_spectra
from becat.schema.errors import BecatError
from benchmarks.kills import kill_and_compare
from tests.tools.pipeline_tools import becat, contents, new_catalogue, obey_permissions, real_spectra


def test_killed_commands_end_as_uninterrupted_ones(tmp_path):
    hits, differing = kill_and_compare(tmp_path, real_spectra()[:3], n_kills=3, seed=1)
    assert sum(hits.values()) and not differing


def test_full_disk_is_said_in_one_line_and_the_next_run_goes_on(tmp_path):
    files = real_spectra()
    whole, path = new_catalogue(tmp_path / "whole.duckdb"), new_catalogue(tmp_path / "c.duckdb")
    limit = 1_000_000  # of any file: the log of the first batch does not fit
    words = ["load", *map(str, files), "--exposures", "all", "--workers", "1", "-c", str(path)]
    done = becat(*words, check=1, first=partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit)))
    assert "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("becat: the limit on the size of files has been reached")
    becat(*words)
    becat(*words[:-1], str(whole))
    assert contents(path) == contents(whole)


def test_failed_checkpoint_at_the_end_is_told_and_loses_nothing(tmp_path):
    path = new_catalogue(tmp_path / "c.duckdb")
    before = path.stat().st_size
    with open_catalogue(path) as connection:
        connection.execute("create table numbers (i bigint)")
    pid = os.fork()
    if not pid:  # the log of the rows fits, the file that they belong to does not
        limit = before + 50_000
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        code = 2
        with suppress(BaseException):
            try:
                with open_catalogue(path) as connection:
                    connection.execute("insert into numbers select hash(i) >> 1 from range(8000) as t(i)")
            except BecatError as error:
                told = str(error)
                code = 0 if told.startswith("nothing is lost") and "limit on the size" in told else 3
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    with open_catalogue(path) as connection:
        assert connection.execute("select count(*), count(distinct i) from numbers").fetchone() == (8000, 8000)
    assert not path.with_name("c.duckdb.wal").exists()


def test_directory_that_goes_away_loses_nothing(tmp_path, monkeypatch):
    folder = tmp_path / "spectra"
    folder.mkdir()
    for path in real_spectra()[:2]:
        shutil.copy(path, folder)
    path = new_catalogue(tmp_path / "c.duckdb")
    with open_catalogue(path) as connection:
        load.load_spectra(connection, [folder], workers=1)
    before = contents(path)
    listed = find_spectra([folder])
    folder.rename(tmp_path / "away")
    monkeypatch.setattr(load, "find_spectra", lambda paths, others: listed)
    monkeypatch.setattr(load, "code_version", lambda *_: "newer")
    with open_catalogue(path) as connection, pytest.raises(BecatError, match="disappeared while"):
        load.load_spectra(connection, [folder], workers=1)
    assert contents(path) == before


def test_second_writer_and_reader_are_told_who_has_the_catalogue(tmp_path):
    path = new_catalogue(tmp_path / "c.duckdb")
    with open_catalogue(path):
        for words in (["load", real_spectra()[0]], ["funnel"]):
            said = becat(*words, "--catalog", path, check=1).stderr.strip()
            assert said.splitlines()[-1] == (
                f"becat: {path} is in use by another process (number {os.getpid()}): wait for it to end, or read a snapshot made"
                " by `becat publish`"
            )


DAMAGE = {
    "empty": lambda content: b"",
    "cut in the first header": lambda content: content[:100],
    "cut in the middle": lambda content: content[: len(content) // 2],
    "cut at the end": lambda content: content[:-1],
    "overwritten headers": lambda content: content[:4096] + b"X" * 8192 + content[12288:],
    "overwritten blocks": lambda content: content[:12288] + b"X" * (len(content) - 12288),
    "text": lambda content: b"designation,ra_deg,dec_deg\n" * 1000,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("read_only", [True, False])
def test_damaged_catalogue_is_named_and_not_taken_for_one_in_use(tmp_path, damage, read_only):
    path = new_catalogue(tmp_path / "c.duckdb")
    path.write_bytes(damage(path.read_bytes()))
    before = path.read_bytes()
    refusal = pytest.raises(BecatError, match="is damaged, or no catalogue: restore it")
    with refusal as told, open_catalogue(path, read_only=read_only):
        pass
    assert "\n" not in str(told.value)
    assert path.read_bytes() == before


@pytest.fixture
def closed(tmp_path) -> Path:
    """A folder for files whose permissions count; root gives up its privileges for that, where it is allowed to."""
    secret = tmp_path / "secret"
    secret.write_text("")
    secret.chmod(0)
    if not subprocess.run(["cat", secret], preexec_fn=obey_permissions, capture_output=True).returncode:
        pytest.skip("this user may read every file")
    return tmp_path


def test_catalogue_that_may_not_be_written_is_said_in_one_line(closed):
    path = new_catalogue(closed / "c.duckdb")
    path.chmod(0o444)
    said = becat("load", real_spectra()[0], "--catalog", path, check=1, first=obey_permissions).stderr.strip()
    assert "check its permissions" in said.splitlines()[-1] and "Traceback" not in said
    becat("funnel", "--catalog", path, first=obey_permissions)


def test_directory_that_cannot_be_listed_is_named(closed):
    path = new_catalogue(closed / "c.duckdb")
    (closed / "spectra" / "shut").mkdir(parents=True, mode=0)
    said = becat("load", closed / "spectra", "--catalog", path, check=1, first=obey_permissions).stderr.strip()
    assert f"{closed / 'spectra' / 'shut'} cannot be listed" in said.splitlines()[-1]


def test_file_that_may_not_be_read_is_rejected_and_the_rest_is_loaded(closed):
    path = new_catalogue(closed / "c.duckdb")
    (closed / "spectra").mkdir()
    for spectrum in real_spectra()[:2]:
        shutil.copy(spectrum, closed / "spectra")
    secret = sorted((closed / "spectra").iterdir())[0]
    secret.chmod(0)
    becat("load", closed / "spectra", "--workers", "1", "--catalog", path, first=obey_permissions)
    with open_catalogue(path, read_only=True) as connection:
        ((file, reason),) = connection.execute("select file, reason from rejected_input").fetchall()
        assert file.endswith(secret.name) and "ermission denied" in reason
        assert connection.execute("select count(*) from spectrum").fetchone() != (0,)


@pytest.mark.parametrize(
    "words",
    [
        ("inspector", "labels.sqlite", "Ada", "--password", "0123456789ab"),
        ("template", "t.template"),
        ("simulate", "survey", "--spectra", "1"),
        ("partition", "hats", "--catalog", "c.duckdb"),
        ("publish", "c.sqlite", "--catalog", "c.duckdb"),
    ],
)
def test_folder_that_may_not_be_written_is_said_in_one_line(closed, words):
    new_catalogue(closed / "c.duckdb")
    closed.chmod(0o555)
    paths = [closed / word if index == 1 or word == "c.duckdb" else word for index, word in enumerate(words)]
    said = becat(*paths, check=1, first=obey_permissions).stderr.strip()
    closed.chmod(0o755)
    assert said.splitlines()[-1].startswith("becat: ") and "Traceback" not in said


def test_arrays_that_do_not_fit_on_the_disk_are_said_in_one_line(tmp_path):
    path = new_catalogue(tmp_path / "c.duckdb")
    becat("load", *real_spectra()[2:5], "--catalog", path, "--workers", "1")
    limited = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (30_000, 30_000))
    words = ("partition", tmp_path / "hats", "--table", "flux_red", "--catalog", path)
    said = becat(*words, check=1, first=limited).stderr.strip()
    assert "File too large" in said.splitlines()[-1] and "Traceback" not in said
