"""Variability of EW(H-alpha) over epochs, as `star_visits` gives it, against scipy on synthetic epochs."""

from __future__ import annotations

import json

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from tests.tools.view_rows import add_spectrum, add_star, catalogue


def add_epochs(con, epochs, first_mjd=58000.2):
    """Stars with one coadd a night: widths and their errors by star_id."""
    star_id = np.repeat(list(epochs), [len(ew_a) for ew_a, _ in epochs.values()])
    night = np.concatenate([np.arange(len(ew_a)) for ew_a, _ in epochs.values()])
    ew_a, e_ew_a = (np.concatenate([widths[i] for widths in epochs.values()]).astype("f4") for i in (0, 1))
    columns = {
        "spectrum_id": 1000 * star_id + night,
        "star_id": star_id,
        "mjd": first_mjd + night,
        "ew_halpha_a": ew_a,
        "e_ew_halpha_a": e_ew_a,
    }
    con.register("epochs", pa.table(columns))
    con.execute(
        """insert into star by name
           select distinct star_id, 10.0 as ra_deg, 60.0 as dec_deg, true as is_simulated from epochs"""
    )
    con.execute(
        """insert into spectrum by name
           select spectrum_id, star_id, mjd, 'LAMOST MRS' as survey, true as is_simulated, 'f' as file, true as coadd,
               true as has_blue, 50 as snr_r, 50 as snr_b from epochs"""
    )
    con.execute("insert into line_measurement by name select spectrum_id, ew_halpha_a, e_ew_halpha_a from epochs")
    con.unregister("epochs")


def visits(con):
    found = con.execute("from star_visits order by star_id").fetchnumpy()
    return {name: np.ma.getdata(values) for name, values in found.items()}


def expected(ew_a, e_ew_a):
    """Chi-square about the weighted mean, and the normal variable of the same tail probability."""
    ew_a, e_ew_a = (np.asarray(x, "f4").astype(float) for x in (ew_a, e_ew_a))
    mean = np.average(ew_a, weights=e_ew_a**-2)
    chi2 = float((((ew_a - mean) / e_ew_a) ** 2).sum())
    return mean, chi2, stats.norm.isf(stats.chi2.sf(chi2, len(ew_a) - 1))


def test_significance_against_scipy(con):
    rng = np.random.default_rng(1)
    epochs = {}
    for star_id, n in enumerate(np.repeat([2, 3, 5, 10, 30, 100], 8)):
        error = rng.uniform(0.05, 0.5, n)
        change = rng.choice([0.0, 0.3, 1.0]) * rng.normal(size=n)
        epochs[star_id] = (rng.normal(-10, 5) + change + error * rng.normal(size=n), error)
    add_epochs(con, epochs)
    found = visits(con)
    compared = []
    for i, (ew_a, e_ew_a) in enumerate(epochs.values()):
        mean, chi2, sigma = expected(ew_a, e_ew_a)
        assert found["n_ew"][i] == found["n_visits"][i] == len(ew_a)
        assert found["ew_mean_a"][i] == pytest.approx(mean, rel=1e-9)
        assert found["ew_chi2"][i] == pytest.approx(chi2, rel=1e-6, abs=1e-9)
        compared.append((sigma, found["ew_variability_sigma"][i]))
    exact, ours = np.array(compared).T
    # The approximation of Wilson & Hilferty: right to 0.05 for 0 to 3 sigma, beyond that on the safe side.
    usual = (exact > 0) & (exact < 3)
    assert usual.sum() > 15 and np.abs(ours - exact)[usual].max() < 0.05
    strong = (exact >= 3) & np.isfinite(exact)
    assert strong.sum() > 5 and (ours < exact)[strong].all() and ours[strong].min() > 2.9
    assert np.abs(ours - exact)[strong & (exact < 5)].max() < 0.35
    assert ours[~np.isfinite(exact)].min(initial=np.inf) > 8  # beyond what scipy's tail probability can hold


@pytest.mark.parametrize("n_epochs", [2, 3, 10])
def test_constant_stars_give_a_standard_normal_variable(con, n_epochs):
    rng = np.random.default_rng(n_epochs)
    errors = rng.uniform(0.1, 0.4, (2000, n_epochs))
    widths = -5 + errors * rng.normal(size=errors.shape)
    add_epochs(con, dict(enumerate(zip(widths, errors, strict=True))))
    sigma = visits(con)["ew_variability_sigma"]
    for limit in (1.0, 1.645, 2.326):
        n_above, p = int((sigma > limit).sum()), stats.norm.sf(limit)
        assert stats.binomtest(n_above, len(sigma), p).pvalue > 1e-3, (limit, n_above)


def test_a_wet_night_is_no_variation(con):
    """Where the width without telluric water is known, that one counts."""
    add_epochs(con, {1: ([4.2, 4.2, 4.8], [0.1, 0.1, 0.1])})
    con.execute("update line_measurement set ew_halpha_dry_a = ew_halpha_a, e_ew_halpha_dry_a = e_ew_halpha_a")
    assert visits(con)["ew_variability_sigma"][0] > 3
    con.execute("update line_measurement set ew_halpha_dry_a = 4.2, e_ew_halpha_dry_a = 0.15 where ew_halpha_a > 4.5")
    found = visits(con)
    assert found["ew_variability_sigma"][0] < 0
    assert found["ew_max_a"][0] == pytest.approx(4.2)


def test_one_epoch_or_none_has_no_significance(con):
    add_epochs(con, {1: ([-5.0], [0.1])})
    add_star(con, 2, ew_halpha_a=None)
    add_star(con, 3, e_ew_halpha_a=0.0)
    rows = con.execute(
        "select n_spectra, n_visits, n_ew, ew_variability_sigma from star_visits order by star_id"
    ).fetchall()
    assert rows == [(1, 1, 1, None), (1, 1, None, None), (1, 1, None, None)]


def test_equal_widths_are_less_than_chance(con):
    add_epochs(con, {1: ([-5.0] * 10, [0.2] * 10)})
    found = visits(con)
    assert found["ew_chi2"][0] == pytest.approx(0.0, abs=1e-9) and found["ew_variability_sigma"][0] < -5


def test_large_widths_lose_no_digits(con):
    """A width hundreds of times its error: the sum of squares would cancel in single precision."""
    ew_a, error = -300 + np.array([0.0, 0.1, -0.1, 0.05]), np.full(4, 0.05)
    add_epochs(con, {1: (ew_a, error)})
    mean, chi2, _ = expected(ew_a, error)
    found = visits(con)
    assert found["ew_mean_a"][0] == pytest.approx(mean, rel=1e-9) and found["ew_chi2"][0] == pytest.approx(
        chi2, rel=1e-5
    )


def test_noisy_epochs_and_single_exposures_of_coadds_do_not_count(con):
    add_epochs(con, {1: ([-5.0, -5.1, -4.9], [0.1] * 3)})
    add_spectrum(con, 1, 1, mjd=58000.21, coadd=False, ew_halpha_a=-50.0, e_ew_halpha_a=0.1)
    add_spectrum(con, 2, 1, mjd=58009.2, snr_r=9.0, ew_halpha_a=-50.0, e_ew_halpha_a=0.1)
    found = visits(con)
    assert (found["n_ew"][0], found["n_spectra"][0], found["n_visits"][0]) == (3, 4, 3)
    assert found["ew_chi2"][0] == pytest.approx(2.0, rel=1e-3)


def test_one_star_is_read_by_itself_in_a_catalogue_that_was_opened_again(tmp_path):
    """A closed file forgets `not materialized`: a part that is read twice would be made whole first."""
    catalogue(tmp_path / "c.duckdb").close()
    with duckdb.connect(str(tmp_path / "c.duckdb"), read_only=True) as again:
        ((_, plan),) = again.execute("explain (format json) select * from star_visits where star_id = 7").fetchall()
    parts = json.loads(plan)
    whole = []
    while parts:
        part = parts.pop()
        parts += part["children"]
        whole += [part["extra_info"]["CTE Name"]] if part["name"].strip() == "CTE" else []
    assert [name for name in whole if not name.startswith("__")] == []
