"""Asking a service for a release's catalogues: what a plan makes of the answers, and everything that can go wrong."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from becat.etl.catalogue.connection import open_catalogue
from becat.etl.lamost import answers, ask
from becat.etl.lamost.ask import ask_for_catalogues
from becat.etl.lamost.client import Client
from becat.etl.lamost.limits import Limits
from becat.etl.lamost.plan import make_plan
from becat.etl.lamost.services import GaiaArchive, LamostSql, Vizier, _read_csv
from becat.etl.lamost.spectra import fetch_spectra
from becat.etl.lamost.wishes import Wishes
from becat.etl.load.release_files import read_catalogue
from becat.sample_spectra import real_spectra
from becat.schema.errors import BecatError
from becat.schema.releases import find, shipped
from tests.test_lamost_plan import by_hand, made
from tests.tools.lamost_release import as_csv, as_gzip, catalogue_rows, recorded_versions
from tests.tools.pipeline_tools import becat, new_catalogue
from tests.tools.servers.lamost_server import LamostServer
from tests.tools.servers.sql_service import TapServer

DR7, DR9, DR11 = (find(shipped(), one, "v2.0") for one in ("dr7", "dr9", "dr11"))
QUICK = Limits(first_wait_s=0.0, free_bytes_kept=0, timeout_s=5.0)
SKY = Wishes(regions=[(350.0, 5.0, 60.0), (10.0, 20.0, 60.0), (100.0, 89.0, 30.0)])  # the first two overlap


@pytest.fixture(scope="module")
def release():
    general, stellar = made()
    for rows in (general, stellar):
        days = pd.to_timedelta(rows.lmjd - 1, unit="D")
        rows["obsdate"] = (pd.Timestamp("1858-11-17") + days).dt.strftime("%Y-%m-%d")
    return general, stellar


@pytest.fixture
def lamost(release):
    server = LamostServer(recorded_versions())
    general, stellar = release
    server.tables["dr7/v2.0"] = {"med_catalogue": general, "med_stellar": stellar}
    yield server
    server.close()


@pytest.fixture
def sql(lamost):
    return LamostSql(Client(lamost.root, limits=QUICK))


def of_vizier(rows):
    """Rows of a catalogue as VizieR gives them: coadds only, under its own names, without the names of the files."""
    names = {"obsid": "ObsID", "obsdate": "Obs.Date", "band": "Band", "snr": "snr", "ra": "RAJ2000", "dec": "DEJ2000", "teff_lasp": "Tefflasp"}  # fmt: skip
    coadds = rows[rows.coadd == 1]
    return coadds[[name for name in names if name in rows]].rename(columns=names)


@pytest.fixture
def tap(release):
    general, stellar = release
    gaia = general.drop(columns=["gaia_g_mean_mag"])
    server = TapServer({"V/162/dr11m": of_vizier(general), "V/162/dr11sm": of_vizier(stellar),
                        "external.lamost_dr9_mrs": gaia})  # fmt: skip
    yield server
    server.close()


def vizier(tap):
    return Vizier(tap.servers["tapvizier"], QUICK)


def planned(connection, columns="* exclude (run_id, night_bytes)"):
    return connection.execute(f"select {columns} from download_plan order by obsid").fetchall()


def asked(service, catalogue, folder, wishes=SKY, release=DR7, survey="mrs"):
    return ask_for_catalogues(service, catalogue, release, survey, wishes, folder, QUICK)


def plan_of(catalogue, answer, wishes=SKY, release=DR7):
    return make_plan(catalogue, answer.paths, release, "mrs", wishes, QUICK, answer.is_whole)


def from_files(catalogue, release, folder, wishes):
    general, stellar = release
    paths = [folder / "dr7_v2.0_MRS_catalogue.csv.gz", folder / "dr7_v2.0_MRS_stellar.csv.gz"]
    for path, rows in zip(paths, (general, stellar), strict=True):
        path.write_bytes(as_csv(rows))
    make_plan(catalogue, paths, DR7, "mrs", wishes)
    rows = planned(catalogue)
    catalogue.execute("delete from download_plan; delete from etl_run")
    return rows


# -------------------------------------------------------------------------------------------------------- LAMOST's SQL


def test_a_region_asked_for_gives_the_plan_of_the_files(catalogue, lamost, sql, release, tmp_path):
    right = from_files(catalogue, release, tmp_path, SKY)
    answer = asked(sql, catalogue, tmp_path / "asked")
    plan_of(catalogue, answer)
    assert planned(catalogue) == right and 10 < len(right) < 100
    assert all(night_bytes is None for (night_bytes,) in planned(catalogue, "night_bytes")), "of nights a part is known"
    n_rows = sum(batch.table.num_rows for batch in read_catalogue(answer.paths[0]))
    general = release[0]
    near = general.merge(pd.DataFrame(planned(catalogue, "obsid"), columns=["obsid"]))
    assert n_rows > len(near) / 2, "becat load reads it as it reads the release's"
    before = lamost.asked["sql"]
    assert asked(sql, catalogue, tmp_path / "asked").paths == answer.paths and lamost.asked["sql"] == before
    assert [path.name for path in sorted((tmp_path / "asked").iterdir())] == sorted(path.name for path in answer.paths)


def test_stars_of_a_list_are_asked_for(catalogue, lamost, sql, release, tmp_path):
    stars = release[0].drop_duplicates(["ra", "dec"]).iloc[:90]
    (tmp_path / "mine.csv").write_text(stars[["ra", "dec"]].to_csv(index=False))
    wishes = Wishes(stars=tmp_path / "mine.csv", steps=False)
    plan_of(catalogue, asked(sql, catalogue, tmp_path / "asked", wishes), wishes)
    assert [row[0] for row in planned(catalogue, "obsid")] == sorted({*stars.obsid, *(stars.obsid + 1)}), (
        "two epochs each"
    )
    assert lamost.asked["sql"] == 2 * (1 + 2 * 3), "columns of each table, then three pieces, counted and fetched"


def test_a_whole_release_comes_in_strips(catalogue, lamost, sql, release, tmp_path, monkeypatch):
    monkeypatch.setattr(LamostSql, "strip_deg", 30.0)
    nowhere = release[0].iloc[:6].assign(obsid=5, fiberid=249, dec=np.nan)
    general = pd.concat([release[0], nowhere])
    lamost.tables["dr7/v2.0"]["med_catalogue"] = general
    right = from_files(catalogue, (general, release[1]), tmp_path, Wishes())
    said = []
    answer = ask_for_catalogues(sql, catalogue, DR7, "mrs", Wishes(), tmp_path / "asked", QUICK, said.append)
    plan_of(catalogue, answer, Wishes())
    assert planned(catalogue) == right and all(row[0] for row in planned(catalogue, "night_bytes"))
    assert "all 1,206 rows of med_catalogue" in said[0] and "`becat lamost catalogue`, which is faster" in said[0]


@pytest.mark.parametrize("fault", ["429", "503", "cut", "web page later"])
def test_what_may_be_otherwise_later_is_asked_for_again(catalogue, lamost, sql, tmp_path, fault):
    lamost.faults["sql"] = ["", "", fault, fault] if fault != "web page later" else ["", "", "500"]
    assert len(asked(sql, catalogue, tmp_path / "asked").paths) == 2


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("login page", "asks for a token for DR7 v2.0"),
        ("token words", "asks for a token for DR7 v2.0"),
        ("401", "asks for a token for DR7 v2.0"),
        ("web page", "a web page, or Not Found"),
        ("not found under 200", "a web page, or Not Found"),
        ("not found", "has nothing at this address"),
        ("sql error", "refuses the query .*syntax error"),
    ],
)
def test_a_failure_is_named_and_what_came_is_kept(catalogue, lamost, sql, tmp_path, monkeypatch, fault, said):
    monkeypatch.setattr(ask, "CIRCLES_AT_ONCE", 1)
    lamost.faults["sql"] = [""] * 5 + [fault] * 9
    with pytest.raises(BecatError, match=said):
        asked(sql, catalogue, tmp_path / "asked")
    n_asked = lamost.asked["sql"]
    assert n_asked <= 7, "a refusal is not asked for again"
    lamost.faults["sql"] = []
    assert len(asked(sql, catalogue, tmp_path / "asked").paths) == 2
    assert lamost.asked["sql"] - n_asked == 14 - 5 + 1, "the two pieces that were there were not asked for again"


def test_an_answer_that_is_cut_off_is_told(catalogue, lamost, sql, tmp_path):
    lamost.row_limit = 50
    with pytest.raises(BecatError, match=r"counts \d+ rows of med_catalogue and gave 50: it cuts its answers off"):
        asked(sql, catalogue, tmp_path / "asked")
    assert not list((tmp_path / "asked").glob("*.csv.gz"))


def test_a_table_or_column_that_is_not_there_is_named(catalogue, lamost, sql, release, tmp_path):
    lamost.tables["dr7/v2.0"] = {"med_catalogue": release[0].rename(columns={"obsid": "obs"})}
    with pytest.raises(BecatError, match="med_catalogue has no column obsid"):
        asked(sql, catalogue, tmp_path / "asked")
    lamost.tables["dr7/v2.0"] = {}
    with pytest.raises(BecatError, match=r"refuses the query .*does not exist"):
        asked(sql, catalogue, tmp_path / "asked")
    with pytest.raises(BecatError, match="DR3 is not served by LAMOST's OpenAPI"):
        asked(sql, catalogue, tmp_path / "asked", release=find(shipped(), "dr3"), survey="lrs")
    with pytest.raises(BecatError, match="holds no positions"):
        catalogue.execute("create view none as select 1.0 as ra_deg, 1.0 as dec_deg where false")
        asked(sql, catalogue, tmp_path / "asked", Wishes(view="none"))


def test_no_rows_may_be_an_empty_answer(catalogue, lamost, sql, tmp_path):
    nowhere = Wishes(regions=[(10.0, -80.0, 1.0)])
    plan = plan_of(catalogue, asked(sql, catalogue, tmp_path / "asked", nowhere), nowhere)
    assert plan.n_to_fetch == 0 and planned(catalogue) == []
    assert _read_csv(b"", 5) == ([], [])
    for content in (b"a,b\n1\n", b"a,b\n1,2,3\n", b"\xff\xfe\x00"):
        with pytest.raises(answers.Unusable):
            _read_csv(content, 2)


def test_the_recorded_answers_are_read(real_data):
    folder = real_data / "lamost_api"
    header, rows = _read_csv((folder / "sql_response_csv.csv").read_bytes(), 0)
    right = json.loads((folder / "sql_response_json.json").read_text())
    assert header == list(right[0]) and len(rows) == len(right)
    for row, one in zip(rows, right, strict=True):
        for cell, value in zip(row, one.values(), strict=True):
            assert cell == ("" if value is None else str(value)) or float(cell) == float(value)


def test_rows_in_the_recorded_form_give_their_plan(catalogue, lamost, real_data, tmp_path):
    """The columns of the low-resolution survey as the real service gave them, and the file names that stand in them."""
    rows = pd.read_csv(real_data / "lamost_api" / "sql_response_csv.csv", encoding="utf-8-sig")
    lamost.tables["dr10/v2.0"] = {"catalogue": rows, "stellar": rows}
    out = becat("lamost", "plan", "-c", new_catalogue(tmp_path / "d.duckdb"), "--ask", "lamost", "--release", "DR10", "--lrs",
                "--no-steps", "--region", 138, 13, 2, "--into", tmp_path / "x", "--server", lamost.root).stdout  # fmt: skip
    assert "asked of LAMOST's SQL: catalogue and stellar" in out and "3 files" in out
    with open_catalogue(tmp_path / "d.duckdb", read_only=True) as connection:
        found = [row[0] for row in planned(connection, "file")]
    assert [file.removesuffix(".gz") for file in found] == list(rows.sort_values("obsid").file.str.removesuffix(".gz"))
    assert "--release" in becat("lamost", "plan", "--ask", "gaia", "-c", tmp_path / "d.duckdb", check=2).stderr
    assert "or --ask" in becat("lamost", "plan", "-c", tmp_path / "d.duckdb", check=2).stderr


# ------------------------------------------------------------------------------------------------ VizieR, Gaia's archive


def test_vizier_gives_the_same_spectra_by_their_numbers(catalogue, tap, release, tmp_path):
    answer = asked(vizier(tap), catalogue, tmp_path / "asked", SKY, DR11)
    right = [row[1] for row in from_files(catalogue, release, tmp_path, SKY)]
    plan = plan_of(catalogue, answer, SKY, DR11)
    assert [row[0] for row in planned(catalogue, "obsid")] == right and plan.bytes_to_fetch == 350_000 * len(right)
    dates = release[0].drop_duplicates("obsid").set_index("obsid").obsdate.str.replace("-", "")
    for obsid, night, file, night_bytes in planned(catalogue, "obsid, night, file, night_bytes"):
        assert night == dates[obsid] and file == f"{night}/by_obsid/med-obsid-{obsid}.fits.gz" and night_bytes is None
    assert any("coadds only" in remark for remark in answer.remarks)
    assert "T_eff" in plan.steps[3].step and plan.steps[3].n_files < plan.steps[2].n_files
    assert set(right) <= set(by_hand(*release))


def test_spectra_of_vizier_s_plan_come(catalogue, tap, lamost, tmp_path):
    general, stellar = catalogue_rows(real_spectra())
    tap.tables = {"V/162/dr11m": of_vizier(general), "V/162/dr11sm": of_vizier(stellar)}
    wishes = Wishes(regions=[(0.0, 90.0, 180.0)], steps=False)
    plan_of(catalogue, asked(vizier(tap), catalogue, tmp_path / "asked", wishes, DR11), wishes, DR11)
    by_name = {path.name.split("-")[1]: path for path in real_spectra()}
    of = {int(row.obsid): as_gzip(by_name[str(row.lmjd)]) for row in general.itertuples()}
    lamost.spectra["dr11/v2.0", "mrs"] = of
    came = fetch_spectra(catalogue, Client(lamost.root, limits=QUICK), None, "mrs", tmp_path / "mrs")
    assert came.n_fetched + came.n_failed == len(of) and came.n_fetched >= len(of) - 1
    files = [path for path in (tmp_path / "mrs").rglob("*.fits.gz")]
    assert {path.read_bytes() for path in files} <= set(of.values()) and len(files) == came.n_fetched


@pytest.mark.parametrize("fault", ["500", "cut", "timeout"])
def test_tap_is_asked_again(catalogue, tap, tmp_path, fault):
    service = Vizier(tap.servers["tapvizier"], Limits(first_wait_s=0.0, free_bytes_kept=0, timeout_s=1.0))
    tap.faults = ["", "", fault, fault]
    assert len(asked(service, catalogue, tmp_path / "asked", SKY, DR11).paths) == 2


def test_what_tap_refuses_or_cuts_off_is_told(catalogue, tap, tmp_path):
    tap.row_limit = 3
    with pytest.raises(BecatError, match=r'VizieR counts \d+ rows of "V/162/dr11m" and gave 3'):
        asked(vizier(tap), catalogue, tmp_path / "asked", SKY, DR11)
    tap.row_limit, n_asked = None, len(tap.queries)
    del tap.tables["V/162/dr11sm"]
    with pytest.raises(BecatError, match=r"VizieR does not answer .*dr11sm"):
        asked(vizier(tap), catalogue, tmp_path / "asked", SKY, DR11)
    assert sum("dr11sm" in query for query in tap.queries[n_asked:]) == 1, "a refusal is not asked for again"
    tap.tables["V/162/dr11m"] = tap.tables["V/162/dr11m"].rename(columns={"ObsID": "Obs"})
    with pytest.raises(BecatError, match="has no column obsid"):
        asked(vizier(tap), catalogue, tmp_path / "other", SKY, DR11)


def test_gaia_s_archive_gives_the_general_catalogue_of_dr9(catalogue, tap, release, tmp_path):
    service = GaiaArchive(tap.servers["gaia_tap"], QUICK)
    answer = asked(service, catalogue, tmp_path / "asked", SKY, DR9)
    plan = plan_of(catalogue, answer, SKY, DR9)
    rows = planned(catalogue, "obsid, file, n_rows")
    right = from_files(catalogue, (release[0], release[1].assign(teff_lasp=-9999.0)), tmp_path, SKY)
    names = [row[0] for row in catalogue.execute("describe download_plan").fetchall()]
    at = [names.index(name) for name in ("obsid", "file")]
    assert [row[:2] for row in rows] == [tuple(row[i] for i in at) for row in right] and {row[2] for row in rows} == {6}
    assert answer.remarks[0] == "asked of Gaia's archive: external.lamost_dr9_mrs"
    assert any("no table of stellar parameters" in remark for remark in answer.remarks)
    assert any("no temperature" in remark for remark in plan.remarks)


@pytest.mark.parametrize(
    ("service", "release", "survey", "said"),
    [
        (Vizier, DR9, "mrs", "VizieR has no MRS of DR9: it has DR11"),
        (Vizier, DR7, "mrs", r"VizieR has no MRS of DR7: .*DR7 \(LRS\)"),
        (GaiaArchive, DR11, "mrs", "Gaia's archive has no MRS of DR11: it has DR9"),
    ],
)
def test_what_a_service_does_not_have_is_told(catalogue, tmp_path, service, release, survey, said):
    with pytest.raises(BecatError, match=said):
        asked(service("http://127.0.0.1:9", QUICK), catalogue, tmp_path, SKY, release, survey)
