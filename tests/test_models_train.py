"""Drawing, training, export: what the exported graph does is what PyTorch did."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.ndimage import gaussian_filter1d, shift

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[train]'")
pytest.importorskip("torchvision", reason="torchvision is not installed: pip install '.[train]'")

from becat.cli import becat  # noqa: E402
from becat.models.score import Scorer, own_model  # noqa: E402
from becat.models.training import train as train_module  # noqa: E402
from becat.models.training.augment import augment  # noqa: E402
from becat.models.training.export import apply, export, to_onnx  # noqa: E402
from becat.models.training.facts import FACTS, VELOCITY, facts_of  # noqa: E402
from becat.models.training.network import (  # noqa: E402
    SURE_LOG_ODDS,
    DrawingClassifier,
    ProfileClassifier,
    load_imagenet,
    recompute_batch_norm,
)
from becat.models.training.profile_network import ProfileNetwork, scales  # noqa: E402
from becat.models.training.recovered import recover_training  # noqa: E402
from becat.models.training.render import ALL_SCALES, LineImage  # noqa: E402
from becat.models.training.train import Stage, TrainConfig, further_drawing, soft_targets, train  # noqa: E402
from becat.models.training.train_profile import ProfileConfig, _Pool, train_profiles  # noqa: E402
from becat.models.training.trained import load_drawing, load_profiles  # noqa: E402
from becat.models.training.training_data import Drawn, Labelled, Mixture, simulated  # noqa: E402
from becat.models.training.warp import warp_profiles  # noqa: E402
from becat.models.window import window_wavelength_a  # noqa: E402
from becat.simulate.sample import sample_profiles  # noqa: E402

SIZE = 64
torch.set_num_threads(1)  # as in the processes of a training: rounding depends on the number


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory):
    """An archive like one of ImageNet weights, without statistics and last layer, of random numbers."""
    torch.manual_seed(5)
    state = DrawingClassifier(SIZE, 2.5).network.state_dict()
    names = [name for name in state if name.rsplit(".", 1)[1] in ("weight", "bias") and not name.startswith("fc.")]
    path = tmp_path_factory.mktemp("weights") / "random.npz"
    np.savez(path, **{name: state[name].numpy().astype(np.float16) for name in names})
    return path


@pytest.fixture(scope="module")
def config(imagenet):
    return TrainConfig(
        stages=(Stage(32, 96, 1e-3, 2.5, 1), Stage(SIZE, 96, 1e-3, 2.5, 2)),
        batch=8,
        validate_every=96,
        n_validation=24,
        imagenet=str(imagenet),
        profile=ProfileConfig(n_spectra=96, fresh=16, shown=2, pool=64, batch=8, validate_every=32),
        workers=1,
    )


@pytest.fixture(scope="module")
def training(tmp_path_factory, config):
    directory = tmp_path_factory.mktemp("training")
    train(directory, config)
    return directory


def test_a_flat_spectrum_is_a_line_across_the_middle():
    image = LineImage(256, 2.5, ("fixed",))(torch.ones(1, 481))[0, 0]
    assert image.shape == (256, 256)
    np.testing.assert_allclose(image.sum(0).numpy(), 2.5, atol=1e-4)
    rows = (image * torch.arange(256)[:, None]).sum(0) / image.sum(0)
    np.testing.assert_allclose(rows.numpy(), 127.5, atol=0.51)


def test_the_drawing_is_matplotlibs():
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    flux = simulated(24, np.random.default_rng(2))[0]
    # Where neighbouring pixels differ much, a column is a range of rows, without a centre to compare.
    flux = flux[np.abs(np.diff(flux)).max(axis=1) < 0.2]
    assert len(flux) > 12
    drawn = LineImage(256, 2.5, ("fixed",))(torch.from_numpy(flux))[:, 0].numpy()
    for spectrum, mine in zip(flux, drawn, strict=True):
        figure = Figure(figsize=(1, 1), dpi=256)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.plot(np.linspace(0, 1, 481), np.clip(spectrum, 0, 2), "k", lw=2.5 * 72 / 256)
        axes.set(xlim=(0, 1), ylim=(0, 2))
        axes.axis("off")
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        theirs = 1 - np.asarray(canvas.buffer_rgba())[..., 0] / 255
        centre = [(picture * np.arange(256)[:, None]).sum(0) / picture.sum(0) for picture in (mine, theirs)]
        assert np.median(np.abs(centre[0] - centre[1])) < 1
        assert np.corrcoef(mine.ravel(), theirs.ravel())[0, 1] > 0.8


def test_strong_and_weak_features_stay_inside_the_picture():
    flux = torch.ones(2, 481)
    flux[0, 230:250] = 14.0
    flux[1, 230:250] = 0.97
    image = LineImage(256, scales=ALL_SCALES)(flux)
    compressed, zoomed = ALL_SCALES.index("compressed"), ALL_SCALES.index("zoomed")
    assert image[0, compressed].amax(1)[:10].sum() > 0 and image[0, compressed, 0].sum() == 0
    assert image[1, zoomed].amax(1).nonzero().max() - image[1, zoomed].amax(1).nonzero().min() > 50


def test_augmentation_mirrors_and_moves_little():
    image = LineImage(64)(torch.from_numpy(simulated(16, np.random.default_rng(1))[0]))
    still = augment(image, torch.Generator().manual_seed(1), share=0.0)
    for before, after in zip(image, still, strict=True):
        assert min((before - after).abs().max(), (before.flip(-1) - after).abs().max()) < 1e-3
    moved = augment(image, torch.Generator().manual_seed(1), share=1.0)
    assert moved.shape == image.shape and moved.min() >= 0 and moved.max() <= 1.0001


def test_weights_of_another_network_are_refused(tmp_path):
    np.savez(tmp_path / "other.npz", **{"conv1.weight": np.zeros((3, 3))})
    with pytest.raises(ValueError, match="missing or of another shape"):
        load_imagenet(DrawingClassifier(SIZE, 2.5), tmp_path / "other.npz")


def test_recomputed_statistics_are_the_averages(imagenet):
    model = DrawingClassifier(SIZE, 2.5)
    load_imagenet(model, imagenet)
    flux = torch.from_numpy(simulated(16, np.random.default_rng(1))[0])
    recompute_batch_norm(model, [flux])
    before = model.network.conv1(model.draw(flux))
    np.testing.assert_allclose(model.network.bn1.running_mean, before.mean((0, 2, 3)).detach(), atol=1e-4)


def test_a_training_that_was_stopped_goes_on_to_the_same_end(tmp_path, config, training):
    train(tmp_path, config, stop_after_s=0)
    assert json.loads((tmp_path / "curves.json").read_text())["steps"][-1][0] == 12
    assert not (tmp_path / "profile_0_curves.json").exists()
    train(tmp_path, config, stop_after_s=0)
    for member in range(2):
        assert json.loads((tmp_path / f"profile_{member}_curves.json").read_text())["rounds"][-1][0] == 32
    train(tmp_path, config)
    for file in ("weights.pt", "profile_0.pt", "profile_1.pt"):
        one, two = (torch.load(d / file, weights_only=True) for d in (training, tmp_path))
        for name, value in one.items():
            torch.testing.assert_close(value, two[name], msg=name)


def test_members_differ_and_may_be_trained_in_processes_of_their_own(tmp_path, config, training):
    train_profiles(tmp_path, config.profile, config.seed, config.n_validation, workers=2)
    one, two = (torch.load(tmp_path / f"profile_{member}.pt", weights_only=True) for member in range(2))
    assert (one["log_odds.weight"] - two["log_odds.weight"]).abs().max() > 0.01
    for name, value in torch.load(training / "profile_1.pt", weights_only=True).items():
        torch.testing.assert_close(value, two[name], msg=name, atol=1e-3, rtol=1e-2)


_PARENT = """
import multiprocessing, pathlib, sys, time

def child(path):
    from becat.models.training.training_state import is_orphan
    path.write_text("alone" if is_orphan() else "begun")
    while not is_orphan():
        time.sleep(0.05)
    path.write_text("orphan")

if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(target=child, args=(pathlib.Path(sys.argv[1]),))
    process.start()
    process.join()
"""


def test_a_worker_stops_when_its_parent_is_killed(tmp_path):
    """Or it would write into a training that somebody has started again."""
    script, found = tmp_path / "parent.py", tmp_path / "found.txt"
    script.write_text(_PARENT)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    parent = subprocess.Popen([sys.executable, script, found], env=environment)
    _wait_for(found, "begun")
    parent.kill()
    parent.wait()
    _wait_for(found, "orphan")


def _wait_for(path, text):
    deadline = time.monotonic() + 240
    while not path.exists() or path.read_text() != text:
        assert time.monotonic() < deadline, f"{path.name} never said {text}"
        time.sleep(0.05)


def test_another_configuration_is_refused(config, training):
    with pytest.raises(ValueError, match="another configuration"):
        train(training, replace(config, seed=2))


def test_networks_are_trained_further_from_another_training(tmp_path, config, training):
    profile = replace(config.profile, n_spectra=32, learning_rate=1e-9, weight_decay=0.0, start_from=str(training))
    longer = replace(config, stages=(), profile=profile, seed=2)
    train(tmp_path, longer)
    assert not (tmp_path / "weights.pt").exists()
    for file in ("profile_0.pt", "profile_1.pt"):  # the steps are too small to go anywhere
        one, two = (torch.load(d / file, weights_only=True) for d in (training, tmp_path))
        for name, value in one.items():
            if not name.rpartition(".")[2].startswith(("running", "num_batches")):
                torch.testing.assert_close(two[name], value, atol=1e-6, rtol=0, msg=name)
    record = json.loads((tmp_path / "curves.json").read_text())["config"]
    assert record["seed"] == 2 and record["profile"]["start_from"] == training.name
    files = export(tmp_path, tmp_path / "model", n_calibration=192)
    assert set(files) == {"profile fp32", "profile json"}
    assert "32 spectra for each network more than in the training before" in files["profile json"].read_text()
    before = (tmp_path / "profile_0.pt").read_bytes()
    train(tmp_path, longer)  # nothing is left to do
    assert (tmp_path / "profile_0.pt").read_bytes() == before
    with pytest.raises(ValueError, match="another configuration"):
        train(tmp_path, replace(longer, seed=3))


def test_networks_are_not_trained_further_from_what_is_not_finished(tmp_path, config, training):
    def from_(directory, **changes):
        return replace(config, stages=(), profile=replace(config.profile, start_from=str(directory), **changes))

    with pytest.raises(FileNotFoundError):
        train(tmp_path / "new", from_(tmp_path))
    train(tmp_path / "old", config, stop_after_s=0)
    with pytest.raises(ValueError, match="the training is unfinished"):
        train(tmp_path / "new", from_(tmp_path / "old"))
    with pytest.raises(ValueError, match="only 2 profile networks"):
        train(tmp_path / "new", from_(training, members=3))


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_an_exported_resnet_is_trained_further(tmp_path, config, training, precision):
    """The network comes back from the file, and says what it said as far as the file's precision goes."""
    files = export(training, tmp_path, n_calibration=192)
    start = recover_training(files[f"resnet18 {precision}"], tmp_path / "start")
    flux = simulated(64, np.random.default_rng(9))[0]
    before, again = (apply(lambda f, d=d: load_drawing(d).look(f)[0], flux) for d in (training, start))
    assert np.abs(again - before).max() < 0.1 * max(1, np.abs(before).max())
    stages = (replace(config.stages[-1], n_spectra=8, learning_rate=1e-9),)
    alone = replace(config.profile, members=0)
    further = replace(
        config, stages=stages, start_from=str(start), imagenet=None, profile=alone, weight_decay=0.0, seed=2
    )
    train(tmp_path / "further", further)
    one, two = (torch.load(d / "weights.pt", weights_only=True) for d in (start, tmp_path / "further"))
    torch.testing.assert_close(two["layer4.1.conv2.weight"], one["layer4.1.conv2.weight"], atol=1e-6, rtol=0)
    assert set(export(tmp_path / "further", tmp_path / "model", n_calibration=192)) == {
        "resnet18 int8", "resnet18 fp16", "resnet18 json",
    }  # fmt: skip


def test_exported_profile_networks_are_trained_further(tmp_path, config, training):
    """The networks come back from the file, say what they said, and do so still after steps too small to go anywhere."""
    files = export(training, tmp_path, n_calibration=192)
    start = recover_training(files["profile fp32"], tmp_path / "start")
    profile = replace(config.profile, n_spectra=32, learning_rate=1e-9, weight_decay=0.0, start_from=str(start))
    train(tmp_path / "further", replace(config, stages=(), profile=profile, seed=2))
    flux = simulated(64, np.random.default_rng(9))[0]
    before, again = load_profiles(training), load_profiles(start)
    np.testing.assert_allclose(
        apply(lambda f: again.look(f)[0], flux), apply(lambda f: before.look(f)[0], flux), atol=1e-3
    )
    further = load_profiles(tmp_path / "further")
    np.testing.assert_allclose(
        further.profile[0].log_odds.weight.detach(), again.profile[0].log_odds.weight.detach(), atol=1e-5
    )


def test_a_teacher_softens_labels_where_he_does_not_contradict_them():
    label = torch.tensor([1.0, 1.0, 0.0, 0.0, -1.0])
    told = torch.tensor([1.0, -1.0, -9.0, 2.0, 0.5])
    probability = torch.sigmoid(torch.tensor([1.0, -1.0, -5.0, 2.0, 0.5]))
    expected = [0.5 + 0.5 * probability[0], 1.0, 0.5 * probability[2], 0.0, probability[4]]
    torch.testing.assert_close(soft_targets(label, told, 0.5), torch.stack([torch.as_tensor(e) for e in expected]))


def test_resnet_learns_from_a_teacher(tmp_path, config, training):
    alone = replace(config.profile, members=0)
    train(tmp_path, replace(config, teacher=str(training), profile=alone))
    record = json.loads((tmp_path / "curves.json").read_text())
    assert record["config"]["teacher"] == training.name and len(record["steps"]) == 24
    one, two = (torch.load(d / "weights.pt", weights_only=True)["fc.weight"] for d in (training, tmp_path))
    assert (one - two).abs().max() > 1e-4  # it learned something else than from the labels alone


def flat_stars(n):
    """Real spectra, as it were, without a feature and without noise, of a S/N of 50."""
    flux = np.ones((n, 561), np.float32)
    names = np.array([f"star {k}" for k in range(n)])
    none = np.zeros(n, bool)
    power, step_a, snr = np.full(n, 1800.0), np.full(n, 1.5), np.full(n, 50.0)
    return Labelled(flux, flux * 2500, np.zeros(n, np.int8), names, names, none, none, power, step_a, snr)


def test_real_spectra_are_given_residuals_of_sky_lines_at_their_wavelengths():
    drawn = {
        sky: Mixture(flat_stars(40), real_sky=sky)._as_they_are(400, np.random.default_rng(3)) for sky in (False, True)
    }
    added = drawn[True].flux - drawn[False].flux
    scatter = (added * 50).std(axis=0)  # in units of the noise
    wavelength = window_wavelength_a()
    at_line, between = (scatter[np.abs(wavelength - a) < 0.7].mean() for a in (6555.43, 6560.2))
    assert 1.0 < at_line < 3.0 and between < 0.2 * at_line


def test_of_more_spectra_drawn_the_doubtful_are_learned_from(tmp_path, config, training):
    chosen = replace(config, teacher=str(training), drawn_for_one=3, profile=ProfileConfig(members=0))
    trainer = train_module._Trainer(tmp_path, chosen, None, np.inf, 0, 1)
    flux = np.random.default_rng(1).random((24, 481)).astype(np.float32)
    drawn = Drawn(flux, np.arange(24, dtype=np.int8), np.zeros((24, len(FACTS)), np.float32))
    doubtful = [2, 3, 5, 7, 11, 13]
    log_odds = torch.full((24,), -9.0)
    log_odds[doubtful] = 1.0
    trainer.mixture.draw = lambda n, rng: drawn
    trainer._told = lambda flux: log_odds
    found = trainer._chosen(8, np.random.default_rng(2))
    assert len(found.label) == 8 and set(doubtful) < set(found.label.tolist())
    assert (found.flux == flux[found.label]).all()


def test_resnet_is_trained_further_in_its_last_way_of_drawing(config):
    further = further_drawing(config, "before", 64)
    assert [stage.reduction for stage in further.stages] == [config.stages[-1].reduction]
    assert (further.start_from, further.stages[0].n_spectra, further.real_sky) == ("before", 64, True)


def test_normalisations_of_becats_own_model_are_made_again_for_training(tmp_path):
    """By the statistics of what it is shown, as in training, a recovered network says what it says by those it keeps."""
    flux = simulated(256, np.random.default_rng(9))[0]
    for network in load_profiles(recover_training(own_model("profile"), tmp_path)).profile:
        told = apply(network, flux)
        network.train()
        network.features[-1].eval()  # the dropout
        with torch.inference_mode():
            trained = network(torch.from_numpy(flux)).numpy()
        assert np.corrcoef(told, trained)[0, 1] > 0.97 and trained.std() == pytest.approx(told.std(), rel=0.2)
        assert ((told > 0) == (trained > 0)).mean() > 0.97


def test_a_model_that_is_not_what_its_card_says_is_not_trained_further(tmp_path, training):
    files = export(training, tmp_path, n_calibration=192)
    card = json.loads(files["profile json"].read_text())
    card["training"]["config"]["profile"]["members"] = 3
    files["profile json"].write_text(json.dumps(card))
    with pytest.raises(ValueError, match="holds 2 profile networks, its JSON file names 3"):
        recover_training(files["profile fp32"], tmp_path / "start")
    files["profile json"].unlink()
    said = CliRunner().invoke(becat, ["train", str(tmp_path / "further"), "--start-from", str(files["profile fp32"])])
    assert said.exit_code == 1 and "nor a model with its card" in str(said.exception)


def test_exported_models_say_what_pytorch_says(tmp_path, training):
    files = export(training, tmp_path, n_calibration=192)  # as many as give the ranges of a real export
    flux = simulated(40, np.random.default_rng(9))[0]
    bound = {"resnet18 fp16": (0.02, 0.1), "resnet18 int8": (0.1, 1.0), "profile fp32": (1e-4, 1e-3)}
    for name, (of_probability, of_log_odds) in bound.items():
        network = name.split()[0]
        weight = json.loads(files[f"{network} json"].read_text())["log_odds_weight"]
        model = {"resnet18": load_drawing, "profile": load_profiles}[network](training, weight)
        with torch.inference_mode():
            expected, features, log_odds = (t.numpy() for t in model(torch.from_numpy(flux)))
        scorer, good = Scorer(files[name]), np.ones_like(flux)
        assert scorer.network == network and scorer.description["be_probability_min"] == 0.5
        np.testing.assert_allclose(scorer.score(flux, good), expected, atol=of_probability)
        np.testing.assert_allclose(scorer.log_odds(flux, good), log_odds, atol=of_log_odds)
        if name != "resnet18 int8":
            np.testing.assert_allclose(scorer.features(flux, good), features, atol=0.05 * np.abs(features).max())
        assert scorer.description["precision"] == name.split()[1]


def test_only_spectra_in_doubt_are_looked_at_closer_and_the_result_is_the_same(tmp_path):
    torch.manual_seed(3)
    model = ProfileClassifier(members=2).eval()
    flux = simulated(40, np.random.default_rng(9))[0]
    first = apply(lambda part: model.look(part)[0], flux)
    model.weight.fill_(SURE_LOG_ODDS / np.median(np.abs(first)))
    weight = model.weight.item()
    sure = np.abs(weight * first) >= SURE_LOG_ODDS
    expected = apply(lambda part: model(part)[2], flux)
    np.testing.assert_allclose(expected[sure], weight * first[sure], atol=1e-4)
    views = [flux[~sure], flux[~sure, ::-1], *(_moved(flux[~sure], pixels) for pixels in (-9, 9))]
    found = [apply(lambda part: model.look(part)[0], np.ascontiguousarray(view)) for view in views]
    np.testing.assert_allclose(expected[~sure], weight * np.mean(found, axis=0), atol=1e-3)
    model.sparing = True
    to_onnx(model, tmp_path / "sparing.onnx")
    scorer = Scorer(tmp_path / "sparing.onnx")
    for rows in (np.arange(40), np.flatnonzero(sure), np.flatnonzero(~sure)):  # some, none and all of them in doubt
        assert len(rows) > 10
        found = scorer.log_odds(flux[rows], np.ones_like(flux[rows]))
        np.testing.assert_allclose(found, expected[rows], atol=1e-3)


def test_detail_shows_a_few_times_the_noise_on_a_flat_continuum_and_in_a_broad_line():
    rng, pixel = np.random.default_rng(3), np.arange(481) - 240
    bump = 0.02 * np.exp(-0.5 * ((pixel - 60) / 6) ** 2)
    without = np.stack([np.ones(481), 1 - 0.5 * np.exp(-0.5 * (pixel / 90) ** 2)]) + rng.normal(0, 0.004, (2, 481))
    draw = LineImage(256, 2.5, ("detail",))
    seen = [draw(torch.from_numpy(flux.astype(np.float32)))[:, 0].numpy() for flux in (without, without + bump)]
    before, after = ((each * np.arange(256)[:, None]).sum(axis=1) / each.sum(axis=1) for each in seen)
    risen = (before - after)[:, round(300 / 480 * 255)]
    assert (risen > 20).all()  # rows of 256, where a drawing from 0 to 2 has 2.6


def _moved(flux, pixels):
    """Profiles moved to the red, going on at the ends as they end."""
    return shift(flux, (0, pixels), order=0, mode="nearest")


def test_an_unfinished_training_is_not_exported(tmp_path, config, training):
    train(tmp_path, config, stop_after_s=0)
    with pytest.raises(ValueError, match=r"the training is unfinished; `becat train"):
        export(tmp_path, tmp_path / "model", n_calibration=8)
    for file in ("curves.json", "weights.pt", "profile_0.pt", "profile_0_curves.json"):
        (tmp_path / file).write_bytes((training / file).read_bytes())
    with pytest.raises(FileNotFoundError, match=r"profile_1"):
        export(tmp_path, tmp_path / "model", n_calibration=8)
    curves = json.loads((training / "profile_1_curves.json").read_text())
    curves["validation"].pop()
    (tmp_path / "profile_1_curves.json").write_text(json.dumps(curves))
    with pytest.raises(ValueError, match=r"a profile network is unfinished; `becat train"):
        export(tmp_path, tmp_path / "model", n_calibration=8)


def test_the_profile_network_is_given_flux_asinh_and_flux_over_scatter():
    flux = simulated(8, np.random.default_rng(4))[0]
    seen = scales(torch.from_numpy(flux)).numpy()
    scatter = np.sort(np.abs(np.diff(flux, axis=1)), axis=1)[:, 239:240]  # the median of 480
    np.testing.assert_allclose(seen[:, 0], 3 * np.clip(flux - 1, -1, 1), atol=1e-5)
    np.testing.assert_allclose(seen[:, 1], np.arcsinh((flux - 1) / 0.1), atol=1e-4)
    np.testing.assert_allclose(seen[:, 2], np.arcsinh((flux - 1) / (5 * (scatter + 0.002))), atol=1e-4)
    assert ProfileNetwork()(torch.from_numpy(flux)).shape == (8,)


def test_doubtful_spectra_are_shown_more_often():
    pool = _Pool(100)
    pool.add(Drawn(np.ones((150, 481), np.float32), np.zeros(150, np.int8), np.zeros((150, len(FACTS)), np.float32)))
    assert pool.drawn == 150 and (pool.loss == 1).all()
    pool.loss[:50] = 0
    chosen = pool.choose(20_000, np.random.default_rng(1))
    assert (chosen >= 50).mean() == pytest.approx(1.2 / 1.4, abs=0.01)


def test_facts_of_a_mirrored_spectrum_have_the_other_velocity_and_those_of_a_warped_one_are_unknown():
    pool, drawn = _Pool(64), Mixture(neither=True).draw(64, np.random.default_rng(3))
    pool.add(drawn)
    mirrored = pool.show(np.arange(64), 0.0, np.random.default_rng(1))
    turned = np.abs(mirrored.flux - drawn.flux).max(axis=1) > 1e-2
    assert 15 < turned.sum() < 50
    np.testing.assert_allclose(mirrored.flux[turned], drawn.flux[turned, ::-1], rtol=1e-3)
    np.testing.assert_array_equal(mirrored.facts[:, VELOCITY], np.where(turned, -1, 1) * drawn.facts[:, VELOCITY])
    assert np.isnan(pool.show(np.arange(64), 1.0, np.random.default_rng(1)).facts).all()


def test_facts_are_known_near_one_and_zero_without_a_disc():
    profiles = sample_profiles(600, np.random.default_rng(5))
    facts = facts_of(profiles)
    significance = facts[:, list(FACTS).index("disc_free_significance")]
    assert (np.sinh(significance[profiles.label == 1]) * 5 > 4.99).all()  # the label rule's five sigma
    assert (significance[profiles.label == 0] == 0).all() and np.isfinite(significance).all()
    assert np.isfinite(facts).mean() > 0.95 and np.nanmax(np.abs(facts)) < 10
    labels = Mixture(neither=True).draw(400, np.random.default_rng(6)).label
    assert set(labels) == {-1, 0, 1} and (Mixture().draw(400, np.random.default_rng(6)).label >= 0).all()


def test_warps_move_lines_little_and_keep_the_continuum():
    wavelength = np.linspace(-1, 1, 481)
    flux = np.tile(1 - 0.6 * np.exp(-0.5 * (wavelength / 0.1) ** 2), (400, 1)).astype(np.float32)
    warped = warp_profiles(flux, np.random.default_rng(1))
    assert warped.dtype == np.float32 and np.isfinite(warped).all()
    depth = 1 - warped.min(axis=1)
    assert 0.4 < np.quantile(depth, 0.01) < np.median(depth) < np.quantile(depth, 0.99) < 0.9
    assert np.abs(warped.argmin(axis=1) - 240).max() <= 12
    ends = warped[:, [0, -1]] - 1
    assert 0.01 < ends.mean(axis=1).std() < 0.025 and np.abs(ends.mean()) < 0.003  # scale and bend
    width = ((1 - warped) > depth[:, None] / 2).sum(axis=1)
    assert np.log(width / np.median(width)).std() == pytest.approx(0.12, abs=0.03)


def test_warps_blur_half_of_the_profiles_as_scipy_does(monkeypatch):
    for name in ("STRETCH", "DEPTH", "SCALE", "TILT"):
        monkeypatch.setattr(f"becat.models.training.warp.{name}", 0.0)
    pixel = np.arange(481) - 240
    line = 0.6 * np.exp(-0.5 * (pixel / 8) ** 2)
    absorbed = 1 - warp_profiles(np.tile(1 - line, (400, 1)).astype(np.float32), np.random.default_rng(1))
    added = (absorbed @ pixel**2) / absorbed.sum(axis=1) - (line @ pixel**2) / line.sum()
    np.testing.assert_allclose(absorbed.sum(axis=1), line.sum(), rtol=1e-3)
    blurred = added > 0.05
    assert 0.4 < blurred.mean() < 0.6 and 14 < added.max() < 16.1
    for row in np.flatnonzero(blurred)[:20]:
        np.testing.assert_allclose(absorbed[row], gaussian_filter1d(line, np.sqrt(added[row])), atol=2e-3)
