"""`becat serve` from any folder, of any file that can be read, while whatever happens to the file."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing

import httpx
import pytest

from becat.publish import serve
from becat.publish.vo.tap import jobs
from becat.schema.errors import BecatError
from tests.tools.made_once import site_of_its_own


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return [site_of_its_own(tmp_path_factory, n_stars=n, flux_of=()) / "catalog.sqlite" for n in (60, 40)]


@pytest.fixture
def path(made, tmp_path):
    return shutil.copyfile(made[0], tmp_path / "catalog.sqlite")


COUNT = "/catalog.json?sql=select+count(*)+as+n+from+star&_shape=array"
TAP = "/tap/sync?LANG=ADQL&FORMAT=csv&QUERY=SELECT+COUNT(*)+AS+n+FROM+star"


async def with_server(path, play, **options):
    """Run something with a server that has started, and end it."""
    switch = serve.Switch(path, **options)
    await switch.current.warm()
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=switch), base_url="http://localhost")
    try:
        return await play(switch, client)
    finally:
        jobs.close_service()
        switch.current.remove()
        if switch.holder:
            shutil.rmtree(switch.holder)


def test_a_copy_over_the_served_file_gives_no_500_and_no_mixture(path, made):
    async def play(switch, client):
        statuses, counts = set(), set()
        switch.watcher = asyncio.create_task(switch._watch())
        for source in (made[1], made[0], made[1]):
            whole = source.read_bytes()
            with open(path, "r+b") as file:  # as cp does
                file.truncate(0)
                for start in range(0, len(whole), len(whole) // 4):
                    file.write(whole[start : start + len(whole) // 4])
                    file.flush()
                    for asked in (COUNT, "/catalog/star", "/", "/vo/cone?RA=1&DEC=1&SR=180"):
                        answer = await client.get(asked)
                        statuses.add(answer.status_code)
                        if asked == COUNT and answer.status_code == 200:
                            counts.add(answer.json()[0]["n"])
        for _ in range(200):
            answer = await client.get(COUNT)
            if answer.status_code == 200:
                break
            await asyncio.sleep(0.1)
        tap = await client.get(TAP)
        switch.watcher.cancel()
        return statuses, counts, answer.json(), tap.text.split()

    statuses, counts, last, tap = asyncio.run(with_server(path, play))
    assert statuses <= {200, 503} and counts <= {60, 40}
    assert last == [{"n": 40}] and tap == ["n", "40"]


@pytest.mark.parametrize("closed", ["folder", "link"])
def test_a_file_that_cannot_be_linked_is_served(path, made, monkeypatch, closed):
    def refuse(*words, **named):
        raise PermissionError(1, "not permitted")

    if closed == "link":  # to a file of somebody else
        monkeypatch.setattr(os, "link", refuse)
    else:
        true = tempfile.mkdtemp
        monkeypatch.setattr(
            tempfile,
            "mkdtemp",
            lambda *words, **named: refuse() if named.get("dir") == path.parent else true(*words, **named),
        )

    async def play(switch, client):
        before = (await client.get(COUNT)).json(), (await client.get(TAP)).text.split()
        new = shutil.copyfile(made[1], path.with_name("new"))
        os.replace(new, path)
        between = (await client.get(COUNT)).status_code, (await client.get("/")).status_code
        await switch.renew()
        return before, between, (await client.get(COUNT)).json(), (await client.get(TAP)).text.split()

    before, between, after, tap = asyncio.run(with_server(path, play))
    assert before == ([{"n": 60}], ["n", "60"]) and between == (503, 503)
    assert after == [{"n": 40}] and tap == ["n", "40"]


def test_a_file_that_was_cut_is_told(path):
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size - 4096)
    with pytest.raises(BecatError, match="not complete"):
        serve.Switch(path)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200), ("LOCALHOST:8001", 200), ("127.0.0.1:8001", 200), ("be.example.org", 200),
        (socket.gethostname(), 200), ("evil.example", 421), ("be.example.org.evil.example", 421), ("8.8.8.8", 421),
    ],
)  # fmt: skip
def test_only_known_names_reach_redirects(path, host, status):
    async def play(switch, client):
        transport = httpx.ASGITransport(app=switch)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.post("/tap/async", data={"LANG": "ADQL", "QUERY": "x"}, headers={"host": host})

    answer = asyncio.run(with_server(path, play, names=["be.example.org"]))
    assert answer.status_code == (303 if status == 200 else 421)
    assert "evil" not in str(answer.headers)


@pytest.mark.parametrize("asked", ["http://evil.example/", "evil.example/", "*"])
def test_an_address_that_does_not_begin_with_a_slash_is_refused(path, asked):
    """The first was redirected to the host that it names."""

    async def play(switch, client):
        sent = []

        async def send(event):
            sent.append(event)

        await switch({"type": "http", "method": "GET", "path": asked, "headers": [(b"host", b"localhost")]}, None, send)
        return sent[0]

    start = asyncio.run(with_server(path, play))
    assert start["status"] == 400 and b"evil" not in b"".join(value for _, value in start["headers"])


def _free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.mark.skipif(sys.platform != "linux", reason="signals of a terminal")
def test_ctrl_c_ends_the_server_and_its_processes_without_a_word(path):
    """Right after the first answer, while examples are drawn in a thread and a process waits for questions."""
    words = [sys.executable, "-P", "-m", "becat", "serve", str(path), "--port", str(port := _free_port())]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True) as server:
        assert server.stdout is not None
        server.stdout.readline()
        with httpx.Client(transport=httpx.HTTPTransport(retries=8), timeout=60) as client:
            assert client.get(f"http://127.0.0.1:{port}/").status_code == 200
        os.killpg(server.pid, signal.SIGINT)
        _, said = server.communicate(timeout=60)
    assert (server.returncode, said) == (0, b"")
    assert [left.name for left in path.parent.iterdir()] == ["catalog.sqlite"]


def test_a_relative_path_is_served_from_any_folder(path):
    port = _free_port()
    code = f"from becat.publish.serve import serve; serve('catalog.sqlite', port={port})"
    server = subprocess.Popen([sys.executable, "-P", "-c", code], cwd=path.parent, stdout=subprocess.DEVNULL)
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=60, transport=httpx.HTTPTransport(retries=8)
        ) as client:
            assert client.get(COUNT).json() == [{"n": 60}]
            assert client.get(TAP).text.split() == ["n", "60"]
            (star,) = client.get("/catalog/star.json?_size=1&_shape=array").json()
            where = star["ra_deg"], star["dec_deg"]
            cone = client.get("/vo/cone", params={"RA": where[0], "DEC": where[1], "SR": 0.01})
            assert cone.status_code == 200 and "<TR>" in cone.text
            spectra = client.get("/ssa", params={"REQUEST": "queryData", "POS": f"{where[0]},{where[1]}", "SIZE": 0.1})
            assert spectra.status_code == 200 and 'name="QUERY_STATUS" value="OK"' in spectra.text
            assert client.get("/catalog.db").content == path.read_bytes()
    finally:
        server.terminate()
        server.wait(timeout=20)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("select count(*) from star").fetchone() == (60,)
    assert [left.name for left in path.parent.iterdir()] == ["catalog.sqlite"]
