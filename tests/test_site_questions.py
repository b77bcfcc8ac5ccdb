"""Visitors' SQL runs in processes that can be killed: nobody passes the time limit, nobody stops the others."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from urllib.parse import urlencode

import pytest

from becat.publish import fair_queue, guarded, question_worker, readonly, site
from becat.publish.reading import snapshot_of
from becat.publish.vo.tap import jobs
from tests.tools.made_once import site_of_its_own

INSTR = "select instr(hex(zeroblob(450000)), substr(hex(zeroblob(450000)), 1, 400000) || '1')"
PRINTF = "select printf('%.*c', 1000000000, 'x')"
ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return site_of_its_own(tmp_path_factory, n_stars=60, flux_of=()) / "catalog.sqlite"


def application(path, loop, limit_ms):
    made = site.create(path, settings={"sql_time_limit_ms": limit_ms})
    loop.run_until_complete(made.invoke_startup())
    return made


@pytest.fixture(scope="module")
def datasette(path, loop):
    made = application(path, loop, 300)
    yield made
    snapshot_of(made).close()


async def ask(datasette, path, address="127.0.0.1", gone=None):
    """Status and body of an answer; who asks hangs up when `gone` is set."""
    place, _, query = path.partition("?")
    events = []

    async def receive():
        await (gone or asyncio.Event()).wait()
        return {"type": "http.disconnect"}

    async def send(event):
        events.append(event)

    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "path": place, "raw_path": place.encode(),
        "query_string": query.encode(), "scheme": "http", "headers": [(b"host", b"localhost")], "client": (address, 1),
        "server": ("localhost", 80), "root_path": "",
    }  # fmt: skip
    await datasette.app()(scope, receive, send)
    return events[0]["status"] if events else None, b"".join(event.get("body", b"") for event in events[1:]).decode()


def sql(words, place="/catalog.json"):
    return f"{place}?{urlencode({'sql': words, '_shape': 'array'})}"


@pytest.mark.parametrize("words", [INSTR, PRINTF])
@pytest.mark.parametrize("place", ["/catalog.json", "/~63atalog.json"])
def test_what_sqlite_cannot_interrupt_is_stopped_and_others_go_on(datasette, loop, monkeypatch, words, place):
    monkeypatch.setattr(readonly, "PATIENCE_S", 4.0)

    async def play():
        bad = [asyncio.create_task(ask(datasette, sql(words, place), f"192.0.2.{i}")) for i in (1, 2)]
        await asyncio.sleep(0.1)
        good = await asyncio.gather(
            ask(datasette, sql("select count(*) as n from star"), "192.0.2.3"),
            ask(datasette, "/vo/cone?RA=100&DEC=45&SR=1", "192.0.2.4"),
            ask(datasette, "/catalog/star?_sort=ra_deg", "192.0.2.5"),
        )
        return await asyncio.gather(*bad), good

    bad, good = loop.run_until_complete(play())
    assert [status for status, _ in bad] == [400, 400]
    assert "takes longer than the server allows" in bad[0][1]
    assert [status for status, _ in good] == [200, 200, 200]
    assert json.loads(good[0][1]) == [{"n": 60}]


def test_who_hangs_up_ends_the_query(path, loop):
    patient = application(path, loop, 100_000)

    async def play():
        gone = asyncio.Event()
        first = asyncio.create_task(ask(patient, sql(INSTR), gone=gone))
        await asyncio.sleep(1.0)
        assert not first.done()
        gone.set()
        assert await first == (None, "")
        return await ask(patient, sql("select 1 as n"))

    assert loop.run_until_complete(play()) == (200, '[{"n": 1}]')
    snapshot_of(patient).close()


def test_a_process_that_dies_is_told_and_the_next_one_answers(path, loop):
    patient = application(path, loop, 100_000)

    async def play():
        asking = asyncio.create_task(ask(patient, sql(ENDLESS)))
        await asyncio.sleep(1.0)
        (process,) = snapshot_of(patient).questions._all
        os.kill(process._popen.pid, signal.SIGSEGV)
        return await asking, await ask(patient, sql("select 1 as n"))

    (status, said), after = loop.run_until_complete(play())
    assert status == 400 and "more memory than it may use" in said
    assert after == (200, '[{"n": 1}]')
    snapshot_of(patient).close()


def test_a_process_ends_with_its_server_in_the_middle_of_a_query(path):
    worker = subprocess.Popen(
        [sys.executable, "-m", "becat.publish.question_worker", str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    question = {"sql": ENDLESS, "parameters": {}, "rows_max": 1, "limit_ms": 600_000}
    said = question_worker.to_json(question)
    with worker:
        assert worker.stdout.read(4 + len('{"ready":true}')).endswith(b"true}")
        worker.stdin.write(question_worker.LENGTH.pack(len(said)) + said)
        worker.stdin.close()  # as it is when the server is killed
        assert worker.wait(timeout=20) == 0


@pytest.mark.parametrize(
    "words",
    [
        "select " + "+".join(["1"] * 2000),
        "select '" + "a" * 300_000 + "'",
        "select " + " union all select ".join("1" * 300),
        "select zeroblob(2000000)",
        "select count(?5)",
        "select 9223372036854775807 + 1e300, cast(x'ff' as text), x'00ff', null, '\u2028'",
    ],
)
def test_limits_on_lengths_are_told(datasette, loop, words):
    status, said = loop.run_until_complete(ask(datasette, sql(words)))
    if "cast" in words:
        assert status == 200
        assert list(json.loads(said)[0].values()) == [
            1e300,
            "\ufffd",
            {"$base64": True, "encoded": "AP8="},
            None,
            "\u2028",
        ]
    else:
        assert status == 400 and "rror" in said


def test_pages_read_the_rows_of_a_process_by_name_and_number():
    found = readonly.as_results(["a", 'b"c', "a"], [(1, "x", None)], truncated=False)
    assert found.columns == ["a", 'b"c', "a"]
    (row,) = found.rows
    assert (row["a"], row[1], row['b"c'], tuple(row), row.keys()) == (1, "x", "x", (1, "x", None), ["a", 'b"c', "a"])


def test_a_snapshot_may_have_any_name(path, tmp_path, loop):
    odd = tmp_path / "a?b #c%41.sqlite"
    odd.write_bytes(path.read_bytes())
    with guarded.open_guarded(odd) as connection:
        assert connection.execute("select count(*) from star").fetchone() == (60,)
    connection.close()
    made = application(odd, loop, 1000)
    place = made.urls.database(snapshot_of(made).name)
    assert loop.run_until_complete(ask(made, f"{place}.json?sql=select+1+as+n&_shape=array")) == (200, '[{"n": 1}]')
    snapshot_of(made).close()


def test_one_network_has_one_turn_at_a_time(loop):
    async def play(addresses):
        queue, taken = fair_queue.FairQueue(2), []

        async def take(address):
            async with queue.turn(address):
                taken.append(address)
                await asyncio.sleep(0.01)

        await asyncio.gather(*map(take, addresses))
        return taken

    assert fair_queue.network_of("2001:db8::1") == fair_queue.network_of("2001:db8::ffff") != "2001:db8::1"
    much = [f"2001:db8::{i}" for i in range(1, 6)]
    assert "192.0.2.1" in loop.run_until_complete(play([*much, "192.0.2.1"]))[:2]


def test_who_asks_now_and_then_goes_before_who_has_had_much(loop):
    seconds = [0.0]
    queue = fair_queue.FairQueue(1, clock=lambda: seconds[0])

    async def play():
        for i in range(8):  # one who has many addresses
            async with queue.turn(f"192.0.2.{i}"):
                seconds[0] += 3
        leave = await queue.enter("192.0.2.0")
        taken = []

        async def take(address):
            async with queue.turn(address):
                taken.append(address)

        waiting = [asyncio.create_task(take(f"192.0.2.{i}")) for i in range(1, 8)]
        waiting += [asyncio.create_task(take("203.0.113.1"))]
        gone = asyncio.create_task(take("203.0.113.2"))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        leave()
        await asyncio.gather(*waiting)
        async with queue.turn("203.0.113.3", 1.0):  # nothing was lost by who went
            return taken

    assert loop.run_until_complete(play())[0] == "203.0.113.1"


def test_a_tap_query_is_ended_by_who_hangs_up(path, loop):
    made = application(path, loop, 1000)
    slow = "SELECT COUNT(*) AS n FROM star AS a, star AS b, star AS c, star AS d, star AS e"

    async def play():
        gone = asyncio.Event()
        place = "/tap/sync?" + urlencode({"LANG": "ADQL", "QUERY": slow})
        asking = asyncio.create_task(ask(made, place, gone=gone))
        work = jobs.service()
        while not work._running:
            assert not asking.done(), await asking
            await asyncio.sleep(0.05)
        (process,) = work._running
        gone.set()
        await asking
        running = process.returncode
        jobs.close_service()
        return running

    assert loop.run_until_complete(play()) == -signal.SIGKILL


def test_nobody_loses_results_or_places_to_another():
    work = jobs.Service(jobs.Limits(jobs=8, jobs_of_one=3, jobs_kept_of_one=4))
    try:
        theirs = work.create({}, "192.0.2.1")
        work.fail(theirs, "finished")
        for _ in range(8):
            work.fail(work.create({}, "192.0.2.2"), "finished")
        assert theirs.identity in work.jobs and len(work.jobs) == 5
        started = work.create({}, "192.0.2.3")
        pending = [work.create({}, f"2001:db8::{i}") for i in range(2)]  # one network
        with pytest.raises(jobs.Busy):
            work.create({}, "2001:db8::2")
        newcomer = work.create({}, "192.0.2.4")  # takes the place of what nobody started
        assert newcomer.identity in work.jobs and pending[0].identity not in work.jobs
        assert {theirs.identity, started.identity} <= set(work.jobs)
        room = jobs.Service(jobs.Limits(disk_bytes_of_one=10))
        kept = room.create({}, "192.0.2.1", {"t": b"12345678"})
        room.fail(kept, "finished")
        other = room.create({}, "192.0.2.2", {"t": b"123456789012"})
        room.fail(other, "finished")
        room.create({}, "192.0.2.2")
        assert kept.identity in room.jobs and other.identity not in room.jobs
        room.close()
    finally:
        work.close()


@pytest.mark.parametrize(
    "part", [b"a" + b";" * 2_000, b'name=q; a="' + b";" * 2_000, b"name=q\r\n\r\n" + b"\r\n--B" * 100]
)
@pytest.mark.parametrize("place", ["/tap/sync", "/tap/async", "/phase"])
def test_a_form_has_few_parts_with_short_heads(datasette, loop, part, place):
    async def play():
        made = await datasette.client.post("/tap/async", data={"LANG": "ADQL", "QUERY": "select 1 from star"})
        at = made.headers["location"].split("localhost")[1] + place if place == "/phase" else place
        content = b"--B\r\nContent-Disposition: form-data; " + part + b"\r\n\r\nx\r\n--B--\r\n"
        said = await datasette.client.post(
            at, content=content, headers={"content-type": "multipart/form-data; boundary=B"}
        )
        jobs.close_service()
        return said

    said = loop.run_until_complete(play())
    assert said.status_code == 400
    assert "a form may have" in said.text or "the head of a part" in said.text


def test_the_parameters_of_a_job_do_not_grow_without_end(datasette, loop):
    async def play():
        made = await datasette.client.post("/tap/async", data={"LANG": "ADQL", "QUERY": "select 1 from star"})
        place = made.headers["location"].split("localhost")[1] + "/parameters"
        statuses = [(await datasette.client.post(place, data={f"P{i}": "x" * 90_000})).status_code for i in range(4)]
        jobs.close_service()
        return statuses

    assert loop.run_until_complete(play()) == [303, 303, 400, 400]
