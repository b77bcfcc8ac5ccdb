"""The exported classifier: what goes in and out, what is refused, and that it knows real stars."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from scipy.special import expit

from becat.etl.readers import read_file
from becat.etl.reduce import reduce_batch
from becat.models.classifiers import decides, load
from becat.models.examples import Examples
from becat.models.explain import occlusion
from becat.models.score import DEFAULT_MODEL, Scorer
from becat.models.training.training_data import simulated, window_of
from becat.models.window import GAP_FRACTION_MAX, PIXELS, cut_window, window_wavelength_a
from becat.publish.saliency import Explainer
from becat.schema.errors import BecatError
from becat.schema.grid import RED
from becat.simulate.sample import sample_profiles


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer()


def _reduced(path: Path):
    spectra, _ = read_file(path)
    return reduce_batch([spectra[0].arms["red"]], RED, np.array([spectra[0].meta.get("resolving_power") or np.nan]))


def test_window_is_the_papers():
    wavelength = window_wavelength_a()
    assert wavelength[0] == 6530.0 and wavelength[-1] == 6590.0 and len(wavelength) == 481


def test_bad_pixels_are_bridged_as_numpy_interp_does():
    rng = np.random.default_rng(1)
    flux = rng.normal(1, 0.1, (20, RED.n_pixels)).astype(np.float32)
    ivar = (rng.random(flux.shape) > 0.1).astype(np.float32)
    flux[0, PIXELS.start : PIXELS.start + 9] = np.nan
    ivar[1, PIXELS.stop - 5 : PIXELS.stop] = 0
    window, usable = cut_window(flux, ivar)
    pixel = np.arange(481)
    for row in range(20):
        good = (np.isfinite(flux[row]) & (ivar[row] > 0))[PIXELS]
        expected = np.interp(pixel, pixel[good], flux[row, PIXELS][good])
        np.testing.assert_allclose(window[row], expected, atol=1e-5)
    assert usable.all()


def test_too_few_good_pixels_give_no_score(scorer):
    flux, ivar = np.ones((3, RED.n_pixels), np.float32), np.ones((3, RED.n_pixels), np.float32)
    ivar[0, PIXELS.start : PIXELS.start + int(481 * GAP_FRACTION_MAX) + 2] = 0
    flux[1] = np.nan
    score = scorer.score(flux, ivar)
    assert np.isnan(score[:2]).all() and 0 <= score[2] <= 1


def test_a_hidden_halpha_gives_no_score(scorer):
    flux, ivar = np.ones((1, RED.n_pixels), np.float32), np.ones((1, RED.n_pixels), np.float32)
    ivar[:, PIXELS.start + 240 : PIXELS.start + 300] = 0
    assert np.isnan(scorer.score(flux, ivar)).all()


def test_wrong_shape_is_refused(scorer):
    with pytest.raises(ValueError, match="4001"):
        scorer.score(np.ones((2, 100)), np.ones((2, 100)))


def test_scores_do_not_depend_on_the_batch(scorer):
    flux, _ = simulated(70, np.random.default_rng(3))
    whole = scorer.score(flux, np.ones_like(flux))
    alone = np.concatenate([scorer.score(flux[k : k + 1], np.ones((1, 481))) for k in (0, 33, 69)])
    np.testing.assert_allclose(whole[[0, 33, 69]], alone, atol=1e-5)


def test_simulated_spectra_are_told_apart(scorer):
    flux, label = simulated(150, np.random.default_rng(4))
    right = (scorer.score(flux, np.ones_like(flux)) >= 0.5) == (label == 1)
    assert right.mean() > 0.85


@pytest.mark.parametrize(
    ("file", "is_be"),
    [
        ("mrs/med-58440-NT222300N571704C01_sp11-073.fits", True),
        ("halpha/gamma-cas-emission.fits", True),
        ("halpha/alpha-lyr-absorption.fits", False),
        ("mrs/med-58644-TD192102N424113K01_sp12-076.fits.gz", False),
        ("mrs/med-58646-TD192102N424113K01_sp12-076.fits.gz", False),
        ("mrs/med-58649-TD193637N444141K01_sp10-159.fits.gz", False),
        ("mrs/med-58408-TD230151N343645T01_sp01-015.fits", False),
    ],
)
def test_real_stars(scorer, real_data, file, is_be):
    reduced = _reduced(real_data / file)
    assert (scorer.score(reduced.flux, reduced.ivar)[0] > 0.5) == is_be


def test_saliency_lies_on_the_emission(scorer, real_data):
    reduced = _reduced(real_data / "mrs/med-58440-NT222300N571704C01_sp11-073.fits")
    found = occlusion(scorer, reduced.flux[0], reduced.ivar[0], step_a=4.0)
    assert abs(found["wavelength_a"][np.argmax(found["saliency"])] - 6564.6) < 12
    assert found["saliency"].max() > 1  # also where the probability is 1 to single precision
    assert found["be_probability"] == pytest.approx(scorer.score(reduced.flux, reduced.ivar)[0], abs=1e-3)


def test_saliency_lies_on_the_line_of_strong_and_weak_discs_alike():
    """Of the classifier that decides, which the site explains; ResNet-18 alone, in which the profile networks have no say, does so for 27 of these 30."""
    scorer = decides(load(), "both")
    profiles = sample_profiles(120, np.random.default_rng(77))
    window, usable = window_of(profiles)
    rows = np.flatnonzero(usable & (profiles.label == 1))[:30]
    line_a = 6564.6 * (1 + profiles.truth["rv_km_s"][rows] / 299792.458)
    explained = [occlusion(scorer, flux, np.ones_like(flux), step_a=4.0) for flux in window[rows]]
    strongest = np.array([found["wavelength_a"][np.argmax(found["saliency"])] for found in explained])
    assert len(rows) == 30 and (np.abs(strongest - line_a) < 12).mean() > 0.9


def test_log_odds_are_those_of_the_probability(scorer):
    flux = simulated(40, np.random.default_rng(3))[0]
    probability, log_odds = scorer.score(flux, np.ones_like(flux)), scorer.log_odds(flux, np.ones_like(flux))
    np.testing.assert_allclose(expit(log_odds), probability, atol=1e-6)
    assert (np.abs(log_odds) > 8).any()  # where the probability says hardly more than 0 or 1


def test_a_model_without_log_odds_scores_and_is_not_explained(tmp_path):
    path = tmp_path / "older.onnx"
    nodes = [
        helper.make_node("ReduceMean", ["flux"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("Sigmoid", ["mean"], ["probability"]),
    ]
    put = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, s)
        for n, s in (("flux", ["n", 481]), ("probability", ["n"]))
    ]
    graph = helper.make_graph(nodes, "older", put[:1], put[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=10), str(path))
    flux = np.ones((2, 481), np.float32)
    np.testing.assert_allclose(Scorer(path).score(flux, flux), expit(1.0), rtol=1e-5)
    for explain in (lambda: Scorer(path).log_odds(flux, flux), lambda: Explainer(path)):
        with pytest.raises(BecatError, match=r"no log odds.*becat export"):
            explain()


def test_missing_model_is_named(tmp_path):
    with pytest.raises(BecatError, match=r"no model at .*nowhere\.onnx"):
        Scorer(tmp_path / "nowhere.onnx")


def test_damaged_model_is_named(tmp_path, monkeypatch):
    copy = tmp_path / DEFAULT_MODEL.name
    shutil.copy(DEFAULT_MODEL, copy)
    with copy.open("r+b") as stream:
        stream.seek(1_000_000)
        stream.write(b"damage")
    shutil.copy(DEFAULT_MODEL.with_suffix(".json"), tmp_path)
    monkeypatch.setattr("becat.models.score.FOLDER", tmp_path)
    with pytest.raises(BecatError, match="damaged"):
        Scorer(copy)


def test_another_file_is_not_taken_for_a_model(tmp_path):
    path = tmp_path / "notes.onnx"
    path.write_text("not a model")
    with pytest.raises(BecatError, match="not a model"):
        Scorer(path)


def test_card_tells_the_shipped_model(scorer):
    card = json.loads(DEFAULT_MODEL.with_suffix(".json").read_text())
    assert card["files"]["int8"]["sha256"] == scorer.sha256
    assert scorer.description["precision"] == "int8"
    assert scorer.description["model_id"] == scorer.sha256[:12]


def test_provider_is_the_one_that_runs_and_nothing_is_printed():
    code = "from becat.models.score import Scorer; s = Scorer(providers=['TensorrtExecutionProvider', 'CUDAExecutionProvider', 'CPUExecutionProvider']); print(s.provider)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=DEFAULT_MODEL.parent.parent)
    assert done.returncode == 0
    assert done.stdout.strip().removesuffix("ExecutionProvider") in ("CPU", "CUDA", "Tensorrt")
    assert done.stdout.count("\n") == 1 and done.stderr == ""


def test_an_example_is_nearest_to_itself_and_emission_to_emission(scorer, real_data):
    examples = Examples(scorer, n=48)
    index, likeness = examples.nearest(examples.flux[:4], np.ones_like(examples.flux[:4]), k=2)
    assert index[:, 0].tolist() == [0, 1, 2, 3] and likeness[:, 0] == pytest.approx(1, abs=1e-4)
    reduced = _reduced(real_data / "halpha/gamma-cas-emission.fits")
    assert (examples.label[examples.nearest(reduced.flux, reduced.ivar, k=3)[0]] != 0).all()


def test_binding_gives_the_scores_of_a_plain_run(scorer):
    """The way to a GPU, with a CPU for device: places of the device are used again, batches are filled to powers of two."""
    bound = Scorer(binding=True)
    flux, _ = simulated(45, np.random.default_rng(6))
    ivar = np.ones_like(flux)
    ivar[7] = 0
    for n in (45, 3, 45, 1):
        np.testing.assert_allclose(bound.score(flux[:n], ivar[:n]), scorer.score(flux[:n], ivar[:n]), atol=1e-5)
    np.testing.assert_allclose(bound.features(flux[:5], ivar[:5]), scorer.features(flux[:5], ivar[:5]), atol=1e-3)
    assert np.isnan(bound.score(flux, ivar)[7])


def test_a_gpu_that_cannot_be_used_leaves_the_model_for_cpus(monkeypatch, tmp_path):
    """The file in half precision is there and a GPU is asked for, but onnxruntime finds none."""
    half, whole = tmp_path / "becat_resnet18_fp16.onnx", tmp_path / DEFAULT_MODEL.name
    for path in (half, whole):
        shutil.copy(DEFAULT_MODEL, path)
    monkeypatch.setattr("becat.models.score.FOLDER", tmp_path)
    found = Scorer(providers=["CUDAExecutionProvider", "CPUExecutionProvider"])
    assert found.path == (whole if found.provider == "CPUExecutionProvider" else half)
