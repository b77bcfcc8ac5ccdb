"""A star in time: in Python, as a picture, and on the command line. On its page: test_star_page.py."""

from __future__ import annotations

import asyncio
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import becat
from becat import cli
from becat.publish import site
from becat.publish.epoch_words import epoch_words
from becat.publish.snapshot import write as snapshot
from becat.schema.errors import BecatError
from becat.simulate.draw import distributions
from tests.tools.epochs_fixture import FEW, MANY, add_epochs
from tests.tools.site_fixture import make_catalogue


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    return add_epochs(make_catalogue(tmp_path_factory.mktemp("epochs") / "catalog.duckdb", n_stars=6))


@pytest.fixture(scope="module")
def opened(catalogue):
    with becat.open_catalogue(catalogue) as found:
        yield found


@pytest.fixture(scope="module")
def binary(opened):
    """The epochs of the binary with many."""
    return opened.epochs("E10002")


def labels(figure):
    return [axes.get_ylabel() for axes in figure.axes]


def test_epochs_have_what_the_view_has_in_the_order_of_time(opened, binary):
    epochs = binary
    assert len(epochs.table) == MANY and epochs.table["mjd"].is_monotonic_increasing
    there = opened.query("select spectrum_id, rv_km_s from epoch where star_id = 10002 order by mjd")
    assert epochs.table["rv_km_s"].tolist() == pytest.approx(there["rv_km_s"].tolist())
    kept = opened.spectrum(int(epochs.table["spectrum_id"][3])).red
    line = np.abs(epochs.velocity_km_s) < 5
    assert epochs.profiles.shape == (MANY, epochs.velocity_km_s.size)
    assert epochs.profiles[3][line] == pytest.approx(
        kept.flux[np.isin(kept.wavelength_a, 6564.614 * (1 + epochs.velocity_km_s[line] / 299792.458))]
    )


def test_words_of_a_period_say_its_error_and_chance(binary):
    words = binary.words
    assert "Period 6.5000 ± 0.0012 d in the velocity, false-alarm probability 1e-07" in words
    assert any(re.fullmatch(r"The velocity changes by \d+ km/s", sentence) for sentence in words)
    assert any(sentence.startswith("Evidence of a companion: velocity changes") for sentence in words)
    assert f"{MANY} spectra from {MANY} nights with enough S/N, {MANY} of them independent epochs" in words


def test_words_say_why_it_is_unknown_whether_the_velocity_changes():
    unknown = {"velocity_result": "unknown", "n_velocities": 2, "decided_by": "the disc changes: lines of the star"}
    words = "It is unknown whether the velocity changes (the disc changes: lines of the star would tell)"
    assert words in epoch_words(2, 2, 2, {}, unknown, None)
    assert (
        len(epoch_words(2, 2, 2, {}, unknown | {"n_velocities": 0}, None)) == 1
    )  # that there is none is told elsewhere


def test_many_epochs_are_a_dynamic_spectrum_folded_with_the_period(binary):
    figure = binary.plot()
    assert {"EW(Hα) / Å", "V/R", "velocity / (km/s)", "epochs in the order of phase"} <= set(labels(figure))
    velocities = next(axes for axes in figure.axes if axes.get_ylabel() == "velocity / (km/s)")
    assert velocities.get_xlim() == (0, 2) and "6.5 d" in velocities.get_xlabel()
    names = [text.get_text() for text in velocities.get_legend().get_texts()]
    assert names == ["blue arm", "primary", "secondary"]
    place, value = np.asarray(velocities.collections[-1].get_offsets()).T  # of the secondary
    assert len(place) == 2 * MANY
    assert value == pytest.approx(-100 * np.cos(2 * np.pi * place), abs=1e-3)
    assert "epochs in the order of MJD / d" in labels(binary.plot(folded=False))


def test_few_epochs_are_drawn_over_each_other_above_their_light_curves(opened):
    epochs = opened.epochs("E10003")
    figure = epochs.plot()
    assert {"flux / continuum", "EW(Hα) / Å", "magnitude", "relative flux"} <= set(labels(figure))
    assert "velocity / (km/s)" not in labels(figure) and "V/R" not in labels(figure)
    assert "No V/R: no epoch has two emission peaks" in epochs.words
    assert any(words.startswith("No velocity: ") for words in epochs.words)
    profiles = next(axes for axes in figure.axes if axes.get_ylabel() == "flux / continuum")
    colours = {
        line.get_color() if isinstance(line.get_color(), str) else tuple(line.get_color())
        for line in profiles.lines[2:]
    }
    assert len(colours) == FEW
    light = next(axes for axes in figure.axes if axes.get_ylabel() == "magnitude")
    assert light.yaxis_inverted()
    assert [text.get_text() for text in light.get_legend().get_texts()] == [
        "ASAS-SN V",
        "upper limits (fainter than this)",
        "spectra",
    ]
    with pytest.raises(BecatError, match="no significant period"):
        epochs.plot(folded=True)


def test_one_epoch_says_so_and_none_is_refused(opened):
    alone = opened.epochs("E10004")
    assert "1 spectrum from 1 night with enough S/N: one epoch, which says nothing about change" in alone.words
    assert labels(alone.plot()) == ["flux / continuum", "EW(Hα) / Å"]
    none = opened.epochs("E10005")
    assert none.words == ["No spectrum has enough S/N to say anything about its epoch"]
    with pytest.raises(BecatError, match="nothing to draw"):
        none.plot()


def test_the_command_writes_the_picture_and_says_what_changes(catalogue, tmp_path):
    path, own = tmp_path / "e.pdf", tmp_path / "c.duckdb"
    shutil.copy(catalogue, own)  # a file is opened once in a process
    done = CliRunner().invoke(cli.becat, ["plot", "E10002", "--epochs", "-c", str(own), "-o", str(path)])
    assert done.exit_code == 0, done.output
    assert path.read_bytes().startswith(b"%PDF") and "Period 6.5000" in done.output
    done = CliRunner().invoke(cli.becat, ["plot", "E10002", "--folded", "-c", str(own)])
    assert done.exit_code == 2


@pytest.fixture(scope="module")
def binaries(tmp_path_factory, blank):
    """A binary without a disc and one with, on 16 nights: simulated, loaded, measured and searched for periods by the commands."""
    folder = tmp_path_factory.mktemp("binaries")
    table = distributions("epoch_distributions.toml")
    scenarios = table["scenarios"]
    table["scenarios"] = {name: scenarios[name] for name in ("sb1", "be_sb1")}
    try:
        run("simulate", folder, "--spectra", 32, "--nights", 16, "--seed", 30)
    finally:
        table["scenarios"] = scenarios
    shutil.copy(blank, folder / "c.duckdb")
    for words in (["load", folder / "spectra", "--workers", 1], ["measure"], ["periods"]):
        run(*words, "-c", folder / "c.duckdb")
    return folder / "c.duckdb", pd.read_csv(folder / "truth_stars.csv").set_index("scenario")


def run(*words):
    done = CliRunner().invoke(cli.becat, list(map(str, words)))
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("scenario", ["sb1", "be_sb1"])
def test_a_simulated_orbit_is_found_and_its_velocities_lie_on_it_when_folded(binaries, scenario):
    path, truth = binaries[0], binaries[1].loc[scenario]
    with becat.open_catalogue(path) as catalogue:
        epochs = catalogue.epochs(truth.designation)
    assert epochs.period is not None and epochs.period["quantity"] == "rv_km_s"
    assert epochs.period["period_d"] == pytest.approx(truth.period_d, abs=4 * epochs.period["e_period_d"], rel=1e-3)
    figure = epochs.plot()
    assert "epochs in the order of phase" in labels(figure)
    velocities = next(axes for axes in figure.axes if axes.get_ylabel() == "velocity / (km/s)")
    assert velocities.get_xlim() == (0, 2) and f"{epochs.period['period_d']:.6g} d" in velocities.get_xlabel()
    phase, velocity = np.asarray(velocities.collections[-1].get_offsets()).T
    turn = 2 * np.pi * np.outer(phase, [1, 2])  # with a harmonic, for the eccentricity
    model = np.column_stack([np.ones_like(phase), np.cos(turn), np.sin(turn)])
    fit, *_ = np.linalg.lstsq(model, velocity)
    assert len(phase) == 32 and np.std(velocity - model @ fit) < 0.15 * truth.k1_km_s
    assert epochs.period["semi_amplitude"] == pytest.approx(truth.k1_km_s, abs=3 * epochs.period["e_semi_amplitude"])
    assert np.arctan2(fit[3], fit[1]) == pytest.approx(0, abs=0.5)  # phase 0 is near the largest velocity


def test_the_page_of_a_simulated_binary_is_folded_with_its_orbit(binaries):
    path, truth = binaries
    published = snapshot.write(path, path.with_suffix(".sqlite"), progress=False).path
    with becat.open_catalogue(path) as catalogue:
        star_id = catalogue.epochs(truth.loc["be_sb1"].designation).star_id

    async def page():
        datasette = site.create(published)
        await datasette.invoke_startup()
        return (await datasette.client.get(f"/star/{star_id}")).text

    text = asyncio.run(page())
    assert '<input type="checkbox" id="fold" checked>' in text
    data = re.search(r'<script[^>]* id="data"[^>]*>(.*?)</script>', text, re.DOTALL)
    assert data is not None
    period = json.loads(data[1])["period"]
    assert period["period_d"] == pytest.approx(truth.loc["be_sb1"].period_d, rel=1e-3)
    assert "Period 2.9395" in text


def test_the_command_folds_with_the_period_that_was_found(binaries, tmp_path):
    path, truth = binaries
    said = run("plot", truth.loc["sb1"].designation, "--epochs", "-c", path, "-o", tmp_path / "e.png")
    assert re.search(r"Period 31\.\d+ ± 0\.\d+ d in the velocity", said) and "velocity changes, period" in said
