"""TAP, cone search and spectra as astronomers' programs ask for them: a real server, pyvo, STILTS, a browser and a hub."""

from __future__ import annotations

import asyncio
import errno
import html
import io
import json
import queue
import re
import shutil
import socket
import sqlite3
import subprocess
import threading
import time
import xml.etree.ElementTree as ET
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import requests
from astropy import units
from astropy.io.votable import parse, parse_single_table
from astropy.table import MaskedColumn, Table

from becat.publish.vo.tap import jobs as tap_jobs
from becat.publish.vo.tap.jobs import Busy, Limits, Service
from becat.publish.vo.votable import Field, to_votable
from tests.tools.vo_fixture import Asker, Server

pyvo = pytest.importorskip("pyvo", reason="pyvo is not installed")
needs_stilts = pytest.mark.skipif(shutil.which("stilts") is None, reason="stilts is not installed")
UWS = "{http://www.ivoa.net/xml/UWS/v1.0}"
ENDLESS = (
    "SELECT COUNT(*) AS n FROM spectrum AS a, spectrum AS b, spectrum AS c, spectrum AS d, spectrum AS e"
    " WHERE a.snr_r + b.snr_r + c.snr_r + d.snr_r > 1e9 * e.snr_r"
)


@pytest.fixture(scope="module")
def asker(tmp_path_factory):
    return Asker(tmp_path_factory)


@pytest.fixture(scope="module")
def server(asker):
    running = Server(asker.path, sync_seconds=60, async_seconds=60)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def ask(asker):
    """Plain SQL on the snapshot: the truth."""

    def rows(sql, *values):
        with closing(sqlite3.connect(asker.path)) as connection:
            return connection.execute(sql, values).fetchall()

    return rows


def test_pyvo_asks_tap_at_once_and_later(server, ask):
    service = pyvo.dal.TAPService(f"{server.url}/tap")
    adql = "SELECT star_id, ra_deg, dec_deg FROM becat.be_candidate WHERE 1=CONTAINS(POINT('ICRS',ra_deg,dec_deg),CIRCLE('ICRS',100,45,90)) ORDER BY star_id"
    found = service.search(adql)
    table = found.to_table()
    centre = pyvo.dal.conesearch(f"{server.url}/vo/cone?", pos=(100, 45), radius=90)
    candidates = {row[0] for row in ask("select star_id from be_candidate")}
    expected = sorted(candidates & {int(row["star_id"]) for row in centre})
    assert table["star_id"].tolist() == expected != []
    assert str(table["ra_deg"].unit) == "deg"
    assert len(service.search("SELECT star_id FROM star", maxrec=3).to_table()) == 3
    assert "becat.classical_be" in service.tables
    assert any(column.name == "v_tp_km_s" for column in service.tables["becat.runaway"].columns)
    assert len(service.examples) >= 8
    later = service.run_async(adql)
    assert later.to_table()["star_id"].tolist() == expected
    job = service.submit_job("SELECT nothing FROM star")
    job.run().wait(timeout=90)
    with pytest.raises(pyvo.dal.DALQueryError, match="no column nothing"):
        job.raise_if_error()
    job.delete()
    with pytest.raises(pyvo.dal.DALQueryError, match="no table starr here; is it star"):
        service.search("SELECT * FROM starr")


def test_a_job_lives_as_uws_says(server):
    begun = server.post(
        "/tap/async",
        {"LANG": "ADQL", "QUERY": "SELECT COUNT(*) AS n FROM star", "RUNID": "mine<"},
        allow_redirects=False,
    )
    assert begun.status_code == 303
    job = begun.headers["location"]

    def value(part):
        return requests.get(f"{job}/{part}", timeout=60).text

    assert value("phase") == "PENDING"
    assert requests.post(f"{job}/parameters", data={"RESPONSEFORMAT": "csv"}, timeout=60).ok
    assert requests.post(f"{job}/executionduration", data={"EXECUTIONDURATION": "99999999"}, timeout=60).ok
    assert int(value("executionduration")) == Limits().async_seconds_max
    far = (datetime.now(UTC) + timedelta(days=3000)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert requests.post(f"{job}/destruction", data={"DESTRUCTION": far}, timeout=60).ok
    kept = datetime.fromisoformat(value("destruction")) - datetime.now(UTC)
    assert kept <= timedelta(hours=Limits().kept_hours_max)
    assert requests.post(f"{job}/phase", data={"PHASE": "RUN"}, timeout=60).ok
    for _ in range(10):
        whole = ET.fromstring(requests.get(job, params={"WAIT": "20"}, timeout=60).content)
        if whole.findtext(f"{UWS}phase") == "COMPLETED":
            break
    assert whole.findtext(f"{UWS}phase") == "COMPLETED"
    assert whole.findtext(f"{UWS}runId") == "mine<"
    assert value("results/result") == "n\r\n90\r\n"
    assert requests.post(f"{job}/parameters", data={"QUERY": "SELECT 1"}, timeout=60).status_code == 403
    listed = ET.fromstring(server.get("/tap/async").content)
    assert len(listed) == 0  # nobody sees the jobs of others
    assert requests.post(job, data={"ACTION": "DELETE"}, timeout=60).ok
    assert requests.get(job, timeout=60).status_code == 404
    assert server.get("/tap/async/../../etc/passwd").status_code == 404
    for wrong in ({"PHASE": "FLY"}, {}):
        other = server.post("/tap/async", {"QUERY": "SELECT 1 AS x FROM star"}, allow_redirects=False).headers[
            "location"
        ]
        assert requests.post(f"{other}/phase", data=wrong, timeout=60).status_code == 400
        assert requests.delete(other, timeout=60).ok


def test_an_aborted_job_stops(server):
    begun = server.post("/tap/async", {"QUERY": ENDLESS, "PHASE": "RUN"}, allow_redirects=False).headers["location"]
    for _ in range(100):
        if requests.get(f"{begun}/phase", timeout=60).text == "EXECUTING":
            break
        time.sleep(0.1)
    assert requests.post(f"{begun}/phase", data={"PHASE": "ABORT"}, timeout=60).ok
    assert requests.get(f"{begun}/phase", timeout=60).text == "ABORTED"
    assert requests.delete(begun, timeout=60).ok


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({}, "QUERY is missing"), ({"QUERY": "SELECT x"}, "no column x"), ({"QUERY": "SELECT 1 AS a FROM star", "LANG": "SQL"}, "LANG"),
        ({"QUERY": "SELECT 1 AS a FROM star", "REQUEST": "sing"}, "REQUEST"), ({"QUERY": "SELECT 1 AS a FROM star", "MAXREC": "-1"}, "MAXREC"),
        ({"QUERY": "SELECT 1 AS a FROM star", "RESPONSEFORMAT": "pdf"}, "no format pdf"),
        ({"QUERY": "SELECT 1 AS a FROM star", "UPLOAD": "t,param:t"}, "no part t"),
        ({"QUERY": "SELECT '" + "x" * 300_000 + "'"}, "bytes"), ({"QUERY": "SELECT '<script>&' FROM nowhere\x00"}, ""),
    ],
)  # fmt: skip
def test_mistakes_are_told_as_votable(server, words, says):
    answer = server.post("/tap/sync", words)
    assert answer.status_code == 400
    resource = parse(io.BytesIO(answer.content)).resources[0]
    status = next(info for info in resource.infos if info.name == "QUERY_STATUS")
    assert status.value == "ERROR" and says in status.content


def test_the_addresses_on_the_page_of_services_answer(server):
    found = re.findall(r'href="(http[^"]+)"', server.get("/services").text)
    assert len(found) >= 6
    for address in found:
        if address.startswith(server.url):
            answer = requests.get(html.unescape(address), timeout=120)
            assert answer.status_code == 200 and b'QUERY_STATUS" value="ERROR' not in answer.content, address


def test_other_addresses_still_cannot_be_posted_to(server):
    for path in ("/", "/catalog/star", "/tapestry", "/tap/tables", "/ssa", "/services"):
        assert server.post(path, {"x": "1"}).status_code in (404, 405), path


def test_parameters_may_come_as_a_form_with_parts(server):
    parts = {
        "QUERY": (None, "SELECT TOP 1 star_id FROM star ORDER BY star_id"),
        "FORMAT": (None, "csv"),
        "lang": (None, "ADQL"),
    }
    answer = requests.post(f"{server.url}/tap/sync", files=parts, timeout=60)
    assert answer.text.split() == ["star_id", "10000"]
    assert answer.headers["access-control-allow-origin"] == "*"


NEAR = (
    "SELECT mine.name, mine.Mag, star.star_id, DISTANCE(star.ra_deg, star.dec_deg, mine.ra, mine.dec) AS apart"
    " FROM TAP_UPLOAD.mine AS mine JOIN becat.star AS star"
    " ON 1=CONTAINS(POINT('ICRS', star.ra_deg, star.dec_deg), CIRCLE('ICRS', mine.ra, mine.dec, 0.001)) ORDER BY mine.name"
)


def test_pyvo_brings_a_table_to_be_matched(server, ask):
    stars = ask("select star_id, ra_deg, dec_deg from star order by star_id limit 30")
    mine = Table(
        {
            "name": [f"é{star}" for star, _, _ in stars],
            "ra": np.array([ra for _, ra, _ in stars]) * units.deg,
            "dec": np.array([dec + 1 / 3600 for _, _, dec in stars]) * units.deg,
            "Mag": MaskedColumn(np.arange(30.0), mask=np.arange(30) == 7, unit=units.mag, description="Brightness"),
        }
    )
    service = pyvo.dal.TAPService(f"{server.url}/tap")
    assert service.upload_methods and service.get_tap_capability().uploadlimit.hard.content == Limits().upload_rows
    for found in (
        service.search(NEAR, uploads={"mine": mine}).to_table(),
        service.run_async(NEAR, uploads={"MINE": mine}).to_table(),
    ):
        assert [(str(row["name"]), row["star_id"]) for row in found] == [(f"é{star}", star) for star, _, _ in stars]
        assert np.allclose(found["apart"] * 3600, 1, atol=1e-6)
        assert found["Mag"].mask.sum() == 1 and found["Mag"].unit == units.mag
        assert found["Mag"].description == "Brightness"


def upload_to(server, adql="SELECT * FROM TAP_UPLOAD.mine", words="mine,param:part", content=b""):
    parts = {"QUERY": (None, adql), "FORMAT": (None, "csv"), "UPLOAD": (None, words), "part": ("t.vot", content)}
    return requests.post(f"{server.url}/tap/sync", files=parts, timeout=60)


def votable(fields, rows):
    return to_votable([Field(*field) for field in fields], rows, name="t").encode()


def test_an_uploaded_table_comes_back_as_it_was(server):
    mine = Table(
        {
            "Flag": np.array([True, False]),
            "Small": np.array([1, -2], np.int16),
            "Real": np.array([0.1, np.nan], np.float32),
            "Word": ["a", "b"],
            "Letters": ["α", ""],
            "Numbers": np.array([[1.0, 2.0], [3.0, 4.0]]),
        }
    )
    service = pyvo.dal.TAPService(f"{server.url}/tap")
    found = service.search("SELECT * FROM TAP_UPLOAD.mine", uploads={"mine": mine})
    back = found.to_table()
    kinds = {field.name: field.datatype for field in found.votable.get_first_table().fields}
    assert [kinds[name] for name in mine.colnames] == ["short", "short", "float", *["unicodeChar"] * 3]
    assert back["Flag"].tolist() == [1, 0] and back["Small"].tolist() == [1, -2]
    assert back["Real"][0] == np.float32(0.1) and np.ma.is_masked(back["Real"][1])
    assert back["Word"].tolist() == ["a", "b"] and back["Letters"].tolist() == ["α", ""]
    assert back["Numbers"][0] == "[1.0, 2.0]"
    buffer = io.BytesIO()
    mine.write(buffer, format="votable")
    parts = {
        "QUERY": (None, "SELECT * FROM TAP_UPLOAD.mine"),
        "FORMAT": (None, "fits"),
        "UPLOAD": (None, "mine,param:p"),
    }
    answer = requests.post(f"{server.url}/tap/sync", files=parts | {"p": ("t.vot", buffer.getvalue())}, timeout=60)
    whole = Table.read(io.BytesIO(answer.content), format="fits")
    assert whole.colnames == mine.colnames and whole["Small"].tolist() == [1, -2]


def test_an_uploaded_table_is_there_for_its_own_query_alone(server):
    whole = votable([("a", "long"), ("Select", "text")], [(1, "x'; drop table star; --"), (None, "<&>")])
    answer = upload_to(server, content=whole)
    assert answer.text.split("\r\n") == ["a,Select", "1,x'; drop table star; --", ",<&>", ""]
    assert upload_to(server, 'SELECT "select" AS s FROM TAP_UPLOAD.mine WHERE a = 1', content=whole).text.startswith(
        "s\r\nx'"
    )
    again = server.post("/tap/sync", {"QUERY": "SELECT * FROM TAP_UPLOAD.mine"})
    assert again.status_code == 400 and "no table tap_upload.mine here" in again.text.lower()
    parts = {"QUERY": (None, "SELECT COUNT(*) AS n FROM TAP_UPLOAD.a, TAP_UPLOAD.b"), "FORMAT": (None, "csv")}
    two = [("UPLOAD", (None, "a,param:p")), ("UPLOAD", (None, "b,param:p")), ("p", ("t.vot", whole)), *parts.items()]
    assert requests.post(f"{server.url}/tap/sync", files=two, timeout=60).text.split() == ["n", "4"]


def test_the_answer_of_a_job_can_be_asked_again_and_no_other_address(server):
    job = server.post("/tap/async", {"QUERY": "SELECT TOP 7 star_id FROM star", "PHASE": "RUN"}).url
    assert "COMPLETED" in requests.get(job, params={"WAIT": "50"}, timeout=90).text
    words = {"QUERY": "SELECT COUNT(*) AS n FROM TAP_UPLOAD.before JOIN star USING (star_id)", "FORMAT": "csv"}
    again = server.post("/tap/sync", words | {"UPLOAD": f"before,{job}/results/result"})
    assert again.text.split() == ["n", "7"]
    for other in (
        f"{job}x/results/result",
        f"{server.url}/catalog/star.votable",
        f"{job}/results/../../x/results/result",
    ):
        assert "nothing is fetched" in server.post("/tap/sync", words | {"UPLOAD": f"before,{other}"}).text


@needs_stilts
def test_stilts_brings_a_table(server, ask, tmp_path):
    (star,) = ask("select star_id, ra_deg, dec_deg from star order by star_id limit 1")
    (tmp_path / "mine.csv").write_text(f"name,ra,dec\r\nmine,{star[1]!r},{star[2]!r}\r\n")
    adql = (
        "SELECT mine.name, star.star_id FROM TAP_UPLOAD.mine AS mine JOIN becat.star AS star"
        " ON 1=CONTAINS(POINT('ICRS', star.ra_deg, star.dec_deg), CIRCLE('ICRS', mine.ra, mine.dec, 0.001))"
    )
    done = subprocess.run(
        ["stilts", "tapquery", f"tapurl={server.url}/tap", "nupload=1", f"upload1={tmp_path / 'mine.csv'}", "ufmt1=csv",
         "upname1=mine", "ofmt=csv", f"adql={adql}"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.stdout.split() == ["name,star_id", f"mine,{star[0]}"], done.stderr


@pytest.mark.parametrize(
    ("words", "content", "says"),
    [
        ("mine,http://127.0.0.1:1/t.vot", b"", "nothing is fetched from another address"),
        ("mine,file:///etc/passwd", b"", "nothing is fetched from another address"),
        ("mine,param:other", b"", "the request has no part other"),
        ("../../etc/x,param:part", b"", "cannot be called"),
        ("select,param:part", b"", "cannot be called"),
        ("mine,param:part;MINE,param:part", b"", "two tables"),
        (";".join(f"t{n},param:part" for n in range(5)), b"", "at most 4"),
        ("mine,param:part", b"RA,DEC\n1,2\n", "not a VOTable"),
        ("mine,param:part", votable([("a", "long"), ("A", "long")], []), "two columns"),
        ("mine,param:part", votable([("a", "long")], [(1,)] * 50_001), "more rows"),
        ("mine,param:part", b" " * 10_300_000, "may have at most 10,200,000 bytes"),
        ("mine,param:part", b"""<?xml version="1.0"?><!DOCTYPE v [<!ENTITY x SYSTEM "file:///etc/passwd">]>
            <VOTABLE><RESOURCE><TABLE><FIELD name="a" datatype="char" arraysize="*"/><DATA><TABLEDATA><TR><TD>&x;</TD></TR>
            </TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>""", ""),
        ("mine,param:part", b'<?xml version="1.0"?><!DOCTYPE v [<!ENTITY a "' + b"a" * 5000 + b'">' + b"".join(
            f'<!ENTITY {name} "{f"&{before};" * 50}">'.encode() for before, name in zip("abcd", "bcde", strict=True)
        ) + b"]><VOTABLE>&e;</VOTABLE>", "not a VOTable"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused(server, words, content, says):
    answer = upload_to(server, words=words, content=content)
    assert "root:" not in answer.text
    if says:
        assert answer.status_code == 400 and says in html.unescape(answer.text)


def test_long_queries_do_not_hold_the_site(server):
    jobs = [
        server.post("/tap/async", {"QUERY": ENDLESS, "PHASE": "RUN"}, allow_redirects=False).headers["location"]
        for _ in range(3)
    ]
    try:
        waits = []
        for path in ("/catalog/star/10000.json", "/tap/availability", "/catalog/be_candidate.json?_size=3"):
            started = time.perf_counter()
            assert server.get(path).status_code == 200
            waits.append(time.perf_counter() - started)
        assert max(waits) < 10, waits
        assert server.post("/tap/sync", {"QUERY": "SELECT COUNT(*) AS n FROM star", "FORMAT": "csv"}).text.split() == [
            "n",
            "90",
        ]
    finally:
        for job in jobs:
            requests.delete(job, timeout=60)


def run(work: Service, asker, adql: str, **words):
    question = {"adql": adql, "format": "csv", "rows_max": 1_000_000_000} | words

    async def answered():
        async with work.answered(asker.path, question) as outcome:
            return outcome

    return answered()


def test_time_memory_and_disk_of_a_query_are_bounded(asker):
    wide = "SELECT a.*, b.*, c.* FROM spectrum AS a, spectrum AS b, spectrum AS c"

    async def all_of_them():
        slow, small = Service(Limits(sync_seconds=4)), Service(Limits(sync_seconds=60, bytes_max=3_000_000))
        await slow.tap_schema(asker.path)
        small._schemas |= slow._schemas
        try:
            started = time.perf_counter()
            stopped = await run(slow, asker, ENDLESS)
            took = time.perf_counter() - started
            big = await run(small, asker, wide)
            job = small.create({})
            small.start(job, asker.path, {"adql": wide, "format": "csv", "rows_max": 100_000})
            while not job.is_final:
                await asyncio.sleep(0.05)
            assert job.phase == "ERROR" and list(job.folder.iterdir()) == []
            small.destroy(job)
            sorted_ = await run(
                small,
                asker,
                "SELECT COUNT(*) AS n FROM (SELECT a.file, b.mjd, c.snr_r FROM spectrum AS a, spectrum AS b, spectrum AS c ORDER BY c.snr_r, b.mjd OFFSET 1) AS t",
            )
            left = [path for path in (*slow.folder.glob("*/*"), *small.folder.glob("*/*"))]
        finally:
            slow.close()
            small.close()
        return stopped, took, big, sorted_, left

    stopped, took, big, sorted_, left = asyncio.run(all_of_them())
    assert "stopped after 4 seconds" in stopped.error and took < 30
    assert "larger than this service allows" in big.error
    assert sorted_.error
    assert left == []


def test_a_full_disk_is_told_and_nothing_is_left_of_what_did_not_fit(asker, monkeypatch, tmp_path):
    def write(path, content):
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    async def all_of_them():
        work = Service(Limits())
        try:
            monkeypatch.setattr(Path, "write_bytes", write)
            with pytest.raises(Busy, match="no room on the disk"):
                work.create({}, uploads={"mine": b"x"})
            with pytest.raises(Busy, match="no room on the disk"):
                async with work.answered(asker.path, {}, uploads={"mine": b"x"}):
                    pass
            assert list(work.folder.iterdir()) == [] and work.jobs == {}
        finally:
            work.close()

    asyncio.run(all_of_them())
    (tmp_path / "outcome.json").touch()
    assert "no room on the disk" in tap_jobs._outcome(tmp_path, b"").error


def test_jobs_are_bounded_and_expire(asker):
    async def all_of_them():
        work = Service(Limits(jobs=3, sync_at_once=1, sync_waiting=1, sync_seconds=60))
        try:
            waiting = [asyncio.create_task(run(work, asker, "SELECT COUNT(*) AS n FROM star")) for _ in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(Busy):
                await run(work, asker, "SELECT 1 AS x FROM star")
            for task in waiting:
                assert (await task).error == ""
            own = Service(Limits(jobs_of_one=2, sync_of_one=0))
            mine = [own.create({}, "1.1.1.1") for _ in range(2)]
            with pytest.raises(Busy, match="unfinished"):
                own.create({}, "1.1.1.1")
            assert own.create({}, "2.2.2.2")
            own.abort(mine[0])
            assert own.create({}, "1.1.1.1")
            with pytest.raises(Busy):
                await run(own, asker, "SELECT 1 AS x FROM star")
            own.close()
            jobs = [work.create({"QUERY": "x"}) for _ in range(3)]
            with pytest.raises(Busy):
                work.create({})
            work.fail(jobs[1], "no")
            assert work.create({}) is not jobs[1]
            assert jobs[1].identity not in work.jobs and not jobs[1].folder.exists()
            jobs[0].created -= timedelta(hours=2)  # nobody started it
            jobs[2].destruction = datetime.now(UTC)
            work.sweep()
            assert set(work.jobs) & {job.identity for job in jobs} == set()
            gone = work.create({})
            work.start(
                gone,
                asker.path.with_name("replaced.sqlite"),
                {"adql": "SELECT COUNT(*) AS n FROM star", "format": "csv", "rows_max": 9},
            )
            while not gone.is_final:
                await asyncio.sleep(0.05)
            assert gone.phase == "COMPLETED" and gone.outcome.path.read_text().split() == ["n", "90"]
        finally:
            work.close()
        assert not work.folder.exists()

    asyncio.run(all_of_them())


def test_pyvo_finds_spectra_and_they_are_the_stored_profiles(server, ask):
    service = pyvo.dal.SSAService(f"{server.url}/ssa")
    star, spectrum, ra, dec, flux = ask(
        "select star_id, spectrum_id, ra_deg, dec_deg, flux from halpha_profile join spectrum using (spectrum_id) order by 1 limit 1"
    )[0]
    found = service.search(pos=(ra, dec), diameter=0.01, format="all")
    own = {
        row[0]
        for row in ask(
            "select spectrum_id from halpha_profile join spectrum using (spectrum_id) where star_id = ?", star
        )
    }
    assert set(found["spectrum_id"].tolist()) == own and len(found) == 2 * len(own)
    assert found[0].ra == pytest.approx(ra) and str(star) != found[0].title
    expected = np.array([np.nan if value is None else value for value in json.loads(flux)])
    for record in found:
        if record["spectrum_id"] == spectrum:
            table = Table.read(io.BytesIO(requests.get(record.getdataurl(), timeout=60).content))
            np.testing.assert_allclose(np.ma.filled(np.ma.asarray(table["flux"], float), np.nan), expected)
            assert table["wavelength_a"].quantity[0].to_value("AA") == pytest.approx(6520.0)
    everything = ask("select count(*) from halpha_profile")[0][0]
    assert len(service.search(format="votable")) == everything
    assert len(service.search(band=(6.5e-7, 6.6e-7), format="fits")) == everything
    assert len(service.search(band=(4e-7, 5e-7))) == 0
    late = ask("select count(*) from halpha_profile join spectrum using (spectrum_id) where mjd >= 58484")[0][0]
    assert (
        len(
            parse_single_table(io.BytesIO(server.get("/ssa?REQUEST=queryData&FORMAT=votable&TIME=2019/").content)).array
        )
        == late
    )
    assert 'value="OVERFLOW"' in server.get("/ssa?MAXREC=1").text
    described = server.get("/ssa?REQUEST=queryData&FORMAT=METADATA").text
    assert "INPUT:POS" in described and "<TR>" not in described
    for wrong in (
        "POS=x",
        "POS=1,95",
        "SIZE=x&POS=1,1",
        "POS=1,1;GALACTIC",
        "BAND=V",
        "TIME=now",
        "FORMAT=pdf",
        "REQUEST=x",
        "MAXREC=x",
    ):
        assert 'value="ERROR"' in server.get(f"/ssa?{wrong}").text, wrong
    assert server.get("/ssa/spectrum/1.vot").status_code == 404


@needs_stilts
def test_stilts_finds_no_error_in_any_votable(server, ask, tmp_path):
    spectrum = ask("select spectrum_id from halpha_profile limit 1")[0][0]
    query = "SELECT TOP 9 s.*, POINT(ra_deg, dec_deg) AS p, CIRCLE(1, 2, 3) AS c, BOX(1, 2, 3, 4) AS b, POLYGON(1, 2, 3, 4, 5, 6) AS g, EXP(9999) AS inf FROM spectrum AS s"
    for number, path in enumerate((
        f"/ssa/spectrum/{spectrum}.vot", "/ssa?REQUEST=queryData&MAXREC=9", "/ssa?FORMAT=METADATA", "/vo/cone?RA=100&DEC=40&SR=30",
        f"/tap/sync?QUERY={requests.utils.quote(query)}", "/tap/sync?QUERY=x",
    )):  # fmt: skip
        document = tmp_path / f"{number}.xml"
        document.write_bytes(server.get(path).content)
        said = subprocess.run(
            ["stilts", "votlint", str(document)], capture_output=True, text=True, check=False, timeout=120
        )
        assert "ERROR" not in said.stdout + said.stderr, (path, said.stdout)
    said = subprocess.run(
        ["stilts", "taplint", f"tapurl={server.url}/tap", "stages=TMV CPV CAP AVV UPL EXA", "report=EWF"],
        capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert "Errors: 0" in said.stdout, said.stdout


def test_a_page_sends_its_table_and_spectra_to_programs_on_a_hub(server, ask):
    samp = pytest.importorskip("pyvo.samp", reason="this pyvo has no SAMP")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 21012)) == 0:
            pytest.skip("another SAMP hub runs on this machine")
    received, hub, client = _hub(samp)
    try:
        with playwright.sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page()
            faults = []
            page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
            page.goto(f"{server.url}/catalog/classical_be", wait_until="networkidle")
            page.get_by_role("button", name="Send to TOPCAT").click()
            page.get_by_text("Sent to test program").wait_for()
            star = ask("select star_id from halpha_profile join spectrum using (spectrum_id) limit 1")[0][0]
            page.goto(f"{server.url}/star/{star}", wait_until="networkidle")
            page.get_by_role("button", name="to SPLAT").click()
            page.get_by_text("Sent to test program").wait_for()
            page.get_by_role("button", name="Show in Aladin").click()
            for _ in range(50):
                if len({kind for kind, _ in received}) == 3:
                    break
                time.sleep(0.1)
            browser.close()
    finally:
        client.disconnect()
        hub.stop()
    assert faults == []
    kinds = {}
    for kind, parameters in received:
        kinds.setdefault(kind, []).append(parameters)
    assert kinds["table.load.votable"][0]["name"] == "classical_be"
    table = parse_single_table(io.BytesIO(requests.get(kinds["table.load.votable"][0]["url"], timeout=60).content))
    assert len(table.array) == ask("select count(*) from classical_be")[0][0]
    own = ask("select count(*) from halpha_profile join spectrum using (spectrum_id) where star_id = ?", star)[0][0]
    spectra = kinds["spectrum.load.ssa-generic"]
    assert len(spectra) == own
    assert all(
        len(parse_single_table(io.BytesIO(requests.get(one["url"], timeout=60).content)).array) == 721
        for one in spectra
    )
    ra, dec = ask("select ra_deg, dec_deg from star where star_id = ?", star)[0]
    assert float(kinds["coord.pointAt.sky"][0]["ra"]) == pytest.approx(ra, abs=1e-5)
    assert float(kinds["coord.pointAt.sky"][0]["dec"]) == pytest.approx(dec, abs=1e-5)


def _hub(samp):
    """A hub with the web profile, and a program on it that takes what pages send."""
    hub = samp.SAMPHubServer(web_profile=True, mode="multiple", addr="127.0.0.1", web_profile_dialog=Willing())
    hub.start()
    client = samp.SAMPIntegratedClient(name="test program", addr="127.0.0.1")
    client.connect(hub=hub)
    received = []
    for kind in ("table.load.votable", "spectrum.load.ssa-generic", "coord.pointAt.sky"):
        client.bind_receive_notification(
            kind, lambda key, sender, mtype, params, extra: received.append((mtype, params))
        )
    return received, hub, client


class Willing:
    """A person who lets every page register with the hub."""

    queue_request: queue.Queue
    queue_result: queue.Queue

    def __init__(self):
        threading.Thread(target=self._agree, daemon=True).start()

    def _agree(self):
        while True:
            time.sleep(0.1)
            if hasattr(self, "queue_request") and not self.queue_request.empty():
                self.queue_request.get()
                self.queue_result.put(True)
