"""A star in time: in Python, as a picture, and on the command line. On its page: test_star_page.py."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

import becat
from becat import cli
from becat.schema.errors import BecatError
from tests.tools.epochs_fixture import FEW, MANY, add_epochs
from tests.tools.site_fixture import make_catalogue


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    return add_epochs(make_catalogue(tmp_path_factory.mktemp("epochs") / "catalog.duckdb", n_stars=6))


@pytest.fixture(scope="module")
def opened(catalogue):
    with becat.open_catalogue(catalogue) as found:
        yield found


def labels(figure):
    return [axes.get_ylabel() for axes in figure.axes]


def test_epochs_have_what_the_view_has_in_the_order_of_time(opened):
    epochs = opened.epochs("E10002")
    assert len(epochs.table) == MANY and epochs.table["mjd"].is_monotonic_increasing
    there = opened.query("select spectrum_id, rv_km_s from epoch where star_id = 10002 order by mjd")
    assert epochs.table["rv_km_s"].tolist() == pytest.approx(there["rv_km_s"].tolist())
    kept = opened.spectrum(int(epochs.table["spectrum_id"][3])).red
    line = np.abs(epochs.velocity_km_s) < 5
    assert epochs.profiles.shape == (MANY, epochs.velocity_km_s.size)
    assert epochs.profiles[3][line] == pytest.approx(
        kept.flux[np.isin(kept.wavelength_a, 6564.614 * (1 + epochs.velocity_km_s[line] / 299792.458))]
    )


def test_words_of_a_period_say_its_error_and_chance(opened):
    words = opened.epochs("E10002").words
    assert "Period 6.5000 ± 0.0012 d in the velocity, false-alarm probability 1e-07" in words
    assert any(re.fullmatch(r"The velocity changes by \d+ km/s", sentence) for sentence in words)
    assert any(sentence.startswith("Evidence of a companion: velocity changes") for sentence in words)
    assert f"{MANY} spectra of {MANY} nights with enough S/N, {MANY} of them independent epochs" in words


def test_many_epochs_are_a_dynamic_spectrum_folded_with_the_period(opened):
    figure = opened.epochs("E10002").plot()
    assert {"EW(Hα) / Å", "V/R", "velocity / (km/s)", "epochs in the order of phase"} <= set(labels(figure))
    velocities = next(axes for axes in figure.axes if axes.get_ylabel() == "velocity / (km/s)")
    assert velocities.get_xlim() == (0, 2) and "6.5 d" in velocities.get_xlabel()
    names = [text.get_text() for text in velocities.get_legend().get_texts()]
    assert names == ["blue arm", "primary", "secondary"]
    place, value = np.asarray(velocities.collections[-1].get_offsets()).T  # of the secondary
    assert len(place) == 2 * MANY
    assert value == pytest.approx(-100 * np.cos(2 * np.pi * place), abs=1e-3)
    assert "epochs in the order of MJD / d" in labels(opened.epochs("E10002").plot(folded=False))


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
    assert [text.get_text() for text in light.get_legend().get_texts()] == ["ASAS-SN V", "fainter than this", "spectra"]
    with pytest.raises(BecatError, match="no significant period"):
        epochs.plot(folded=True)


def test_one_epoch_says_so_and_none_is_refused(opened):
    alone = opened.epochs("E10004")
    assert "1 spectrum of 1 night with enough S/N: one epoch, which says nothing about change" in alone.words
    assert labels(alone.plot()) == ["flux / continuum", "EW(Hα) / Å"]
    none = opened.epochs("E10005")
    assert none.words == ["No spectrum has enough S/N to tell anything of its epoch"]
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
