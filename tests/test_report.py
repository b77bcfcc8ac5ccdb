"""`becat report`: the page, the PDF, the files, and the tables read back by astropy."""

from __future__ import annotations

import io
import os
import shutil
import tracemalloc
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import duckdb
import html5lib
import numpy as np
import pypdf
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import ascii as astropy_ascii
from hypothesis import given, settings
from hypothesis import strategies as st

from becat.publish.report import cds, html
from becat.publish.report.figures import Shown
from becat.publish.report.make import MANIFEST, make_report
from becat.publish.report.tables import PAPER_TABLES, Column, columns_of, rows_of
from becat.publish.snapshot.formatting import sexagesimal_parts
from becat.schema.errors import BecatError
from becat.udfs.bartlett import MRS_PIXEL_A, bartlett_width
from tests.tools.pipeline_tools import becat, new_catalogue
from tests.tools.site_fixture import HTML_NAME, make_catalogue

SOUTH_OF_ZERO, ACCENTED = 10_001, 10_003


def figure(number, draw, title="A line", height_in=2.5):
    return SimpleNamespace(
        number=number, title=title, caption="Drawn by a test.", draw=draw, width_in=4.0, height_in=height_in
    )


def draw_line(connection, canvas):
    canvas.subplots().plot([0, 1], [0, 1])


def draw_shown(connection, canvas):
    draw_line(connection, canvas)
    return Shown("gam Cas is shown.")


def refuse(connection, canvas):
    return "There are no spectra to draw."


def fail(connection, canvas):
    canvas.subplots().no_such_method()


OWN_FIGURES = (
    figure("1", draw_line),
    figure("2", refuse, "Not drawn"),
    figure("3", draw_shown, height_in=5.0),
    figure("4", draw_line, height_in=5.0),
    figure("A1", fail, "Broken"),
)


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    """Simulated stars, among them one just south of the equator, names that ASCII cannot write, and gaps."""
    path = make_catalogue(tmp_path_factory.mktemp("report") / "catalog.duckdb", n_stars=120, seed=7)
    with duckdb.connect(str(path)) as connection:
        for table in ("star", "spectrum"):
            connection.execute(f"update {table} set dec_deg = -0.000123 where star_id = {SOUTH_OF_ZERO}")
            connection.execute(f"update {table} set ra_deg = 359.999999 where star_id = {SOUTH_OF_ZERO}")
            connection.execute(f"update {table} set designation = 'λ Štefl\t2' where star_id = {ACCENTED}")
        connection.execute(f"update photometry set e_j_mag = null, j_mag = 'nan' where star_id = {ACCENTED}")
        connection.execute(f"update astrometry set e_pmra_mas_yr = null where star_id = {SOUTH_OF_ZERO}")
    with duckdb.connect(str(path), read_only=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def report(catalogue, tmp_path_factory):
    directory = tmp_path_factory.mktemp("made") / "report"
    return make_report(catalogue, directory, catalogue="catalog.duckdb", figures=OWN_FIGURES, progress=False)


def hidden(directory):
    return sorted(name for name in os.listdir(directory) if name.startswith("."))


def test_it_writes_what_it_says(report):
    found = {str(path.relative_to(report.directory)) for path in report.directory.rglob("*") if path.is_file()}
    assert found == {*report.files, MANIFEST}
    assert hidden(report.directory) == [MANIFEST]
    assert {"report.html", "report.pdf", "citations.bib", "tables/ReadMe", "figures/figure_1.png"} <= set(report.files)
    assert not any("figure_2" in name or "figure_A1" in name for name in report.files)
    assert report.n_figures == 3 and report.n_tables >= 9
    assert "Figure 2: There are no spectra to draw." in report.problems
    assert any(words.startswith("Figure A1: It could not be drawn: AttributeError") for words in report.problems)


# the page


@pytest.fixture(scope="module")
def page(report):
    return (report.directory / "report.html").read_text(encoding="utf-8")


def test_the_page_is_html_and_holds_all_that_it_shows(page, report):
    tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page)
    assert tree.find(".//script") is None and tree.find(".//link") is None
    assert all(image.get("src").startswith("data:image/png;base64,") and image.get("alt") for image in tree.iter("img"))
    names = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(names) == len(set(names))
    for link in tree.iter("a"):
        target = link.get("href")
        if target.startswith("#"):
            assert target[1:] in names
        elif not target.startswith("https://"):
            assert (report.directory / target).is_file(), target


def test_names_cannot_bring_markup_into_the_page(page):
    assert HTML_NAME not in page
    assert "&lt;script&gt;" in page


def test_the_page_begins_with_the_numbers_of_the_paper(page, catalogue):
    first = page.index('id="numbers"')
    assert first < page.index('id="funnel"') < page.index('id="figure-1"') < page.index('id="table-1"')
    tree = html5lib.parse(page, namespaceHTMLElements=False)
    shown = [["".join(cell.itertext()) for cell in row] for row in tree.find(".//table[@class='numbers']/tbody")]
    rows = catalogue.execute("select place, description, published, ours from published_number").fetchall()
    assert len(shown) == len(rows) > 50
    for place, description, published, ours in rows:
        row = next(row for row in shown if row[0] == place and row[1].startswith(description))
        assert row[2:4] == [html.number_text(published), html.number_text(ours)]


def test_figures_and_tables_that_are_not_there_are_explained(page):
    assert "There are no spectra to draw." in page and "AttributeError" in page
    assert page.count("<figure id=") == 5 and page.count("<img ") == 3


def test_provenance_is_on_the_page(page, catalogue):
    for (name,) in catalogue.execute("select name from selection_parameter").fetchall():
        assert html.breakable(name) in page
    assert "becat_resnet18.onnx (fp32, id abcdef012345)" in page
    assert "10.3847/1538-4365/ac617a" in page and "spectra are simulated" in page


@pytest.mark.parametrize(("width", "scheme"), [(400, "light"), (1400, "dark")])
def test_the_page_in_a_browser(browser, report, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
    tab = context.new_page()
    faults = []
    tab.on("console", lambda message: faults.append(message.text))
    tab.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else faults.append(r.url))
    tab.goto((report.directory / "report.html").as_uri(), wait_until="networkidle")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert faults == []
    if axe := os.environ.get("AXE_JS"):
        tab.add_script_tag(path=axe)
        assert [fault["id"] for fault in tab.evaluate("axe.run()")["violations"]] == []
    context.close()


# the PDF


def test_the_pdf_opens_with_numbers_first_and_all_parts_in_its_outline(report):
    document = pypdf.PdfReader(report.directory / "report.pdf", strict=True)
    first = document.pages[0].extract_text()
    assert "The paper's numbers beside ours" in first and "2,260,387" in first
    titles = []

    def walk(entries):
        for entry in entries:
            walk(entry) if isinstance(entry, list) else titles.append(entry.title)

    walk(document.outline)
    assert [f"Table {table.number}. {table.title}" for table in PAPER_TABLES] == [
        t for t in titles if t.startswith("Table ")
    ]
    assert "Figure 1. A line" in titles and "Provenance" in titles
    text = "\n".join(page.extract_text() for page in document.pages)
    assert "There are no spectra to draw." in text and "is_simulated" in text
    assert document.metadata.title == "Classical Be stars: report of catalog.duckdb"


def test_figures_share_pages_and_say_what_they_show(report):
    pages = [page.extract_text() for page in pypdf.PdfReader(report.directory / "report.pdf").pages]
    (together,) = [page for page in pages if "Figure 3. A line" in page]
    assert "Figure 4. A line" in together and "Figure 1. A line" not in together
    assert "gam Cas is shown. Drawn by a test." in " ".join(together.split())
    # Tables share pages too: only the first of those that lie across begins one.
    begun = [page.count("\nTable ") + page.startswith("Table ") for page in pages]
    assert sum(begun) == len(PAPER_TABLES) and max(begun) > 1


def test_the_figure_is_in_the_pdf_as_vectors(report):
    document = pypdf.PdfReader(report.directory / "report.pdf")
    page = next(page for page in document.pages if "Figure 1. A line" in page.extract_text())
    assert not page.images
    assert "0.8" in page.extract_text()  # a tick of its axis


# tables in fixed width


def read_back(folder: Path, number: str, form: str):
    if form == "cds":
        return astropy_ascii.read(str(folder / f"table{number}.dat"), format="cds", readme=str(folder / "ReadMe"))
    return astropy_ascii.read(str(folder / f"table{number}_mrt.txt"), format="mrt")


def as_text(value) -> str:
    return "".join(letter for letter in str(value) if letter.isascii() and letter.isalnum())


def check_values(column: Column, values: list, found) -> None:
    missing = np.ma.getmaskarray(np.ma.asarray(found))
    assert [value is None or value == "" for value in values] == missing.tolist(), column.name
    for value, read in zip(values, found, strict=True):
        if value is None or value == "":
            continue
        if column.kind == "real":
            assert float(read) == pytest.approx(value, abs=0.5001 * 10**-column.decimals, rel=1e-12), column.name
        elif column.kind == "text":
            plain = as_text(value)
            assert as_text(read).endswith(plain) or not value.isascii(), column.name
        else:
            assert int(read) == int(value), column.name


UNITS = {"": None, "dex(yr)": u.dex(u.yr), "dex": u.dex(u.dimensionless_unscaled)}


@pytest.mark.parametrize("form", ["cds", "mrt"])
@pytest.mark.parametrize("table", PAPER_TABLES, ids=lambda table: table.number)
def test_tables_come_back_as_they_are_in_the_catalogue(report, catalogue, table, form):
    rows = list(rows_of(catalogue, table))
    if not rows:
        assert not (report.directory / "tables" / f"table{table.number}.dat").exists()
        return
    found = read_back(report.directory / "tables", table.number, form)
    assert len(found) == len(rows)
    for place, column in enumerate(columns_of(catalogue, table)):
        check_values(column, [row[place] for row in rows], found[column.name])
        unit = UNITS.get(column.unit, column.unit)
        expected = u.Unit(unit.replace("**", "")) if isinstance(unit, str) else unit
        assert found[column.name].unit == expected or (found[column.name].unit is None and expected is None), (
            column.name
        )
        assert found[column.name].description
    if "RAh" in found.colnames:
        part = {name: np.asarray(found[name], float) for name in ("RAh", "RAm", "RAs", "DEd", "DEm", "DEs")}
        ra = 15 * (part["RAh"] + part["RAm"] / 60 + part["RAs"] / 3600)
        dec = np.where(found["DE-"] == "-", -1, 1) * (part["DEd"] + part["DEm"] / 60 + part["DEs"] / 3600)
        in_degrees = SkyCoord(np.asarray(found["ra_deg"]), np.asarray(found["dec_deg"]), unit="deg")
        near = SkyCoord(ra, dec, unit="deg").separation(in_degrees)
        assert near.max() < 0.04 * u.arcsec


def test_a_star_just_south_of_the_equator_keeps_its_sign(report):
    found = read_back(report.directory / "tables", "2", "cds")
    south = found[np.asarray(found["dec_deg"]) == -0.00012]
    assert len(south) > 0
    assert set(south["DE-"]) == {"-"} and set(south["DEd"]) == {0} and set(south["DEs"]) == {0.44}
    assert set(south["RAh"]) == {0} and set(south["RAs"]) == {0.0}  # 359.999999 degrees are 24 h, written as 0 h


@given(st.floats(0, 360, exclude_max=True), st.floats(-90, 90))
def test_sexagesimal_positions_are_those_of_astropy(ra_deg, dec_deg):
    hours, minutes, seconds, sign, degrees, arc_minutes, arc_seconds = sexagesimal_parts(ra_deg, dec_deg)
    assert float(seconds) < 60 and float(arc_seconds) < 60 and int(hours) < 24
    read = SkyCoord(f"{hours}h{minutes}m{seconds}s {sign}{degrees}d{arc_minutes}m{arc_seconds}s")
    assert read.separation(SkyCoord(ra_deg, dec_deg, unit="deg")) < 0.01 * u.arcsec
    assert sign == ("-" if dec_deg < 0 else "+")


REAL = st.none() | st.floats(-1e9, 1e9)
TEXT = st.none() | st.text(st.characters(codec="ascii", min_codepoint=33), max_size=12)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(-(2**53), 2**53), REAL, TEXT, st.booleans() | st.none()), min_size=1, max_size=8))
def test_any_values_come_back(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("any")
    columns = [
        Column(
            "number",
            "whole",
            "",
            "",
            "2 words and 3 arcsec of text that goes over more than one line, 17 in all, 1-4 A1",
        ),
        Column("ew_a", "real", "Angstrom", "", "Width, positive in absorption", 3),
        Column("name", "text", "", "", "Name"),
        Column("is_it", "flag", "", "", "It is"),
    ]
    table = cds.write_table(folder, "9", "Any", "A note of 3 lines. " * 12, columns, rows)
    cds.write_readme(folder / "ReadMe", [table], "Any values.", [("what", "test")], ["Somebody 2022"])
    for form in ("cds", "mrt"):
        found = read_back(folder, "9", form)
        assert found.colnames == [column.name for column in columns]
        for place, column in enumerate(columns):
            check_values(column, [row[place] for row in rows], found[column.name])
    for name in ("ReadMe", "table9_mrt.txt"):
        assert max(map(len, (folder / name).read_text(encoding="ascii").splitlines()[: -len(rows)])) <= 80


def test_memory_does_not_grow_with_the_table(tmp_path):
    columns = [Column("spectrum_id", "whole", "", "", "Spectrum"), Column("mjd", "real", "d", "", "Epoch", 4)]
    tracemalloc.start()
    table = cds.write_table(tmp_path, "2", "Long", "", columns, ((i, 58000 + i / 7) for i in range(25_000)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert table is not None and table.n_rows == 25_000
    assert peak < 2e6


# what the tables say


def test_every_column_is_described(catalogue):
    for table in PAPER_TABLES:
        assert table.title and table.note and table.needs
        for column in columns_of(catalogue, table):
            assert column.description, (table.number, column.name)
            if column.name.startswith("e_") and column.kind == "real":
                assert column.name[2:] in {other.name for other in columns_of(catalogue, table)}


def test_numbers_of_the_tables_are_those_of_the_paper():
    assert [table.number for table in PAPER_TABLES] == ["1", "2", "3", "4", "5", "6", "7", "8", "9", "A1", "A2"]


def test_table_1_has_the_widths_that_the_measurements_use(catalogue):
    for low, high, width, *_ in rows_of(catalogue, PAPER_TABLES[0]):
        for snr in (low, low + 5 if high is None else (low + high) / 2, 1000 if high is None else high - 0.01):
            assert bartlett_width([snr], MRS_PIXEL_A)[0] == width


def test_the_training_sample_is_that_of_people_where_they_have_looked(catalogue, tmp_path):
    kinds = [set(row[-2] for row in rows_of(catalogue, PAPER_TABLES[n])) for n in (1, 2)]
    assert kinds == [{"classifier"}, {"classifier"}]
    path = make_catalogue(tmp_path / "c.duckdb", n_stars=40, seed=3)
    with duckdb.connect(str(path)) as connection:
        for star_id, is_be, day in ((10_000, True, 1), (10_001, False, 1), (10_002, True, 1), (10_002, False, 2)):
            connection.execute(
                "insert into inspection (inspection_id, star_id, inspector, is_be, inspected_at) values (?, ?, 'A', ?, ?)",
                [f"{star_id} {day}", star_id, is_be, datetime(2026, 1, day)],
            )
        found = [{(row[1], row[-2]) for row in rows_of(connection, PAPER_TABLES[n])} for n in (1, 2)]
        names = dict(connection.execute("select star_id, designation from star").fetchall())
    assert found[0] == {(names[10_000], "people")}
    assert found[1] == {(names[10_001], "people"), (names[10_002], "people")}


# the directory


def make(catalogue, directory, figures=OWN_FIGURES[:1]):
    return make_report(catalogue, directory, figures=figures, progress=False)


def test_a_second_report_takes_the_place_of_the_first_and_nothing_else(catalogue, report, tmp_path):
    shutil.copytree(report.directory, tmp_path, dirs_exist_ok=True)
    (tmp_path / "mine.txt").write_text("mine")
    assert (tmp_path / "figures" / "figure_4.png").is_file()
    make(catalogue, tmp_path)
    assert not (tmp_path / "figures" / "figure_4.png").exists()
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert hidden(tmp_path) == [MANIFEST]


def test_files_of_others_are_refused_and_left(catalogue, report, tmp_path):
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(BecatError, match="is not part of a becat report: choose another directory"):
        make(catalogue, tmp_path)
    assert (tmp_path / "report.html").read_text() == "mine" and os.listdir(tmp_path) == ["report.html"]
    (tmp_path / "report.html").unlink()
    shutil.copytree(report.directory, tmp_path, dirs_exist_ok=True)
    with (tmp_path / "report.html").open("a") as file:
        file.write("my note")
    with pytest.raises(BecatError, match="was changed since becat wrote it"):
        make(catalogue, tmp_path)
    assert (tmp_path / "report.html").read_text().endswith("my note")


def test_a_report_that_is_stopped_leaves_the_old_one(catalogue, report, tmp_path):
    shutil.copytree(report.directory, tmp_path, dirs_exist_ok=True)
    before = {name: (tmp_path / name).read_bytes() for name in report.files}

    def stop(connection, canvas):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(catalogue, tmp_path, (figure("1", stop),))
    assert {name: (tmp_path / name).read_bytes() for name in report.files} == before
    assert hidden(tmp_path) == [MANIFEST]


def test_a_place_that_cannot_be_written_is_named(catalogue, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BecatError, match="cannot be written"):
        make(catalogue, tmp_path / "file" / "report")


def test_an_empty_catalogue_gives_a_report_that_says_what_is_missing(tmp_path):
    done = becat("report", tmp_path / "report", "--catalog", new_catalogue(tmp_path / "c.duckdb"))
    assert (
        "figures and 2 tables" in done.stdout
    )  # the printed widths of the windows, and the printed counts of the lists
    assert "Table 9: Empty: the catalogue has no spectra (`becat load`)." in done.stdout
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "This catalogue is not complete." in page and "<code>becat load</code>" in page
    assert "Traceback" not in done.stderr and "could not be drawn" not in done.stdout
    pypdf.PdfReader(io.BytesIO((tmp_path / "report" / "report.pdf").read_bytes()), strict=True)


def test_faults_of_the_call_are_told_in_one_line(tmp_path):
    done = becat("report", tmp_path / "r", "--catalog", tmp_path / "none.duckdb", check=1)
    assert done.stderr.count("\n") == 1 and "no catalogue at" in done.stderr
    old = new_catalogue(tmp_path / "old.duckdb")
    with duckdb.connect(str(old)) as connection:
        connection.execute("drop view star_name")
    done = becat("report", tmp_path / "r", "--catalog", old, check=1)
    assert done.stderr.count("\n") >= 1 and "`becat run` brings it up to date" in done.stderr
    assert hidden(tmp_path / "r") == []
