"""Epochs of a star: which spectra count, whether their errors are errors, and what changes."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from benchmarks.epoch_errors import QUANTITIES, pulls, width
from tests.tools.view_rows import add_spectrum, add_star


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


@pytest.mark.parametrize(
    "view",
    ["disc_epoch", "epoch_velocity", "epoch", "star_change", "variable_be", "velocity_change", "binary_evidence"],
)
def test_a_question_for_one_star_reads_its_spectra_alone(con, view):
    add_star(con, 1)
    (plan,) = (row[1] for row in con.execute(f"explain (format json) from {view} where star_id = 1").fetchall())
    scans = [node for node in nodes(json.loads(plan)) if node.get("Table", "").endswith(".spectrum")]
    assert scans and all("star_id=1" in str(scan.get("Filters", "")) for scan in scans)


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


def add_epochs(con, star_id, ew_a, error_a=0.1, **columns):
    """A candidate Be star with a coadd a month: widths, and lists of what else is measured (of profile_class)."""
    for n, width_a in enumerate(ew_a):
        spectrum_id = star_id if n == 0 else 100 * star_id + n
        add = add_star if n == 0 else add_spectrum
        own = {"ew_halpha_a": width_a, "e_ew_halpha_a": error_a, "mjd": 58000.2 + 30 * n}
        own["profile_class"] = columns["profile_class"][n] if "profile_class" in columns else "emission"
        own["be_probability"] = 0.99 if own["profile_class"].startswith("emission") else 0.1
        add(con, star_id, **own) if n == 0 else add(con, spectrum_id, star_id, **own)
        change(con, "profile_class", spectrum_id, **{k: v[n] for k, v in columns.items() if k != "profile_class"})


def changes(con, star_id, columns="change_result, kind_of_change"):
    return con.execute(f"select {columns} from variable_be where star_id = ?", [star_id]).fetchone()


def test_kinds_of_change_in_words(con):
    quiet = [-8.0, -8.05, -7.95, -8.0]
    add_epochs(con, 1, quiet)
    add_epochs(con, 2, [-8.0])
    add_epochs(con, 3, [-2.0, -4.0, -6.0, -8.0])
    add_epochs(con, 4, [-8.0, -6.0, -4.0, 2.0], profile_class=["emission", "emission", "emission", "absorption"])
    add_epochs(con, 5, [3.0, 3.0, -5.0, 3.0], profile_class=["absorption", "absorption", "emission", "absorption"])
    ratios = [1.3, 1.1, 0.9, 0.7]
    add_epochs(con, 6, quiet, violet_red_ratio=ratios, e_violet_red_ratio=[0.02] * 4)
    shell = ["emission", "emission", "emission with shell", "emission with shell"]
    add_epochs(con, 7, quiet, profile_class=shell, core_flux=[1.4, 1.4, 0.8, 0.7], e_core_flux=[0.02] * 4)
    add_epochs(con, 8, quiet, violet_red_ratio=[1.5, 1.1, 1.3, 1.2], e_violet_red_ratio=[0.02] * 4)
    add_epochs(con, 9, [-8.0, -6.0, -8.0, -6.5])
    add_epochs(con, 10, quiet, profile_class=["emission", "absorption", "emission", "emission"])
    found = {star_id: changes(con, star_id) for star_id in range(1, 11)}
    assert found == {
        1: ("constant", None),
        2: ("unknown", None),
        3: ("changes", "brightening"),
        4: ("changes", "emission goes, fading"),
        5: ("changes", "emission appears, emission goes"),
        6: ("changes", "V/R reversal"),
        7: ("changes", "shell phase"),
        8: ("changes", "V/R varies"),
        9: ("changes", "EW(H-alpha) varies"),
        10: ("constant", None),  # the class of a weak line flips, the line does not change
    }
    assert "second" in changes(con, 2, "decided_by")[0]
    surest = [row[0] for row in con.execute("select change_sigma from variable_be").fetchall()]
    assert surest[:-1] == sorted(surest[:-1], reverse=True) and surest[-1] is None


def test_what_one_exposure_alone_shows_is_no_change(con):
    """A cosmic ray on a peak moves V/R of this exposure; coadds have none, and a star's change is seen by several."""
    quiet = [-8.0, -8.05, -7.95, -8.0]
    for star_id, ratios in enumerate(
        ([1.3, 1.31, 1.29, 0.9], [1.3, 1.31, 1.29, 0.9], [1.3, 1.31, 0.9, 0.91], [1.3, 0.9], [1.3, 1.31]), 1
    ):
        add_epochs(con, star_id, quiet[: len(ratios)], violet_red_ratio=ratios, e_violet_red_ratio=[0.02] * len(ratios))
    add_epochs(con, 6, [-8.0, -8.0, -3.0], violet_red_ratio=[1.3, 1.31, 0.9], e_violet_red_ratio=[0.02] * 3)
    add_epochs(con, 7, quiet[:3], violet_red_ratio=[1.3, 0.9, 0.91], e_violet_red_ratio=[0.02] * 3)
    con.execute("update spectrum set coadd = false where star_id not in (2, 7)")
    assert [changes(con, star_id) for star_id in range(1, 7)] == [
        ("unknown", None), ("changes", "V/R reversal"), ("changes", "V/R reversal"), ("unknown", None), ("constant", None),
        ("changes", "fading"),
    ]  # fmt: skip
    assert {"one exposure" in changes(con, star_id, "decided_by")[0] for star_id in (1, 4)} == {True}
    columns = "select violet_red_ratio_change_sigma, violet_red_ratio_change_all_exposures_sigma from star_change where star_id = "
    without, plain, separate, one_less = (con.execute(f"{columns} {star_id}").fetchone() for star_id in (1, 2, 3, 7))
    assert without[1] == pytest.approx(plain[0]) and without[0] < 2
    assert separate[1] > separate[0] > 10 and separate[0] == pytest.approx(one_less[1], rel=1e-3)


def test_a_high_peak_in_one_exposure_alone_is_no_change(con):
    for star_id, n in ((1, 4), (2, 4), (3, 2)):
        add_epochs(con, star_id, [-8.0] * n, n_emission_peaks=[1] * n)
    con.execute("update line_measurement set peak_flux = 2.0, e_peak_flux = 0.02")
    con.execute("update line_measurement set peak_flux = 2.5 where spectrum_id in (101, 201, 301)")
    con.execute("update spectrum set coadd = false where star_id <> 2")
    assert [changes(con, star_id)[0] for star_id in (1, 2, 3)] == ["unknown", "changes", "changes"]
    columns = "peak_flux_change_sigma, peak_flux_change_all_exposures_sigma"
    found = con.execute(f"select {columns} from star_change where star_id = 1").fetchone()
    assert found[0] < 1 < 10 < found[1]


def test_profiles_with_more_peaks_are_compared_with_each_other(con):
    """A third peak makes other outer peaks: V/R and separation jump, though nothing changes."""
    quiet, peaks = [-8.0, -8.05, -7.95, -8.0], [2, 3, 2, 3]
    quantity: dict = {"violet_red_ratio": [1.3, 2.0, 1.31, 2.02], "e_violet_red_ratio": [0.02] * 4}
    separation: dict = {"peak_separation_km_s": [300.0, 500.0, 301.0, 502.0], "e_peak_separation_km_s": [2.0] * 4}
    add_epochs(con, 1, quiet, n_emission_peaks=peaks, **quantity, **separation)
    add_epochs(con, 2, quiet, n_emission_peaks=[2] * 4, **quantity)
    add_epochs(con, 3, quiet, n_emission_peaks=[2, 3, 3, 2], **separation)
    found = [changes(con, star_id)[0] for star_id in (1, 2, 3)]
    assert found == ["constant", "changes", "changes"]
    chi2 = 0.5 * (0.01**2 + 0.02**2) / 0.02**2  # of two pairs
    sigma = changes(con, 1, "violet_red_ratio_change_sigma")[0]
    assert sigma == pytest.approx(stats.norm.isf(stats.chi2.sf(chi2, 2)), abs=0.1)


def test_the_trend_is_that_of_a_weighted_line(con):
    ew_a, error = [-2.0, -4.5, -5.5, -8.0], 0.1
    add_epochs(con, 1, ew_a, error)
    days = 58000.2 + 30 * np.arange(4)
    (slope, _), covariance = np.polyfit(days / 365.25, ew_a, 1, w=np.full(4, 1 / error), cov="unscaled")
    assert changes(con, 1, "ew_trend_a_yr, e_ew_trend_a_yr") == pytest.approx(
        (slope, np.sqrt(covariance[0, 0])), rel=1e-5
    )


def test_chance_counts_the_stars_and_the_quantities(con):
    """The same change is one in a catalogue of few stars, and chance in one of many."""
    add_epochs(con, 1, [-8.0, -8.55], core_flux=[0.5, 0.5], e_core_flux=[0.02] * 2)
    sigma = changes(con, 1, "ew_change_sigma")[0]
    assert changes(con, 1)[0] == "changes"
    assert changes(con, 1, "change_chance")[0] == pytest.approx(2 * stats.norm.sf(sigma), rel=0.3)
    con.execute(
        "insert into star (star_id, ra_deg, dec_deg, is_simulated) select 1000 + i, 1, 1, true from range(999) t(i)"
    )
    assert changes(con, 1, "change_chance")[0] == pytest.approx(2000 * stats.norm.sf(sigma), rel=0.3)
    assert changes(con, 1)[0] == "constant"


def test_of_constant_stars_hardly_any_catalogue_names_one(con):
    rng = np.random.default_rng(3)
    n_stars, n_epochs = 1500, 4
    errors = rng.uniform(0.1, 0.4, (n_stars, n_epochs))
    star_id = np.repeat(np.arange(n_stars), n_epochs)
    rows = {
        "spectrum_id": np.arange(star_id.size),
        "star_id": star_id,
        "mjd": 58000.2 + np.tile(np.arange(n_epochs), n_stars),
        "ew_halpha_a": (-5 + errors * rng.normal(size=errors.shape)).ravel(),
        "e_ew_halpha_a": errors.ravel(),
        "core_flux": 0.5 + 0.05 * rng.normal(size=star_id.size),
    }
    con.register("rows", pa.table(rows))
    con.execute("""
        insert into star (star_id, ra_deg, dec_deg, is_simulated) select distinct star_id, 1, 1, true from rows;
        insert into spectrum by name select spectrum_id, star_id, mjd, 'LAMOST MRS' as survey, true as is_simulated, 'f' as file,
            true as coadd, true as has_blue, 50 as snr_r, 50 as snr_b from rows;
        insert into line_measurement by name select spectrum_id, ew_halpha_a, e_ew_halpha_a from rows;
        insert into profile_class by name select spectrum_id, core_flux, 0.05 as e_core_flux from rows""")
    con.unregister("rows")
    found = con.execute("select change_result, ew_change_sigma, n_trials from star_change").fetchnumpy()
    assert (found["change_result"] == "constant").all()
    assert set(found["n_trials"]) == {2 * n_stars}
    assert stats.kstest(found["ew_change_sigma"], "norm").pvalue > 1e-3


def test_peaks_of_other_instruments_are_not_compared(con):
    """At low resolution the core of the same line is shallower: no change."""
    add_epochs(con, 1, [-8.0, -8.0, -8.0], core_flux=[0.5, 0.51, 0.9], e_core_flux=[0.02] * 3)
    change(con, "spectrum", 102, survey="LAMOST LRS")
    assert changes(con, 1, "change_result, instrument, core_flux_max")[:2] == ("constant", "LAMOST MRS")
