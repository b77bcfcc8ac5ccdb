"""The table of binaries that are found: what ships, how it comes into a catalogue, and a small one made anew."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from becat.etl.catalogue.connection import Run
from becat.etl.completeness import BINARY_COMPLETENESS, fill_binary_completeness
from becat.schema.tables import TABLES
from benchmarks import binary_completeness, epoch_pulls
from benchmarks.binary_completeness import KEY

TABLE = TABLES["binary_completeness"]


@pytest.fixture(scope="module")
def shipped():
    return pd.read_csv(BINARY_COMPLETENESS)


def test_the_shipped_table_is_whole(shipped):
    assert list(shipped) == [column.name for column in TABLE.columns if column.name != "run_id"]
    assert [column.name for column in TABLE.primary_key] == KEY
    assert not shipped.duplicated(KEY).any() and shipped.notna().all(axis=None)
    assert shipped.n_found.between(0, shipped.n_stars).all()
    assert ((shipped.period_d == 0) == (shipped.k1_km_s == 0)).all()
    # Every period, K1, S/N and number of exposures, and the constant stars.
    per_kind = len(binary_completeness.N_EXPOSURES) * (len(binary_completeness.SNRS) - 1)
    cells = (len(binary_completeness.PERIODS_D) - 1) * (len(binary_completeness.K1_KM_S) - 1) + 1
    assert shipped.groupby("star_kind").size().to_dict() == {
        "B star": per_kind * cells, "Be star": per_kind * cells, "double-lined star": per_kind * (cells - 1),
        "Be star whose disc changes": per_kind,
    }  # fmt: skip
    assert BINARY_COMPLETENESS.stat().st_size < 100_000


def test_at_most_one_constant_star_in_a_thousand_is_taken_for_a_binary(shipped):
    """Of stars that do not change, with a disc and without; of those whose disc changes, few more."""
    constant = shipped[shipped.k1_km_s == 0].groupby("star_kind")[["n_found", "n_stars"]].sum()
    assert constant.n_stars.min() > 1000 and constant.n_stars["B star"] > 5000
    share = constant.n_found / constant.n_stars
    assert share["B star"] <= 1e-3 and share["Be star"] <= 1e-3
    assert share["Be star whose disc changes"] < 0.01


def test_more_exposures_and_faster_stars_find_more(shipped):
    binary = shipped[shipped.k1_km_s > 0]
    for name in ("n_exposures", "k1_km_s"):
        share = binary.groupby(name)[["n_found", "n_stars"]].sum()
        share = share.n_found / share.n_stars
        assert (np.diff(share) > -0.02).all() and share.iloc[-1] > share.iloc[0] + 0.3


def test_the_table_comes_into_a_catalogue_and_stays_as_it_is(catalogue, shipped):
    with Run(catalogue, "measure") as run:
        catalogue.execute("insert into binary_completeness values ('old', 1, 1, 1, 2, 3, 3, 0)")
        fill_binary_completeness(catalogue, run)
        first = run.run_id
    with Run(catalogue, "measure") as run:
        fill_binary_completeness(catalogue, run)  # nothing to write: no run
    assert catalogue.execute("select count(*), max(run_id) from etl_run").fetchone() == (1, first)
    there = catalogue.execute(f"select * exclude (run_id) from binary_completeness order by {', '.join(KEY)}").df()
    pd.testing.assert_frame_equal(there, shipped.sort_values(KEY, ignore_index=True), check_dtype=False)
    assert catalogue.execute("select distinct run_id from binary_completeness").fetchall() == [(first,)]


def test_fast_binaries_are_found_and_constant_stars_are_not():
    """From drawn stars to the view, as the shipped table is made."""
    parts = []
    for number, (scenarios, period, k1) in enumerate(((["constant"], None, None), (["sb1"], (5, 20), (60, 90)))):
        part = binary_completeness.expose(scenarios, period, k1, (60, 90), 3, np.random.default_rng([3, number]))
        parts.append(
            part.assign(
                star_kind="B star", period_d=10.0, k1_km_s=75.0 * number, snr=73.0, number=part.number + 3 * number
            )
        )
    rows = binary_completeness.table(binary_completeness.stars_of(pd.concat(parts, ignore_index=True), 2))
    many = rows[rows.n_exposures >= 6].groupby("k1_km_s")[["n_stars", "n_found"]].sum()
    assert many.n_found[0.0] == 0 and many.n_found[75.0] == many.n_stars[75.0] == 18


def test_a_pull_is_a_deviation_from_the_others_over_its_error():
    rng = np.random.default_rng(1)
    error = rng.uniform(1, 3, (4000, 5))
    value = 7 + error * rng.standard_normal(error.shape)
    value[0, 1:] = np.nan  # nothing to compare with
    z = epoch_pulls.pulls(value, error)
    assert np.isnan(z[0]).all() and np.isfinite(z[1:]).all()
    assert z[1:].std() == pytest.approx(1, abs=0.02) and z[1:].mean() == pytest.approx(0, abs=0.02)
