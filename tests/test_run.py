"""`becat run`: only what is new or stale is done, and a configuration that is wrong is named."""

from __future__ import annotations

import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import duckdb
import onnx
import pytest

from becat.models.score import DEFAULT_MODEL
from tests.tools.pipeline_tools import becat, contents, real_spectra
from tests.tools.serving import Server


@pytest.fixture
def survey(tmp_path):
    """A configuration with two real spectra."""
    (tmp_path / "spectra").mkdir()
    for path in real_spectra()[2:4]:
        shutil.copy(path, tmp_path / "spectra")
    config = tmp_path / "survey.toml"
    config.write_text('catalog = "c.duckdb"\nspectra = ["spectra"]\npublish = "c.sqlite"\nscore_all = true\n')
    return config


def numbers(done):
    """Spectra loaded, measured and scored, as the run says."""
    lines = {line.split(":")[0]: line for line in done.stdout.splitlines() if ":" in line}
    loaded = int(lines["load"].split("unchanged, ")[1].split()[0])
    return loaded, int(lines["measure"].split()[1]), int(lines["score"].split()[1])


def test_only_what_is_new_or_stale(survey):
    folder = survey.parent
    assert numbers(becat("run", survey)) == (2, 2, 2)
    before = contents(folder / "c.duckdb", with_runs=True)
    snapshot = (folder / "c.sqlite").stat().st_mtime_ns

    again = becat("run", survey)
    assert numbers(again) == (0, 0, 0) and "nothing is new or stale" in again.stdout
    assert contents(folder / "c.duckdb", with_runs=True) == before
    assert (folder / "c.sqlite").stat().st_mtime_ns == snapshot

    shutil.copy(real_spectra()[4], folder / "spectra")
    assert numbers(becat("run", survey)) == (1, 1, 1)
    assert (folder / "c.sqlite").stat().st_mtime_ns > snapshot

    model = onnx.load(DEFAULT_MODEL)
    model.doc_string = "another file with the same network"
    onnx.save(model, folder / "other.onnx")
    survey.write_text(survey.read_text() + 'model = "other.onnx"\n')
    assert numbers(becat("run", survey)) == (0, 0, 3)

    with duckdb.connect(str(folder / "c.duckdb")) as connection:
        connection.execute("update selection_parameter set value = 6548.5 where name = 'ew_halpha_band_min_a'")
    assert numbers(becat("run", survey)) == (0, 3, 0)


def test_a_site_answers_while_the_next_run_writes(survey):
    """Readers see the last snapshot until the new one replaces it; no request fails and none sees half a snapshot."""
    becat("run", survey)
    shutil.copy(real_spectra()[4], survey.parent / "spectra")
    server = Server(survey.parent / "c.sqlite")
    question = "/c.json?sql=select+(select+count(*)+from+spectrum),(select+count(distinct+spectrum_id)+from+be_score)&_shape=arrays"
    statuses, seen, while_running = set(), [], 0
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(becat, "run", survey)
        until = time.time() + 120
        while (not run.done() or seen[-1:] != [[3, 3]]) and time.time() < until:
            for page in (question, "/", "/c/spectrum", "/c/be_candidate.json"):
                status, body = server.get(page)
                statuses.add(status)
                if page == question:
                    seen.append(json.loads(body)["rows"][0])
            while_running += not run.done()
        assert numbers(run.result()) == (1, 1, 1)
    server.stop()
    assert statuses == {200}
    assert while_running > 5
    assert seen == sorted(seen) and {tuple(row) for row in seen} == {(2, 2), (3, 3)}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "catalog"),
        ('catalog = "c.duckdb"\nspectre = ["x"]', "did you mean 'spectra'"),
        ('catalog = "c.duckdb"\nspectra = ["nowhere"]', "no such file or directory"),
        ('catalog = "c.duckdb"\nexposures = "both"', "coadd, single or all"),
        ('catalog = "c.duckdb"\nworkers = 0', "1 or more"),
        ("catalog = 7", "a path"),
        ('catalog = "c.duckdb"\narchives = {tmas = "x"}', "no such file"),
        ("catalog = ", "Invalid value"),
        ('catalog = "c\\u0000.duckdb"', "a path"),
        ('catalog = "nowhere/c.duckdb"', "no such directory"),
        ('catalog = "."', "is a directory"),
        ('catalog = "c.duckdb"\npublish = "./c.duckdb"', "publish names the catalogue"),
    ],
)
def test_wrong_configuration_exits_2_in_one_line(tmp_path, text, word):
    config = tmp_path / "survey.toml"
    config.write_text(text)
    done = becat("run", config, check=2)
    assert word in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "c.duckdb").exists()


def test_completeness_of_the_model_comes_with_its_scores(survey):
    becat("run", survey)
    with duckdb.connect(str(survey.parent / "c.duckdb"), read_only=True) as connection:
        n, sound = connection.execute(
            "select count(*), bool_and(n_detected between 0 and n_injected and ew_emission_a < 0)"
            " from completeness join model using (model_id) where is_current"
        ).fetchone()
    assert n > 0 and sound


def test_a_model_that_cannot_be_used_is_named_in_one_line(survey):
    (survey.parent / "broken.onnx").write_bytes(b"not a model")
    survey.write_text(survey.read_text() + 'model = "broken.onnx"\n')
    for words in (
        ["run", survey],
        ["score", "--model", survey.parent / "broken.onnx", "-c", survey.parent / "c.duckdb"],
    ):
        done = becat(*words, check=1)
        assert "broken.onnx" in done.stderr and done.stderr.count("\n") == 1
