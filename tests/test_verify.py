"""A catalogue that is well passes; each kind of damage is found and named."""

from __future__ import annotations

import shutil

import duckdb
import pytest

from becat.etl.catalogue.checksums import differences
from becat.etl.catalogue.connection import Run, open_catalogue
from becat.etl.kinematics.fill import compute_kinematics
from becat.etl.load.load import load_spectra
from becat.etl.match.gather import gather_stars
from becat.etl.measure import measure_spectra
from becat.etl.score import score_spectra
from becat.schema import build
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
        score_spectra(connection, every=True)
    return path


DAMAGE = {
    "delete from flux_red where spectrum_id = (select min(spectrum_id) from spectrum)": "every spectrum has its red flux",
    "update spectrum set ra_deg = 400": "spectrum.ra_deg is in range",
    "update line_measurement set e_ew_halpha_a = -1": "line_measurement.e_ew_halpha_a is in range",
    "update spectrum set star_id = 5": "spectrum.star_id is in star",
    "update input_file set n_rows = 7": "the ledger counts the spectra of each file",
    "update flux_red set flux = list_transform(flux, f -> f * 1.01)::float[4001]": "the sample read again from the files agrees",
    "update etl_run set status = 'running'": "every run finished",
    "update spectrum set mjd = mjd + 100": "the sample read again from the files agrees",
    "update spectrum set snr_r = snr_r + 1": "the sample read again from the files agrees",
    "update line_measurement set ew_halpha_a = ew_halpha_a - 5": "the sample measured again agrees",
    "update be_score set be_probability = 1 - be_probability": "the sample scored again agrees",
    "delete from line_measurement where spectrum_id = (select max(spectrum_id) from spectrum)": "every spectrum is measured, or missing_result says why not",
    "delete from star where star_id = (select max(star_id) from star)": "every spectrum with a position is of a star, and every star has one",
    "drop view runaway": "the views of becat are there (`becat run` makes them again)",
    "create or replace view oe_star as select * from star": "the views are those of this version of becat (`becat run` makes them again)",
    "create or replace macro parameter(parameter_name) as (1.0)": "the macros are those of this version of becat (`becat run` makes them again)",
    "comment on column spectrum.mjd is null": "the columns are those of this version of becat (`becat run` makes them again)",
    "update wavelength_grid set wavelength_a = wavelength_a + 0.2": "the wavelengths are those of this version of becat (restore the catalogue from a copy)",
    "delete from selection_parameter where name = 'snr_min'": "the thresholds of becat are there (`becat run` makes them again)",
    "update selection_parameter set unit = 'mag' where name = 'snr_min'": "the thresholds are described as in parameters.toml (`becat run` makes them again)",
    "update selection_parameter set value = -5 where name = 'be_probability_min'": "the thresholds are in their ranges (`becat threshold --reset NAME`)",
    "update line_measurement set ew_halpha_a = null": "line_measurement.ew_halpha_a is there in at least 50% of the rows",
}


def test_a_sound_catalogue_passes(sound):
    with open_catalogue(sound, read_only=True) as connection:
        assert verify(connection) == []
    said = becat("verify", "--catalog", sound, "--all").stdout
    assert "passed every check" in said
    assert "read: 3 of 3 spectra from the files, 3 of them measured and 3 scored again" in said
    assert "read: 3 rows of flux_red against the checksums" in said


@pytest.mark.parametrize("sql", DAMAGE, ids=DAMAGE.values())
def test_damage_is_found(sound, tmp_path, sql):
    path = tmp_path / "damaged.duckdb"
    shutil.copy(sound, path)
    with duckdb.connect(str(path)) as connection:
        connection.execute(sql)
        n_sample = None if DAMAGE[sql].startswith("the sample") else 0
        found = [finding.check for finding in verify(connection, n_sample)]
    assert DAMAGE[sql] in found


def test_names_with_quotes_have_checksums(blank, tmp_path):
    path = tmp_path / "c.duckdb"
    shutil.copy(blank, path)
    with open_catalogue(path) as connection:
        connection.execute("""create schema archive; create table archive."o'x" as select 1 as "a""b", 2 as "it's" """)
    with open_catalogue(path, read_only=True) as connection:
        kept = connection.execute("select columns from table_checksum where table_name = 'archive.o''x'").fetchall()
        assert kept == [("a\"b, it's",)] and not list(differences(connection))


# What is seen by the checksums alone, with no spectrum read again.
UNSEEN_ELSEWHERE = {
    "update spectrum set teff_k = 9000 where spectrum_id = (select min(spectrum_id) from spectrum)": "spectrum, rows of run",
    "update star set ra_deg = ra_deg + 0.0001": "star, rows of run",
    "update star set dec_deg = -dec_deg, ra_deg = ra_deg + 1": "star, rows of run",
    "update line_measurement set peak_wavelength_a = peak_wavelength_a + 1": "line_measurement, rows of run",
    "insert into inspection (inspection_id, star_id) select '1', min(star_id) from star": "inspection: 0 were written, 1 are there",
    "delete from be_score": "be_score, rows of run",
    "update model set be_probability_min = 0.1": "model, rows of run",
    "update wavelength_grid set wavelength_a = wavelength_a + 0.2": "wavelength_grid: 7,202 were written",
    "update etl_run set code_version = 'x'": "etl_run, rows of run",
}


@pytest.mark.parametrize("sql", UNSEEN_ELSEWHERE)
def test_rows_that_becat_did_not_write_are_seen(sound, tmp_path, sql):
    path = tmp_path / "damaged.duckdb"
    shutil.copy(sound, path)
    with duckdb.connect(str(path)) as connection:
        connection.execute(sql)
        found = {finding.check: finding.examples for finding in verify(connection, n_sample=0)}
    assert UNSEEN_ELSEWHERE[sql] in found["the rows of each table are those that becat wrote"]


@pytest.mark.parametrize(
    "change",
    [
        "flux = list_transform(flux, (f, i) -> case when i = 2000 then f + 0.001 else f end)::float[4001]",
        "ivar = list_transform(ivar, x -> 2 * x)::float[4001]",
        "mask = list_transform(mask, m -> 1 - least(m, 1))::utinyint[4001]",
    ],
)
def test_a_changed_pixel_of_one_spectrum_is_seen(sound, tmp_path, change):
    path = tmp_path / "damaged.duckdb"
    shutil.copy(sound, path)
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"update flux_red set {change} where spectrum_id = (select min(spectrum_id) from spectrum)")
        (finding,) = verify(connection, n_sample=0)
    assert (finding.check, finding.n_rows) == ("the rows of flux_red are those that becat wrote", 1)


def healthy(path, n_sample=None):
    """Lines of what was read of a catalogue in which nothing is wrong."""
    read: list[str] = []
    with open_catalogue(path, read_only=True) as connection:
        assert verify(connection, n_sample, tell=read.append) == []
    return read


def test_a_catalogue_that_grew_with_other_thresholds_is_healthy(sound, tmp_path):
    path = tmp_path / "grown.duckdb"
    shutil.copy(sound, path)
    shutil.copy(real_spectra()[5], tmp_path)
    becat("load", tmp_path, "--catalog", path, "--workers", 1)
    becat("measure", "--catalog", path)
    becat("score", "--all", "--catalog", path)
    becat("threshold", "snr_min=20", "ew_halpha_band_min_a=6548.5", "--catalog", path)
    read = healthy(path)
    assert "4 of 4 spectra from the files, 0 of them measured and 4 scored again" in read
    becat("measure", "--catalog", path)
    assert "4 of 4 spectra from the files, 4 of them measured and 4 scored again" in healthy(path)


def test_a_catalogue_of_an_older_becat_is_healthy_and_says_what_was_not_compared(sound, tmp_path):
    path = tmp_path / "older.duckdb"
    shutil.copy(sound, path)
    with duckdb.connect(str(path)) as connection:
        connection.execute("alter table flux_red drop column checksum; drop table table_checksum")
        connection.execute("create table mine as select star_id, 1 as priority from star")  # a user's own
        build.upgrade(connection)
    read = healthy(path, 0)
    assert any(line.startswith("not compared: checksums of the tables") for line in read)
    assert any("flux_red" in line and "3 of an older becat have none" in line for line in read)
    with open_catalogue(path) as connection:
        connection.execute("update selection_parameter set value = 20 where name = 'snr_min'")
    assert not any(line.startswith("not compared: checksums of the tables") for line in healthy(path, 0))


def test_velocities_are_computed_again(sound, tmp_path):
    path = tmp_path / "moving.duckdb"
    shutil.copy(sound, path)
    with open_catalogue(path) as connection, Run(connection, "match archives") as run:
        connection.execute(
            "insert into astrometry (star_id, ra_deg, dec_deg, pmra_mas_yr, pmdec_mas_yr, parallax_mas, e_pmra_mas_yr,"
            " e_pmdec_mas_yr, e_parallax_mas, run_id) select star_id, ra_deg, dec_deg, -3, 2, 1.2, 0.1, 0.1, 0.05, ? from star",
            [run.run_id],
        )
        compute_kinematics(connection)
    assert any("velocities of their stars computed again" in line for line in healthy(path))
    with duckdb.connect(str(path)) as connection:
        connection.execute("update kinematics set v_tp_km_s = v_tp_km_s + 1 where kinematic_model = 'wang_2022'")
        found = [finding.check for finding in verify(connection)]
    assert "the velocities of the sample computed again agree" in found


def test_a_command_that_was_killed_leaves_nothing_to_compare_and_no_alarm(sound, tmp_path):
    path = tmp_path / "killed.duckdb"
    shutil.copy(sound, path)
    with duckdb.connect(str(path)) as connection:  # as after kill -9: what was committed is there, checksums are not
        run = Run(connection, "measure").run_id
        connection.execute("update line_measurement set run_id = ?", [run])
        connection.execute("update etl_run set status = 'interrupted' where run_id = ?", [run])
    read = healthy(path, 0)
    assert any(f"run {run} was killed" in line for line in read)


def test_results_changed_between_two_commands_stay_seen(sound, tmp_path):
    path = tmp_path / "hidden.duckdb"
    shutil.copy(sound, path)
    with duckdb.connect(str(path)) as connection:
        connection.execute("update line_measurement set peak_wavelength_a = peak_wavelength_a + 1")
    becat("threshold", "snr_min=20", "--catalog", path)
    with open_catalogue(path, read_only=True) as connection:
        (finding,) = verify(connection, n_sample=0)
    assert "line_measurement, rows of run" in finding.examples and "changed before" in finding.examples


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
