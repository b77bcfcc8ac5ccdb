"""Figures of merit against scikit-like definitions by hand, and the sources of training data."""

from __future__ import annotations

import csv
import json
import re
import shutil

import duckdb
import numpy as np
import pytest
from astropy.stats import binom_conf_interval
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from becat.models.evaluation import figures as evaluation_figures
from becat.models.evaluation.calibration import expected_calibration_error, fit_weights, reliability
from becat.models.evaluation.completeness import completeness, write_completeness
from becat.models.evaluation.evaluate import evaluate
from becat.models.evaluation.perturb import NOISE_REDRAWN, PERTURBATIONS, centre, flips, noisy_twice
from becat.models.evaluation.scored import confusion, roc_area, roc_curve, wilson_interval
from becat.models.score import Scorer
from becat.models.training.training_data import Labelled, Mixture, labelled_from_catalogue, simulated
from becat.schema import build
from becat.schema.grid import RED
from becat.schema.tables import TABLES
from becat.simulate.labels import WINDOW as WIDE
from becat.simulate.sample import GENERATORS, sample_profiles


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.5, 0.7, 1.0]), st.booleans()), min_size=2, max_size=40))
def test_roc_area_is_the_mann_whitney_statistic(pairs):
    p, label = np.array([a for a, _ in pairs]), np.array([int(b) for _, b in pairs])
    if label.min() == label.max():
        assert np.isnan(roc_area(p, label))
        return
    expected = mannwhitneyu(p[label == 1], p[label == 0]).statistic / (label.sum() * (1 - label).sum())
    assert roc_area(p, label) == pytest.approx(expected)


def test_confusion_counts_every_spectrum_once():
    counts = confusion(np.array([0.9, 0.2, 0.5, 0.1]), np.array([1, 1, 0, 0]), 0.5)
    assert counts == {"be_found": 1, "be_missed": 1, "false_be": 1, "not_be": 1}


def test_true_probabilities_are_calibrated_and_the_factor_of_others_is_found():
    rng = np.random.default_rng(3)
    p = rng.uniform(0.02, 0.98, 40_000)
    label = (rng.random(len(p)) < p).astype(int)
    assert expected_calibration_error(p, label) < 0.01
    assert reliability(p, label)["n"].sum() == len(p)
    odds = np.log(p / (1 - p)) * 2.0
    assert fit_weights(odds[:, None], label) == pytest.approx([0.5], rel=0.05)


def test_what_says_nothing_gets_no_weight_and_two_halves_get_theirs():
    rng = np.random.default_rng(4)
    halves = rng.normal(0, 2, (40_000, 2))
    label = (rng.random(len(halves)) < 1 / (1 + np.exp(-halves @ [1.0, 0.5]))).astype(int)
    noise = rng.normal(0, 2, (len(halves), 1))
    assert fit_weights(np.hstack([halves, noise]), label) == pytest.approx([1.0, 0.5, 0.0], abs=0.03)


@pytest.mark.parametrize("name", list(PERTURBATIONS))
def test_changes_that_mean_nothing_keep_the_shape(name):
    rng = np.random.default_rng(5)
    wide = 1 + 0.1 * rng.standard_normal((6, WIDE.stop - WIDE.start)).astype(np.float32)
    changed = PERTURBATIONS[name](wide, rng)
    assert changed.shape == (6, 481)
    assert np.isfinite(changed).all() and abs(changed.mean() - centre(wide).mean()) < 0.03


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer()


def test_completeness_rows_fit_the_table(scorer, tmp_path):
    rows = completeness(scorer, 60, np.random.default_rng(1), 0.5)
    assert set(rows[0]) == {column.name for column in TABLES["completeness"].columns} - {"run_id"}
    assert all(0 <= row["n_detected"] <= row["n_injected"] for row in rows)
    keys = [tuple(row[c.name] for c in TABLES["completeness"].primary_key.columns) for row in rows]
    assert len(set(keys)) == len(keys)
    write_completeness(tmp_path / "c.csv", rows)
    with (tmp_path / "c.csv").open() as stream:
        assert sum(int(row["n_injected"]) for row in csv.DictReader(stream)) == sum(row["n_injected"] for row in rows)


def test_roc_curve_has_the_area_that_the_ranks_give():
    rng = np.random.default_rng(8)
    label = rng.integers(0, 2, 500)
    p = np.round(np.clip(0.3 * label + rng.normal(0.4, 0.2, 500), 0, 1), 2)  # with ties
    false, found = roc_curve(p, label)
    assert false[0] == found[0] == 0 and false[-1] == found[-1] == 1
    assert np.trapezoid(found, false) == pytest.approx(roc_area(p, label))


def test_interval_is_that_of_astropy():
    for right, total in ((0, 10), (7, 10), (998, 1000), (30, 30)):
        expected = binom_conf_interval(right, total, confidence_level=0.95, interval="wilson")
        np.testing.assert_allclose(wilson_interval(right, total), expected, atol=2e-3)


def test_redrawn_noise_is_that_of_the_spectrum():
    """Both versions scatter about each other by the noise of native pixels, whatever these are."""
    profiles = sample_profiles(300, np.random.default_rng(9), kinds=["absorption"])
    once, again = noisy_twice(profiles, np.random.default_rng(10))
    truth = profiles.truth
    kept = (truth["snr"] >= 20 * np.sqrt(2)) & (profiles.label == 0)
    kept &= (profiles.ivar > 0).mean(axis=1) > 0.9
    assert len(once) == kept.sum()
    # Linear interpolation between native pixels leaves two thirds of their variance on average.
    scatter = (once - again)[:, :80].std(axis=1) * truth["snr"][kept]
    assert np.median(scatter) == pytest.approx(np.sqrt(2 * 2 / 3 * 0.93), rel=0.1)


def test_noise_is_redrawn_only_where_both_significances_outlast_it():
    profiles = sample_profiles(400, np.random.default_rng(12), kinds=["emission_weak", "shell_absorption"])
    once, _ = noisy_twice(profiles, np.random.default_rng(13))
    truth, enough = profiles.truth, 5 * np.sqrt(2)
    steady = (truth["snr"] >= 20 * np.sqrt(2)) & ((profiles.ivar > 0).mean(axis=1) > 0.9)
    own = steady & (truth["feature_significance_marginal"] >= enough)
    both = own & (truth["disc_free_significance"] >= enough)
    assert 0 < both.sum() < own.sum()
    assert len(once) == both.sum()


def test_flips_are_counted(scorer):
    rng = np.random.default_rng(2)
    once, again = noisy_twice(sample_profiles(60, rng), rng)
    table = flips(scorer, once, again, rng, 0.5)
    assert set(table) == {*PERTURBATIONS, NOISE_REDRAWN}
    assert all(row["n_flipped"] == round(row["flip_rate"] * row["n"]) for row in table.values())
    assert set(flips(scorer, once, None, rng, 0.5)) == set(PERTURBATIONS)


def test_an_evaluation_writes_its_page_and_figures(scorer, tmp_path):
    labelled = _some_labelled()
    result = evaluate(scorer, tmp_path / "e", labelled, n=40, docs=tmp_path / "docs" / "page.md")
    page = (tmp_path / "docs" / "page.md").read_text()
    linked = re.findall(r"\]\((.*?)\)", page)
    assert len(linked) >= 4 and all((tmp_path / "docs" / link).is_file() for link in linked)
    assert not list((tmp_path / "docs" / "figures").glob("*real*"))
    for name in GENERATORS:
        part = result[f"simulated_{name}"]
        for group in part["by"].values():
            for key in ("be_found", "be_missed", "false_be", "not_be"):
                assert sum(row[key] for row in group.values()) == part["all"][key]
        assert {"of nothing", "20-100000"} <= set(part["by"]["significance"])
    assert (tmp_path / "e" / "evaluation.json").read_text() == json.dumps(
        result, indent=1
    ) + "\n"  # NaN where a bin is empty
    counts = {name: part["all"]["not_be"] + part["all"]["false_be"] for name, part in result["real"].items()}
    assert counts == {"test": 5, "validation": 10, "training": 15}


def test_each_column_of_the_confusion_figure_is_one_bin(tmp_path, monkeypatch):
    """A bin of S/N or resolution stands in one column for all sets of spectra; no class and no significance has one."""
    seen = []
    monkeypatch.setattr(evaluation_figures, "_matrix", lambda axis, counts: seen.append((axis, counts)))

    def part(counts):
        by = {name: {"10-20": f"{counts} {name} 10-20"} for name in ("class", "S/N", "resolution", "significance")}
        return {"all": counts, "by": by | {"S/N": by["S/N"] | {"20-50": f"{counts} S/N 20-50"}}}

    result = {f"simulated_{key}": part(key) for key in GENERATORS} | {"real": {"validation": part("v")}}
    del result["real"]["validation"]["by"]["S/N"]["20-50"]
    evaluation_figures.draw_confusion(tmp_path / "c.png", result)
    columns = ["all", "S/N 10-20", "S/N 20-50", "R 10-20"]
    assert [axis.get_title() for axis, _ in seen[:4]] == columns
    names = ["", " S/N 10-20", " S/N 20-50", " resolution 10-20"]
    expected = [key + name for key in (*GENERATORS, "v") for name in names]
    expected[-2] = None  # no real spectrum in that bin
    assert [counts for _, counts in seen] == expected


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    path = tmp_path_factory.mktemp("empty") / "empty.duckdb"
    build.create(path)
    return path


def _catalogue(empty, path, n=8):
    """n spectra of four stars, and verdicts on two of the stars."""
    shutil.copy(empty, path)
    profiles = sample_profiles(n, np.random.default_rng(2))
    with duckdb.connect(str(path)) as connection:
        for k in range(n):
            flux = np.ones(RED.n_pixels, np.float32)
            flux[WIDE] = profiles.flux[k]
            connection.execute(
                "insert into spectrum by name select ? as spectrum_id, ? as star_id, 'other' as survey, ? as file,"
                " true as is_simulated, true as coadd, false as has_blue, 50.0 as snr_r, 7500 as resolving_power",
                [k, k % 4, f"folder/star-{k}.fits"],
            )
            connection.execute(
                "insert into flux_red by name select ? as spectrum_id, ? as flux, ? as ivar",
                [k, flux.tolist(), np.full(RED.n_pixels, 2500.0, np.float32).tolist()],
            )
        for star, is_be, when in ((0, False, "2024-01-01"), (0, True, "2024-02-01"), (1, False, "2024-01-01")):
            connection.execute(
                "insert into inspection by name select ? as inspection_id, ? as star_id, ? as is_be, ?::timestamp as inspected_at",
                [f"{star} {when}", star, is_be, when],
            )
    return profiles


def test_labels_come_from_the_last_inspection(empty, tmp_path):
    profiles = _catalogue(empty, tmp_path / "c.duckdb")
    labelled = labelled_from_catalogue(tmp_path / "c.duckdb")
    assert labelled.name.tolist() == ["star-0.fits", "star-1.fits", "star-4.fits", "star-5.fits"]
    assert labelled.label.tolist() == [1, 0, 1, 0]
    np.testing.assert_allclose(labelled.flux, profiles.flux[[0, 1, 4, 5]])
    assert labelled.kept[0] == labelled.kept[2] and labelled.kept[1] == labelled.kept[3]
    assert not labelled.test.any()


def test_labels_come_from_a_file_of_ids(empty, tmp_path):
    _catalogue(empty, tmp_path / "c.duckdb")
    text = "\ufeffspectrum_id,label,validation,test\n3,1,1,\n4,-1,0,\n5,0,0,1\n6,0,0,\n99,1,,\n"
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    labelled = labelled_from_catalogue(tmp_path / "c.duckdb", tmp_path / "labels.csv")
    assert labelled.label.tolist() == [1, -1, 0, 0] and labelled.kept.tolist() == [True, False, True, False]
    assert labelled.test.tolist() == [False, False, True, False]
    assert labelled.trained_on().label.tolist() == [0]  # the other three are validation, of neither class, and test
    assert not len(labelled.validated_on().take(labelled.validated_on().test))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,label\n3,1\n", "needs the columns"),
        ("spectrum_id,label\n3,maybe\n", "not 0 or 1"),
        ("spectrum_id,label\n99,1\n", "no label belongs"),
        ("", "needs the columns"),
    ],
)
def test_a_bad_file_of_labels_is_refused(empty, tmp_path, text, message):
    _catalogue(empty, tmp_path / "c.duckdb", n=4)
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        labelled_from_catalogue(tmp_path / "c.duckdb", tmp_path / "labels.csv")


def _some_labelled() -> Labelled:
    """Thirty absorption spectra; the first half is kept for validation."""
    profiles = sample_profiles(30, np.random.default_rng(7), kinds=["absorption"])
    flux = profiles.flux.copy()
    flux[:15, 300] = 77.0  # the kept stars are marked
    return Labelled(
        flux=flux,
        ivar=np.full_like(flux, 1e4),
        label=np.zeros(30, np.int8),
        star=np.arange(30).astype(str),
        name=np.arange(30).astype(str),
        kept=np.arange(30) < 15,
        test=np.arange(30) < 5,
        resolving_power=np.full(30, 7500.0),
        step_a=np.full(30, 0.137),
        snr=np.full(30, 100.0),
    )


def test_a_mixture_holds_both_classes_and_never_a_kept_star():
    labelled = _some_labelled()
    window, label, _ = Mixture(labelled.trained_on()).draw(200, np.random.default_rng(1))
    assert window.shape == (200, 481) and np.isfinite(window).all() and window.max() < 70
    assert 0.2 < label.mean() < 0.7


def test_the_same_seed_gives_the_same_spectra_and_the_generators_differ():
    one, two = (simulated(20, np.random.default_rng(4))[0] for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, simulated(20, np.random.default_rng(4), "b")[0])
