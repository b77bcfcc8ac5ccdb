"""The site: a real Datasette on a real snapshot, asked by its own client and by a browser."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sqlite3
import subprocess
import time
from pathlib import Path

import duckdb
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.io.votable import parse_single_table, validate
from astropy.table import Table
from markupsafe import escape

from becat.compare import compare_with
from becat.publish import serve, site
from becat.publish.plugins.template_vars import commands
from becat.publish.snapshot import metadata
from becat.publish.snapshot import write as snapshot
from becat.publish.vo.votable import Field, to_votable
from becat.schema.find_star import read_position
from becat.schema.selection import LABELS, SELECTION
from tests.tools.pipeline_tools import becat
from tests.tools.serving import Server
from tests.tools.site_fixture import SQL_NAME, make_catalogue

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two snapshots of different catalogues."""
    folder = tmp_path_factory.mktemp("site")
    made = []
    for name, seed in (("catalog", 7), ("next", 8)):
        catalogue = make_catalogue(folder / f"{name}.duckdb", n_stars=120, seed=seed)
        with duckdb.connect(str(catalogue)) as connection:
            compare_with(connection, "emission_star", "classical_be")
            connection.execute(
                "create table many as select ra_deg, dec_deg, concat('<b>', star_id) as class from star limit 50"
            )
            compare_with(connection, "many", "classical_be")
        made.append(snapshot.write(catalogue, folder / f"{name}.sqlite", progress=False).path)
    return made


@pytest.fixture(scope="module")
def get(files, loop):
    """Ask the site for an address."""

    async def make():
        datasette = site.create(files[0])
        await datasette.invoke_startup()
        return datasette

    datasette = loop.run_until_complete(make())

    def ask(path, method="GET", **arguments):
        return loop.run_until_complete(datasette.client.request(method, path, **arguments))

    ask.datasette = datasette
    return ask


@pytest.fixture(scope="module")
def names(get):
    sql = "select name from sqlite_master where type in ('table', 'view') and name not like 'star_search%'"
    return [row[0] for row in get("/catalog.json", params={"sql": sql}).json()["rows"]]


PAGES = [
    "/",
    "/explore",
    "/thresholds",
    "/catalog",
    "/search?q=J0",
    "/search?q=nothing%20there",
    "/star/10000",
    "/star/10005",
]


@pytest.mark.parametrize("path", PAGES)
def test_pages_answer(get, path):
    response = get(path)
    assert response.status_code == 200
    assert "<main" in response.text
    assert "http-equiv" not in response.text


def test_every_table_and_view_has_a_page_and_json(get, names):
    assert len(names) > 50
    for name in names:
        assert get(f"/catalog/{name}").status_code == 200, name
        found = get(f"/catalog/{name}.json?_shape=objects&_size=2").json()
        assert {"rows", "filtered_table_rows_count"} <= set(found), name
        assert not [column for column in found["columns"] if column.startswith("_") or ":" in column], name


def test_every_canned_query_runs(get):
    queries = get.datasette.metadata("databases")["catalog"]["queries"]
    assert len(queries) >= 10
    for name in queries:
        response = get(f"/catalog/{name}.json?designation=J0&margin=0.4&_shape=objects")
        assert response.status_code == 200, (name, response.text)
        assert response.json().get("ok", True), name
    assert get("/catalog/new_classical_be.json?_shape=array").json()


def test_front_page_counts_are_those_of_the_view_and_link_to_the_rows(get):
    page = get("/").text
    for step in get("/catalog/funnel.json?_shape=array").json():
        assert f"<b>{step['stars']:,}</b> stars" in page
    for target in ("spectrum", "step_10_good_snr", "be_candidate", "new_cbe"):
        assert f'href="/catalog/{target}"' in page


def test_units_stand_in_the_headers(get):
    page = get("/catalog/line_measurement").text
    assert "ew_halpha_a</a> <small>Å</small>" in page
    assert "Equivalent width of H-alpha" in page


def test_star_page_holds_profiles_and_verdict(get):
    page = get("/star/10000").text
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    assert data["profiles"][0]["start_a"] == 6520.0
    assert len(data["profiles"][0]["flux"]) == 721
    rows = get("/catalog/verdict_step.json?star_id=10000&rank_in_star=1&_shape=array&_size=max").json()
    assert page.count('<td class="number">') >= len(rows) * 4
    assert get("/star/999999999").status_code == 404
    assert get("/star/9" * 30).status_code == 404


@pytest.mark.parametrize("path", [
    "/star/10000", "/catalog/star", "/catalog/star?_search=script", "/search?q=%3Cscript%3Ealert(1)%3C/script%3E",
    "/catalog/star?designation__contains=%3Cscript%3E", "/catalog/be_candidate?_sort=%3Cscript%3E",
    "/catalog?sql=select+'%3Cscript%3Ealert(1)%3C/script%3E'", "/%3Cscript%3E", "/thresholds?x=%3Cscript%3E",
    "/catalog/why_rejected?designation=%3Cscript%3E", "/catalog?sql=%3Cscript%3E",
])  # fmt: skip
def test_html_in_names_and_addresses_is_harmless(get, path):
    page = get(path).text
    scripts = [part.split(">")[0] for part in page.split("<script")[1:]]
    assert all("src=" in script or "application/json" in script for script in scripts), scripts
    assert "<script>alert" not in page


@pytest.mark.parametrize(
    "asked", [SQL_NAME, "'; drop table star; --", '" or 1=1 --', "a' or 'a'='a", "\\", "%", "*", '"', "NEAR(", "J0 AND"]
)
def test_sql_in_questions_is_harmless(get, asked):
    before = get("/catalog/star.json?_size=0").json()["filtered_table_rows_count"]
    for path in ("/search", "/catalog/star", "/catalog/why_rejected"):
        response = get(path, params={"q": asked, "_search": asked, "designation": asked})
        assert response.status_code in (200, 302, 400)
    assert get("/catalog/star.json?_size=0").json()["filtered_table_rows_count"] == before


def test_nobody_can_write_or_read_files(get):
    for sql in (
        "delete from star", "insert into star_alias values (1, 'x', 1)", "drop table star", "attach '/etc/passwd' as x",
        "pragma journal_mode = wal", "select load_extension('x')", "select readfile('/etc/passwd')",
        "with x as (select 1) delete from star", "vacuum into '/dev/null'",
    ):  # fmt: skip
        assert get("/catalog.json", params={"sql": sql}).status_code == 400, sql
    for path in (
        "/catalog",
        "/catalog/star",
        "/star/10000",
        "/thresholds",
        "/catalog/new_classical_be",
        "/-/permissions",
    ):
        assert get(path, method="POST", data={"x": "1"}).status_code in (403, 404, 405), path
    for path in ("/assets/../site.py", "/assets/%2e%2e/site.py", "/-/static/../app.py", "/..%2f..%2fetc/passwd"):
        assert get(path, follow_redirects=True).status_code in (400, 403, 404), path


def test_a_long_question_is_stopped(get):
    endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"
    started = time.perf_counter()
    response = get("/catalog.json", params={"sql": endless})
    assert response.status_code == 400
    assert time.perf_counter() - started < 10


def test_every_answer_forbids_foreign_and_inline_scripts(get, names):
    for path in (
        "/",
        "/star/10000",
        "/catalog.json?sql=select+1",
        "/nowhere",
        "/assets/plot.js",
        f"/catalog/{names[0]}",
    ):
        policy = get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


def test_no_template_or_script_names_another_host():
    ours = [path for path in (ROOT / "publish/static").iterdir() if path.is_file()]  # whose comments hold examples
    for path in (*(ROOT / "publish/templates").glob("*.html"), *ours):
        text = path.read_text(encoding="utf-8")
        for attribute in (
            'src="http',
            "src='http",
            "@import",
            "url(http",
            "fetch('http",
            'fetch("http',
            " style=",
            " onclick=",
        ):
            assert attribute not in text, (path.name, attribute)


def test_search_finds_by_name_position_and_number(get):
    star = get("/catalog/star.json?star_id=10004&_shape=array").json()[0]
    spectrum = get("/catalog/spectrum.json?star_id=10004&_shape=array").json()[0]["spectrum_id"]
    for asked in (
        star["designation"], star["designation"][1:9], f"{star['ra_deg']} {star['dec_deg']}", str(spectrum), star["source_id"],
        SkyCoord(star["ra_deg"], star["dec_deg"], unit="deg").to_string("hmsdms", sep=":", precision=1),
    ):  # fmt: skip
        response = get("/search", params={"q": asked})
        assert response.status_code == 302, asked
        assert response.headers["location"] == "/star/10004", asked
    for name in (f"LAMOST {star['designation']}", f"lamost{star['designation'].lower()}"):
        found = get(f"/star/{name}")
        assert (found.status_code, found.headers["location"]) == (302, "/star/10004"), name
    assert get("/star/nobody").status_code == 404
    several = get("/search", params={"q": star["designation"][:4]}).text
    assert "classical Be star" in several and "stops at" in several
    assert read_position("06 50 01.2 +23 06 00")[0] == pytest.approx(102.505)
    assert read_position("no position 5") is None


def test_figures_hold_all_named_stars(get):
    candidates = {row["star_id"] for row in get("/catalog/be_candidate.json?_shape=array&_size=max").json()}
    for figure in ("sky", "colours"):
        data = get(f"/explore/{figure}.json").json()
        named = {star for star, kind in zip(data["star_id"], data["kind"], strict=True) if kind != "other"}
        assert named == candidates
    for figure in ("ew", "diagram", "velocity"):
        data = get(f"/explore/{figure}.json").json()
        assert len(data["x"]) == len(data["y"]) == len(data["star_id"]) > 0
    assert get("/explore/passwd.json").status_code == 404


def test_thresholds_recount_the_funnel(get):
    in_force = get("/catalog/funnel.json?_shape=array").json()
    same = get("/thresholds.json").json()
    assert [row["stars"] for row in same["funnel"]] == [row["stars"] for row in in_force]
    assert same["changed"] == []
    strict = get("/thresholds.json?be_probability_min=0.97&list=be_candidate").json()
    sql = "select count(distinct star_id) from step_40_q_index join current_score using (spectrum_id) where be_probability >= 0.97"
    expected = get("/catalog.json", params={"sql": sql}).json()["rows"][0][0]
    assert {row["name"]: row["stars"] for row in strict["funnel"]}["be_probability"] == expected
    left = {row["star_id"] for row in strict["changed"] if row["change"] == "leaves"}
    assert len(left) == in_force[6]["stars"] - expected
    assert get("/thresholds.json?be_probability_min=x").status_code == 400
    assert get("/thresholds.json?list=star;drop").status_code == 400
    assert get("/thresholds.json?be_probability_min=nan").status_code == 400


def test_votable_and_fits_hold_all_rows_with_units_and_ucds(get, tmp_path):
    count = get("/catalog/spectrum.json?_size=0").json()["filtered_table_rows_count"]
    response = get("/catalog/spectrum.votable")
    votable = parse_single_table(io.BytesIO(response.content))
    table = votable.to_table()
    assert len(table) == count > 50
    assert table["ra_deg"].unit == u.deg
    assert table["snr_r"].meta["ucd"] == "stat.snr;em.opt.R"
    assert np.ma.is_masked(table["teff_k"][np.argmax(table["teff_k"].mask)])
    path = tmp_path / "spectrum.fits"
    path.write_bytes(get("/catalog/spectrum.fits").content)
    with fits.open(path) as hdus:
        assert len(hdus[1].data) == count
        assert hdus[1].columns["ra_deg"].unit == "deg"
    assert len(Table.read(path)) == count
    query = get(
        "/catalog.votable",
        params={"sql": "select ew_halpha_a, 1 as n, 'é<&' as t, null as empty from line_measurement limit 3"},
    )
    found = parse_single_table(io.BytesIO(query.content)).to_table()
    assert found["ew_halpha_a"].unit == u.Angstrom
    assert list(found["t"]) == ["é<&"] * 3
    filtered = get("/catalog/spectrum.votable?snr_r__lt=10")
    assert 0 < len(parse_single_table(io.BytesIO(filtered.content)).array) < count


@pytest.mark.parametrize(
    "path",
    [
        "/catalog/be_candidate.votable",
        "/catalog/verdict_step.votable",
        "/catalog/star.votable?_size=3",
        "/vo/cone?RA=200&DEC=40&SR=60",
        "/vo/cone?RA=x&DEC=1&SR=1",
    ],
)
def test_votables_are_valid(get, path, tmp_path):
    body = get(path).content
    document = tmp_path / "table.xml"
    document.write_bytes(body)
    report = io.StringIO()
    if not path.startswith("/vo/cone"):  # cone search asks for words of the older UCD1, of which astropy warns
        assert validate(str(document), output=report, filename=None), report.getvalue()
    if shutil.which("stilts") is None:
        pytest.skip("astropy finds it valid; stilts is not installed to look too")
    said = subprocess.run(
        ["stilts", "votlint", str(document)], capture_output=True, text=True, check=False, timeout=120
    )
    assert "ERROR" not in said.stdout + said.stderr, said.stdout + said.stderr


def test_votable_writer_keeps_what_xml_cannot_say():
    fields = [Field("t", "text"), Field("b", "boolean"), Field("n", "long")]
    body = to_votable(fields, [["a\x00\x08]]>&", 1, None], [None, None, -5]], name='"<&', overflow=True)
    table = parse_single_table(io.BytesIO(body.encode()))
    assert table.array["t"][0] == "a]]>&"
    assert table.array["n"].mask.tolist() == [True, False]
    assert 'value="OVERFLOW"' in body


def test_every_table_view_and_query_of_stars_or_spectra_says_which_are_simulated(get, names):
    columns = {name: get(f"/catalog/{name}.json?_size=1").json()["columns"] for name in names}
    for name, _ in metadata.queries():
        columns[name] = get(f"/catalog/{name}.json?designation=J0&margin=").json()["columns"]
    listed = {name: found for name, found in columns.items() if {"star_id", "spectrum_id"} & set(found)}
    assert [name for name, found in listed.items() if "is_simulated" not in found] == []
    assert {"be_score", "photometry", "star_alias", "current_score", "new_classical_be"} <= set(listed)


@pytest.mark.parametrize("table", ["be_score", "photometry"])
def test_a_download_of_a_table_has_the_mark_in_every_format(get, table):
    assert get(f"/catalog/{table}.json?_shape=array&_size=3").json()[0]["is_simulated"] == 1
    assert get(f"/catalog/{table}.csv?_size=3").text.splitlines()[0].endswith(",is_simulated")
    assert all(parse_single_table(io.BytesIO(get(f"/catalog/{table}.votable").content)).to_table()["is_simulated"])
    assert all(Table.read(io.BytesIO(get(f"/catalog/{table}.fits").content))["is_simulated"])
    columns = get("/catalog.json", params={"sql": f"select * from column_kind where table_name = '{table}'"}).json()
    assert [table, "is_simulated", "short"] in columns["rows"]


def test_cone_search_finds_the_stars_that_astropy_finds(get):
    stars = get("/catalog/star.json?_shape=array&_size=max").json()
    sky = SkyCoord([star["ra_deg"] for star in stars], [star["dec_deg"] for star in stars], unit="deg")
    for ra, dec, radius in (
        (0.2, 45.0, 20.0),
        (359.9, 80.0, 15.0),
        (120.0, 89.9, 25.0),
        (stars[3]["ra_deg"], stars[3]["dec_deg"], 1e-6),
    ):
        near = sky.separation(SkyCoord(ra, dec, unit="deg")).deg <= radius
        expected = {star["star_id"] for star, inside in zip(stars, near, strict=True) if inside}
        found = parse_single_table(io.BytesIO(get(f"/vo/cone?RA={ra}&DEC={dec}&SR={radius}").content))
        assert {int(star) for star in found.array["star_id"]} == expected
        assert all(found.array["is_simulated"])
        assert [field.ucd for field in found.fields][:4:2] == ["ID_MAIN", "POS_EQ_RA_MAIN"]
    empty = parse_single_table(io.BytesIO(get("/vo/cone?RA=0&DEC=-90&SR=0").content))
    assert len(empty.array) == 0
    for query in ("RA=1&DEC=2", "RA=1&DEC=91&SR=1", "RA=nan&DEC=1&SR=1", "RA=1&DEC=1&SR=-1"):
        assert 'name="Error"' in get(f"/vo/cone?{query}").text


def test_a_new_snapshot_takes_over_without_a_failed_request(files, tmp_path):
    path = tmp_path / "catalog.sqlite"
    shutil.copy(files[0], path)
    server = Server(path)
    question = "/catalog.json?sql=select+count(*)+from+spectrum&_shape=arrayfirst"
    old = json.loads(server.get(question)[1])
    seen, statuses = [], set()
    shutil.copy(files[1], tmp_path / "new")
    os.replace(tmp_path / "new", path)
    until = time.time() + 40
    while time.time() < until:
        for asked in (question, "/", "/catalog/be_candidate"):
            status, body = server.get(asked)
            statuses.add(status)
            if asked == question:
                seen.append(json.loads(body))
        if seen[-1] != old:
            break
    (tmp_path / "broken").write_bytes(b"SQLite format 3\x00 but not really")
    os.replace(tmp_path / "broken", path)
    time.sleep(2.5)
    assert json.loads(server.get(question)[1]) == seen[-1]
    said = server.stop()
    assert statuses == {200}
    assert seen[0] == old != seen[-1]
    assert seen == sorted(seen, key=[old, seen[-1]].index)
    assert "kept the old snapshot" in said
    assert [name for name in os.listdir(tmp_path) if name.startswith(".")] == []


def test_what_is_no_snapshot_is_refused_in_one_line(tmp_path, files):
    with pytest.raises(serve.BecatError, match="there is no snapshot"):
        serve.Switch(tmp_path / "none.sqlite")
    (tmp_path / "text.sqlite").write_text("text")
    with pytest.raises(serve.BecatError, match="not a snapshot"):
        serve.Switch(tmp_path / "text.sqlite")
    older = shutil.copy(files[0], tmp_path / "older.sqlite")
    with contextlib.closing(sqlite3.connect(older)) as connection:
        connection.execute("drop view if exists infrared_class")
        connection.execute("drop table if exists infrared_class")
        connection.commit()
    with pytest.raises(serve.BecatError, match="it lacks infrared_class"):
        serve.Switch(Path(older))


def test_steps_have_one_name_on_the_terminal_and_on_every_page(get, files):
    said = becat("funnel", "-c", files[0].with_name("catalog.duckdb")).stdout
    front, sliders = get("/").text, get("/thresholds").text
    for name, label in LABELS.items():
        assert f"  {name} " in said and f"  {label} " in said
        assert f"{label} <code>{name}</code>" in front and f"{label} <code>{name}</code>" in sliders
    star = get("/catalog/verdict.json?_size=1&_shape=array&step__lt=110").json()[0]
    page, why = (
        get(f"/star/{star['star_id']}").text,
        becat("why", star["star_id"], "-c", files[0].with_name("catalog.duckdb")).stdout,
    )
    assert f"<code>{star['name']}</code> ({LABELS[star['name']]})" in page
    for _, test in SELECTION.tests:
        assert escape(test.quantity) in page and test.quantity in why


def test_the_page_of_compared_lists_says_what_the_table_holds(get):
    page = get("/compare").text
    rows = get("/catalog/list_comparison.json?list=emission_star&_shape=array").json()
    for words in ("both", "only in the list"):
        n = sum(row["found_by"] == words for row in rows)
        assert n and f">{n} {words}</a>" in page
    reasons = [row["reason_kind"] for row in rows if row["reason_kind"]]
    assert reasons and all(f"</a> {reason}</li>" in page for reason in reasons)
    assert get("/catalog/list_rate.json?part=all&list=emission_star&_shape=array").json()[0]["purity"] == 1


def test_the_page_of_compared_lists_shows_the_most_frequent_of_many_classes(get):
    page = get("/compare").text
    assert page.count("class of the list &lt;b&gt;") == 30 and "<b>" not in page
    assert "Only the 30 most frequent of 50 are shown" in page


@pytest.fixture(scope="module")
def server(files):
    running = Server(files[0])
    yield running
    running.stop()


@pytest.mark.parametrize(("width", "scheme"), [(400, "light"), (1400, "dark")])
def test_pages_load_in_a_browser_without_error_or_foreign_request(browser, server, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    faults = []
    page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith(f"http://127.0.0.1:{server.port}/") else faults.append(request.url)
        ),
    )
    for path in (*PAGES, "/catalog/be_candidate", "/catalog/star/10000", "/catalog/near_misses?margin=0.3"):
        page.goto(f"http://127.0.0.1:{server.port}{path}", wait_until="networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    context.close()
    assert faults == []


def test_pages_have_no_serious_fault_of_accessibility(browser, server):
    axe = os.environ.get("AXE_JS")
    if not axe:
        pytest.skip("AXE_JS does not name axe.min.js (npm install axe-core)")
    context = browser.new_context(bypass_csp=True)
    page = context.new_page()
    for path in (*PAGES, "/catalog/be_candidate", "/catalog/star/10000", "/catalog/near_misses?margin=0.3"):
        page.goto(f"http://127.0.0.1:{server.port}{path}", wait_until="networkidle")
        page.add_script_tag(path=axe)
        found = page.evaluate("axe.run()")["violations"]
        assert [fault["id"] for fault in found if fault["impact"] in ("serious", "critical")] == [], path
    context.close()


def test_pyvo_finds_the_right_stars(server):
    pyvo = pytest.importorskip("pyvo", reason="pyvo is not installed")
    star = json.loads(server.get("/catalog/star.json?star_id=10004&_shape=array")[1])[0]
    address = f"http://127.0.0.1:{server.port}/vo/cone?"
    found = pyvo.dal.conesearch(address, pos=(star["ra_deg"], star["dec_deg"]), radius=0.001)
    assert [int(row["star_id"]) for row in found] == [10004]


def test_sliders_recount_and_profiles_zoom_in_a_browser(browser, server):
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{server.port}/thresholds", wait_until="networkidle")
    before = page.inner_text('#funnel tr[data-step="50"] td:nth-of-type(2)')
    page.eval_on_selector(
        "#p-be_probability_min",
        "slider => { slider.value = 0.98; slider.dispatchEvent(new Event('input', {bubbles: true})); }",
    )
    page.locator("#state", has_text="Counted").wait_for()
    assert int(page.inner_text('#funnel tr[data-step="50"] td:nth-of-type(2)')) < int(before)
    assert page.locator("#changed .leaves").count() > 0
    assert page.input_value("#n-be_probability_min") == "0.98"
    assert page.inner_text("#keep") == "becat threshold be_probability_min=0.98"
    page.fill("#n-snr_min", "123.4")  # beyond the end of its slider
    page.locator("#state", has_text="Counted with 2").wait_for()
    assert page.inner_text("#keep") == "becat threshold snr_min=123.4 be_probability_min=0.98"
    counted, shared = page.inner_text("#funnel"), page.url
    page.click("button[type=reset]")
    page.locator("#state", has_text="in force").wait_for()
    assert page.url.endswith("/thresholds") and page.inner_text("#funnel") != counted
    page.goto(shared, wait_until="networkidle")
    page.locator("#state", has_text="Counted with 2").wait_for()
    assert page.inner_text("#funnel") == counted and page.input_value("#n-snr_min") == "123.4"
    page.goto(f"http://127.0.0.1:{server.port}/star/10000", wait_until="networkidle")
    canvas = page.locator("#profile-plot canvas")
    whole = canvas.screenshot()
    canvas.focus()
    page.keyboard.press("+")
    assert canvas.screenshot() != whole
    page.keyboard.press("0")
    page.mouse.move(0, 0)
    page.close()


def test_a_visitor_finds_a_rejected_star_and_takes_all_rows_home(browser, server):
    star, *_ = json.loads(server.get("/catalog/verdict.json?step__lt=50&_size=1&_shape=array")[1])
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{server.port}/", wait_until="networkidle")
    page.fill("#find", f"lamost {star['designation'].lower()}")
    page.press("#find", "Enter")
    page.wait_for_url(f"**/star/{star['star_id']}")
    assert page.inner_text("h1") == star["designation"] and "Not selected" in page.inner_text(".verdict")
    page.locator("#profile-plot canvas").wait_for()  # a star that was rejected has its profile, too
    position = SkyCoord(star["ra_deg"] * u.deg, star["dec_deg"] * u.deg)
    assert position.ra.to_string(u.hour, sep=":", pad=True)[:8] in page.inner_text(".facts.inline")
    page.fill("#find", star["designation"][:3])
    page.press("#find", "Enter")
    page.locator("main table tbody tr").nth(1).wait_for()  # part of a name: several stars, each with its verdict
    assert all(page.locator("main table td:last-child").all_inner_texts())
    page.goto(f"http://127.0.0.1:{server.port}/catalog/star", wait_until="networkidle")
    with page.expect_download() as download:
        page.click(".exports >> text=CSV")
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert len(lines) == 121 > page.locator("table.rows-and-columns tbody tr").count() + 1
    page.close()


def test_brushed_stars_lead_to_their_rows_in_a_browser(browser, server):
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(f"http://127.0.0.1:{server.port}/explore", wait_until="networkidle")
    canvas = page.locator("#sky canvas")
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 70, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 30, box["y"] + box["height"] - 60)
    page.mouse.up()
    page.locator("#chosen li").first.wait_for()
    chosen = int(page.inner_text("#chosen-count").split()[0])
    assert 60 < chosen <= 120
    rows = page.get_attribute("#chosen-rows a >> nth=0", "href")
    assert json.loads(server.get(rows.replace("?", ".json?"))[1])["filtered_table_rows_count"] == chosen
    page.click("#clear")
    assert page.inner_text("#chosen-count") == "None yet."
    assert page.is_hidden("#chosen-rows")
    canvas.focus()
    page.keyboard.press("c")
    assert page.inner_text("#chosen-count").startswith("120 stars: ")
    page.close()


def test_commands_in_words_are_shown_as_such_and_nothing_else_is_markup():
    assert commands("<b>no type</b>: `becat fetch <x>`") == (
        "&lt;b&gt;no type&lt;/b&gt;: <code>becat fetch &lt;x&gt;</code>"
    )
    assert commands(None) == ""


def test_tables_show_names_first_and_a_dozen_columns(browser, server):
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{server.port}/catalog/classical_be", wait_until="networkidle")
    heads = page.locator("table.rows-and-columns thead th")
    assert heads.first.inner_text() == "designation" and heads.last.inner_text() == "spectrum_id"
    assert page.locator("table.rows-and-columns thead th:visible").count() == 12
    page.check("#all-columns")
    assert page.locator("table.rows-and-columns thead th:visible").count() == heads.count() > 30
    assert page.locator("#facet-is_new li a").all_inner_texts() == ["yes", "no"]  # as in the rows
    number = page.locator("table.rows-and-columns tbody tr:first-child td:nth-child(2)")
    assert number.evaluate("cell => getComputedStyle(cell).textAlign") == "right"
    name = page.locator("table.rows-and-columns tbody tr:first-child td:first-child a")
    words = name.inner_text()
    name.click()
    assert page.inner_text("h1") == words
    page.goto(f"http://127.0.0.1:{server.port}/catalog/published_number?_size=200", wait_until="networkidle")
    rows = [row.split("\t") for row in page.inner_text("table.rows-and-columns tbody").splitlines()]
    assert rows[0][1] == "abstract" and ["spectra_good_snr", "section 2", "2260387"] in [row[:3] for row in rows]
    assert [row[-1] for row in rows] == sorted(row[-1] for row in rows)  # what was copied comes last
    page.goto(f"http://127.0.0.1:{server.port}/catalog/near_misses", wait_until="networkidle")
    assert page.locator("table.rows-and-columns tbody tr").count() > 0
    page.close()
