"""Whole nights: when their archives are taken, what of them is kept, and every way in which one is of no use; and the rates."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections import defaultdict, namedtuple
from pathlib import Path

import pytest

from becat.etl.catalogue.connection import Run
from becat.etl.lamost import client as client_module
from becat.etl.lamost.client import Client
from becat.etl.lamost.limits import Limits
from becat.etl.lamost.nights import ARCHIVE
from becat.etl.lamost.plan import make_plan
from becat.etl.lamost.rates import NIGHT, SINGLE, keep_rate, known_rates
from becat.etl.lamost.spectra import fetch_spectra
from becat.etl.lamost.wishes import Wishes
from becat.sample_spectra import real_spectra
from becat.schema.releases import find, shipped
from tests.tools.lamost_release import as_csv, as_gzip, catalogue_rows, recorded_versions
from tests.tools.servers.lamost_server import LamostServer

DR7 = find(shipped(), "dr7", "v2.0")
# With so slow single files the archive of every night comes sooner; one file is enough to tell a rate.
SLOW = {"seconds_a_file": 1000.0, "measured_files_min": 1, "measured_night_bytes_min": 1}


@pytest.fixture
def lamost():
    server = LamostServer(recorded_versions())
    yield server
    server.close()


@pytest.fixture
def offered(lamost, catalogue, tmp_path):
    """The plan of real spectra, and a server that has them one by one and by nights: OBSID and content by file of the plan."""
    files = {path.name.removesuffix(".gz") + ".gz": as_gzip(path) for path in real_spectra()}
    (tmp_path / "g.csv.gz").write_bytes(as_csv(catalogue_rows(real_spectra())[0]))
    make_plan(catalogue, [tmp_path / "g.csv.gz"], DR7, "mrs", Wishes(steps=False))
    rows = catalogue.execute("select file, obsid from download_plan").fetchall()
    found = {file: (obsid, files[Path(file).name]) for file, obsid in rows}
    lamost.spectra["dr7/v2.0", "mrs"] = dict(found.values())
    by_night = defaultdict(dict)
    for file, (_, content) in found.items():
        by_night[file[:8]][file] = content
    for night, members in by_night.items():
        lamost.nights["dr7/v2.0"][f"mrs/{night}.tar.gz"] = tar(members)
    return found


def tar(members, others=()):
    """A night's archive, with spectra that no plan wants and other members."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in {
            **members,
            "20180101/X/med-58119-X_sp01-001.fits.gz": b"\x1f\x8b of another plan",
        }.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in others:
            archive.addfile(member, io.BytesIO(b"x" * member.size))
    return gzip.compress(out.getvalue(), compresslevel=1, mtime=0)


def client_of(lamost, **limits):
    return Client(lamost.root, None, Limits(**{"first_wait_s": 0.0, "free_bytes_kept": 0, **SLOW, **limits}))


def fetched(catalogue, lamost, folder, **how):
    limits = how.pop("limits", {})
    return fetch_spectra(catalogue, client_of(lamost, **limits), None, "mrs", folder, **how)


def on_disk(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def asked_singly(lamost):
    return {key for key in lamost.asked if key.isdigit()}


def a_night(offered):
    """One of the nights, and its files."""
    night = min(file[:8] for file in offered)
    return night, [file for file in offered if file.startswith(night)]


def test_whole_nights_bring_what_single_files_do(catalogue, lamost, offered, tmp_path):
    came = fetched(catalogue, lamost, tmp_path / "mrs")
    nights = {file[:8] for file in offered}
    assert (came.n_nights, came.n_of_nights, came.n_fetched) == (len(nights), len(offered), 0)
    assert on_disk(tmp_path / "mrs") == {file: content for file, (_, content) in offered.items()}, (
        "and nothing else is kept"
    )
    assert asked_singly(lamost) == set()
    assert set(catalogue.execute("select state, version from download_plan").fetchall()) == {("fetched", "v2.0")}
    assert f"{len(offered)} spectra extracted from {len(nights)} archives" in came.lines()[0]
    before = lamost.asked.total()
    assert fetched(catalogue, lamost, tmp_path / "mrs").lines() == ["spectra: all those of the plan are there"]
    assert lamost.asked.total() == before


def test_single_files_come_where_they_are_less_or_are_asked_for(catalogue, lamost, offered, tmp_path):
    came = fetched(catalogue, lamost, tmp_path / "a", limits={"seconds_a_file": 1e-6, "bytes_a_second": 1e9})
    assert (came.n_nights, came.n_fetched) == (0, len(offered))
    catalogue.execute("update download_plan set state = 'planned'; delete from download_rate")
    came = fetched(catalogue, lamost, tmp_path / "b", with_nights=False)
    assert (came.n_nights, came.n_fetched) == (0, len(offered))
    assert not any("tar" in key for key in lamost.asked)


@pytest.mark.parametrize("fault", ["not found", "login page", "web page", "json error"])
def test_a_night_that_is_not_there_falls_back_to_single_files(catalogue, lamost, offered, tmp_path, fault):
    night, files = a_night(offered)
    lamost.faults[f"{night}.tar.gz"] = [fault] * 9
    came = fetched(catalogue, lamost, tmp_path / "mrs")
    assert (came.n_fetched, came.n_of_nights) == (len(files), len(offered) - len(files))
    assert on_disk(tmp_path / "mrs") == {file: content for file, (_, content) in offered.items()}
    assert asked_singly(lamost) == {str(offered[file][0]) for file in files}
    assert any("archive of a night" in line and "one by one" in line for line in came.lines())


def test_an_archive_that_breaks_off_goes_on_where_it_stopped(catalogue, lamost, offered, tmp_path):
    night, _ = a_night(offered)
    lamost.faults[f"{night}.tar.gz"] = ["cut", "503", "cut"]
    fetched(catalogue, lamost, tmp_path / "mrs")
    sizes = [int(asked[6:-1]) for asked in lamost.ranges]
    assert len(sizes) == 2 and 0 < sizes[0] < sizes[1] and asked_singly(lamost) == set()


def test_an_archive_begun_by_a_run_that_was_killed_is_taken_up(catalogue, lamost, offered, tmp_path):
    night, files = a_night(offered)
    archive = lamost.nights["dr7/v2.0"][f"mrs/{night}.tar.gz"]
    folder = tmp_path / "mrs"
    folder.mkdir()
    part, other = (folder / ARCHIVE.format(night=one) for one in (night, "19990101"))
    part.write_bytes(archive[:100_000])
    other.write_bytes(b"of an older plan")
    fetched(catalogue, lamost, folder)
    assert lamost.ranges == ["bytes=100000-"] and not part.exists() and not other.exists()
    catalogue.execute("update download_plan set state = 'planned'")  # killed when it was whole, and its files taken out
    part.write_bytes(archive)
    before = dict(lamost.asked)
    came = fetched(catalogue, lamost, folder)
    assert came.n_there + came.n_of_nights + came.n_fetched == len(offered)
    assert not any(lamost.asked[key] > before[key] for key in before if key.endswith(".tar.gz")), "what is there counts"
    assert not part.exists() and on_disk(folder) == {file: content for file, (_, content) in offered.items()}
    assert files


def test_a_damaged_archive_gives_what_is_good_and_the_rest_comes_singly(catalogue, lamost, offered, tmp_path):
    night, files = a_night(offered)
    whole = lamost.nights["dr7/v2.0"][f"mrs/{night}.tar.gz"]
    lamost.nights["dr7/v2.0"][f"mrs/{night}.tar.gz"] = whole[: len(whole) // 2]
    came = fetched(catalogue, lamost, tmp_path / "mrs")
    assert came.n_of_nights + came.n_fetched == len(offered) and came.n_fetched >= 1
    assert on_disk(tmp_path / "mrs") == {file: content for file, (_, content) in offered.items()}
    assert any("cut off or damaged" in line for line in came.lines()) and files


def test_a_member_that_is_another_spectrum_is_not_kept(catalogue, lamost, offered, tmp_path):
    night, files = a_night(offered)
    another = next(content for file, (_, content) in offered.items() if file not in files)
    wrong = {file: another if file == files[0] else offered[file][1] for file in files}
    lamost.nights["dr7/v2.0"][f"mrs/{night}.tar.gz"] = tar(wrong)
    came = fetched(catalogue, lamost, tmp_path / "mrs")
    assert on_disk(tmp_path / "mrs") == {file: content for file, (_, content) in offered.items()}
    assert came.n_fetched == 1 and any("it holds OBSID" in line for line in came.lines())


def hostile(name, kind=tarfile.REGTYPE, link="", size=0):
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, link, size
    return member


def test_hostile_members_are_refused_and_nothing_is_written_outside(catalogue, lamost, offered, tmp_path):
    night, files = a_night(offered)
    name = Path(files[0]).name
    others = [
        hostile(f"../../{name}", size=10),
        hostile(f"/{tmp_path}/{name}", size=10),
        hostile(f"{night}/{name}", tarfile.SYMTYPE, "/etc/passwd"),
        hostile(f"{night}/x/{name}", tarfile.LNKTYPE, "../../../c.duckdb"),
        hostile(f"{night}/y/{name}", tarfile.CHRTYPE),
        hostile(f"{night}/z/{name}", tarfile.FIFOTYPE),
    ]
    rest = {file: offered[file][1] for file in files[1:]}
    lamost.nights["dr7/v2.0"][f"mrs/{night}.tar.gz"] = tar(rest, others)
    before = {path for path in tmp_path.rglob("*")}
    folder = tmp_path / "deep" / "mrs"
    came = fetched(catalogue, lamost, folder)
    assert any(line.startswith("6 × member of an archive refused") for line in came.lines())
    assert on_disk(folder) == {file: content for file, (_, content) in offered.items()}
    assert {path for path in tmp_path.rglob("*") if not path.is_relative_to(folder.parent)} - before <= {
        tmp_path / "c.duckdb.wal"
    }
    assert asked_singly(lamost) == {str(offered[files[0]][0])}


def test_an_archive_for_which_there_is_no_room_is_not_begun(catalogue, lamost, offered, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    largest = max(len(content) for _, content in offered.values())
    monkeypatch.setattr(client_module.shutil, "disk_usage", lambda _: usage(0, 0, largest + 1))
    night, files = a_night(offered)
    lamost.nights["dr7/v2.0"][f"mrs/{night}.tar.gz"] += b"\0" * largest
    came = fetched(catalogue, lamost, tmp_path / "mrs")
    assert came.n_fetched >= len(files) and any("GB free" in line for line in came.lines())
    assert on_disk(tmp_path / "mrs") == {file: content for file, (_, content) in offered.items()}


def test_the_rate_of_the_last_download_is_that_of_the_next_plan(catalogue, lamost, offered, tmp_path):
    limits = Limits()
    assumed = known_rates(catalogue, limits)
    assert assumed.single_s(7200, 1e3) == 1800 and assumed.single_s(1, 3.6e9) == 1800 and assumed.night_s(4e6) == 2
    assert "assumed until a download has measured it" in assumed.words(True)
    for n_files, n_bytes, seconds in ((1000, 3e8, 500.0), (10, 3e9, 1.0)):  # the later one is too short to tell
        with Run(catalogue, "test") as run:
            keep_rate(catalogue, run.run_id, SINGLE, n_files, n_bytes, seconds, 4)
    measured = known_rates(catalogue, limits)
    assert measured.single_s(2000, 1e3) == pytest.approx(1000) and measured.bytes_a_second == pytest.approx(6e5)
    assert known_rates(catalogue, Limits(connections=2)).single_s(2000, 1e3) == pytest.approx(2000)
    assert "2.0 single files per second, 0.60 MB/s at most, as in the download of " in measured.words(False)
    with Run(catalogue, "test") as run:
        keep_rate(catalogue, run.run_id, NIGHT, 2, 8e9, 2000.0, 1)
    assert known_rates(catalogue, limits).night_s(4e6) == pytest.approx(1)
    catalogue.execute("delete from download_rate")
    fetched(catalogue, lamost, tmp_path / "mrs", with_nights=False)
    n_files, n_bytes, connections = catalogue.execute(
        "select n_files, n_bytes, connections from download_rate"
    ).fetchone()
    assert (n_files, n_bytes, connections) == (len(offered), sum(len(c) for _, c in offered.values()), 4)
    plan = make_plan(catalogue, [tmp_path / "g.csv.gz"], DR7, "mrs", Wishes(steps=False, anew=True), Limits(**SLOW))
    assert plan.n_to_fetch == len(offered) and "as in the download of" in plan.lines()[-1]


def test_the_plan_tells_which_way_is_less(catalogue, lamost, offered, tmp_path):
    for limits, said in (
        (Limits(**SLOW), "from the archives"),
        (Limits(seconds_a_file=0.01), "no archive of a whole night would be faster"),
    ):
        plan = make_plan(catalogue, [tmp_path / "g.csv.gz"], DR7, "mrs", Wishes(steps=False), limits)
        assert said in "\n".join(plan.lines())
    night_bytes, n_bytes = catalogue.execute(
        "select night_bytes, sum(bytes_expected) over (partition by night) from download_plan"
    ).fetchone()
    assert night_bytes == n_bytes, "all of the night are wanted"
