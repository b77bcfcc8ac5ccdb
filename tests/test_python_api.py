"""`import becat`: quick to import, the numbers of the catalogue, and one line where something cannot be done."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

import becat
from becat import cli
from becat.etl.load.arms_of_file import on_grid
from becat.etl.load.load import load_spectra
from becat.etl.match.gather import gather_stars
from becat.etl.measure import measure_spectra
from becat.etl.score import score_spectra
from becat.models.score import NETWORKS
from becat.schema.grid import ARMS
from becat.schema.parameters import change
from becat.schema.tables import TABLES
from becat.spectrum import THRESHOLDS
from tests.conftest import ROOT
from tests.tools.pipeline_tools import new_catalogue, real_spectra

# Of each layout some, as they lie under the real data: coadds and exposures, emission and none, with and without errors.
LAYOUTS = [
    "mrs/med-58440-NT222300N571704C01_sp11-073.fits",
    "mrs/med-58440-NT222300N571704C01_sp06-029.fits",
    "mrs/med-58025-HIP9645901_sp02-051.fits.gz",
    "lrs/bt-cmi-lamost.fits",
    "lrs/spec-55862-B6202_sp01-001.fits.gz",
    "lrs/spec-60591-LN042429N340750BM01_sp01-001.fits.gz",
    "halpha/gamma-cas-emission.fits",
    "halpha/bt-cmi-ondrejov.fits",
    "halpha/alphadra_20230322193823_aleduc.fits",
    "miles/MILES_res2.50_star_m0055V.fits",
]


def make_catalogue(path: Path, files: list[Path], exposures: str = "all") -> Path:
    with becat.open_catalogue(new_catalogue(path), read_only=False) as catalogue:
        load_spectra(catalogue.connection, files, exposures=exposures, workers=1)
        gather_stars(catalogue.connection)
        measure_spectra(catalogue.connection)
        score_spectra(catalogue.connection)
    return path


@pytest.fixture(scope="module")
def laspec(tmp_path_factory) -> Path:
    """A catalogue of the eight real files of laspec, coadds and exposures."""
    return make_catalogue(tmp_path_factory.mktemp("laspec") / "catalog.duckdb", real_spectra())


@pytest.fixture
def coadd() -> becat.Spectrum:
    """A real coadd with good signal."""
    return max(map(becat.read_spectrum, real_spectra()[:4]), key=lambda spectrum: spectrum.snr_r)


def approximately(value):
    """A number to the rounding of single precision; anything else as it is."""
    return pytest.approx(value, rel=1e-5, abs=1e-5) if isinstance(value, float) else value


def check_against(catalogue: becat.Catalogue, spectrum: becat.Spectrum) -> None:
    """The arrays of a spectrum of a file are those of the catalogue, bit by bit, and so is what one measures of either.

    What the catalogue keeps was measured and scored in batches, whose sums round in another order.
    """
    kept = catalogue.spectrum(spectrum.spectrum_id)
    assert kept.arms.keys() == spectrum.arms.keys()
    for name, arm in spectrum.arms.items():
        for what in ("flux", "ivar", "mask"):
            np.testing.assert_array_equal(getattr(arm, what), getattr(kept.arms[name], what), f"{name} {what}")
        assert arm.raw is not None and kept.arms[name].raw is not None
        np.testing.assert_array_equal(arm.raw.flux, kept.arms[name].raw.flux)
        np.testing.assert_array_equal(arm.continuum, kept.arms[name].continuum)
    for column, value in spectrum.columns.items():
        assert kept.columns[column] == value, column
    measured = spectrum.measure()
    for table in ("line_measurement", "profile_class", "radial_velocity"):
        row = catalogue.query(f"select * from {table} where spectrum_id = ?", [spectrum.spectrum_id])
        assert len(row) == 1
        stored = catalogue.connection.execute(
            f"select * from {table} where spectrum_id = ?", [spectrum.spectrum_id]
        ).fetchone()
        for column, value in zip(row.columns, stored, strict=True):
            if column in ("spectrum_id", "run_id", "measure_version", "profile_version", "velocity_version"):
                continue
            if table == "radial_velocity" and isinstance(value, float):
                assert measured[column] == pytest.approx(value, abs=1e-3), column  # sums of thousands of pixels
            else:
                assert measured[column] == approximately(value), column
    assert kept.measure() == measured
    computed, stored = spectrum.score(), kept.score()
    assert computed.model_id == stored.model_id
    assert computed.be_probability == approximately(stored.be_probability)
    all_computed, all_stored = spectrum.scores(), kept.scores()
    assert set(all_computed) == set(all_stored) == {*NETWORKS, "both"}
    assert next(iter(all_stored.values())) == stored and next(iter(all_computed.values())) == computed
    for name, row in all_stored.items():
        assert all_computed[name].be_probability == approximately(row.be_probability)
        assert all_computed[name].model_id == row.model_id


@pytest.mark.parametrize("path", real_spectra(), ids=lambda path: path.name)
def test_numbers_are_those_of_the_catalogue(laspec, path):
    spectra = becat.read_spectra(path)
    assert spectra[0].coadd and len(spectra) > 1
    with becat.open_catalogue(laspec) as catalogue:
        for spectrum in (*spectra, becat.read_spectrum(path)):
            check_against(catalogue, spectrum)


def test_numbers_are_those_of_the_catalogue_for_every_layout(real_data, tmp_path):
    files = [real_data / name for name in LAYOUTS]
    path = make_catalogue(tmp_path / "c.duckdb", files, "coadd")
    with becat.open_catalogue(path) as catalogue:
        for file in files:
            check_against(catalogue, becat.read_spectrum(file))


def test_the_columns_have_the_names_of_the_tables(coadd):
    measured = coadd.measure()
    kept = {c.name for t in ("line_measurement", "profile_class", "radial_velocity") for c in TABLES[t].columns}
    assert kept - set(measured) == {"spectrum_id", "run_id", "measure_version", "profile_version", "velocity_version"}
    assert "reason" not in measured
    assert measured.unit("ew_halpha_a") == "Angstrom" and "6548" in measured.description("ew_halpha_a")
    assert measured.ew_halpha_a == measured["ew_halpha_a"]
    assert f"{measured.ew_halpha_a:.2f}" in repr(measured) and "±" in repr(measured) and "km/s" in repr(measured)
    assert "Equivalent width of H-alpha" in measured._repr_html_()
    with pytest.raises(AttributeError, match="no ew_halfa_a"):
        _ = measured.ew_halfa_a


@pytest.mark.parametrize("path", real_spectra(), ids=lambda path: path.name)
def test_raw_flux_is_that_of_the_file(path):
    spectrum = becat.read_spectrum(path)
    with fits.open(path) as hdus:
        for name, hdu in (("red", "COADD_R"), ("blue", "COADD_B")):
            table = hdus[hdu].data
            raw = spectrum.arms[name].raw
            order = np.argsort(table["LOGLAM"], kind="stable")
            wavelength_a = 10.0 ** table["LOGLAM"][order].astype(float)
            first = np.searchsorted(wavelength_a, raw.wavelength_a[0] - 1e-6)
            here = order[first : first + raw.flux.size]
            np.testing.assert_allclose(raw.wavelength_a, wavelength_a[first : first + raw.flux.size], rtol=1e-12)
            np.testing.assert_array_equal(raw.flux[~raw.bad], table["FLUX"][here][~raw.bad])
            left_out = np.delete(wavelength_a, np.s_[first : first + raw.flux.size])
            grid = ARMS[name].wavelength_a
            assert not ((left_out > grid[0]) & (left_out < grid[-1])).any()


@pytest.mark.parametrize("path", real_spectra(), ids=lambda path: path.name)
def test_continuum_times_rectified_flux_is_the_flux_of_the_file(path):
    for arm in becat.read_spectrum(path).arms.values():
        untouched = np.convolve(arm.mask != 0, np.ones(17), "same") == 0
        file_flux, _ = on_grid(arm.raw, ARMS[arm.name])
        noise = np.median(1 / np.sqrt(arm.ivar[arm.ivar > 0]))
        away = np.abs(arm.gridded_flux - file_flux)[untouched] / (arm.continuum[untouched] * noise)
        # Cosmic rays narrower than a pixel of the grid leave no mask there, but change the flux beside them.
        assert np.median(away) < 1e-5 and np.mean(away > 1e-3) < 0.02
        smooth = arm.continuum[np.isfinite(arm.continuum)]
        assert np.abs(np.diff(smooth, 2)).max() < 1e-3 * np.median(smooth)


def test_a_line_that_the_file_threw_out_is_there_and_told(real_data):
    spectrum = becat.read_spectrum(real_data / "lrs" / "bt-cmi-lamost.fits")
    assert any("emission line that is wider than any" in words for words in spectrum.flags)
    raw, near = spectrum.red.raw, np.abs(spectrum.red.raw.wavelength_a - 6564.6) < 5
    assert raw.bad[near].all()
    # The highest pixel of the file, the mean of a pixel, lies below the highest point of the parabola through it.
    assert np.nanmax(spectrum.red.gridded_flux) == pytest.approx(raw.flux[near].max(), rel=0.01)
    assert spectrum.measure().ew_halpha_a < -10


def test_what_was_done_is_told_in_words(real_data):
    spectrum = becat.read_spectrum(real_data / "halpha" / "gamma-cas-emission.fits")
    told = " ".join(spectrum.what_was_done)
    for words in ("in air and were converted to vacuum", "no blue arm", "no inverse variance", "of the red arm (67"):
        assert words in told
    assert spectrum.blue is None and "gamma Cas" in repr(spectrum) and "in air" in spectrum._repr_html_()


def test_a_cosmic_ray_is_told_with_its_place(tmp_path):
    path = tmp_path / "hit.fits"
    with fits.open(real_spectra()[0]) as hdus:
        table = hdus["COADD_R"].data
        there_a = 6700.0
        pixel = int(np.argmin(np.abs(10 ** table["LOGLAM"] - there_a)))
        table["FLUX"][pixel] += 5 * np.median(table["FLUX"])
        hdus.writeto(path)
    done = becat.read_spectrum(path).what_was_done
    assert "At least one cosmic ray was removed" in done
    assert any(words.startswith("1 pixel of the red arm (6700.0 A): A cosmic ray") or "6700" in words for words in done)


def test_without_a_coadd_the_first_exposure_stands_for_the_file(tmp_path):
    path = tmp_path / "single.fits"
    with fits.open(real_spectra()[0]) as hdus:
        hdus["COADD_B"].name = "SPOILED"
        hdus.writeto(path)
    spectrum = becat.read_spectrum(path)
    spectra = becat.read_spectra(path)
    assert not spectrum.coadd and spectrum.spectrum_id == spectra[0].spectrum_id
    assert "left out" in repr(spectrum) and "left out" in repr(spectra) and spectra.left_out == spectrum.left_out


def test_without_sn_in_the_file_no_peaks_are_counted(tmp_path):
    path = tmp_path / "no_snr.fits"
    with fits.open(real_spectra()[0]) as hdus:
        for hdu in hdus[1:]:
            hdu.header.remove("SNR", ignore_missing=True)
        hdus.writeto(path)
    spectrum = becat.read_spectrum(path)
    assert spectrum.snr_r is None and "no peaks are counted" in repr(spectrum)
    assert spectrum.measure().n_peaks is None and spectrum.smoothed() is None
    assert spectrum.measure().ew_halpha_a is not None
    assert spectrum.plot()._repr_png_().startswith(b"\x89PNG")


def test_what_cannot_be_measured_or_scored_says_why_as_the_catalogue_does(tmp_path):
    file = tmp_path / "masked.fits"
    with fits.open(real_spectra()[3]) as hdus:
        table = hdus["COADD_R"].data
        table["IVAR"][np.abs(10 ** table["LOGLAM"] - 6564.6) < 14] = 0
        hdus.writeto(file)
    spectrum = becat.read_spectrum(file)
    measured, score = spectrum.measure(), spectrum.score()
    assert measured.ew_halpha_a is score.be_probability is None
    assert "over 6550.8-6578.0 Angstrom" in measured.reason and "over 6550.8-6578.5 Angstrom" in score.reason
    assert "reason" in repr(measured) and "not scored" in spectrum.plot().get_suptitle()
    with becat.open_catalogue(make_catalogue(tmp_path / "c.duckdb", [file], "coadd")) as catalogue:
        kept = catalogue.query("select reason from missing_result order by stage").reason
        assert kept.tolist() == [measured.reason, score.reason]
        assert catalogue.spectrum(spectrum.spectrum_id).score() == score


def test_smoothed_profile_has_the_peaks_that_are_counted(coadd):
    smoothed, measured = coadd.smoothed(), coadd.measure()
    assert (smoothed.peak_flux.size, smoothed.valley_flux.size) == (measured.n_peaks, measured.n_valleys)
    assert smoothed.width_px == measured.bartlett_width_px
    highest = np.argmax(smoothed.peak_flux)
    assert smoothed.peak_wavelength_a[highest] == measured.peak_wavelength_a
    on_profile = np.interp(smoothed.peak_wavelength_a, smoothed.wavelength_a, smoothed.flux)
    np.testing.assert_allclose(smoothed.peak_flux, on_profile, rtol=1e-6)


def test_other_thresholds_give_other_widths(coadd):
    narrow = coadd.measure({"ew_halpha_band_min_a": 6560.0, "ew_halpha_band_max_a": 6570.0})
    inside = (coadd.red.wavelength_a > 6560) & (coadd.red.wavelength_a < 6570)
    by_hand = np.sum(1 - coadd.red.flux[inside]) * 0.125
    assert narrow.ew_halpha_a == pytest.approx(by_hand, abs=0.2) and narrow.ew_halpha_a != coadd.measure().ew_halpha_a
    with pytest.raises(becat.BecatError, match=r"q_late_min_mag affects no measurement: .*ew_halpha_band_min_a"):
        coadd.measure({"q_late_min_mag": 0.3})


def test_thresholds_of_the_catalogue_are_in_force(laspec, tmp_path):
    path = shutil.copy(laspec, tmp_path / "c.duckdb")
    with becat.open_catalogue(path, read_only=False) as catalogue:
        changed = {"ew_halpha_band_min_a": 6560.0, "ew_masked_fraction_max": 0.0, "bands_follow_velocity": 1}
        change(catalogue.connection, changed)
        catalogue.connection.execute("update spectrum set rv_km_s = 40, bss_rqvh_km_s = 13.3")
        measure_spectra(catalogue.connection)
    with becat.open_catalogue(path) as catalogue, becat.open_catalogue(laspec) as before:
        assert catalogue.thresholds["ew_halpha_band_min_a"] == 6560.0
        star = catalogue.query("select spectrum_id from spectrum where coadd and snr_r > 20 limit 1").spectrum_id[0]
        spectrum = catalogue.spectrum(star)
        stored = catalogue.query("select ew_halpha_a from line_measurement where spectrum_id = ?", [int(star)])
        assert spectrum.measure().ew_halpha_a == approximately(float(stored.ew_halpha_a[0]))
        assert spectrum.measure().velocity_shift_km_s == pytest.approx(26.7)
        assert spectrum.smoothed().peak_flux.size == spectrum.measure().n_peaks
        assert spectrum.measure().ew_halpha_a != before.spectrum(star).measure().ew_halpha_a
        # A masked pixel in the band: with the part that may be masked at nothing, SQL's function gives no width.
        masked = "select equivalent_width(list_transform(flux, (x, i) -> x)::float[4001], list_transform(ivar, (x, i) -> if(i = 2100, 0, x))::float[4001], 6548, 6578).ew_a as ew_a from flux_red where spectrum_id = ?"
        assert catalogue.query(masked, [int(star)]).ew_a.isna().all()
        assert before.query(masked, [int(star)]).ew_a.notna().all()


def test_a_star_of_the_catalogue_and_its_spectra(laspec):
    with becat.open_catalogue(laspec) as catalogue:
        spectrum = catalogue.spectrum("J192814.09+435531.0")
        position = f"{spectrum.ra_deg} {spectrum.dec_deg}"
        assert catalogue.spectrum(position).spectrum_id == spectrum.spectrum_id
        epochs = catalogue.spectra(position)
        assert len(epochs) > 3 and {one.star_id for one in epochs} == {spectrum.star_id}
        assert [one.mjd for one in epochs] == sorted(one.mjd for one in epochs)
        assert epochs[0].name in repr(epochs) and "<table>" in epochs._repr_html_()
        assert len(catalogue.funnel()) > 5 and "funnel" not in repr(catalogue) and "good_snr" in catalogue._repr_html_()
        with pytest.raises(becat.BecatError, match="no star 'J000000"):
            catalogue.spectrum("J000000.00+000000.0")


def test_a_file_that_went_away_or_changed_is_told(tmp_path):
    file = Path(shutil.copy(real_spectra()[0], tmp_path / "one.fits.gz"))
    path = make_catalogue(tmp_path / "c.duckdb", [file], "coadd")
    identity = becat.read_spectrum(file).spectrum_id
    with fits.open(file) as hdus:
        hdus["COADD_R"].data["FLUX"] *= 2
        hdus.writeto(file, overwrite=True)
    with becat.open_catalogue(path) as catalogue:
        changed = catalogue.spectrum(identity)
        file.unlink()
        gone = catalogue.spectrum(identity)
    for spectrum, words in ((changed, "has changed since"), (gone, "no longer where it was loaded from")):
        assert words in repr(spectrum)
        assert spectrum.red.raw is spectrum.red.continuum is spectrum.red.gridded_flux is None
        assert spectrum.plot()._repr_png_().startswith(b"\x89PNG")


def test_a_closed_catalogue_and_a_wrong_query_say_so(laspec):
    catalogue = becat.open_catalogue(laspec)
    with pytest.raises(becat.BecatError) as wrong:
        catalogue.query("select nothing from spectrum")
    assert "\n" not in str(wrong.value) and "nothing" in str(wrong.value)
    with pytest.raises(becat.BecatError, match="read-only"):
        catalogue.query("delete from spectrum")
    catalogue.close()
    catalogue.close()
    assert "closed" in repr(catalogue) and "closed" in catalogue._repr_html_()
    for ask in (lambda: catalogue.query("select 1"), lambda: catalogue.spectrum(1), lambda: catalogue.thresholds):
        with pytest.raises(becat.BecatError, match="open it again"):
            ask()


def test_a_catalogue_that_is_dropped_or_left_open_is_closed(laspec):
    program = f"""
import becat
becat.open_catalogue({str(laspec)!r}).query('select count(*) from flux_red')
kept = becat.open_catalogue({str(laspec)!r})
print(kept.query("select bartlett_peaks(flux, 50).n_peaks as n from flux_red limit 1"))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr


@pytest.mark.parametrize("read", [becat.read_spectrum, becat.read_spectra])
def test_what_is_no_spectrum_is_one_line(read, tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("no spectrum\n")
    for path in (text, tmp_path / "absent.fits", tmp_path):
        with pytest.raises(becat.BecatError) as error:
            read(path)
        assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_other_errors_are_one_line(coadd, tmp_path):
    with pytest.raises(becat.BecatError, match="no catalogue at"):
        becat.open_catalogue(tmp_path / "absent.duckdb")
    with pytest.raises(becat.BecatError, match="no model at"):
        coadd.score(tmp_path / "absent.onnx")
    for path, words in ((tmp_path / "no" / "x.png", "cannot be written"), (tmp_path / "x.fish", "must end in .png")):
        with pytest.raises(becat.BecatError, match=words):
            coadd.plot(path)
    with pytest.raises(AttributeError, match="a spectrum has no ew"):
        _ = coadd.ew
    with pytest.raises(AttributeError, match="becat has no read: it has"):
        _ = becat.read


def test_import_loads_nothing_but_itself():
    program = "import sys; before = set(sys.modules); import becat; print(*sorted(set(sys.modules) - before))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    strange = {name.split(".")[0] for name in found} - sys.stdlib_module_names
    assert strange == {"becat"} and [name for name in found if name.startswith("becat")] == ["becat"]


def test_the_python_of_the_readme_runs(laspec, tmp_path, monkeypatch):
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    shutil.copy(real_spectra()[-1], "my_star.fits")  # gzipped, which the content tells, not the name
    Path("demo").mkdir()
    shutil.copy(laspec, "demo/catalog.duckdb")
    exec(compile(block, "README.md", "exec"), {})
    assert Path("my_star.png").is_file()


def test_every_exported_name_is_there_and_described():
    assert set(becat.__all__) <= set(dir(becat))
    for name in becat.__all__:
        assert getattr(becat, name).__doc__, name
    assert set(THRESHOLDS) <= set(becat.read_spectrum(real_spectra()[0]).thresholds)


def test_the_picture_says_what_it_shows(coadd, tmp_path):
    drawn = coadd.plot(tmp_path / "one.png")
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")
    title = drawn.get_suptitle()
    assert coadd.name in title and f"S/N {coadd.snr_r:.0f}" in title and "probability of Be" in title
    assert "vacuum wavelength / Å" in drawn.get_supxlabel()
    halpha, *arms = drawn.axes
    assert halpha.get_ylabel() == "flux / continuum" and len(arms) == 2
    words = " ".join(text.get_text() for text in halpha.texts)
    width = coadd.measure()
    assert width.words("ew_halpha_a") in words and f"{width.n_peaks} peaks" in words
    marked = {line.get_label(): line.get_xdata() for line in halpha.lines}
    np.testing.assert_array_equal(marked["peak"], coadd.smoothed().peak_wavelength_a)
    band = next(patch for patch in halpha.patches if "EW" in str(patch.get_label()))
    assert (band.get_x(), band.get_x() + band.get_width()) == (6548.0, 6578.0)


def test_plot_on_the_command_line(laspec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = real_spectra()[0]
    done = CliRunner().invoke(cli.becat, ["plot", str(file), "-o", "file.pdf"])
    assert done.exit_code == 0 and Path("file.pdf").read_bytes().startswith(b"%PDF"), done.output
    done = CliRunner().invoke(cli.becat, ["plot", "J192814.09+435531.0", "--catalog", str(laspec)])
    assert done.exit_code == 0, done.output
    name = done.output.splitlines()[-1].removeprefix("picture ")  # another of its designations may stand for the star
    assert name.startswith("J192814.0") and Path(name).read_bytes().startswith(b"\x89PNG") and "S/N" in done.output
    done = CliRunner().invoke(cli.becat, ["plot", "absent.fits"])
    assert isinstance(done.exception, becat.BecatError) and "absent.fits is not a file" in str(done.exception)
