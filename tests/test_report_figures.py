"""The figures of the report: what is drawn, against the printed tables and queries of the base tables."""

from __future__ import annotations

import csv
import itertools
import shutil
import warnings
from functools import cache
from pathlib import Path

import duckdb
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.text import Text
from scipy.optimize import root_scalar
from scipy.signal import find_peaks

from becat.etl.load.arms_of_file import read_arms
from becat.publish.report.figures import figures
from becat.publish.report.figures.density import count_cells
from becat.publish.report.style import ra_for_sky
from becat.schema.grid import RED
from tests.tools.made_once import demo_of_150
from tests.tools.pipeline_tools import new_catalogue
from tests.tools.site_fixture import make_catalogue

PAPER = Path(__file__).parent.parent / "etl" / "data" / "wang2022"
NUMBERS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "A1", "A2", "S1", "S2", "S3"]
FIGURES = figures(read_arms)
BY_NUMBER = {figure.number: figure for figure in FIGURES}


def printed(table):
    with (PAPER / f"{table}.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return demo_of_150(tmp_path_factory) / "copy.duckdb"


@pytest.fixture(scope="module")
def catalogue(demo):
    with duckdb.connect(str(demo), read_only=True, config={"threads": 1}) as connection:
        yield connection


@pytest.fixture
def changed(demo, tmp_path):
    """A copy of the demonstration that a test may change."""
    path = tmp_path / "changed.duckdb"
    shutil.copyfile(demo, path)
    with duckdb.connect(str(path)) as connection:
        yield connection


def drawn(number, connection):
    """The figure as it is drawn, its layout done; no warning is allowed."""
    figure = BY_NUMBER[number]
    canvas = Canvas(figsize=(figure.width_in, figure.height_in))
    FigureCanvasAgg(canvas)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reason = figure.draw(connection, canvas)
        assert not isinstance(reason, str), f"figure {number}: {reason}"
        canvas.canvas.draw()
    return canvas


@pytest.fixture(scope="module")
def of_demo(catalogue):
    """Figures of the demonstration by number, each drawn once; they are looked at, not changed."""
    return cache(lambda number: drawn(number, catalogue))


def points(axes):
    """Marks of an axes by the first words of their label."""
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def scalar(connection, sql, parameters=None):
    return connection.execute(sql, parameters or []).fetchone()[0]


def maxwellian_limit(b_km_s, fraction):
    """Speed beyond the peak at which v^2 exp(-v^2/b^2) is this fraction of its peak: Equation 1 of the paper."""
    x = root_scalar(lambda x: x * np.exp(1 - x) - fraction, bracket=(1, 50)).root
    return b_km_s * np.sqrt(x)


def test_every_figure_of_the_paper_is_there_in_order():
    assert [figure.number for figure in FIGURES] == NUMBERS
    for figure in FIGURES:
        assert figure.title and figure.caption.endswith(".") and 3 < figure.width_in < 8 and 2 < figure.height_in < 10
        if not figure.number.startswith("S"):
            assert f"Figure {figure.number} of Wang et al. 2022" in figure.caption


@pytest.mark.parametrize("number", NUMBERS)
def test_a_figure_of_the_demonstration_shows_something_that_can_be_read(number, of_demo):
    canvas = of_demo(number)
    panels = [axes for axes in canvas.axes if axes.axison]
    assert panels and all(axes.has_data() for axes in panels)
    pixels = np.asarray(canvas.canvas.buffer_rgba())[..., :3]
    assert (pixels.min(axis=2) < 250).mean() > 0.01 and (
        pixels.min(axis=2) > 250
    ).mean() > 0.3  # drawn, on light ground
    assert_words_do_not_collide(canvas)


def assert_words_do_not_collide(canvas):
    """Titles, axis labels and labels of ticks: none over another, none beyond the edge."""
    renderer, words = canvas.canvas.get_renderer(), []
    for axes in canvas.axes:
        words += [axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label]
    words += [text for text in canvas.findobj(Text) if text.figure is canvas and text in canvas.texts]
    words += [text for text in (canvas._suptitle, canvas._supxlabel, canvas._supylabel) if text is not None]
    boxes = {
        text.get_text(): text.get_window_extent(renderer)
        for text in {id(text): text for text in words}.values()
        if text.get_text() and text.get_visible()
    }
    edge = canvas.bbox.padded(2)
    for name, box in boxes.items():
        assert edge.x0 <= box.x0 and box.x1 <= edge.x1 and edge.y0 <= box.y0 and box.y1 <= edge.y1, f"{name} is cut off"
    for (name, box), (other, there) in itertools.combinations(boxes.items(), 2):
        assert not box.padded(-1).overlaps(there.padded(-1)), f"{name!r} over {other!r}"


def test_an_empty_catalogue_gives_reasons(tmp_path):
    path = new_catalogue(tmp_path / "empty.duckdb")
    with duckdb.connect(str(path), read_only=True) as connection:
        for figure in FIGURES:
            reason = figure.draw(connection, Canvas())
            assert isinstance(reason, str) and reason.endswith(".") and reason[0].isupper(), figure.number


def test_names_with_markup_are_drawn_as_they_are(tmp_path):
    path = make_catalogue(tmp_path / "site.duckdb", n_stars=60)
    with duckdb.connect(str(path)) as connection:
        connection.execute(r"update spectrum set designation = '$\frac{x}$ {0} %s ' || designation")
        connection.execute(r"update kinematic_model set maxwellian_source = 'fitted $\x to 3 stars'")
        drawn("9", connection)
        (profile, *_) = drawn("7", connection).axes
        assert r"\$\frac{x}\$ {0} %s" in profile.get_title("left")


def test_spectrum_and_continuum_give_the_rectified_spectrum(catalogue, of_demo):
    canvas = of_demo("1")
    blue, red, _, rectified = canvas.axes
    designation = canvas._suptitle.get_text().split(",")[0]
    known = catalogue.execute("select designation from known_be").fetchall()
    assert (designation,) in known
    flux, continuum = red.lines
    assert continuum.get_label() == "continuum" and blue.lines
    # Away from Halpha the flux lies about the continuum, and the rectified flux about 1.
    wavelength, values = continuum.get_data()
    native, counts = flux.get_data()
    beside = (np.abs(native - 6450) < 60) & (native > wavelength[0])
    ratio = counts[beside] / np.interp(native[beside], wavelength, values)
    assert np.median(ratio) == pytest.approx(1, abs=0.01)
    there_a, shown = rectified.lines[0].get_data()
    again = np.interp(native[beside], there_a, shown)
    assert np.nanstd(again - ratio) < 0.6 * np.std(ratio)  # the same noise: it is the same spectrum
    stored = scalar(
        catalogue,
        "select flux from flux_red join spectrum using (spectrum_id) where designation = ? order by snr_r desc limit 1",
        [designation],
    )
    same = np.isfinite(shown)
    assert same.mean() > 0.9 and np.array_equal(shown[same], np.asarray(stored, dtype=float)[same])


def test_captions_say_which_stars_are_shown(catalogue, of_demo):
    canvas = Canvas(figsize=(7, 4))
    shown = {number: BY_NUMBER[number].draw(catalogue, canvas).words for number in ("1", "3", "A1")}
    name, rest = shown["1"].split(" is ", 1)
    assert rest == "the known Be star with the best spectrum of this catalogue; the paper shows HD 250854."
    assert (name,) in catalogue.execute("select designation from known_be").fetchall()
    assert shown["3"].startswith("(a) J") and ", simulated, " in shown["3"]
    printed_here = {
        place
        for place, axes in enumerate(of_demo("A1").axes)
        if axes.get_title("left").split("\n")[1].split(",")[0]
        in {row["designation"] for row in printed("tableA1_emission_with_shell")}
    }
    assert {
        "abcd".index(word[1]) for word in shown["A1"].split() if word[:1] == "(" and word[2:3] == ")"
    } <= printed_here


def test_without_its_file_the_rectified_spectrum_is_still_shown(changed):
    changed.execute("update spectrum set file = '/nowhere/' || file")
    canvas = drawn("1", changed)
    assert len(canvas.axes) == 2 and all(axes.lines for axes in canvas.axes)
    assert "no longer where" in canvas._supxlabel.get_text()


def test_the_plane_of_widths_has_the_limits_and_the_spectra(catalogue, of_demo):
    (axes,) = of_demo("2").axes
    marks = points(axes)
    n = scalar(
        catalogue,
        """select count(*) from spectrum join line_measurement using (spectrum_id)
        where snr_r > 10 and (not has_blue or snr_b > 10) and (teff_k is null or teff_k < 6500 or teff_k > 8000)
        and ew_halpha_a is not null and ew_mgb_a is not null""",
    )
    assert n > 50 and len(marks[f"{n:,} spectra"].get_xdata()) == n
    assert set(marks["EW(Mg b) = 1.2 Å"].get_ydata()) == {1.2}
    assert set(marks["EW(Hα) = 10 Å"].get_xdata()) == {10.0}
    late = scalar(
        catalogue,
        """select count(*) from spectrum join line_measurement using (spectrum_id) join photometry using (star_id)
        where snr_r > 10 and (not has_blue or snr_b > 10) and (teff_k is null or teff_k < 6500 or teff_k > 8000)
        and ew_halpha_a < 10 and ew_mgb_a < 1.2 and j_mag - h_mag - 1.7 * (h_mag - k_mag) >= 0.4
        and coalesce(tmass_separation_arcsec, 0) <= 3""",
    )
    crosses = [line for label, line in marks.items() if "K, M stars" in label]
    assert late > 0 and [len(line.get_xdata()) for line in crosses] == [late]


def test_limits_are_those_in_force(changed):
    changed.execute("update selection_parameter set value = 0.7 where name = 'ew_mgb_max_a'")
    changed.execute("update selection_parameter set value = 0.1 where name = 'runaway_fraction_of_peak'")
    assert set(points(drawn("2", changed).axes[0])["EW(Mg b) = 0.7 Å"].get_ydata()) == {0.7}
    limit = next(label for label in points(drawn("9", changed).axes[0]) if label.startswith("limit"))
    assert limit == f"limit {maxwellian_limit(8.701, 0.1):.3f} km/s"


def test_counting_in_cells_loses_nothing():
    with duckdb.connect() as connection:
        source = "select (i * 37 % 1000) / 100 - 3 as x, (i * 91 % 777) / 50 as y from range(20000) t(i)"
        x, y = (np.array(column, dtype=float) for column in zip(*connection.execute(source).fetchall(), strict=True))
        edges_x, edges_y, counts = count_cells(connection, source, (0.5, 0.7), ((-2.0, 5.0), (1.0, 12.0)))
        inside = (x >= -2) & (x <= 5) & (y >= 1) & (y <= 12)
        expected, *_ = np.histogram2d(y[inside], x[inside], (edges_y, edges_x))
        assert np.nansum(counts) == inside.sum() > 5000
        # A value on an edge may fall on either side by rounding.
        assert np.abs(np.nan_to_num(counts) - expected).sum() <= 0.02 * inside.sum()


def test_peaks_are_those_of_the_smoothed_pixels(of_demo):
    canvas = of_demo("3")
    widths = {True: 15, False: 9}  # Table 1 of the paper: S/N 10-20 and 40-60, in pixels of 0.12 Angstrom
    panels = canvas.axes
    assert len(panels) == 4
    for left, right, low in ((panels[0], panels[1], True), (panels[2], panels[3], False)):
        snr = int(left.get_title("left").split("S/N ")[1].split(",")[0])
        assert 10 <= snr <= 20 if low else 40 <= snr <= 60
        px = round(widths[low] * 0.12 / RED.step_a)
        assert f"{px} px" in right.get_title("left")
        flux = points(right)["flux"].get_ydata()
        wavelength = points(right)["flux"].get_xdata()
        good = np.isfinite(flux)  # bad pixels are not drawn; over them the smoothing goes on a straight line
        flux = np.interp(wavelength, wavelength[good], flux[good])
        window = np.bartlett(px) if px % 2 else np.convolve(np.bartlett(px), [0.5, 0.5])
        smooth = np.convolve(flux, window / window.sum(), mode="same")
        peaks, _ = find_peaks(smooth)
        found = [wavelength[i] for i in peaks if 6551 <= wavelength[i] <= 6579]
        assert np.allclose(points(right)["peak"].get_xdata(), found)
        assert len(points(left)["peak"].get_xdata()) > 2 * len(found)


@pytest.mark.parametrize(
    ("number", "profile_class"), [("7", "emission"), ("A1", "emission with shell"), ("A2", "absorption with shell")]
)
def test_galleries_show_stars_of_their_class(number, profile_class, catalogue, of_demo):
    seen = set()
    for axes in of_demo(number).axes:
        if not axes.axison:
            continue
        words, name = axes.get_title("left").split("\n")[:2]
        rows = catalogue.execute(
            """select c.profile_class, c.profile_type, c.shell_type, flux, ivar
            from be_candidate b join profile_class c using (spectrum_id) join spectrum s using (spectrum_id)
            join flux_red using (spectrum_id) where s.designation = ?""",
            [name.split(",")[0]],
        ).fetchall()
        ((found_class, found_type, shell_type, flux, ivar),) = rows
        assert found_class == profile_class
        if number == "7":
            kind = words[4:].replace("two", "double").replace(" peaks", "")
            assert found_type == kind
        else:
            assert f"type {shell_type}" in words
        shown = points(axes)["flux"]
        flux = np.where(np.asarray(ivar) > 0, flux, np.nan)
        there = np.rint((shown.get_xdata() - RED.start_a) / RED.step_a).astype(int)
        assert np.array_equal(shown.get_ydata(), flux[there], equal_nan=True)
        seen.add((words[4:], name))
    assert len(seen) >= 3 or number == "A1"


def test_the_star_of_the_paper_comes_first_and_the_word_of_people_counts(changed):
    star = "J000025.64+623946.1"  # type 1 of Table A1
    (printed_type,) = {
        row["shell_type"] for row in printed("tableA1_emission_with_shell") if row["designation"] == star
    }
    identity = scalar(changed, "select star_id from star_alias where designation = ?", [star])
    changed.execute(
        """insert into inspection (inspection_id, star_id, inspector, is_be, profile_class, shell_type, inspected_at)
        values (1, ?, 'a', true, 'emission with shell', ?, now())""",
        [identity, int(printed_type)],
    )
    titles = [axes.get_title("left") for axes in drawn("A1", changed).axes]
    assert any("type 1" in title and star in title for title in titles)


def test_not_be_spectra_are_called_not_be(catalogue, of_demo):
    names = [axes.get_title("left").split("\n")[1].split(",")[0] for axes in of_demo("5").axes]
    assert len(names) == 4 == len(set(names))
    for name in names:
        worst = scalar(
            catalogue,
            """select min(be_probability) from current_score join spectrum using (spectrum_id)
            where star_id in (select star_id from star_alias where designation = ?)""",
            [name],
        )
        assert worst < 0.5


def test_the_matrix_counts_every_scored_spectrum_of_early_type(catalogue, of_demo):
    matrix, scores, completeness = of_demo("6").axes
    cells = [int(text.get_text().split(" ")[0].replace(",", "")) for text in matrix.texts]
    n_be, n = catalogue.execute(
        """select count(*) filter (be_probability >= 0.5), count(*) from step_40_q_index join current_score using (spectrum_id)
        where be_probability is not null"""
    ).fetchone()
    assert sum(cells) == n and sum(cells[::2]) == n_be > 0
    assert sum(patch.get_data().values.sum() for patch in scores.patches) == n
    assert len(completeness.containers) == scalar(
        catalogue, "select count(*) from (select distinct host, snr from completeness)"
    )


def test_people_are_compared_with_the_classifier(changed):
    changed.execute(
        """insert into inspection (inspection_id, star_id, inspector, is_be, inspected_at)
        select row_number() over (), star_id, 'a', row_number() over (order by star_id) <= 20, now()
        from be_candidate order by star_id limit 25"""
    )
    panels = drawn("6", changed).axes
    assert len(panels) == 4
    (people,) = [axes for axes in panels if "people" in axes.get_title("left")]
    assert [text.get_text() for text in people.texts] == ["20 (100.0 %)", "0 (0.0 %)", "5 (100.0 %)", "0 (0.0 %)"]
    assert "80.0 % alike" in people.get_title("left")


def test_visits_are_nights(catalogue, of_demo):
    left, right = of_demo("8").axes
    nights = dict(
        catalogue.execute(
            """select nights, count(*) from (select count(distinct floor(mjd)) as nights from spectrum
            where star_id in (select star_id from classical_be) group by star_id) group by 1"""
        ).fetchall()
    )
    total, n_new = sum(nights.values()), scalar(catalogue, "select count(*) from new_cbe")
    assert f"{nights[1]} of {total}" in left.get_title("left")
    outline, *filled = left.patches
    heights = outline.get_xy()[:, 1]
    assert heights.max() == max(nights.values())
    assert sum(bar.get_height() for bar in filled) == n_new
    assert sum(bar.get_height() for bar in right.patches[1:]) == n_new
    assert [text.get_text() for text in right.get_legend().get_texts()] == [f"all, {total}", f"new, {n_new}"]


def test_the_runaways_are_the_printed_ones(catalogue, of_demo):
    (axes,) = of_demo("9").axes
    slow, fast = axes.containers
    n = scalar(catalogue, "select count(*) from runaway_by_model where is_default")
    names = {row["designation"] for row in printed("table9_runaways")}
    assert len(names) == 16
    beyond = [bar for bar in fast if bar.get_height() > 0]
    assert sum(bar.get_height() for bar in beyond) >= 16
    assert sum(bar.get_height() for bar in (*slow, *fast)) == n
    velocities = [float(row["v_tp_km_s"]) for row in printed("table9_runaways")]
    for velocity in velocities:
        assert any(bar.get_x() - 0.1 <= velocity <= bar.get_x() + bar.get_width() + 0.1 for bar in beyond)
    marks = points(axes)
    limit = maxwellian_limit(8.701, 0.01)
    assert limit == pytest.approx(24.047, abs=5e-4)
    assert marks["limit 24.047 km/s"].get_xdata()[0] == pytest.approx(limit, abs=1e-6)
    (curve,) = [line for label, line in marks.items() if "exp" in label]
    speed, height = curve.get_data()
    assert np.interp(limit, speed, height) / height.max() == pytest.approx(0.01, rel=0.02)
    assert speed[height.argmax()] == pytest.approx(8.701, abs=0.1)


def test_magnitudes_are_brighter_upwards_and_follow_their_formula(catalogue, of_demo):
    observed, corrected = of_demo("10").axes
    for axes in (observed, corrected):
        low, high = axes.get_ylim()
        assert low > high
    rows = catalogue.execute(
        """select bp_mag - rp_mag, g_mag + 5 * log10(parallax_mas / 100), reddening.ebv_mag,
        s.star_id in (select star_id from new_cbe)
        from classical_be s join photometry using (star_id) join astrometry a using (star_id) left join reddening using (star_id)
        where parallax_mas > 0 and coalesce(ruwe, 0) <= 1.4 and coalesce(separation_arcsec, 0) <= 1
        and bp_rp_excess_factor between 1 + 0.015 * (bp_mag - rp_mag) ** 2 and 1.3 + 0.06 * (bp_mag - rp_mag) ** 2"""
    ).fetchall()
    for new, words in ((True, "new"), (False, "known")):
        expected = sorted((colour, magnitude) for colour, magnitude, _, is_new in rows if is_new == new)
        (line,) = [line for label, line in points(observed).items() if f" {words} " in label]
        assert np.allclose(sorted(zip(*line.get_data(), strict=True)), expected, atol=1e-4)
        reddened = [
            (c - (1.083 - 0.634) * 3.1 * e, m - 0.836 * 3.1 * e) for c, m, e, k in rows if k == new and e is not None
        ]
        (line,) = [line for label, line in points(corrected).items() if f" {words} " in label]
        assert np.allclose(sorted(zip(*line.get_data(), strict=True)), sorted(reddened), atol=1e-4)


def test_the_funnel_is_that_of_the_view(catalogue, of_demo):
    (axes,) = of_demo("S1").axes
    funnel = catalogue.execute("select spectra, stars from funnel order by step").fetchall()
    spectra, stars = axes.containers
    assert [(a.get_width(), b.get_width()) for a, b in zip(spectra, stars, strict=True)] == funnel
    assert set(points(axes)["stars, in the paper"].get_xdata()) >= {789918, 1162, 1134, 822, 671, 222, 183}
    assert set(points(axes)["spectra, in the paper"].get_xdata()) >= {2260387, 286501, 261647, 257860}


def test_infrared_regions_are_those_of_the_paper(catalogue, of_demo):
    (axes,) = of_demo("S2").axes
    corners = {
        (x, y) for line in axes.lines if len(line.get_xdata()) == 3 for x, y in zip(*line.get_data(), strict=True)
    }
    assert {(0.2, 0.5), (0.4, 0.8)} <= corners
    (new,) = [line for label, line in points(axes).items() if "new classical Be" in label]
    assert len(new.get_xdata()) == scalar(catalogue, "select count(*) from new_cbe")
    assert (new.get_xdata() < 0.2).all() and (new.get_ydata() < 0.5).all()


def test_right_ascension_increases_to_the_left(catalogue, of_demo):
    assert np.all(np.diff(ra_for_sky([181, 270, 359, 1, 90, 179])) < 0)
    sky, *_ = of_demo("S3").axes
    (runaways,) = [line for label, line in points(sky).items() if "runaways" in label]
    assert len(runaways.get_xdata()) == scalar(catalogue, "select count(*) from runaway")
    # The density and the points agree: each star lies in a cell that counts one.
    mesh = next(artist for artist in sky.collections if artist.get_array() is not None)
    edges_x, edges_y = mesh.get_coordinates()[0, :, 0], mesh.get_coordinates()[:, 0, 1]
    counts = np.ma.filled(mesh.get_array().astype(float), 0).reshape(len(edges_y) - 1, len(edges_x) - 1)
    for x, y in zip(*runaways.get_data(), strict=True):
        assert counts[np.searchsorted(edges_y, y) - 1, np.searchsorted(edges_x, x) - 1] >= 1
