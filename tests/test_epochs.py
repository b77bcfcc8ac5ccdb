"""Epochs of a star: which spectra count, on which night, and whether what is followed has errors that are errors."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.epoch_errors import QUANTITIES, pulls, width
from tests.tools.view_rows import add_spectrum, add_star, catalogue


@pytest.fixture(scope="module")
def con(tmp_path_factory):
    with catalogue(tmp_path_factory.mktemp("epochs") / "c.duckdb") as connection:
        yield connection


@pytest.fixture(autouse=True)
def empty(con):
    """Every test has the catalogue to itself."""
    con.execute("begin")
    yield
    con.execute("rollback")


def epochs(con, columns):
    return con.execute(f"select {columns} from epoch order by mjd, spectrum_id").fetchall()


def change(con, table, spectrum_id, **values):
    for name, value in values.items():
        con.execute(f"update {table} set {name} = ? where spectrum_id = ?", [value, spectrum_id])


def test_exposures_count_where_a_night_has_them_and_else_the_coadd(con):
    add_star(con, 1, mjd=58000.60)  # the coadd of the first night
    add_spectrum(con, 11, 1, mjd=58000.59, coadd=False)
    add_spectrum(con, 12, 1, mjd=58000.61, coadd=False)
    add_spectrum(con, 13, 1, mjd=58000.63, coadd=False, snr_r=9)  # too poor
    add_spectrum(con, 14, 1, mjd=58001.60)  # a coadd whose exposures are too poor
    add_spectrum(con, 15, 1, mjd=58001.61, coadd=False, snr_r=9)
    add_spectrum(con, 16, 1, mjd=58000.62)  # a coadd of another survey: other photons
    change(con, "spectrum", 16, survey="LAMOST LRS")
    assert epochs(con, "spectrum_id, night, counts") == [
        (11, 58000, True), (1, 58000, False), (12, 58000, True), (16, 58000, True), (14, 58001, True),
    ]  # fmt: skip


def test_a_night_elsewhere_may_lie_across_midnight(con):
    add_star(con, 1, mjd=58000.9)
    for spectrum_id, mjd in ((11, 58001.2), (12, 58001.95), (13, None)):
        add_spectrum(con, spectrum_id, 1, mjd=mjd)
    for spectrum_id in (1, 11, 12, 13):
        change(con, "spectrum", spectrum_id, survey="other")
    assert epochs(con, "spectrum_id, night") == [(1, 58000), (11, 58000), (12, 58001), (13, None)]


def test_the_height_of_a_peak_is_that_of_emission_and_the_width_is_dry(con):
    add_star(con, 1)
    add_spectrum(con, 11, 1, mjd=58010.2)
    for spectrum_id, n_peaks in ((1, 0), (11, 2)):
        change(con, "line_measurement", spectrum_id, peak_flux=1.5, e_peak_flux=0.1, ew_halpha_dry_a=-7.0, e_ew_halpha_dry_a=0.2)  # fmt: skip
        change(con, "profile_class", spectrum_id, n_emission_peaks=n_peaks, core_flux=0.5, e_core_flux=0.02)
        change(con, "spectrum", spectrum_id, continuum_error_red=0.03)
    found = epochs(con, "peak_flux, e_peak_flux, ew_halpha_a, e_ew_halpha_a, e_core_flux")
    assert found[0][:2] == (None, None) and found[1][:2] == pytest.approx((1.5, 0.1))
    assert found[0][2:4] == pytest.approx((-7.0, 0.2))
    assert found[0][4] == pytest.approx(np.sqrt(0.02**2 + (0.03 * 0.5) ** 2 + (0.02 * 0.5) ** 2))


def test_the_class_of_an_epoch_is_the_one_that_the_selection_takes(con):
    add_star(con, 1, profile_class="absorption", be_probability=0.99)
    add_spectrum(con, 11, 1, mjd=58010.2, profile_class="absorption", be_probability=0.1)
    assert epochs(con, "profile_class") == [("unclassified",), ("absorption",)]


def test_a_question_for_one_star_reads_its_spectra_alone(con):
    add_star(con, 1)
    (plan,) = (row[1] for row in con.execute("explain (format json) from epoch where star_id = 1").fetchall())
    (scan,) = (node for node in nodes(json.loads(plan)) if node.get("Table", "").endswith(".spectrum"))
    assert "star_id=1" in str(scan.get("Filters", ""))


def nodes(plan):
    for node in plan:
        yield node.get("extra_info", {})
        yield from nodes(node.get("children", []))


def test_errors_of_what_is_followed_are_errors():
    """Widths of the pulls of simulated discs at S/N 20 to 100; the width of a line jumps where its second peak crosses half the height."""
    rng = np.random.default_rng(5)
    found = [pulls(90, 2, snr, 7500.0, rng) for snr in (20, 50, 100)]
    for name in QUANTITIES:
        z = np.concatenate([each[name] for each in found])
        z = z[np.isfinite(z)]
        assert z.size > 150
        assert 0.8 < width(z)[0] < 1.2, name
        assert width(z)[1] < (0.05 if name == "fwhm_halpha_km_s" else 0.02), name
