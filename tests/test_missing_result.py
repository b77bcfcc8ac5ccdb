"""A spectrum that was loaded has a measurement and a score, or a reason in words; `verify` finds one that has neither."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from becat.etl.catalogue.connection import open_catalogue
from becat.etl.load.load import load_spectra
from becat.etl.measure import measure_spectra
from becat.etl.missing import count_missing, why_missing
from becat.etl.score import score_spectra
from becat.schema.grid import RED
from becat.verify import verify
from tests.tools.pipeline_tools import becat, new_catalogue

GRID_A = np.arange(6250.0, 6850.0, 0.25)
NEITHER = {
    "every spectrum is measured, or missing_result says why not",
    "every spectrum that reaches the classifiers is scored, or missing_result says why not",
}


def spectrum(path, masked=None):
    """A table with errors whose inverse variance is zero over a stretch (air wavelengths, Angstrom)."""
    flux = (
        1 + 2 * np.exp(-0.5 * ((GRID_A - 6562.8) / 4) ** 2) + 0.01 * np.random.default_rng(1).normal(size=GRID_A.size)
    )
    ivar = np.full(GRID_A.size, 1e4)
    if masked:
        ivar[(masked[0] <= GRID_A) & (masked[1] >= GRID_A)] = 0
        flux[ivar == 0] = np.nan  # nothing to restore
    columns = [fits.Column(n, "D", array=v) for n, v in (("WAVELENGTH", GRID_A), ("FLUX", flux), ("IVAR", ivar))]
    fits.BinTableHDU.from_columns(columns).writeto(path)


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    folder = tmp_path_factory.mktemp("missing")
    spectrum(folder / "good.fits")
    spectrum(folder / "hole.fits", (6535, 6592))
    path = new_catalogue(folder / "c.duckdb")
    with open_catalogue(path) as connection:
        load_spectra(connection, [folder], workers=1)
        measure_spectra(connection)
        score_spectra(connection, every=True)
    return path


def reasons(connection):
    return dict(connection.execute("select stage, reason from missing_result").fetchall())


def test_reasons_are_written_once_and_in_words(catalogue):
    with open_catalogue(catalogue) as connection:
        assert count_missing(connection, "measure") == count_missing(connection, "score") == 1
        found = reasons(connection)
        assert found["measure"].startswith("H-alpha could not be measured: ")
        assert found["score"].startswith("H-alpha could not be scored: ")
        assert "Angstrom" in found["measure"]
        assert measure_spectra(connection) == {"measured": 0}
        assert score_spectra(connection, every=True)["scored"] == 0
        assert reasons(connection) == found
        assert [f.check for f in verify(connection) if f.check in NEITHER] == []


def test_verify_finds_a_spectrum_with_neither_and_the_stages_mend_it(catalogue):
    with open_catalogue(catalogue) as connection:
        found = reasons(connection)
        connection.execute("delete from missing_result")
        assert {f.check for f in verify(connection)} >= NEITHER
        assert measure_spectra(connection) == {"measured": 1}
        assert score_spectra(connection, every=True)["scored"] == 1
        assert reasons(connection) == found
        assert not {f.check for f in verify(connection)} & NEITHER


def test_the_commands_say_how_many_and_where_to_look(catalogue):
    assert "1 spectrum of the catalogue: H-alpha could not be measured" in becat("measure", "-c", catalogue).stdout
    assert "reason from missing_result where stage = 'score'" in becat("score", "--all", "-c", catalogue).stdout
    with open_catalogue(catalogue, read_only=True) as connection:
        ((number, reason),) = connection.execute(
            "select spectrum_id, reason from missing_result where stage = 'measure'"
        ).fetchall()
    words = becat("why", "-c", catalogue, number).stdout
    assert reason in words
    assert "no result" in words


def test_a_reason_names_the_longest_stretches():
    flux, ivar = np.ones(RED.n_pixels), np.ones(RED.n_pixels)
    band_a = (6548.0, 6578.0)
    ivar[(RED.wavelength_a >= 6559.9) & (RED.wavelength_a <= 6570.5)] = 0
    ivar[(RED.wavelength_a >= 6550.0) & (RED.wavelength_a < 6550.25)] = 0
    assert (
        why_missing(flux, ivar, band_a)
        == "the inverse variance is zero over 6560.0-6570.5 Angstrom and in 2 more pixels"
    )
    flux[RED.wavelength_a > 6575] = np.nan
    assert "no continuum to divide by, over 6575.1-6578.0 Angstrom and the inverse variance" in why_missing(
        flux, ivar, band_a
    )
    assert "no pixel of the red arm" in why_missing(np.full(RED.n_pixels, np.nan), ivar, band_a)
    assert "all pixels" in why_missing(np.ones(RED.n_pixels), np.ones(RED.n_pixels), band_a)


SAMPLE = (
    "mrs/*",
    "lrs/*",
    "halpha/*.fits",
    "miles/*.fits",
    "field/lrs/*",
    "field/halpha/*",
    "field/made/*",
    "field/odd/*",
)
EVERY = {"field/lrs/*": 8, "miles/*.fits": 20, "lrs/*": 3, "mrs/*": 3}  # of the large folders every so many files


def test_no_real_file_ends_without_result_or_reason(real_data, tmp_path):
    """Loaded, measured and scored, or a copy, or with a reason in words: of each folder of the real data every few files."""
    files = [path for pattern in SAMPLE for path in sorted(real_data.glob(pattern))[:: EVERY.get(pattern, 1)]]
    files = [path for path in files if path.is_file()]
    assert len(files) > 150
    with open_catalogue(new_catalogue(tmp_path / "c.duckdb")) as connection:
        load_spectra(connection, files, workers=1)
        measure_spectra(connection)
        score_spectra(connection, every=True)
        ended = connection.execute("""
            select file from spectrum join line_measurement using (spectrum_id) join current_score using (spectrum_id)
                where ew_halpha_a is not null and be_probability is not null
            union select file from spectrum join missing_result using (spectrum_id) where length(reason) > 20
            union select file from rejected_input where length(reason) > 20
            union select file from input_file where status = 'duplicate'
        """).fetchall()
        assert {str(path) for path in files} - {file for (file,) in ended} == set()
        assert not {f.check for f in verify(connection, n_sample=0)} & NEITHER


@pytest.mark.parametrize(("cards", "shift"), [({"BSS_RQVH": 25.0}, -25.0), ({}, 0.0)])
def test_a_velocity_still_to_be_applied_moves_the_bands_where_they_follow(tmp_path, cards, shift):
    spectrum(tmp_path / "a.fits")
    with fits.open(tmp_path / "a.fits", mode="update") as hdus:
        hdus[0].header.update(cards)
    with open_catalogue(new_catalogue(tmp_path / "c.duckdb")) as connection:
        load_spectra(connection, [tmp_path], workers=1)
        widths = []
        for follow, expected in ((0, 0.0), (1, shift)):
            connection.execute(
                "update selection_parameter set value = ? where name = 'bands_follow_velocity'", [follow]
            )
            measure_spectra(connection)
            ((ew, shifted),) = connection.execute(
                "select ew_halpha_a, velocity_shift_km_s from line_measurement"
            ).fetchall()
            assert shifted == pytest.approx(expected)
            widths.append(ew)
    assert (widths[0] != widths[1]) is bool(shift)
