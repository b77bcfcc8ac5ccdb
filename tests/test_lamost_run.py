"""From a release to candidates: `becat run` with LAMOST on loopback, killed in the middle, idle, and with the next release."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import duckdb
import pandas as pd
import pytest

from becat.sample_spectra import real_spectra
from tests.conftest import ROOT
from tests.test_lamost_plan import replaced
from tests.tools.lamost_release import as_csv, as_gzip, catalogue_rows, recorded_versions
from tests.tools.pipeline_tools import becat
from tests.tools.servers.lamost_server import LamostServer

SURVEY = """
catalog = "{name}.duckdb"
{more}
"""
OF_SERVER = """
[lamost]
release = "{release}"
version = "v2.0"
folder = "{folder}"
server = "{server}"
"""
COMPARED = ("spectrum", "line_measurement", "profile_class", "be_score", "star")


@pytest.fixture
def lamost():
    server = LamostServer(recorded_versions())
    yield server
    server.close()


def survey(tmp_path, name, more):
    path = tmp_path / f"{name}.toml"
    path.write_text(SURVEY.format(name=name, more=more))
    return path


def from_server(tmp_path, lamost, release):
    return survey(tmp_path, "got", OF_SERVER.format(release=release, folder="lamost", server=lamost.root))


def from_disk(tmp_path, name, folder, catalogues):
    listed = ", ".join(f'"{path}"' for path in catalogues)
    return survey(tmp_path, name, f'spectra = ["{folder}"]\nrelease_catalogues = [{listed}]')


def differences(one, other, relative=0.0):
    """Cells that differ between two catalogues: of the spectra and what follows from them, not where their files lie and
    which run wrote them. Numbers may differ by a part of themselves."""
    found = []
    for table in COMPARED:
        (names, mine), (_, theirs) = (_rows(path, table) for path in (one, other))
        found += [(table, key) for key in mine.keys() ^ theirs.keys()]
        for key in mine.keys() & theirs.keys():
            found += [
                (table, key, name, a, b)
                for name, a, b in zip(names, mine[key], theirs[key], strict=True)
                if a != b and not (isinstance(a, float) and a == pytest.approx(b, rel=relative, abs=relative))
            ]
    return found


def _rows(path, table):
    with duckdb.connect(str(path), read_only=True) as connection:
        names = [row[0] for row in connection.execute(f"describe {table}").fetchall()]
        kept = [name for name in names if name not in ("run_id", "file")]
        rows = connection.execute(f"select {', '.join(kept)} from {table}").fetchall()
    return kept, {row[0]: row for row in rows}


def offer(lamost, place, release, files, general, stellar):
    """Files as the server sends them, and the catalogues of which they are."""
    lamost.spectra[place, "mrs"] = files
    lamost.catalogues[place] = {
        f"{release}_v2.0_MRS_catalogue.csv.gz": as_csv(general),
        f"{release}_v2.0_MRS_stellar.csv.gz": as_csv(stellar),
    }


def test_from_a_release_to_candidates(lamost, tmp_path):
    general, stellar = catalogue_rows(real_spectra())
    obsids = {
        path.name: int(general[general.lmjd == int(path.name.split("-")[1])].obsid.iloc[0]) for path in real_spectra()
    }
    files = {obsids[path.name]: as_gzip(path) for path in real_spectra()}
    offer(lamost, "dr7/v2.0", "dr7", files, general, stellar)
    whole_files = dict(files)
    snr = general[general.coadd == 1].pivot_table(index="obsid", columns="band", values="snr")
    wanted = sorted(snr.index[(snr.B > 10) & (snr.R > 10)])
    assert 6 <= len(wanted) < len(files), "S/N leaves some out"
    _mix_in_every_failure(lamost, wanted)
    config = from_server(tmp_path, lamost, "dr7")
    said = becat("run", config, check=1).stderr
    assert "asks for a token for DR7 v2.0" in said and said.count("\n") == 1, "a login page instead of a catalogue"

    lamost.delay_s = 0.5
    _run_and_kill(config, lambda: len([*(tmp_path / "lamost" / "mrs").rglob("*.fits.gz")]) >= 2)
    came = {path: path.read_bytes() for path in (tmp_path / "lamost" / "mrs").rglob("*.fits.gz")}
    assert came, "it was killed while spectra came"
    lamost.delay_s = 0.0
    asked = dict(lamost.asked)
    said = becat("run", config).stdout
    assert "nothing has changed since it was made" in said, "the plan was there before the kill"
    assert f"load:    {len(wanted)} files" in said
    for obsid in snr.index.difference(wanted):
        assert lamost.asked[str(obsid)] == 0, "what the plan leaves out is not asked for"
    whole = [obsid for obsid in wanted if whole_files[obsid] in came.values()]
    assert whole and all(lamost.asked[str(obsid)] == asked[str(obsid)] for obsid in whole)

    before = {**lamost.asked, "dr_versions": 0}
    said = becat("run", config).stdout
    assert "nothing is new or stale" in said and {**lamost.asked, "dr_versions": 0} == before

    # The same from files on disk: of the plan, and of the whole release.
    catalogues = sorted((tmp_path / "lamost" / "catalogues").iterdir())
    becat("run", from_disk(tmp_path, "disk", tmp_path / "lamost" / "mrs", catalogues))
    assert differences(tmp_path / "got.duckdb", tmp_path / "disk.duckdb") == []
    all_of_it = tmp_path / "all"
    all_of_it.mkdir()
    for path in real_spectra():
        (all_of_it / path.name).write_bytes(path.read_bytes())
    becat("run", from_disk(tmp_path, "whole", all_of_it, catalogues))
    assert _verdicts(tmp_path / "got.duckdb") == _verdicts(tmp_path / "whole.duckdb")
    with duckdb.connect(str(tmp_path / "whole.duckdb"), read_only=True) as connection:
        good = connection.execute("select spectrum_id from step_20_teff order by 1").fetchall()
    assert [row[0] for row in good] == wanted

    # The next release adds one and replaces one.
    changed = wanted[0]
    later, stellar = general.copy(), stellar.copy()
    for catalogue in (later, stellar):
        catalogue.loc[(catalogue.obsid == changed) & (catalogue.coadd == 1), "snr"] += 2
    new = later[later.obsid == changed].assign(obsid=123123, fiberid=250)
    files = {changed: replaced(lamost.spectra["dr7/v2.0", "mrs"][changed], "reduced anew"),
             123123: replaced(lamost.spectra["dr7/v2.0", "mrs"][changed], "new", 123123)}  # fmt: skip
    offer(lamost, "dr9/v2.0", "dr9", files, pd.concat([later, new]), stellar)
    lamost.asked.clear()
    said = becat("run", from_server(tmp_path, lamost, "dr9")).stdout
    assert "spectra: 2 fetched" in said and f"{len(wanted) + 1} files, {len(wanted) - 1} unchanged" in said
    assert {key for key in lamost.asked if key.isdigit()} == {str(changed), "123123"}
    catalogues = sorted((tmp_path / "lamost" / "catalogues").iterdir(), key=lambda path: "dr9" in path.name)
    becat("run", from_disk(tmp_path, "disk9", tmp_path / "lamost" / "mrs", [p for p in catalogues if "dr9" in p.name]))
    # The two new ones were reduced together, and here with the others: 4-byte numbers differ in their last digits.
    assert differences(tmp_path / "got.duckdb", tmp_path / "disk9.duckdb", 1e-4) == []


def _mix_in_every_failure(lamost, wanted):
    """All that LAMOST's service was seen to answer instead of a file (docs/archives.md), and what breaks on the way."""
    for obsid, faults in zip(
        wanted,
        [["cut", "503"], ["429", "500"], ["damaged", "half"], ["not found under 200"], ["empty"], ["sql error"]],
        strict=False,
    ):
        lamost.faults[str(obsid)] = faults
    here, other = lamost.spectra["dr7/v2.0", "mrs"], lamost.spectra["dr7/v1.3", "mrs"]
    # Three are found in another version: one that this one says Not Found of, one with an empty answer, one with a JSON error.
    other.update({wanted[3]: here[wanted[3]], wanted[4]: here[wanted[4]], wanted[5]: here.pop(wanted[5])})
    lamost.faults["dr7_v2.0_MRS_catalogue.csv.gz"] = ["cut", "json error", "cut"]  # the other path has it
    lamost.faults["dr7_v2.0_MRS_stellar.csv.gz"] = ["login page"]


def _verdicts(path):
    query = "select designation, step, is_classical_be from verdict where step is null or step > 10 order by all"
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(query).fetchall()


def _run_and_kill(config, is_time):
    command = [sys.executable, "-m", "becat", "run", str(config)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 200
    while not is_time() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ('release = "dr7"\nversoin = "v2.0"', "did you mean 'version'"),
        ('version = "v2.0"', 'no entry "release"'),
        ('release = "dr7"\nregions = [10.0, 20.0, 1.0]', "list of circles"),
        ('release = "dr7"\nsurvey = "hrs"', "mrs or lrs"),
        ('release = "dr7"\nstars = "nowhere.csv"', "no such file"),
        ('release = "dr7"\nsteps = 1', "true or false"),
        ("release = 7", "must be a string"),
    ],
)
def test_wrong_words_in_the_configuration_exit_2_in_one_line(tmp_path, entries, said):
    from becat.entries import ConfigurationError
    from becat.pipeline import Configuration

    path = survey(tmp_path, "c", f"[lamost]\n{entries}")
    with pytest.raises(ConfigurationError, match=said) as error:
        Configuration.read(path)
    assert error.value.exit_code == 2 and "\n" not in str(error.value)
