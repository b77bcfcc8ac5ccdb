"""The page of a star: what the classifier looked at, plots whose words do not overlap, links that lead somewhere."""

from __future__ import annotations

import asyncio
import io
import json
import re
import shutil
import sqlite3
import time
import warnings
from contextlib import closing

import duckdb
import numpy as np
import pytest
from astropy.io.votable import parse_single_table

from becat.catalogue import open_catalogue
from becat.models.classifiers import decides, load
from becat.models.explain import occlusion
from becat.models.score import DEFAULT_MODEL, Scorer
from becat.publish import saliency, site
from becat.publish.plugins import star as star_plugin
from becat.publish.plugins.in_time import POINTS_MAX
from becat.publish.snapshot import write as snapshot
from becat.schema.errors import BecatError
from becat.schema.grid import RED
from becat.schema.tables import TABLES
from becat.udfs.bands import repair
from becat.udfs.bartlett import bartlett_peaks, smooth_bartlett
from tests.tools.epochs_fixture import MANY, STARS, add_epochs
from tests.tools.serving import Server
from tests.tools.site_fixture import make_catalogue

HALPHA_A = 6564.6


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    return add_epochs(make_catalogue(tmp_path_factory.mktemp("star") / "catalog.duckdb", n_stars=40))


@pytest.fixture(scope="module")
def published(catalogue):
    """A snapshot that says its scores are of becat's own model, so that the site explains them."""
    path = snapshot.write(catalogue, catalogue.with_suffix(".sqlite"), progress=False).path
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("update model set sha256 = ?", [decides(load(), "both").sha256])
    return path


@pytest.fixture(scope="module")
def get(published):
    loop = asyncio.new_event_loop()
    datasette = site.create(published)
    loop.run_until_complete(datasette.invoke_startup())

    def ask(*paths):
        async def all_at_once():
            return await asyncio.gather(*(datasette.client.get(path) for path in paths))

        found = loop.run_until_complete(all_at_once())
        return found[0] if len(paths) == 1 else found

    yield ask
    loop.close()


@pytest.fixture(scope="module")
def star(get):
    """A star of strong emission: its spectrum of the highest peak."""
    sql = (
        "select star_id, spectrum_id from halpha_profile join spectrum using (spectrum_id) join line_measurement using"
        " (spectrum_id) where snr_r > 30 order by ew_halpha_a limit 1"
    )
    return get(f"/catalog.json?sql={sql}&_shape=array").json()[0]


def test_the_stretch_that_speaks_for_be_is_the_line_as_in_the_catalogue(get, star, catalogue):
    found = get(f"/saliency/{star['spectrum_id']}.json").json()
    strongest = found["start_a"] + found["step_a"] * int(np.argmax(found["saliency"]))
    assert abs(strongest - HALPHA_A) < 10
    assert "speaks most for Be" in found["words"]
    with duckdb.connect(str(catalogue), read_only=True) as connection:
        sql = "select flux, ivar from flux_red where spectrum_id = ?"
        flux, ivar = connection.execute(sql, [star["spectrum_id"]]).fetchone()
    whole = occlusion(
        decides(load(), "both"), np.array(flux, np.float32), np.array(ivar, np.float32), step_a=saliency.STEP_A
    )
    assert found["be_probability"] == pytest.approx(whole["be_probability"], abs=0.02)
    assert found["classifier"] == "both classifiers combined"
    # The profile is published with four decimals, and the network of eight bits answers them with steps.
    assert np.corrcoef(found["saliency"], whole["saliency"])[0, 1] > 0.9


def test_the_nearest_training_spectra_are_named_and_called_simulated(get, star):
    nearest = get(f"/nearest/{star['spectrum_id']}.json").json()["nearest"]
    likeness = [example["likeness"] for example in nearest]
    assert len(nearest) == 3 and likeness == sorted(likeness, reverse=True) and likeness[0] <= 1
    assert all(len(example["flux"]) == 481 and example["kind"] for example in nearest)
    assert "Simulated training spectra" in get(f"/star/{star['star_id']}").text


@pytest.mark.parametrize("path", ["/saliency/1.json", f"/nearest/{'9' * 30}.json", "/saliency/x.json"])
def test_what_is_not_published_is_not_explained(get, path):
    assert get(path).status_code == 404


def test_peaks_and_smoothing_are_those_of_the_catalogue(get, catalogue):
    """Windows of even width too, for which the page once had a smoothing of its own."""
    stars = get(
        "/catalog.json?sql=select distinct star_id from halpha_profile join spectrum using (spectrum_id)&_shape=array"
    )
    columns = "bartlett_width_px, flux, ivar, snr_r, velocity_shift_km_s"
    widths = set()
    with duckdb.connect(str(catalogue), read_only=True) as connection:
        for star in [row["star_id"] for row in stars.json()][:40]:
            page = get(f"/star/{star}").text
            data = json.loads(re.search(r'<script[^>]* id="data">(.*?)</script>', page, re.DOTALL)[1])
            for profile in data["profiles"]:
                width, flux, ivar, snr, velocity = connection.execute(
                    f"select {columns} from flux_red join spectrum using (spectrum_id) left join line_measurement using"
                    " (spectrum_id) where spectrum_id = ?",
                    [profile["spectrum_id"]],
                ).fetchone()
                flux, ivar = np.array([flux], np.float32), np.array([ivar], np.float32)
                rest = {"inverse_variance": ivar, "velocity_shift_km_s": np.array([velocity or 0.0])}
                found = bartlett_peaks(flux, np.array([snr]), RED.wavelength_a, (6551.0, 6579.0), **rest)
                kinds = [kind for _, _, kind in profile["extrema"]]
                assert (kinds.count(1), kinds.count(-1)) == (max(found.n_peaks[0], 0), max(found.n_valleys[0], 0))
                places = [place for place, _, kind in profile["extrema"] if kind == 1]
                assert places == pytest.approx(found.peak_wavelength_a.tolist(), abs=0.001)
                widths.add(int(found.width_px[0]))
                first = round((profile["start_a"] - RED.start_a) / RED.step_a)
                smooth = smooth_bartlett(repair(flux, ivar)[0], np.array([width or 0]))[0]
                inner = slice(20, len(profile["flux"]) - 20)
                shown = np.array(profile["smooth"], float)[inner]
                both = np.isfinite(shown)
                assert np.allclose(shown[both], smooth[first:][: len(profile["flux"])][inner][both], atol=2e-4)
    assert {width % 2 for width in widths} == {0, 1}


@pytest.mark.parametrize(
    ("survey", "release", "address"),
    [
        ("LAMOST MRS", "DR7", "https://www.lamost.org/dr7/v2.0/medspectrum/view?obsid=5"),
        ("LAMOST MRS", "DR6", "https://dr6.lamost.org/v2/medspectrum/view?obsid=5"),
        ("LAMOST LRS", "DR5", "https://dr5.lamost.org/v3/spectrum/view?obsid=5"),
        ("LAMOST LRS", "DR3", "https://dr3.lamost.org/spectrum/view?obsid=5"),
        ("LAMOST MRS", "DR12", "https://www.lamost.org/dr12/v1.1/medspectrum/view?obsid=5"),
        ("LAMOST MRS", "DR99", None),
        ("LAMOST MRS", None, None),
        ("other", "DR7", None),
    ],
)
def test_the_link_to_lamost_follows_the_release(survey, release, address):
    found = star_plugin._lamost_page({"survey": survey, "release": release, "coadd": 1, "obsid": 5})
    assert (found and found[1]) == address
    assert not found or ("sign in" in found[0]) == (release == "DR12")


def test_a_server_without_the_model_says_so(catalogue, tmp_path, star):
    other = snapshot.write(catalogue, tmp_path / "catalog.sqlite", progress=False).path  # scores of a made-up model

    async def ask():
        datasette = site.create(other)
        await datasette.invoke_startup()
        return (await datasette.client.get(f"/star/{star['star_id']}")).text

    page = asyncio.run(ask())
    assert "is not on this server" in page and 'id="saliency-words"' not in page


def test_a_page_without_archives_says_what_would_tell(tmp_path):
    """Nothing that was not looked for is called absent."""
    path = make_catalogue(tmp_path / "bare.duckdb", n_stars=12)
    with duckdb.connect(str(path)) as connection:
        for table in ("spectral_type", "literature_match", "photometry", "kinematics", "astrometry"):
            connection.execute(f"delete from {table}")
        connection.execute("update literature_catalogue set n_rows = null")
        (star_id,) = connection.execute("select min(star_id) from star").fetchone()
    datasette = site.create(snapshot.write(path, tmp_path / "bare.sqlite", progress=False).path)
    page = asyncio.run(datasette.client.get(f"/star/{star_id}")).text
    for words in (
        "becat fetch skiff_2014 simbad",
        "becat fetch all",
        "becat fetch tmass",
        "becat fetch gaia gaia_distance",
    ):
        assert re.search(rf"Unknown: [^<]*\(<code>{words}", page), words
    assert "that were matched" not in page


def test_a_model_of_ones_own_is_known_by_its_hash(tmp_path):
    own = tmp_path / "own.onnx"
    shutil.copy(DEFAULT_MODEL, own)
    assert saliency.Explainer(own).knows(Scorer().sha256)
    assert not saliency.Explainer(own).knows("0" * 64) and not saliency.Explainer().knows(None)
    own.write_bytes(b"not a model")
    saliency._hashes.cache_clear()
    saliency._classifiers.cache_clear()
    with pytest.raises(BecatError):
        saliency.Explainer(own)


def test_only_some_may_wait_and_the_answers_are_kept(monkeypatch):
    made = []

    def slow(path, network, start_a, flux):
        time.sleep(0.05)
        made.append(flux[0])
        return {"flux": flux}

    monkeypatch.setattr(saliency, "_saliency", slow)
    monkeypatch.setattr(saliency, "KEPT_MAX", 3)

    async def flood():
        explainer = saliency.Explainer()
        asked = [explainer.saliency(i, 0.0, [i]) for i in range(20)]
        found = await asyncio.gather(*asked, return_exceptions=True)
        again = await explainer.saliency(saliency.WAITING_MAX - 1, 0.0, [99])
        return found, again, len(explainer._kept)

    found, again, kept = asyncio.run(flood())
    assert [isinstance(answer, saliency.Busy) for answer in found] == [False] * saliency.WAITING_MAX + [True] * 16
    assert made == [0, 1, 2, 3] and again == {"flux": [3]} and kept == 3


def test_a_profile_that_cannot_be_scored_is_refused():
    explainer = saliency.Explainer()
    for start_a, flux in ((6520.0, [None] * 721), (6540.0, [1.0] * 721), (6520.0, [1.0] * 100)):
        with pytest.raises(ValueError, match="6530-6590"):
            asyncio.run(explainer.saliency(1, start_a, flux))
        with pytest.raises(ValueError, match="6530-6590"):
            asyncio.run(explainer.nearest(1, start_a, flux))


def test_words_say_which_stretch_and_which_way():
    wavelength = np.arange(6530, 6590.1, 0.125)
    curve = 3.0 * (np.abs(wavelength - 6565) < 4) - 1.0 * (np.abs(wavelength - 6585) < 2)
    said = saliency._words(wavelength, curve)
    assert "6561–6569 Å speaks most for Be: without it the log odds fall by 3.0 on average." in said
    assert "6583–6587 Å speaks most against Be: without it the log odds rise by 1.0 on average." in said
    assert saliency._words(wavelength, 0 * curve).count("No stretch") == 2
    assert "6530–6590" in saliency._words(wavelength, 0 * curve + 1)


def test_links_of_a_simulated_star_lead_to_no_archive_number(get, star):
    page = get(f"/star/{star['star_id']}").text
    assert "simbad" in page and "lamost.org/dr" not in page and "gaiaedr3" not in page


def test_works_to_cite_are_one_file(get):
    response = get("/cite.bib")
    assert response.headers["content-type"].startswith("text/plain")
    assert response.text.count("@") == get("/catalog/citation.json?_size=0").json()["filtered_table_rows_count"]
    assert "@article{wang2022," in response.text and 'href="/cite.bib"' in get("/").text


def test_units_of_a_votable_are_read_without_a_warning(get):
    tables = ("line_measurement", "spectrum", "cluster", "kinematics", "photometry")
    assert {"Angstrom", "dex", "km.s**-1"} <= {c.info["unit"] for name in tables for c in TABLES[name].columns}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in tables:
            parse_single_table(io.BytesIO(get(f"/catalog/{name}.votable").content)).to_table()


@pytest.fixture(scope="module")
def in_time(get):
    """Pages of the stars with epochs, and what their scripts draw."""
    texts = [page.text for page in get(*(f"/star/{star_id}" for star_id in STARS))]
    return texts, [
        json.loads(re.search(r'<script[^>]* id="data">(.*?)</script>', text, re.DOTALL)[1]) for text in texts
    ]


def test_the_page_says_what_python_says(in_time, catalogue, tmp_path):
    shutil.copy(catalogue, tmp_path / "c.duckdb")
    with open_catalogue(tmp_path / "c.duckdb") as opened:
        for text, star_id in zip(in_time[0], STARS, strict=True):
            said = re.search(r"Over time</h2>\s*<p>(.*?)</p>", text)[1]
            assert said == ". ".join(opened.epochs(star_id).words) + "."


def test_the_page_has_plots_of_what_there_is_alone(in_time):
    ids = [set(re.findall(r'class="plot in-time" id="([\w-]+)"', text)) for text in in_time[0]]
    assert ids == [{"ew-plot", "vr-plot", "rv-plot"}, {"ew-plot", "magnitude-plot", "flux-plot"}, set(), set()]
    assert ['id="fold"' in text for text in in_time[0]] == [True, False, False, False]
    velocities = re.findall(r'<td class="number">-?\d+\.\d ± 2\.\d</td>', in_time[0][0])
    assert len(velocities) == MANY  # they stand in the table too


def test_long_light_curves_are_means_of_all_their_points(in_time):
    tess = next(curve for curve in in_time[1][1]["light"] if curve["name"] == "TESS")
    assert tess["mean_of"] == 3 and len(tess["y"]) == -(-(2 * POINTS_MAX + 10) // 3)
    assert np.mean(tess["y"][:-1]) == pytest.approx(1.01, abs=1e-4)
    asas = [curve for curve in in_time[1][1]["light"] if curve["name"] == "ASAS-SN V"]
    assert [(curve["is_limit"], len(curve["y"])) for curve in asas] == [(False, 19), (True, 1)]
    assert "means of 3" in in_time[0][1]


def test_the_query_of_those_that_changed_most_has_the_surest_first(get):
    found = get("/catalog/changed_most.json?_shape=array").json()
    significance = [row["change_sigma"] for row in found]
    assert significance and significance == sorted(significance, reverse=True)
    assert all(row["kind_of_change"] for row in found)


@pytest.fixture(scope="module")
def address(published):
    """The site behind a real server in a process of its own: what it leaves open is not of this one."""
    server = Server(published)
    yield f"http://127.0.0.1:{server.port}"
    server.stop()


@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (1400, "light")])
def test_the_picture_is_drawn_and_said_in_words(browser, address, star, width, scheme):
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    faults = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"{address}/star/{star['star_id']}", wait_until="networkidle")
    page.locator("#saliency").scroll_into_view_if_needed()
    page.locator("#saliency-words", has_text="speaks most for Be").wait_for(timeout=60_000)
    page.locator("#saliency-nearest figcaption").nth(2).wait_for(timeout=60_000)
    for plot in ("profile", "curve"):
        assert "speaks most for Be" in page.get_attribute(f"#saliency-{plot} canvas", "aria-label")
    assert page.get_attribute("#saliency-words", "role") == "status"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not faults
    page.close()


def test_names_of_upright_lines_do_not_overlap(browser, address, star):
    page = browser.new_page(viewport={"width": 400, "height": 900})
    page.goto(f"{address}/star/{star['star_id']}", wait_until="networkidle")
    taken = page.evaluate("""() => {
        const box = document.getElementById("colour-plot");
        const marks = [24, 25, 59].map((x) => ({ x, label: `this star ${x}` }));
        const plot = new Plot(box, { title: "t", x: { label: "x", range: [0, 60] }, y: { label: "y", range: [0, 1] }, series: [], marks });
        return [plot.taken, plot.width];
    }""")
    labels, width = taken
    assert len(labels) == 3 and all(label["left"] > 0 and label["right"] <= width for label in labels)
    for i, one in enumerate(labels):
        for other in labels[:i]:
            assert one["row"] != other["row"] or one["left"] > other["right"] or other["left"] > one["right"]
    page.close()


@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (1400, "light")])
def test_the_page_draws_and_folds_by_the_keyboard(browser, address, width, scheme):
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    faults = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"{address}/star/{STARS[0]}", wait_until="domcontentloaded")
    page.locator("#rv-plot canvas").wait_for()
    assert page.get_attribute("#rv-plot canvas", "aria-label") == f"Velocity against time, {3 * MANY} measurements"
    axis = "timePlots[2].plot.xr"
    assert page.evaluate(axis) == [0, 2]
    page.focus("#fold")
    page.keyboard.press("Space")
    assert page.evaluate(axis)[0] > 57_990
    assert page.is_checked("#dynamic") and page.is_disabled("#apart")
    page.focus("#dynamic")
    page.keyboard.press("Space")
    assert page.is_enabled("#apart")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    inked = """(id) => {
        const canvas = document.querySelector(`#${id} canvas`);
        const { data } = canvas.getContext("2d").getImageData(64, 12, canvas.width - 80, canvas.height - 60);
        return data.some((value) => value > 0);
    }"""
    for plot in ("ew-plot", "vr-plot", "rv-plot", "profile-plot"):
        assert page.evaluate(inked, plot), plot
    assert not faults
    page.close()
