"""A catalogue that is well passes; each kind of damage is found and named."""

from __future__ import annotations

import shutil

import duckdb
import pytest

from becat.etl.catalogue.connection import open_catalogue
from becat.etl.load.load import load_spectra
from becat.etl.match.gather import gather_stars
from becat.etl.measure import measure_spectra
from becat.verify import verify
from tests.tools.pipeline_tools import becat, new_catalogue, real_spectra


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    for path in real_spectra()[2:5]:
        shutil.copy(path, folder)
    path = new_catalogue(folder / "c.duckdb")
    with open_catalogue(path) as connection:
        load_spectra(connection, [folder], workers=1)
        gather_stars(connection)
        measure_spectra(connection)
    return path


DAMAGE = {
    "delete from flux_red where spectrum_id = (select min(spectrum_id) from spectrum)": "every spectrum has its red flux",
    "update spectrum set ra_deg = 400": "spectrum.ra_deg is in range",
    "update line_measurement set e_ew_halpha_a = -1": "line_measurement.e_ew_halpha_a is in range",
    "update spectrum set star_id = 5": "spectrum.star_id is in star",
    "update input_file set n_rows = 7": "the ledger counts the spectra of each file",
    "update flux_red set flux = list_transform(flux, f -> f * 1.01)::float[4001]": "the sample read again from the files agrees",
    "update etl_run set status = 'running'": "every run came to its end",
    "update line_measurement set ew_halpha_a = null": "line_measurement.ew_halpha_a is there in at least 50% of the rows",
}


def test_a_sound_catalogue_passes(sound):
    with open_catalogue(sound, read_only=True) as connection:
        assert verify(connection) == []
    assert "holds together" in becat("verify", "--catalog", sound).stdout


@pytest.mark.parametrize("sql", DAMAGE, ids=DAMAGE.values())
def test_damage_is_found(sound, tmp_path, sql):
    path = tmp_path / "damaged.duckdb"
    shutil.copy(sound, path)
    with duckdb.connect(str(path)) as connection:
        connection.execute(sql)
        found = [finding.check for finding in verify(connection)]
    assert DAMAGE[sql] in found


def many_rows(path, sql=""):
    """A catalogue of measurements of two runs, 400 spectra of one layout each, after a change."""
    with open_catalogue(path) as connection:
        for run_id in (1, 2):
            connection.execute(
                "insert into spectrum by name select * exclude (i) replace (spectrum_id + 1000 * i as spectrum_id, ? as run_id)"
                " from (select * from spectrum order by spectrum_id limit 1), range(?, ?) t(i)",
                [run_id, 400 * run_id, 400 * run_id + 400],
            )
        if sql:
            connection.execute(sql)
        return [finding for finding in verify(connection, n_sample=0) if "as often NULL" in finding.check]


@pytest.mark.parametrize("part", [0.0, 0.15, 0.5])
def test_a_run_that_leaves_out_more_than_those_before_is_named(sound, tmp_path, part):
    path = tmp_path / "two.duckdb"
    shutil.copy(sound, path)
    last = "(select max(run_id) from spectrum)"
    found = many_rows(
        path, f"update spectrum set snr_b = null where run_id = {last} and spectrum_id // 1000 % 100 < {100 * part}"
    )
    if part < 0.2:
        assert found == []
    else:
        (finding,) = found
        assert finding.check.startswith("spectrum.snr_b") and "0.5" in finding.examples


def test_damage_exits_1_with_a_list(sound, tmp_path):
    path = tmp_path / "damaged.duckdb"
    shutil.copy(sound, path)
    with duckdb.connect(str(path)) as connection:
        connection.execute("update spectrum set dec_deg = 91")
    done = becat("verify", "--catalog", path, "--sample", 0, check=1)
    assert "spectrum.dec_deg is in range" in done.stdout
