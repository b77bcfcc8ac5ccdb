"""Tables that point elsewhere, and SQL that calls what it should not: nothing is followed, nothing else is called."""

from __future__ import annotations

import bz2
import errno
import gzip
import html
import io
import json
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import requests

from becat import demo_archives as printed_stars
from becat.etl.archives import tables
from becat.etl.archives.tables import read_table
from becat.etl.catalogue import memory
from becat.etl.catalogue.errors import Rejected
from becat.etl.lamost.answers import Unusable, opened_spectrum
from becat.etl.load import release_files
from becat.etl.load.release import load_release_catalogues
from becat.publish.allowed_sql import FUNCTIONS, guard
from becat.publish.readonly import Snapshot
from becat.publish.vo.tap import jobs, walls, worker
from becat.schema.errors import BecatError
from becat.schema.votable_safe import UnsafeVOTable, parse_votable
from tests.tools.vo_fixture import Asker, Server

ROOT = Path(__file__).resolve().parents[1]
SECRET = "what only the owner may read"
XML = '<?xml version="1.0"?>'


@pytest.fixture(scope="module")
def asker(tmp_path_factory):
    return Asker(tmp_path_factory)


@pytest.fixture(scope="module")
def server(asker):
    running = Server(asker.path, sync_seconds=60)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """Addresses of a file and of a server on this machine, and the requests that the server got."""
    file = tmp_path_factory.mktemp("elsewhere") / "secret"
    file.write_text(SECRET)
    asked = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(SECRET.encode())

        def log_message(self, *_):
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    yield {"file": file.as_uri(), "http": f"http://127.0.0.1:{listening.server_port}/t"}, asked
    listening.shutdown()
    listening.server_close()


def votable(data: str, head: str = XML) -> bytes:
    return (
        f'{head}<VOTABLE version="1.4"><RESOURCE><TABLE><FIELD name="a" datatype="char" arraysize="28"/>'
        f'<FIELD name="b" datatype="char" arraysize="0"/><DATA>{data}</DATA></TABLE></RESOURCE></VOTABLE>'
    ).encode()


def hostile(address: str) -> dict[str, bytes]:
    stream = f'<STREAM href="{address}"/>'
    cell = "<TABLEDATA><TR><TD>&x;</TD><TD/></TR></TABLEDATA>"
    binary = votable(f"<BINARY>{stream}</BINARY>")
    return {
        "binary": binary,
        "binary2": votable(f"<BINARY2>{stream}</BINARY2>"),
        "fits": votable(f"<FITS>{stream}</FITS>"),
        "parquet": votable(f'<PARQUET type="VOTable-remote-file">{stream}</PARQUET>'),
        "prefixed": votable(f'<v:BINARY><v:STREAM href="{address}"/></v:BINARY>'),
        "letters by number": binary.replace(b'href="f', b'href="&#102;').replace(b'href="h', b'href="&#104;'),
        "gzipped": gzip.compress(binary),
        "bzipped": bz2.compress(binary),
        "in UTF-16": binary.decode().replace('"1.0"?>', '"1.0" encoding="UTF-16"?>').encode("utf-16"),
        "cut short": binary[: binary.index(b"</DATA>")],
        "entity": votable(cell, f'{XML}<!DOCTYPE v [<!ENTITY x SYSTEM "{address}">]>'),
        "outer DTD": votable(cell.replace("&x;", "x"), f'{XML}<!DOCTYPE v SYSTEM "{address}">'),
        "address by default": votable(
            "<BINARY><STREAM/></BINARY>", f'{XML}<!DOCTYPE v [<!ATTLIST STREAM href CDATA "{address}">]>'
        ),
    }


KINDS = sorted(hostile(""))


@pytest.mark.parametrize("place", ["file", "http"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_address_in_an_uploaded_table_is_followed(server, elsewhere, kind, place):
    places, asked = elsewhere
    before = len(asked)
    parts = {
        "QUERY": (None, "SELECT * FROM TAP_UPLOAD.mine"),
        "FORMAT": (None, "csv"),
        "UPLOAD": (None, "mine,param:part"),
        "part": ("t.vot", hostile(places[place])[kind]),
    }
    answer = requests.post(f"{server.url}/tap/sync", files=parts, timeout=60)
    assert answer.status_code == 400 and SECRET not in answer.text and len(asked) == before
    said = html.unescape(answer.text)
    assert "the uploaded table mine is not a VOTable that can be read here" in said
    if kind in ("binary", "binary2", "fits", "parquet", "gzipped", "in UTF-16", "cut short"):
        assert "which becat does not read: put them into this file" in said
    if kind in ("entity", "outer DTD", "address by default"):
        assert "it declares a document type or entities" in said


@pytest.mark.parametrize("place", ["file", "http"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_address_in_a_table_of_an_archive_is_followed(tmp_path, elsewhere, kind, place):
    places, asked = elsewhere
    before = len(asked)
    path = tmp_path / "stars.vot"
    path.write_bytes(hostile(places[place])[kind])
    with pytest.raises(BecatError) as refused:
        read_table(path)
    assert SECRET not in str(refused.value) and len(asked) == before and "\n" not in str(refused.value)


def test_a_name_that_looks_like_an_address_is_not_fetched(elsewhere, tmp_path):
    places, asked = elsewhere
    before = len(asked)
    for read in (
        read_table,
        lambda address: printed_stars.write_demo_archives(tmp_path / "demo", address),
    ):
        with pytest.raises((BecatError, OSError)):
            read(places["http"])
    assert len(asked) == before


def test_a_table_with_its_rows_inside_is_read(tmp_path):
    rows = votable("<TABLEDATA><TR><TD>one</TD><TD/></TR></TABLEDATA>")
    for name, content in (("plain.vot", rows), ("packed.vot.gz", gzip.compress(rows))):
        (tmp_path / name).write_bytes(content)
        assert read_table(tmp_path / name)[0].column("a").to_pylist() == ["one"]


def test_a_table_that_unpacks_to_too_much_is_refused(tmp_path):
    (tmp_path / "t").write_bytes(gzip.compress(votable("<TABLEDATA>" + " " * 5_000_000 + "</TABLEDATA>")))
    with (tmp_path / "t").open("rb") as file, pytest.raises(UnsafeVOTable, match="more than 1,000,000 bytes"):
        parse_votable(file, bytes_max=1_000_000)


def bombs() -> dict[str, bytes]:
    """Small files that become more than a mebibyte."""
    many = io.BytesIO()
    parquet.write_table(pa.table({"a": pa.repeat(0.0, 100_000), "b": pa.repeat(1.0, 100_000)}), many)
    row = "<TABLEDATA><TR><TD>x</TD><TD/></TR></TABLEDATA>"
    return {
        "t.csv.gz": gzip.compress(b"a,b\n" + b"1,2\n" * 300_000),
        "t.vot.gz": gzip.compress(votable(" " * 2_000_000)),
        "t.parquet": many.getvalue(),
        "wide.vot": votable(row).replace(b'"28"', b'"2000x1000"'),
        "long.vot": votable(row).replace(b"<TABLE>", b'<TABLE nrows="100000000">'),
        "columns.csv": b"a," * 20_000,
    }


@pytest.mark.parametrize("name", sorted(bombs()))
def test_a_table_of_ones_own_that_becomes_too_much_is_refused(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(bombs()[name])
    with pytest.raises(BecatError, match=r"more than 1 MiB when|more than 1,048,576 bytes by|more than 10,000 columns"):
        read_table(path, 1 << 20)
    assert path.stat().st_size < 50_000


def test_a_large_table_of_ones_own_is_read(tmp_path, monkeypatch):
    """A file may become a hundred times as large, and words that Parquet keeps once count as often as they are read."""
    monkeypatch.setattr(memory, "UNPACKED_BYTES_MIN", 1 << 10)
    monkeypatch.setattr(tables, "ROWS_A_PIECE", 10)
    names = pa.array([f"star {i:06d}" for i in range(10_000)]).dictionary_encode()
    parquet.write_table(pa.table({"a": names, "b": pa.array(range(10_000))}), tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_text("a,b\n" + "star 000000,0\n" * 1000)
    assert read_table(tmp_path / "t.parquet")[0].column("a").to_pylist() == names.to_pylist()
    assert read_table(tmp_path / "t.csv")[0].num_rows == 1000


def test_a_release_catalogue_and_a_spectrum_that_unpack_to_too_much_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "UNPACKED_BYTES_MIN", 1 << 20)
    path = tmp_path / "dr7.csv.gz"
    path.write_bytes(gzip.compress(b"obsid,snrr\n" + b"0" * 4_000_000))
    with pytest.raises(Rejected, match="unpacks to more than 1 MiB: not a catalogue"):
        list(release_files.read_catalogue(path))
    with pytest.raises(Unusable, match="gzip holds more than 64 MiB"):
        opened_spectrum(gzip.compress(bytes(70 << 20), 1), 1)


def test_a_full_disk_loses_nothing_of_a_release_catalogue(catalogue, tmp_path, monkeypatch):
    """It was rejected for good, and what had been read of it before was taken out."""
    path = tmp_path / "dr7.csv.gz"
    path.write_bytes(gzip.compress(b"obsid,snrr\n1,10\n"))
    assert load_release_catalogues(catalogue, [path])["rows"] == 1
    path.write_bytes(gzip.compress(b"obsid,snrr\n1,10\n2,20\n"))

    def full(path, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(release_files, "_gunzip", full)
        with pytest.raises(OSError, match="No space left"):
            load_release_catalogues(catalogue, [path])
    assert catalogue.execute("select obsid from release_entry").fetchall() == [(1,)]
    assert load_release_catalogues(catalogue, [path]) == {"loaded": 1, "rows": 2, "rejected": 0}


WALLED = """
import json, sys
from pathlib import Path
from becat.publish.vo.tap import walls, worker
alone = walls.leave_the_network()
walls.stay_within(Path(sys.argv[1]))
import os, socket, sqlite3, subprocess, urllib.request
def tried(what, *arguments):
    try:
        what(*arguments)
    except (OSError, sqlite3.Error) as error:
        return type(error).__name__
    return "done"
print(json.dumps([
    tried(open, sys.argv[2]), tried(open, "/proc/%d/environ" % os.getppid(), "rb"), tried(open, "/proc/self/environ"),
    tried(os.open, sys.argv[2], os.O_RDONLY), tried(open, sys.argv[1] + "/../x", "w"), tried(open, os.__file__, "a"),
    tried(socket.socket), tried(socket.getaddrinfo, "localhost", 80), tried(urllib.request.urlopen, "file://" + sys.argv[2]),
    tried(os.system, "true"), tried(subprocess.run, ["true"]), tried(os.fork), tried(sqlite3.connect, sys.argv[2]),
]))
print(json.dumps([tried(open, sys.argv[1] + "/mine", "w"), tried(open, os.__file__), tried(sqlite3.connect, ":memory:")]))
import astropy.io.votable
"""


def test_the_process_of_a_query_opens_nothing_else(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "secret").write_text(SECRET)
    done = subprocess.run(
        [sys.executable, "-c", WALLED, str(tmp_path / "own"), str(tmp_path / "secret")],
        cwd=ROOT, env=jobs._environment(tmp_path / "own"), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    refused, done_still = map(json.loads, done.stdout.splitlines())
    assert done.returncode == 0, done.stderr
    assert all(word in ("PermissionError", "URLError") for word in refused), refused
    assert done_still == ["done"] * 3
    assert not (tmp_path / "x").exists()


def test_the_process_of_a_query_is_told_none_of_the_secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("DATASETTE_SECRET", SECRET)
    monkeypatch.setenv("SOME_TOKEN", SECRET)
    told = jobs._environment(tmp_path)
    assert SECRET not in told.values()
    assert {told[name] for name in ("HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")} == {str(tmp_path)}


def test_becats_own_folder_is_read_only_where_its_code_lies():
    own = walls._libraries()
    assert str(ROOT) not in own and str(ROOT / "publish") in own
    assert all(Path(walls.__file__).is_relative_to(ROOT / name) or name == "schema" for name in ("publish", "schema"))


CALLED = [
    ("select fts3_tokenizer('simple') as t", "the function fts3_tokenizer may not be called here"),
    ("select hex(FTS3_Tokenizer('simple')) as t", "the function fts3_tokenizer may not be called here"),
    ("select fts3_tokenizer('simple', :p) as t", "the function fts3_tokenizer may not be called here"),
    ("with x as (select fts3_tokenizer('simple')) select count(*) from x", "the function fts3_tokenizer may not"),
    ("select load_extension('x')", "the function load_extension may not be called here"),
    ("select fts5(:p)", "the function fts5 may not be called here"),
    ("select rtreecheck('star')", "the function rtreecheck may not be called here"),
    ("select sqlite_source_id()", "the function sqlite_source_id may not be called here"),
    ("select total_changes()", "the function total_changes may not be called here"),
    ("select * from fts3tokenize('simple', 'a b')", "only the published tables may be read here"),
    ("select count(*) from fts3tokenize", "only the published tables may be read here"),
    ("select * from dbstat", "only the published tables may be read here"),
    ("select count(*) from dbstat", "only the published tables may be read here"),
    ("select * from sqlite_stmt", "only the published tables may be read here"),
    ("select * from pragma_table_info('star')", "only the published tables may be read here"),
    ("select * from sqlite_temp_master", "the table sqlite_temp_master may not be read here"),
]


@pytest.mark.parametrize(("sql", "says"), CALLED, ids=[sql[:50] for sql, _ in CALLED])
def test_sql_calls_and_reads_only_what_is_named(server, sql, says):
    words = {"sql": sql, "p": "AAAAAAAA"}
    for ending in ("", ".json", ".votable", ".fits"):
        answer = server.get(f"/catalog{ending}", params=words)
        assert answer.status_code == 400, (ending, answer.text[-500:])
        assert says in html.unescape(answer.text), ending
    assert server.get("/catalog.csv", params=words).text.strip() == ""  # Datasette's CSV of any wrong SQL is empty
    assert server.get("/").status_code == 200


ANSWERED = [
    "select count(*) from star", "with x as (select 1) select count(*) from x", "select value from json_each('[1, 2]')",
    "select key from json_tree('{\"a\": [1]}')", "select sum(ra_deg) over (order by star_id) as s from star",
    "with recursive n(i) as (select 1 union all select i + 1 from n limit 5) select * from n",
    "select names from star_search where star_search match '\"J00\"'",
    "select snippet(star_search, 0, '<', '>', '.', 3), highlight(star_search, 0, '<', '>') from star_search('\"J0\"') order by rank",
    "select becat_separation(1, 2, 3, 4)", "select printf('%d', 3), strftime('%Y', 'now'), sin(1), 'a' like 'A', 'a' glob '*'",
    "select sql from sqlite_master", "select * from sqlite_schema", "select * from sqlite_stat1", "select '[1]' ->> 0, max(1, 2)",
]  # fmt: skip


@pytest.mark.parametrize("sql", ANSWERED, ids=[sql[:50] for sql in ANSWERED])
def test_sql_that_astronomers_write_is_answered(server, sql):
    for ending in ("", ".json", ".csv", ".votable"):
        assert server.get(f"/catalog{ending}", params={"sql": sql}).status_code == 200, ending


def test_every_table_and_view_is_answered_with_search_and_facets(server, asker):
    with closing(sqlite3.connect(asker.path)) as plain:
        names = [name for (name,) in plain.execute("select name from sqlite_master where type in ('table', 'view')")]
    for name in names:
        assert server.get(f"/catalog/{name}.json", params={"_size": 2}).status_code == 200, name
    found = server.get("/catalog/star.json", params={"_search": "alert", "_facet": "designation"})
    assert found.status_code == 200 and found.json()["rows"]


def connections(asker):
    page = Snapshot.connect(Snapshot(None, str(asker.path), ()))
    query = worker.connect(str(asker.path), str(asker.tap_schema))
    guard(query, pages=False)
    return {"page": page, "query": query}


@pytest.mark.parametrize("which", ["page", "query"])
def test_no_function_or_table_that_sqlite_knows_is_open_unless_named(asker, which, monkeypatch):
    monkeypatch.setattr(Snapshot, "_all_file_connections", [], raising=False)
    with closing(sqlite3.connect(":memory:")) as plain:
        known = {name.lower() for (name,) in plain.execute("select distinct name from pragma_function_list")}
        modules = {name for (name,) in plain.execute("pragma module_list")}
    with closing(connections(asker)[which]) as connection:
        for name in sorted(known - FUNCTIONS):
            for arguments in ("", "1", "1, 2"):
                with pytest.raises(sqlite3.DatabaseError):
                    connection.execute(f'select "{name}"({arguments})').fetchall()
        for name in [*sorted(modules - {"json_each", "json_tree"}), "pragma_database_list", "pragma_table_list"]:
            for sql in (
                f"select * from {name}",
                f"select count(*) from {name}",
                f"select 1 where exists (select 1 from {name})",
            ):
                with pytest.raises(sqlite3.DatabaseError):
                    connection.execute(sql).fetchall()
        for sql in (
            "attach ':memory:' as x", "create table t (a)", "create temp table t (a)", "delete from star", "vacuum", "analyze",
            "create virtual table temp.t using fts4(a)", "pragma database_list", "pragma trusted_schema = on", "reindex",
            "pragma writable_schema = on", "pragma table_info", "begin", "savepoint a", "detach main", "drop view funnel",
        ):  # fmt: skip
            with pytest.raises(sqlite3.DatabaseError):
                connection.execute(sql).fetchall()
        assert connection.execute("select count(*) from star").fetchone() == (90,)
