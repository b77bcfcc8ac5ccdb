"""The selection counted with other thresholds against the views, asked with the same thresholds."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import duckdb
import numpy as np
import pytest

from becat.publish.snapshot import recount
from becat.schema import build
from tests.tools.site_fixture import make_catalogue

ONE_THREAD = {"threads": 1}  # of a few hundred stars a second one only makes a view dearer
LISTS = ("be_candidate", "new_cbe", "classical_be")
SWITCHES = ("inspection_required", "exclude_contaminants", "exclude_peculiar_types", "shell_on_emission_counts")


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    """Simulated stars, some judged by eye, some spectra of no star, some without a blue arm or a measurement."""
    path = make_catalogue(tmp_path_factory.mktemp("recount") / "catalog.duckdb", n_stars=400, seed=3, flux_of=())
    with duckdb.connect(str(path)) as connection:
        connection.execute("update spectrum set star_id = null where spectrum_id % 23 = 0")
        connection.execute(
            "delete from star where star_id not in (select star_id from spectrum where star_id is not null)"
        )
        connection.execute("update spectrum set has_blue = false, snr_b = null where spectrum_id % 7 = 0")
        connection.execute("update spectrum set teff_k = null where spectrum_id % 11 = 0")
        connection.execute("update line_measurement set ew_mgb_a = null where spectrum_id % 5 = 0")
        connection.execute("update line_measurement set fwhm_halpha_km_s = spectrum_id % 300")
        connection.execute(
            "update line_measurement set nebular_significance = spectrum_id % 29 where spectrum_id % 3 = 0"
        )
        connection.execute("delete from line_measurement where spectrum_id % 31 = 0")
        connection.execute("delete from photometry where star_id % 13 = 0")
        connection.execute(
            "insert into inspection (inspection_id, star_id, inspector, is_be, profile_class, inspected_at, run_id)"
            " select cast(star_id as varchar), star_id, 'ada', star_id % 4 <> 0, 'emission', now(), 1 from star"
            " where star_id % 3 = 0"
        )
    return path


def _arrays(source, folder) -> recount.Columns:
    path = folder / "arrays.sqlite"
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as target:
        recount.write(source, target)
        target.commit()
    columns = recount.load(path)
    assert columns is not None
    return columns


def _in_force(source) -> dict[str, float]:
    found = dict(source.execute("select name, value from selection_parameter").fetchall())
    return {name: found[name] for name in recount.THRESHOLDS}


def _other(rng, limits: dict[str, float]) -> dict[str, float]:
    """Some thresholds moved by much or little."""
    scale = {"snr_min": 40, "teff_late_min_k": 2000, "teff_late_max_k": 2000, "nebular_significance_max": 20}
    return {
        name: float(value + (rng.random() < 0.6) * rng.normal() * scale.get(name, 0.5) * rng.choice([0.1, 1]))
        for name, value in limits.items()
    }


def _assert_same(source, columns: recount.Columns, limits: dict[str, float]) -> None:
    found = recount.count(columns, limits)
    assert found.funnel == source.execute("select step, name, spectra, stars from funnel order by step").fetchall()
    for name in LISTS:
        expected = [star for (star,) in source.execute(f"select star_id from {name} order by 1").fetchall()]
        assert getattr(found, name).tolist() == expected, name


@pytest.mark.parametrize("seed", range(3))
def test_counts_are_those_of_the_views_whatever_the_thresholds(catalogue, tmp_path, seed):
    rng = np.random.default_rng(seed)
    with duckdb.connect(str(catalogue), config=ONE_THREAD) as source:
        source.execute("begin")
        for switch in SWITCHES:  # these have no slider: they are in the arrays
            if seed:
                source.execute(
                    "update selection_parameter set value = ? where name = ?", [int(rng.integers(2)), switch]
                )
        columns = _arrays(source, tmp_path)
        in_force = _in_force(source)
        _assert_same(source, columns, in_force)
        for _ in range(5):
            limits = _other(rng, in_force)
            for name, value in limits.items():
                source.execute("update selection_parameter set value = ? where name = ?", [value, name])
            _assert_same(source, columns, limits)
        source.execute("rollback")


def test_a_value_that_equals_the_threshold_falls_on_the_views_side(catalogue, tmp_path):
    with duckdb.connect(str(catalogue), config=ONE_THREAD) as source:
        source.execute("begin")
        columns = _arrays(source, tmp_path)
        limits = _in_force(source)
        for name, sql in (
            ("snr_min", "select median(snr_r) from spectrum"),
            ("ew_halpha_max_a", "select quantile_disc(ew_halpha_a, 0.6) from line_measurement"),
            ("be_probability_min", "select quantile_disc(be_probability, 0.8) from be_score"),
            ("q_late_min_mag", "select quantile_disc(q_mag, 0.5) from infrared_colour"),
            ("cbe_hk_max_mag", "select quantile_disc(hk0_mag, 0.5) from be_candidate"),
        ):
            limits[name] = source.execute(sql).fetchone()[0]
            source.execute("update selection_parameter set value = ? where name = ?", [limits[name], name])
            _assert_same(source, columns, limits)
        source.execute("rollback")


def test_an_empty_catalogue_counts_nothing(tmp_path):
    build.create(tmp_path / "empty.duckdb")
    with duckdb.connect(str(tmp_path / "empty.duckdb")) as source:
        columns = _arrays(source, tmp_path)
        _assert_same(source, columns, _in_force(source))


def test_a_snapshot_without_arrays_has_none(tmp_path):
    with closing(sqlite3.connect(tmp_path / "old.sqlite")) as target:
        target.execute("create table star (star_id)")
    assert recount.load(tmp_path / "old.sqlite") is None
