"""What anonymous visitors cannot do: hold the server, fill its memory, see the machine."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from urllib.parse import parse_qsl

import pytest

from becat.publish import readonly, site
from becat.publish.plugins.errors import describe
from becat.publish.plugins.limits import page_size_within
from becat.publish.reading import snapshot_of
from becat.publish.snapshot import write as snapshot
from tests.tools.site_fixture import make_catalogue


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("limits")
    catalogue = make_catalogue(folder / "catalog.duckdb", n_stars=150, flux_of=())
    return snapshot.write(catalogue, folder / "catalog.sqlite", progress=False).path


@pytest.fixture(scope="module")
def datasette(path, loop):
    application = site.create(path, settings={"sql_time_limit_ms": 1000})
    loop.run_until_complete(application.invoke_startup())
    return application


@pytest.fixture(scope="module")
def get(datasette, loop):
    return lambda *words, **named: loop.run_until_complete(datasette.client.get(*words, **named))


@pytest.mark.parametrize(
    "asked", ["/catalog/spectrum?_size=max", "/catalog/spectrum?_size=4000", "/catalog?sql=select+*+from+spectrum"]
)
def test_a_page_has_no_more_rows_than_it_can_write_at_once(get, asked):
    page = get(asked).text
    assert 240 < page.count("<tr>") < readonly.PAGE_ROWS_MAX + 60  # rows, and those of the notes on columns
    assert len(get(asked.replace("?", ".json?") + "&_shape=array").json()) > readonly.PAGE_ROWS_MAX


def test_a_page_of_many_columns_has_few_rows_and_says_so(get):
    columns = ",".join(["1"] * 400)
    page = get(f"/catalog?sql=select+{columns}+from+star+limit+100").text
    assert page.count("<tr>") == 1 + readonly.PAGE_CELLS_MAX // 400
    assert f"The first <b>{readonly.PAGE_CELLS_MAX // 400}</b> rows" in page.replace("\n", " ")


def test_no_table_has_too_many_columns_for_a_page(path):
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute("select name from sqlite_master where type in ('table', 'view')").fetchall()
        widths = [len(connection.execute(f'pragma table_info("{name}")').fetchall()) for (name,) in names]
    assert max(widths) * (readonly.PAGE_ROWS_MAX + 1) <= readonly.PAGE_CELLS_MAX


@pytest.mark.parametrize(
    "asked", ["/catalog/spectrum?_size=250", "/catalog?sql=select+*+from+spectrum", "/catalog/spectrum.csv"]
)
def test_others_go_on_while_an_answer_of_many_rows_is_written(datasette, loop, asked):
    async def play():
        turns = 0
        answer = asyncio.ensure_future(datasette.client.get(asked))
        while not answer.done():
            await asyncio.sleep(0)
            turns += 1
            if snapshot_of(datasette)._visitors._free < readonly.QUESTIONS_AT_ONCE:  # the rows are being read
                turns = 0
        return turns

    assert loop.run_until_complete(play()) > 150


def test_the_size_of_a_page_is_cut_and_nothing_else_changes():
    for asked in (b"", b"_size=20&a=1", b"_sort=x&name=%26b"):
        assert parse_qsl(page_size_within(asked)) == parse_qsl(asked)
    assert page_size_within(b"a=1&_size=max") == b"a=1&_size=250"
    assert page_size_within(b"_size=99999999999999999999") == b"_size=250"


@pytest.mark.parametrize(
    "sql",
    [
        "select zeroblob(5000000)",
        "with recursive n(i) as (select 1 union all select i + 1 from n) select zeroblob(900000) from n",
        "with recursive n(i) as (select 1 union all select i + 1 from n) select sum(length(hex(zeroblob(400000)))) from n",
        "select replace(hex(zeroblob(400000)), '0', '0123456789')",
        "select 'a' like '" + "%a" * 200 + "'",
        "select * from pragma_database_list",
        "select a.* from spectrum a, spectrum b, spectrum c order by random()",
    ],
)
def test_what_takes_too_much_memory_or_time_is_refused(get, sql):
    started = time.perf_counter()
    for ending in (".json", ""):
        assert get(f"/catalog{ending}", params={"sql": sql}).status_code in (400, 503), ending
    assert len(get("/catalog.csv", params={"sql": sql}).content) < 10_000  # a file that has begun says it in its body
    assert time.perf_counter() - started < 40


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ("/search?q=%00abc", 200),
        ("/star/nobody%00", 302),
        (f"/star/{'9' * 60_000}", 404),
        ("/catalog/star?_facet={}", 400),
        ("/catalog/star.json?_facet_array={%22column%22:1}", 400),
        ("/catalog/star?_facet_date={", 400),
        ("/catalog/star?_facet={%22column%22:%22is_simulated%22}", 200),
        ("/catalog/star/1,2,3", 404),
        (f"/catalog/-/{'1,' * 2000}1", 400),
    ],
)
def test_odd_addresses_are_answered_and_leave_nothing_in_the_log(get, capfd, asked, status):
    assert get(asked).status_code == status
    assert capfd.readouterr().err == ""


def test_pages_of_the_machine_are_not_shown(get, path):
    for page in ("databases", "plugins", "versions", "threads", "settings", "config", "metadata"):
        for ending in ("", ".json"):
            assert get(f"/-/{page}{ending}").status_code == 404
    for page in ("/", "/catalog", "/catalog.json", "/catalog/star/1", "/catalog.json?sql=select+x"):
        assert str(path.parent) not in get(page).text


def _ask(database, address, seconds, done):
    """A question of some seconds."""

    async def ask():
        readonly.asker.set(address)
        await database.execute_fn(lambda connection: time.sleep(seconds))
        done.append(address)

    return asyncio.ensure_future(ask())


def test_whoever_asks_much_waits_for_themselves(datasette, loop):
    async def play():
        done: list[str | None] = []
        database = snapshot_of(datasette)
        tasks = [_ask(database, "much", 0.15, done) for _ in range(5)]
        tasks += [_ask(database, "little", 0.05, done), _ask(database, None, 0.05, done)]
        await asyncio.gather(*tasks)
        return done

    done = loop.run_until_complete(play())
    assert set(done[:2]) == {"little", None}


def test_who_has_waited_too_long_is_told(datasette, loop, monkeypatch):
    monkeypatch.setattr(readonly, "PATIENCE_S", 0.1)

    async def play():
        tasks = [_ask(snapshot_of(datasette), "impatient", 0.4, []) for _ in range(3)]
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = loop.run_until_complete(play())
    assert [type(answer) for answer in found] == [type(None), readonly.Busy, readonly.Busy]
    assert describe(found[1])[0] == 503

    async def again():
        await _ask(snapshot_of(datasette), "impatient", 0, [])  # nothing was left locked

    loop.run_until_complete(again())


def test_who_hangs_up_keeps_their_turn_until_the_thread_has_ended(datasette, loop):
    async def play():
        done: list[str | None] = []
        first = _ask(snapshot_of(datasette), "hasty", 0.3, done)
        await asyncio.sleep(0.05)
        first.cancel()
        started = time.perf_counter()
        await _ask(snapshot_of(datasette), "hasty", 0, done)
        return done, time.perf_counter() - started

    done, seconds = loop.run_until_complete(play())
    assert done == ["hasty"]
    assert seconds > 0.2


def test_a_file_is_not_written_for_nobody(datasette, loop):
    """The visitor reads the first bytes of a long file and hangs up: the answer ends."""
    sent: list[dict] = []

    async def receive():
        while not any(event["type"] == "http.response.body" for event in sent):
            await asyncio.sleep(0.01)
        return {"type": "http.disconnect"}

    async def send(event):
        sent.append(event)
        await asyncio.sleep(0)

    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "path": "/catalog/verdict_step.csv",
        "raw_path": b"/catalog/verdict_step.csv", "query_string": b"_stream=on&_size=10", "scheme": "http",
        "headers": [(b"host", b"x")], "client": ("127.0.0.5", 1), "server": ("x", 80), "root_path": "",
    }  # fmt: skip
    loop.run_until_complete(asyncio.wait_for(datasette.app()(scope, receive, send), 30))
    assert sum(len(event.get("body", b"")) for event in sent) < 200_000
    assert sent[-1].get("more_body", True)
