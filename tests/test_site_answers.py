"""Odd addresses get a clear answer; no redirect leads away; files are kept; SQLite's own holes are looked at."""

from __future__ import annotations

import csv
import io
import sqlite3
from contextlib import closing
from threading import current_thread, main_thread

import pytest
from datasette.plugins import pm

from becat.publish import guarded, site, sqlite_holes
from becat.publish.plugins.bodies import own_cookies
from becat.publish.reading import snapshot_of
from tests.tools.made_once import site_of_its_own


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    made = site_of_its_own(tmp_path_factory, n_stars=60) / "catalog.sqlite"
    with closing(sqlite3.connect(made)) as connection, connection:
        connection.execute(
            "update star set designation = null where star_id in (select star_id from spectrum join halpha_profile"
            " using (spectrum_id) order by spectrum_id limit 1)"
        )
    return made


@pytest.fixture(scope="module")
def get(path, loop):
    datasette = site.create(path, labels=path.with_name("labels.sqlite"))
    loop.run_until_complete(datasette.invoke_startup())
    yield lambda *words, **named: loop.run_until_complete(datasette.client.get(*words, **named))
    snapshot_of(datasette).close()


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ("/star/" + "9" * 5000, 404),
        ("/star/-" + "9" * 30, 404),
        ("/saliency/" + "9" * 5000 + ".json", 404),
        ("/ssa/spectrum/" + "9" * 5000 + ".vot", 404),
        ("/catalog/star?_sort=nonsense", 400),
        ("/catalog/star.json?_sort_desc=nonsense", 400),
        ("/catalog/star?_sort=star_id&_sort_desc=star_id", 400),
        ("/catalog/star?_facet=nonsense", 400),
        ("/catalog/star?_where=nonsense", 400),
        ("/catalog/star?_next=%00", 200),
        ("/catalog/star?_size=x", 400),
        ("/catalog/star/~00", 404),
        ("/catalog/star/" + "9" * 5000, 404),
        ("/catalog/star?star_id__nonsense=1", 200),
        ("/catalog/star?_search=%22%22%22", 200),
        ("/inspect?star=²", 200),
        ("/inspect?star=--1", 200),
        ("/search?q=" + "9" * 5000, 200),
        ("/search?q=%00", 200),
        ("/thresholds.json?snr_min=nan", 400),
        ("/thresholds.json?snr_min=1e999", 400),
        ("/tap/sync?MAXREC=²&LANG=ADQL&QUERY=x", 400),
        ("/tap/async/" + "a" * 5000, 404),
        ("/explore/nonsense.json", 404),
        ("/~", 404),
        ("/assets/" + "a" * 5000, 404),
        ("/catalog/star?_through=x", 400),
        ("/catalog/star?_through=" + "[" * 3000, 400),
        ('/catalog/star?_through={"table":"spectrum"}', 400),
        ("/catalog/star?" + "_facet=designation&" * 2000, 400),
        ("/star/" + "1h" * 5000, 404),
        ("/search?q=1h%201d", 200),
        ("/search?q=180.0%2095", 200),
        ("/search?q=nan%20nan", 200),
        ("/catalog/~ff", 404),
        ("/catalog/star?_timelimit=x", 400),
        ("/catalog.json?sql=select+1&_timelimit=%00", 400),
        ("/catalog/star.json?_json_infinity=x", 400),
        ("/catalog/star?_ttl=²", 400),
        ("/catalog/star?_facet_size=" + "9" * 5000, 400),
        ("/catalog/star?ra_deg__gt=" + "9" * 5000, 400),
        ('/catalog/star?_facet={"a":', 400),
        ("/ssa?BAND=" + "1," * 5000 + "1", 200),
    ],
)
def test_odd_addresses_are_answered_in_words(get, asked, status):
    answer = get(asked)
    assert answer.status_code == status or (status == 200 and answer.status_code == 400), answer.text[:300]
    assert "Traceback" not in answer.text and "log says what" not in answer.text


@pytest.mark.parametrize(
    "when", ["2019-01-01T00:00:00+02:00", "2019-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "²", "2019/x"]
)
def test_times_with_a_zone_are_read(get, when):
    answer = get("/ssa", params={"TIME": when})
    assert answer.status_code == 200
    assert ("ERROR" in answer.text) == (when[0] in "0²" or when.endswith("x"))


def test_a_star_without_a_name_has_spectra_as_well(get, path):
    with closing(sqlite3.connect(path)) as connection:
        star, spectrum, name = connection.execute(
            "select star_id, spectrum_id, star.designation from star join spectrum using (star_id) join halpha_profile using"
            " (spectrum_id) where star.designation is null limit 1"
        ).fetchone()
    assert name is None
    assert f"H-alpha of star {star}" in get("/ssa?TARGETNAME=").text
    assert get("/ssa?TARGETNAME=x").status_code == 200
    for asked in (f"/ssa/spectrum/{spectrum}.vot", f"/ssa/spectrum/{spectrum}.fits", f"/star/{star}"):
        assert get(asked).status_code == 200, asked


@pytest.mark.parametrize("cookie", ["a@b=1", 'x="' + '\\"' * 20_000 + '"', 'ds_csrftoken="\\"', "a=\xff", "=", ";;;"])
def test_odd_cookies_are_passed_over(get, cookie):
    assert get("/", headers={"cookie": cookie.encode("latin-1")}).status_code == 200


def test_of_many_cookies_those_of_the_site_are_read():
    given = b"other=1; ds_csrftoken=abc.D-e_f; becat_session=" + b"a" * 43 + b'; becat_device="\\"; becat_device=x.y'
    assert own_cookies(given) == b"ds_csrftoken=abc.D-e_f; becat_session=" + b"a" * 43 + b"; becat_device=x.y"


@pytest.mark.parametrize("name", ["BAND", "TIME"])
def test_a_search_for_spectra_names_few_ranges(get, name):
    assert "may have 20" in get(f"/ssa?{name}=" + "2020," * 20 + "2020").text
    assert "may have 20" not in get(f"/ssa?{name}=" + "2020," * 19 + "2020").text


@pytest.mark.parametrize(
    ("asked", "plugin"), [("/ssa?POS=10,10", "ssa.py"), ("/vo/cone?RA=10&DEC=10&SR=180", "cone.py")]
)
def test_what_is_computed_for_all_rows_is_computed_beside_the_server(get, monkeypatch, asked, plugin):
    module = next(found for found in pm.get_plugins() if found.__name__ == plugin)
    written, threads = module.to_votable, set()

    def seen(*words, **named):
        threads.add(current_thread())
        return written(*words, **named)

    monkeypatch.setattr(module, "to_votable", seen)
    assert get(asked).status_code == 200
    assert threads and main_thread() not in threads


@pytest.mark.parametrize(
    "asked", ["//evil.example/", "///evil.example/", "//evil.example/%25", "/\\evil.example/", "/%5Cevil.example/"]
)
def test_no_redirect_leads_to_another_host(get, asked):
    location = get("http://localhost" + asked, follow_redirects=False).headers.get("location", "/")
    assert location.startswith("/") and location[1:2] not in ("/", "\\")


def test_files_of_the_site_are_kept_by_browsers(get):
    first = get("/assets/plot.js")
    assert "max-age" in first.headers["cache-control"]
    again = get("/assets/plot.js", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"") and "content-security-policy" in again.headers
    assert get("/assets/nonsense.js").headers.get("etag") is None


def test_no_known_hole_of_this_sqlite_is_open():
    assert sqlite_holes.open_holes() == []
    assert [hole.name for hole in sqlite_holes.open_holes((3, 43, 1))] == ["CVE-2024-0232"]


def test_what_is_said_to_close_holes_does(path):
    with closing(guarded.open_guarded(path)) as connection:
        for sql in (
            "select concat_ws(zeroblob(2100000), 'a', 'b')",
            "select zeroblob(1000001)",
            "select " + ",".join(f"sum({i})" for i in range(9_999)),
            "select " + "||".join(f"sum({i})" for i in range(1500)),
        ):
            with pytest.raises(sqlite3.Error):
                connection.execute(sql).fetchall()


@pytest.mark.parametrize("name", ["star", "verdict"])
def test_files_are_whole_and_pages_are_pages(path, get, name):
    with closing(sqlite3.connect(path)) as connection:
        ids = {row[0] for row in connection.execute(f"select star_id from {name}")}
    assert len(ids) > 50  # the rows of one page
    found = get(f"/catalog/{name}.json?_shape=objects").json()
    assert {row["star_id"] for row in found["rows"]} == ids and found["next_url"] is None
    rows = list(csv.DictReader(io.StringIO(get(f"/catalog/{name}.csv").text)))
    assert {int(row["star_id"]) for row in rows} == ids
    assert len(get(f"/catalog/{name}.csv?_size=7").text.splitlines()) == 8
    assert len(get(f"/catalog/{name}.json?_size=7").json()["rows"]) == 7
    assert len(get("/catalog.json", params={"sql": f"select star_id from {name}"}).json()["rows"]) == len(ids)
