"""Two classifiers that score, one decision: on models that say what the tests know."""

from __future__ import annotations

import hashlib
import json

import duckdb
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from scipy.special import expit

from becat.etl.score import score_spectra
from becat.models import score
from becat.models.classifiers import Both, decides, hashes, load
from becat.models.evaluation.calibration import fit_weights
from becat.models.score import Scorer
from becat.models.window import PIXELS
from becat.schema import build
from becat.schema.errors import BecatError
from becat.schema.grid import RED
from becat.schema.parameters import change
from becat.schema.selection import SELECTION
from tests.tools.pipeline_tools import becat

WEIGHT = {"resnet18": 0.6, "profile": 0.9}
# Log odds that a model gives are a slope times the flux of one pixel of the window, and so much more.
LINES = {"resnet18": (4.0, -4.0), "profile": (-3.0, 4.0)}
PIXEL = 240


def write_model(folder, network, slope, offset):
    """An ONNX file whose log odds are known, and its card."""
    row = np.zeros((481, 1), np.float32)
    row[PIXEL] = slope
    constants = [
        helper.make_tensor("row", TensorProto.FLOAT, [481, 1], row.ravel()),
        helper.make_tensor("offset", TensorProto.FLOAT, [1], [offset]),
        helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
    ]
    nodes = [
        helper.make_node("MatMul", ["flux", "row"], ["product"]),
        helper.make_node("Add", ["product", "offset"], ["features"]),
        helper.make_node("Squeeze", ["features", "axis"], ["log_odds"]),
        helper.make_node("Sigmoid", ["log_odds"], ["probability"]),
    ]
    put = [helper.make_tensor_value_info("flux", TensorProto.FLOAT, ["n", 481])]
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in ("probability", "log_odds")]
    given.append(helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 1]))
    graph = helper.make_graph(nodes, network, put, given, constants)
    path = folder / f"becat_{network}.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    card = {"network": network, "be_probability_min": 0.5, "files": {"fp32": {"name": path.name, "sha256": sha256}}}
    path.with_suffix(".json").write_text(json.dumps(card))
    return sha256


@pytest.fixture
def models(tmp_path, monkeypatch):
    """Two models and the card of both stand for becat's own."""
    folder = tmp_path / "models"
    folder.mkdir()
    files = {network: [write_model(folder, network, *line)] for network, line in LINES.items()}
    card = {"log_odds_weight": WEIGHT, "be_probability_min": 0.5, "files": files}
    (folder / "becat_both.json").write_text(json.dumps(card))
    monkeypatch.setattr(score, "FOLDER", folder)
    monkeypatch.setattr(score, "DEFAULT_MODEL", folder / "becat_resnet18.onnx")
    return folder


def heights(n):
    """Fluxes at the pixel that counts."""
    return np.linspace(0.2, 2.2, n).astype(np.float32)


def spectra(n):
    flux = np.ones((n, 481), np.float32)
    flux[:, PIXEL] = heights(n)
    return flux


@pytest.fixture
def catalogue(tmp_path):
    """Six measured spectra of six stars; of the last, Mg b is that of a late type."""
    path = tmp_path / "c.duckdb"
    build.create(path)
    n, inside = 6, PIXELS
    flux = np.ones((n, RED.n_pixels), np.float32)
    flux[:, inside] = spectra(n)
    with duckdb.connect(str(path)) as connection:
        for k in range(n):
            connection.execute(
                "insert into star by name select ? as star_id, ? as designation, 10.0 + ? as ra_deg, 20.0 as dec_deg, false as is_simulated",
                [k + 1, f"star {k}", k],
            )
            connection.execute(
                """insert into spectrum by name select ? as spectrum_id, ? as star_id, true as has_blue, 50.0 as snr_b, 50.0 as snr_r,
                20000.0 as teff_k, false as is_simulated, ? as file, 'LAMOST MRS' as survey, true as coadd""",
                [k + 1, k + 1, f"{k}.fits"],
            )
            connection.execute(
                "insert into flux_red by name select ? as spectrum_id, ?::float[] as flux, ?::float[] as ivar",
                [k + 1, flux[k].tolist(), [1e4] * RED.n_pixels],
            )
            connection.execute(
                """insert into line_measurement by name select ? as spectrum_id, 2.0 as ew_halpha_a, ? as ew_mgb_a, 1 as n_peaks""",
                [k + 1, 3.0 if k == n - 1 else 0.2],
            )
    return path


def test_both_is_the_weighed_sum_of_the_log_odds(models):
    flux = spectra(9)
    classifiers = load()
    assert list(classifiers) == ["resnet18", "profile", "both"]
    told = {name: classifiers[name].log_odds(flux, np.ones_like(flux)) for name in classifiers}
    for name, (slope, offset) in LINES.items():
        np.testing.assert_allclose(told[name], slope * heights(9) + offset, atol=1e-4)
    expected = sum(WEIGHT[name] * (slope * heights(9) + offset) for name, (slope, offset) in LINES.items())
    np.testing.assert_allclose(told["both"], expected, atol=1e-4)
    np.testing.assert_allclose(classifiers["both"].score(flux, np.ones_like(flux)), expit(expected), atol=1e-5)


def test_the_identity_of_both_is_that_of_files_and_weights(models):
    classifiers = load()
    parts = {name: scorer for name, scorer in classifiers.items() if isinstance(scorer, Scorer)}
    other = Both(parts, WEIGHT | {"profile": 0.91})
    assert classifiers["both"].model_id != other.model_id
    assert {scorer.sha256: name for name, scorer in classifiers.items()} == hashes()


def test_a_card_of_other_files_is_refused(models):
    write_model(models, "profile", -3.0, 3.9)
    with pytest.raises(BecatError, match="does not weigh becat_profile"):
        load()


def test_a_model_of_ones_own_is_the_only_one(models):
    classifiers = load(models / "becat_profile.onnx")
    assert list(classifiers) == ["profile"]
    assert decides(classifiers, "both") is classifiers["profile"]


def test_every_classifier_scores_what_reaches_them_and_the_threshold_says_which_decides(models, catalogue):
    with duckdb.connect(str(catalogue)) as connection:
        done = score_spectra(connection)
        assert done["scored"] == 5  # the late type does not reach the classifiers
        rows = connection.execute(
            "select network, spectrum_id, be_probability from be_score join model using (model_id) where is_current"
        ).fetchall()
        assert len(rows) == 15
        kept = {(network, number): p for network, number, p in rows}
        at = heights(6)
        for (network, number), p in kept.items():
            if network != "both":
                slope, offset = LINES[network]
                assert p == pytest.approx(expit(slope * at[number - 1] + offset), abs=1e-5)
        called = {}
        for word, network in enumerate(("both", "resnet18", "profile")):
            change(connection, {"be_classifier": word})
            decided = dict(connection.execute("select spectrum_id, be_probability from current_score").fetchall())
            assert decided == {number: p for (name, number), p in kept.items() if name == network}
            view = next(step.view for step in SELECTION.steps if step.name == "be_probability")
            called[network] = {row[0] for row in connection.execute(f"select spectrum_id from {view}").fetchall()}
            assert called[network] == {number for number, p in decided.items() if p >= 0.5}
        differ = {row[0] for row in connection.execute("select spectrum_id from classifier_disagreement").fetchall()}
        assert differ == called["resnet18"] ^ called["profile"] and 0 < len(differ) < 5
        assert score_spectra(connection)["scored"] == 0
        assert score_spectra(connection, every=True)["scored"] == 1


def test_why_tells_what_each_says(models, catalogue):
    with duckdb.connect(str(catalogue)) as connection:
        score_spectra(connection)
    said = becat("why", "star 2", "-c", catalogue).stdout
    assert "probability of Be: resnet18 " in said and ", profile " in said and ", both " in said


def test_a_choice_is_set_by_its_word(catalogue):
    assert "be_classifier was both, is profile" in becat("threshold", "be_classifier=profile", "-c", catalogue).stdout
    assert "be_classifier = profile (shipped as both)" in becat("threshold", "be_classifier", "-c", catalogue).stdout
    refused = becat("threshold", "be_classifier=3", "-c", catalogue, check=1)
    assert "one of both, resnet18, profile" in refused.stderr


def test_fitted_weights_are_those_that_made_the_labels():
    rng = np.random.default_rng(4)
    log_odds = rng.normal(0, 3, (60_000, 2))
    label = rng.random(60_000) < expit(log_odds @ [0.4, 1.1])
    np.testing.assert_allclose(fit_weights(log_odds, label), [0.4, 1.1], atol=0.03)


def test_a_spectrum_that_counts_three_times_is_as_three_of_it():
    rng = np.random.default_rng(6)
    log_odds = rng.normal(0, 3, (400, 2))
    label = rng.random(400) < expit(log_odds @ [0.4, 1.1])
    counts = np.where(np.arange(400) < 100, 3, 1)
    once = fit_weights(log_odds, label, counts)
    np.testing.assert_allclose(once, fit_weights(np.repeat(log_odds, counts, 0), np.repeat(label, counts)), atol=1e-4)
    assert np.abs(once - fit_weights(log_odds, label)).max() > 0.01
