"""What the release's catalogues say reaches the spectra, whichever comes first, and nothing is written twice."""

from __future__ import annotations

import duckdb
import pytest

from becat.etl.catalogue.connection import open_catalogue
from becat.etl.load.load import load_spectra
from becat.etl.load.release import apply_release_entries, load_release_catalogues
from becat.etl.measure import measure_spectra
from tests.tools.pipeline_tools import contents, new_catalogue, real_spectra

GENERAL = """obsid|lmjm|band|coadd|snr
666912076|83908880|B|1|61.5
666912076|83908880|R|1|99.5
"""
PARAMETERS = """obsid|lmjm|band|coadd|snr|teff_lasp|teff_lasp_err|logg_lasp|feh_lasp|rv_r0
666912076|83908880|R|1|99.5|6712.5|35.2|4.02|-0.11|-12.3
"""


@pytest.fixture
def catalogue(tmp_path):
    (tmp_path / "general.csv").write_text("\ufeff" + GENERAL)
    (tmp_path / "stellar.csv").write_text(PARAMETERS)
    return new_catalogue(tmp_path / "c.duckdb")


def spectrum(catalogue):
    with duckdb.connect(str(catalogue), read_only=True) as connection:
        return connection.execute(
            "select snr_b, snr_r, snr_source, teff_k, e_teff_k, rv_km_s from spectrum where spectrum_id = 666912076"
        ).fetchone()


def test_catalogues_fill_the_spectra_in_either_order(catalogue, tmp_path):
    files = [tmp_path / "general.csv", tmp_path / "stellar.csv"]
    with open_catalogue(catalogue) as connection:
        load_spectra(connection, [real_spectra()[2]], workers=1)
        assert load_release_catalogues(connection, files)["rejected"] == 0
        assert apply_release_entries(connection) == 1
    found = spectrum(catalogue)
    assert found[2] == "catalogue"
    assert [found[i] for i in (0, 1, 3, 4, 5)] == pytest.approx([61.5, 99.5, 6712.5, 35.2, -12.3])

    other = new_catalogue(tmp_path / "other.duckdb")
    with open_catalogue(other) as connection:
        load_release_catalogues(connection, files)
        load_spectra(connection, [real_spectra()[2]], workers=1)
        apply_release_entries(connection)
    assert spectrum(other) == found


@pytest.mark.parametrize("general_first", [True, False])
def test_the_general_catalogue_counts_before_that_of_the_parameters(catalogue, tmp_path, general_first):
    """Whatever was read when; that of a later release counts before both."""
    (tmp_path / "stellar.csv").write_text(PARAMETERS.replace("|99.5|", "|55.5|"))
    files = sorted([tmp_path / "general.csv", tmp_path / "stellar.csv"], reverse=not general_first)
    with open_catalogue(catalogue) as connection:
        load_spectra(connection, [real_spectra()[2]], workers=1)
        load_release_catalogues(connection, files)
        apply_release_entries(connection)
        snr, teff, error = connection.execute("select snr_r, teff_k, e_teff_k from spectrum").fetchone()
        assert (snr, teff, error) == (pytest.approx(99.5), pytest.approx(6712.5), pytest.approx(35.2))
        assert apply_release_entries(connection) == 0
        (tmp_path / "dr12_stellar.csv").write_text(
            PARAMETERS.replace("|99.5|", "|44.5|").replace("|6712.5|35.2|", "|7000|nan|")
        )
        load_release_catalogues(connection, [tmp_path / "dr12_stellar.csv"])
        apply_release_entries(connection)
        snr, teff, error = connection.execute("select snr_r, teff_k, e_teff_k from spectrum").fetchone()
        assert (snr, teff, error) == (pytest.approx(44.5), 7000.0, None), "no error of another value"


def test_second_time_changes_nothing(catalogue, tmp_path):
    files = [tmp_path / "general.csv", tmp_path / "stellar.csv"]

    def fill():
        with open_catalogue(catalogue) as connection:
            load_release_catalogues(connection, files)
            load_spectra(connection, [real_spectra()[2]], workers=1)
            return apply_release_entries(connection)

    assert fill() == 1
    before = contents(catalogue, with_runs=True)
    assert fill() == 0
    assert contents(catalogue, with_runs=True) == before


def test_another_snr_is_measured_anew(catalogue, tmp_path):
    with open_catalogue(catalogue) as connection:
        load_spectra(connection, [real_spectra()[2]], workers=1)
        assert measure_spectra(connection) == {"measured": 1}
        assert measure_spectra(connection) == {"measured": 0}
        load_release_catalogues(connection, [tmp_path / "general.csv"])
        apply_release_entries(connection)
        assert measure_spectra(connection) == {"measured": 1}
        connection.execute("update selection_parameter set value = 6549 where name = 'ew_halpha_band_min_a'")
        assert measure_spectra(connection) == {"measured": 1}


def test_bad_catalogue_is_named_and_the_rest_goes_on(catalogue, tmp_path):
    misspelt = tmp_path / "misspelt.csv"
    misspelt.write_text(GENERAL.replace("obsid", "obsidd"))
    with open_catalogue(catalogue) as connection:
        counts = load_release_catalogues(connection, [misspelt, tmp_path / "general.csv"])
        assert counts == {"loaded": 1, "rows": 1, "rejected": 1}
        ((file, reason),) = connection.execute("select file, reason from rejected_input").fetchall()
    assert file == str(misspelt) and "obsidd" in reason


def test_snr_that_the_header_lacks_comes_from_the_catalogue(catalogue, tmp_path):
    from astropy.io import fits

    bare = [tmp_path / "bare.fits", tmp_path / "unknown.fits"]
    for path, source in zip(bare, real_spectra()[2:4], strict=True):
        with fits.open(source) as hdus:
            for name in ("COADD_B", "COADD_R"):
                del hdus[name].header["SNR"]
            hdus.writeto(path)
    with open_catalogue(catalogue) as connection:
        assert load_spectra(connection, [bare[0]], workers=1)["rejected"] == 1
        load_release_catalogues(connection, [tmp_path / "general.csv"])
        bare[0].touch()
        bare[0].rename(tmp_path / "again.fits")
        assert load_spectra(connection, [tmp_path / "again.fits"], workers=1)["loaded"] == 1
        apply_release_entries(connection)
        assert load_spectra(connection, [bare[1]], workers=1)["rejected"] == 1
        reasons = [row[0] for row in connection.execute("select reason from rejected_input").fetchall()]
        assert connection.execute("select snr_r from spectrum").fetchall() == [(pytest.approx(99.5),)]
    assert len(reasons) == 1 and "S/N" in reasons[0]  # the rejection of the file that was renamed has gone with it
