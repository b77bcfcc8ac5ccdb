"""Loading: what is new is loaded once, what is bad is named, what was killed goes on."""

from __future__ import annotations

import gzip
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from becat.etl.catalogue.connection import open_catalogue
from becat.etl.load.load import load_spectra
from becat.schema.errors import BecatError
from tests.tools.pipeline_tools import becat, contents, new_catalogue, real_spectra


@pytest.fixture
def spectra(tmp_path) -> Path:
    """A folder, with a space and letters beyond ASCII in its name, of three real files."""
    folder = tmp_path / "données brutes"
    folder.mkdir()
    for path in real_spectra()[:3]:
        shutil.copy(path, folder)
    return folder


@pytest.fixture
def catalogue(tmp_path) -> Path:
    return new_catalogue(tmp_path / "c.duckdb")


def load(catalogue, *paths, **options):
    with open_catalogue(catalogue) as connection:
        return load_spectra(connection, list(paths), **options)


def rows(catalogue, sql):
    with duckdb.connect(str(catalogue), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_loading_twice_changes_nothing(catalogue, spectra):
    first = load(catalogue, spectra)
    before = contents(catalogue, with_runs=True)
    second = load(catalogue, spectra)
    assert first["loaded"] == 3 and first["rejected"] == 0
    assert {name: n for name, n in second.items() if n} == {"files": 3, "unchanged": 3}
    assert contents(catalogue, with_runs=True) == before


def test_touched_but_equal_file_is_left_alone(catalogue, spectra):
    load(catalogue, spectra)
    for path in spectra.iterdir():
        os.utime(path)
    assert load(catalogue, spectra)["unchanged"] == 3


def test_one_process_and_two_give_the_same(tmp_path, spectra, monkeypatch):
    monkeypatch.setattr("becat.etl.load.load.FILES_PER_BATCH", 1)
    one, two = new_catalogue(tmp_path / "one.duckdb"), new_catalogue(tmp_path / "two.duckdb")
    load(one, spectra, workers=1)
    load(two, spectra, workers=2)
    assert contents(one) == contents(two)


def test_changed_file_replaces_its_spectra_and_what_hangs_on_them(catalogue, spectra):
    load(catalogue, spectra)
    changed, other = sorted(spectra.iterdir())[:2]
    (old,) = rows(catalogue, f"select spectrum_id from spectrum where file = '{changed}'")[0]
    with open_catalogue(catalogue) as connection:
        connection.execute("insert into line_measurement (spectrum_id, ew_halpha_a) values (?, 1.0)", [old])
    other.rename(changed)
    counts = load(catalogue, spectra)
    assert counts["files"] == 2 and counts["loaded"] == 1
    assert rows(catalogue, "select count(*) from line_measurement") == [(0,)]
    assert rows(catalogue, f"select count(*) from flux_red where spectrum_id = {old}") == [(0,)]


def test_same_spectrum_under_two_names_is_kept_once(catalogue, spectra):
    path = min(spectra.iterdir())
    shutil.copy(path, spectra / ("zz-" + path.name))
    counts = load(catalogue, spectra)
    assert counts["spectra"] == 3 and counts["rejected"] == 0
    assert rows(catalogue, "select count(*) from input_file where status = 'duplicate'") == [(1,)]


def test_same_obsid_with_other_content_is_rejected(catalogue, spectra, tmp_path):
    from astropy.io import fits

    path = min(spectra.iterdir())
    with fits.open(path) as hdus:
        hdus["COADD_R"].data["FLUX"][100] *= 1.5
        hdus.writeto(spectra / "zz-other.fits")
    counts = load(catalogue, spectra)
    assert counts["rejected"] == 1
    ((file, stage, reason),) = rows(catalogue, "select file, stage, reason from rejected_input")
    assert file.endswith("zz-other.fits") and stage == "load" and path.name in reason


def damage(path: Path, kind: str) -> None:
    content = path.read_bytes()
    if kind == "truncated gzip":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "corrupt gzip":
        path.write_bytes(content[:5000] + bytes(200) + content[5200:])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "not FITS":
        path.write_bytes(gzip.compress(b"<html>404 not found</html>"))
    elif kind == "directory":
        path.unlink()
        path.mkdir()


@pytest.mark.parametrize("kind", ["truncated gzip", "corrupt gzip", "empty", "not FITS"])
def test_bad_file_is_rejected_and_the_rest_goes_on(catalogue, spectra, kind):
    bad = min(spectra.iterdir())
    good = bad.read_bytes()
    damage(bad, kind)
    counts = load(catalogue, spectra)
    assert counts["loaded"] == 2 and counts["rejected"] == 1
    ((file, reason),) = rows(catalogue, "select file, reason from rejected_input")
    assert file == str(bad) and reason
    # It is not tried again while it stays as it is, and it is once it has been mended.
    assert load(catalogue, spectra)["unchanged"] == 3
    bad.write_bytes(good)
    assert load(catalogue, spectra)["loaded"] == 1
    assert rows(catalogue, "select count(*) from rejected_input") == [(0,)]


def test_a_reader_that_dies_costs_only_its_file(catalogue, spectra, monkeypatch):
    monkeypatch.setattr("becat.etl.load.load.read_file", dying_reader)
    monkeypatch.setattr("becat.etl.load.load.FILES_PER_BATCH", 2)
    counts = load(catalogue, spectra, workers=2)
    assert counts["loaded"] == 2
    ((file, reason),) = rows(catalogue, "select file, reason from rejected_input")
    assert file == str(min(spectra.iterdir())) and "died" in reason


def dying_reader(path, **options):
    from becat.etl.readers import read_file

    if Path(path).name == real_spectra()[0].name:
        os.kill(os.getpid(), signal.SIGKILL)
    return read_file(path, **options)


def test_words_that_are_wrong_exit_2_in_one_line(catalogue, tmp_path):
    for words in (["load", tmp_path / "nowhere", "-c", catalogue], ["load", "-c", catalogue], ["lod"]):
        done = becat(*words, check=2)
        assert done.stderr.count("\n") == 1 and not done.stdout


def test_missing_or_busy_catalogue_exits_1_in_one_line(catalogue, spectra, tmp_path):
    done = becat("load", spectra, "-c", tmp_path / "none.duckdb", check=1)
    assert "becat init" in done.stderr and done.stderr.count("\n") == 1
    with open_catalogue(catalogue):
        done = becat("load", spectra, "-c", catalogue, check=1)
    assert "in use by another process" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="pipes, devices and names of any bytes are Linux's")
def test_what_is_no_file_or_has_no_name_is_told_and_passed_over(catalogue, spectra):
    os.mkfifo(spectra / "pipe.fits")
    (spectra / "link.fits").symlink_to("pipe.fits")
    (spectra / "endless.fits").symlink_to("/dev/zero")
    (spectra / "nowhere.fits").symlink_to("there is no such file")
    with (spectra / "large.fits").open("wb") as sparse:  # a terabyte of nothing: only its size may be looked at
        sparse.truncate(2**40)
    name = spectra / os.fsdecode(b"bad\xff.fits.gz")
    shutil.copy(real_spectra()[3], name)
    counts = load(catalogue, spectra, workers=2)
    assert (counts["loaded"], counts["rejected"]) == (3, 6)
    told = {
        file.rpartition("/")[2]: reason for file, reason in rows(catalogue, "select file, reason from rejected_input")
    }
    assert all("not a regular file" in told[n] for n in ("pipe.fits", "link.fits", "endless.fits"))
    assert "link to a file that is not there" in told["nowhere.fits"]
    assert "larger than" in told["large.fits"]
    assert "not UTF-8" in told[r"bad\xff.fits.gz"]
    before = contents(catalogue, with_runs=True)
    assert load(catalogue, spectra)["rejected"] == 0
    assert contents(catalogue, with_runs=True) == before
    # The rejections end with their causes.
    os.rename(name, spectra / "good.fits.gz")
    (spectra / "nowhere.fits").unlink()
    assert load(catalogue, spectra)["loaded"] == 1
    assert len(rows(catalogue, "from rejected_input")) == 4
    os.utime(spectra / "large.fits")
    assert load(catalogue, spectra)["rejected"] == 1


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
@pytest.mark.parametrize("limit_gib", [4, 1])
def test_spectra_are_done_in_4_gib_of_addresses_and_less_is_refused_in_words(catalogue, spectra, limit_gib):
    def limited():
        resource.setrlimit(resource.RLIMIT_AS, (limit_gib << 30, limit_gib << 30))

    for words in (("load", spectra), ("measure",), ("score", "--all")):
        done = becat(*words, "--catalog", catalogue, before=limited, check=0 if limit_gib == 4 else 1)
        if limit_gib == 1:
            assert (
                "3 GiB of address space are needed, and the limit is 1.0" in done.stderr
                and len(done.stderr.splitlines()) == 1
            )
    assert rows(catalogue, "select count(distinct spectrum_id) from be_score") == [(3 if limit_gib == 4 else 0,)]


def test_memory_that_runs_out_is_no_fault_of_the_file(catalogue, spectra, monkeypatch):
    def no_memory(*_, **__):
        raise MemoryError

    monkeypatch.setattr("becat.etl.load.load.read_file", no_memory)
    with pytest.raises(BecatError, match="not enough memory to read"):
        load(catalogue, spectra, workers=1)
    monkeypatch.undo()
    assert load(catalogue, spectra)["loaded"] == 3


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_workers_end_with_a_command_that_is_killed(catalogue, spectra):
    """As after kill -9: nobody tells them."""
    script = (
        "import sys, time; from becat.etl.catalogue.workers import Processes\n"
        "pool = Processes(2); handles = [pool.submit(time.sleep, 300) for _ in range(4)]; time.sleep(1)\n"
        "print(*pool._pool._processes, flush=True); time.sleep(300)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        workers = [int(word) for word in parent.stdout.readline().split()]
        assert len(workers) == 2 and all(is_running(worker) for worker in workers)
        parent.kill()
    until = time.monotonic() + 30
    while any(is_running(worker) for worker in workers) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(is_running(worker) for worker in workers)


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="signals of a terminal")
def test_ctrl_c_is_one_line(catalogue, spectra):
    """The whole group gets the signal, as from a terminal: workers say nothing."""
    script = (
        "import becat.etl.load.load as load, becat.__main__, time\n"
        "load.FILES_PER_BATCH = 1; read = load.read_file\n"
        "def slow(*a, **k):\n    print('reading', flush=True); time.sleep(3); return read(*a, **k)\n"
        "load.read_file = slow; becat.__main__.main()"
    )
    words = [sys.executable, "-c", script, "load", str(spectra), "--catalog", str(catalogue), "--workers", "2"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout and "reading" in process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1, said
    assert said.strip().splitlines()[-1] == "becat: stopped; run the same command again to resume"
    assert "Traceback" not in said
    assert load(catalogue, spectra)["loaded"] == 3
