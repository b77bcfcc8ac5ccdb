"""What was rejected, withdrawn, renamed or interrupted does not stay so: the next run makes up for it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pytest
from astropy.io import fits

from becat import pipeline
from becat.etl.archives.ingest import ingest_file
from becat.etl.archives.stage import match_archives, withdraw_archives
from becat.etl.catalogue.connection import open_catalogue
from becat.etl.kinematics.fill import compute_kinematics
from becat.etl.load import load
from becat.etl.load.forget import chosen, forget, missing_words
from becat.etl.load.load import load_spectra
from becat.etl.load.positions import give_positions, take_sidecars
from becat.etl.load.release import apply_release_entries, load_release_catalogues
from becat.etl.match.gather import gather_stars
from becat.schema.parameters import change
from becat.snapshot import is_published, publish_snapshot
from becat.verify import verify
from tests.tools.pipeline_tools import becat, new_catalogue, obey_permissions, real_spectra

GENERAL = """obsid|lmjm|band|coadd|snr|teff_lasp
666912076|0|B|1|61.5|-9999
666912076|0|R|1|99.5|12000
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "spectra").mkdir()
    return tmp_path


@pytest.fixture
def connection(folder):
    with open_catalogue(new_catalogue(folder / "c.duckdb")) as opened:
        yield opened


def put(folder, name, index=2, change_it=None):
    """A real spectrum under a name, as it is or changed."""
    path = folder / "spectra" / name
    if change_it is None:
        shutil.copyfile(real_spectra()[index], path)
        return path
    with fits.open(real_spectra()[index]) as hdus:
        change_it(hdus)
        hdus.writeto(path, overwrite=True)
    return path


def bare(hdus):
    for name in ("COADD_B", "COADD_R"):
        del hdus[name].header["SNR"]


def brighter(hdus):
    hdus["COADD_R"].data["FLUX"][100] *= 1.5


def loaded(connection, folder):
    """Load the folder; which files gave spectra, which were rejected, and how many were read."""
    counts = load_spectra(connection, [folder / "spectra"], workers=1)
    apply_release_entries(connection)
    gather_stars(connection)

    def names(table):
        sql = f"select distinct file from {table} where file like '%.fits%'"
        return sorted(file.rsplit("/", 1)[1] for (file,) in connection.execute(sql).fetchall())

    return names("spectrum"), names("rejected_input"), counts["files"] - counts["unchanged"]


def one(connection, sql):
    return connection.execute(sql).fetchone()[0]


# ------------------------------------------------------------------------------------------- 9: a rejection ends with its cause


def test_snr_that_comes_later_or_goes_again(connection, folder):
    put(folder, "bare.fits", change_it=bare)
    general = folder / "general.csv"
    assert loaded(connection, folder) == ([], ["bare.fits"], 1)
    assert loaded(connection, folder) == ([], ["bare.fits"], 0)  # not read again for nothing
    general.write_text(GENERAL)
    load_release_catalogues(connection, [general])
    assert loaded(connection, folder) == (["bare.fits"], [], 1)
    assert one(connection, "select snr_r from spectrum") == 99.5
    assert loaded(connection, folder) == (["bare.fits"], [], 0)
    general.write_text(GENERAL.replace("|61.5|", "|-9999|"))  # of both arms it is needed
    load_release_catalogues(connection, [general])
    assert loaded(connection, folder) == ([], ["bare.fits"], 1)


def test_files_of_earlier_loads_that_are_read_again_are_counted(connection, folder):
    put(folder, "bare.fits", change_it=bare)
    loaded(connection, folder)
    (folder / "general.csv").write_text(GENERAL)
    load_release_catalogues(connection, [folder / "general.csv"])
    counts = load_spectra(connection, [], workers=1)
    assert (counts["files"], counts["unchanged"], counts["loaded"], counts["again"]) == (0, 0, 1, 1)
    assert load_spectra(connection, [], workers=1)["again"] == 0


def test_permission_that_is_given_later(folder):
    secret = put(folder, "secret.fits.gz")
    secret.chmod(0)
    catalogue = new_catalogue(folder / "c.duckdb")
    try:
        open(secret).close()
        is_root = True
    except PermissionError:
        is_root = False
    words = ["load", folder / "spectra", "-c", catalogue, "--workers", 1]
    becat(*words, first=obey_permissions if is_root else None)
    with open_catalogue(catalogue) as connection:
        if not one(connection, "select count(*) from rejected_input"):
            pytest.skip("this user may read every file")
        secret.chmod(0o644)
        assert loaded(connection, folder) == (["secret.fits.gz"], [], 1)


def test_a_file_that_cannot_be_read_once_keeps_its_spectrum(connection, folder, monkeypatch):
    path = put(folder, "a.fits.gz")
    assert loaded(connection, folder) == (["a.fits.gz"], [], 1)
    before = one(connection, "select md5(flux::varchar) from flux_red")

    def disk_fails(*_, **__):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(load, "read_file", disk_fails)
    monkeypatch.setattr(load, "code_version", lambda _: "another version of the code")
    assert loaded(connection, folder) == (["a.fits.gz"], ["a.fits.gz"], 1)
    assert one(connection, "select md5(flux::varchar) from flux_red") == before
    monkeypatch.undo()
    path.touch()  # nothing but the time of a file that could not be read has changed
    assert loaded(connection, folder) == (["a.fits.gz"], [], 1)
    assert loaded(connection, folder) == (["a.fits.gz"], [], 0)


def test_a_release_catalogue_that_cannot_be_read_once_keeps_its_values(connection, folder, monkeypatch):
    general = folder / "general.csv"
    general.write_text(GENERAL)
    assert load_release_catalogues(connection, [general])["rows"] == 1
    general.write_text(GENERAL + "\n")
    monkeypatch.setattr("becat.etl.catalogue.ledger._sha256", lambda _: None)
    assert load_release_catalogues(connection, [general]) == {"loaded": 0, "rows": 0, "rejected": 1}
    assert one(connection, "select count(*) from release_entry") == 1
    monkeypatch.undo()
    assert load_release_catalogues(connection, [general])["loaded"] == 1
    assert one(connection, "select count(*) from rejected_input") == 0


@pytest.mark.parametrize("second", [None, brighter], ids=["a copy", "other content"])
def test_of_two_files_with_one_spectrum_the_other_comes_when_the_first_goes(connection, folder, second):
    first = put(folder, "a.fits", change_it=lambda hdus: None)
    put(folder, "b.fits", change_it=second or (lambda hdus: None))
    assert loaded(connection, folder)[0] == ["a.fits"]
    assert loaded(connection, folder)[2] == 0
    first.unlink()
    assert loaded(connection, folder) == (["b.fits"], [], 1)
    assert not verify(connection, n_sample=2)
    put(folder, "a.fits", change_it=lambda hdus: None)  # back again: it has the spectrum, as in a new catalogue
    assert loaded(connection, folder)[0] == ["a.fits"]
    assert one(connection, "select count(*) from flux_red") == one(connection, "select count(*) from spectrum") == 1
    put(folder, "a.fits", index=3, change_it=lambda hdus: None)  # now with another spectrum
    assert loaded(connection, folder)[:2] == (["a.fits", "b.fits"], [])


def test_a_spectrum_has_the_flux_of_the_file_that_it_is_from(connection, folder):
    """Though another file of the same batch, rejected for want of S/N, holds a spectrum of that number."""

    def bare_and_other(hdus):
        bare(hdus)
        hdus["COADD_R"].data["FLUX"][::2] *= 1.02

    put(folder, "b.fits.gz")
    loaded(connection, folder)
    alone = one(connection, "select md5(flux::varchar) from flux_red")
    forget(connection, [str(folder / "spectra" / "b.fits.gz")])
    put(folder, "a.fits", change_it=bare_and_other)
    assert loaded(connection, folder) == (["b.fits.gz"], ["a.fits"], 2)
    assert one(connection, "select md5(flux::varchar) from flux_red") == alone


# --------------------------------------------------------------------------------------------- 10: the last stages


def test_a_snapshot_that_was_not_written_is_made_up_for(folder, monkeypatch, capsys):
    put(folder, "a.fits.gz")
    catalogue, snapshot = folder / "c.duckdb", folder / "c.sqlite"
    configuration = pipeline.Configuration(new_catalogue(catalogue), [folder / "spectra"], publish=snapshot, workers=1)

    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("becat.snapshot.publish_snapshot", killed)
    with pytest.raises(KeyboardInterrupt):
        pipeline.run_pipeline(configuration)
    monkeypatch.undo()
    with closing(sqlite3.connect(snapshot)) as older:
        older.execute("create table view_definition (name text)")
    pipeline.run_pipeline(configuration)
    assert "publish:" in capsys.readouterr().out
    with open_catalogue(catalogue) as connection:
        assert is_published(connection, snapshot)
        change(connection, {"be_probability_min": 0.9})
        assert not is_published(connection, snapshot)
    publish_snapshot(catalogue, snapshot)
    pipeline.run_pipeline(configuration)
    assert "nothing is new or stale" in capsys.readouterr().out


def test_the_last_stages_are_done_whatever_stopped_the_run_before(folder, monkeypatch, capsys):
    put(folder, "a.fits.gz")
    configuration = pipeline.Configuration(
        new_catalogue(folder / "c.duckdb"), [folder / "spectra"], workers=1, score_all=True
    )

    def killed(*_, **__):
        raise KeyboardInterrupt

    for stage in ("etl.load.release.apply_release_entries", "etl.match.gather.gather_stars", "etl.measure.measure_spectra",
                  "etl.score.score_spectra", "etl.archives.stage.match_archives"):  # fmt: skip
        monkeypatch.setattr(f"becat.{stage}", killed)
        with pytest.raises(KeyboardInterrupt):
            pipeline.run_pipeline(configuration)
        monkeypatch.undo()
    pipeline.run_pipeline(configuration)
    with open_catalogue(folder / "c.duckdb", read_only=True) as connection:
        for table in ("spectrum", "star", "line_measurement", "current_score"):
            assert one(connection, f"select count(*) from {table}") == 1


# --------------------------------------------------------------------------------------- 11: what was withdrawn or changed


def test_values_that_a_release_withdraws_leave_the_spectra(connection, folder):
    put(folder, "a.fits.gz")
    assert loaded(connection, folder)[0] == ["a.fits.gz"]
    own = connection.execute("select snr_b, snr_r, snr_source, teff_k from spectrum").fetchone()
    general = folder / "dr9.csv"

    def now():
        load_release_catalogues(connection, [general])
        apply_release_entries(connection)
        return connection.execute("select snr_b, snr_r, snr_source, teff_k from spectrum").fetchone()

    general.write_text(GENERAL)
    assert now() == (61.5, 99.5, "catalogue", 12000)
    general.write_text(GENERAL.replace("12000", "-9999"))
    assert now() == (61.5, 99.5, "catalogue", None)
    general.write_text(GENERAL.splitlines()[0] + "\n1|0|R|1|50|8000\n1|0|B|1|50|8000\n")  # its rows are gone
    assert now() == own


def test_of_two_releases_the_later_name_counts_whatever_came_last(connection, folder):
    put(folder, "a.fits.gz")
    loaded(connection, folder)
    for name, teff in (("dr10.csv", "10000"), ("dr9.csv", "9000")):
        (folder / name).write_text(GENERAL.replace("12000", teff))
        load_release_catalogues(connection, [folder / name])
    apply_release_entries(connection)
    assert one(connection, "select teff_k from spectrum") == 10000


def test_what_the_configuration_names_no_more_is_taken_out(folder, capsys):
    header = fits.getheader(put(folder, "a.fits.gz"))
    (folder / "general.csv").write_text(GENERAL)
    (folder / "other.csv").write_text(GENERAL.replace("12000", "11000"))
    (folder / "tmass.csv").write_text(TMASS.format(header["RA"], header["DEC"]))
    whole = dict(
        catalog=new_catalogue(folder / "c.duckdb"),
        spectra=[folder / "spectra"],
        release_catalogues=[folder / "general.csv"],
        archives={"tmass": folder / "tmass.csv"},
        workers=1,
    )
    with open_catalogue(folder / "c.duckdb") as connection:  # by hand: no configuration has named it
        load_release_catalogues(connection, [folder / "other.csv"])
    pipeline.run_pipeline(pipeline.Configuration(**whole))
    with open_catalogue(folder / "c.duckdb", read_only=True) as connection:
        assert one(connection, "select k_mag from photometry") == 9.5
    pipeline.run_pipeline(pipeline.Configuration(**whole | {"release_catalogues": [], "archives": {}}))
    assert "no longer names it: tmass" in capsys.readouterr().out
    with open_catalogue(folder / "c.duckdb", read_only=True) as connection:
        assert one(connection, "select teff_k from spectrum") == 11000
        assert one(connection, "select count(*) from photometry") == 0
        assert connection.execute("select file from release_entry").fetchall() == [(str(folder / "other.csv"),)]


TMASS = "2MASS,RAJ2000,DEJ2000,Jmag,e_Jmag,Hmag,e_Hmag,Kmag,e_Kmag,Qflg\n1,{},{},10,.1,9.8,.1,9.5,.1,AAA\n"


def test_an_archive_that_is_withdrawn_takes_its_matches_with_it(connection, folder):
    connection.execute(
        "insert into spectrum (spectrum_id, survey, ra_deg, dec_deg, is_simulated, file, coadd, has_blue)"
        " values (1, 'LAMOST MRS', 10, 20, false, 'f', true, true)"
    )
    gather_stars(connection)
    table = folder / "tmass.csv"
    table.write_text(TMASS.format(10, 20))
    ingest_file(connection, "tmass", table)
    assert match_archives(connection)["photometry"] == 1
    withdraw_archives(connection, ["tmass"])
    assert match_archives(connection)["photometry"] == 1
    for name in ("photometry", "archive.source", "archive.source_column"):
        assert one(connection, f"select count(*) from {name}") == 0
    assert match_archives(connection) == {}
    assert ingest_file(connection, "tmass", table) == 1  # and comes back
    assert match_archives(connection)["photometry"] == 1


def test_constants_of_a_kinematic_model_that_change_are_applied(connection):
    connection.execute("insert into star (star_id, ra_deg, dec_deg, is_simulated) values (1, 100, 20, false)")
    connection.execute(
        "insert into astrometry (star_id, ra_deg, dec_deg, pmra_mas_yr, pmdec_mas_yr, parallax_mas, e_pmra_mas_yr,"
        " e_pmdec_mas_yr, e_parallax_mas, run_id) values (1, 100, 20, 3, 4, 1, .1, .1, .1, 0)"
    )
    assert compute_kinematics(connection) > 0
    assert compute_kinematics(connection) == 0
    before = one(connection, "select v_tp_km_s from kinematics where kinematic_model = 'wang_2022'")
    connection.execute("update kinematic_model set u_sun_km_s = u_sun_km_s + 5 where kinematic_model = 'wang_2022'")
    assert compute_kinematics(connection) > 0
    assert one(connection, "select v_tp_km_s from kinematics where kinematic_model = 'wang_2022'") != before


def test_positions_that_are_withdrawn_leave_the_spectra(connection, folder):
    put(folder, "a.fits.gz")
    loaded(connection, folder)
    own = connection.execute("select designation, ra_deg, quality from spectrum").fetchone()
    table = folder / "spectra" / "positions.csv"
    table.write_text("file,name,ra,dec\na.fits.gz,mine,10,20\n")
    assert (take_sidecars(connection), give_positions(connection)) == (1, 1)
    assert connection.execute("select designation, ra_deg from spectrum").fetchone() == ("mine", 10)
    table.unlink()
    assert (take_sidecars(connection), give_positions(connection)) == (1, 1)
    assert connection.execute("select designation, ra_deg, quality from spectrum").fetchone() == own


def test_of_two_tables_of_positions_the_named_one_counts_every_time(connection, folder):
    put(folder, "a.fits.gz")
    loaded(connection, folder)
    (folder / "spectra" / "positions.csv").write_text("file,ra,dec\na.fits.gz,10,20\n")
    (folder / "mine.csv").write_text("file,ra,dec\na.fits.gz,30,40\n")
    assert take_sidecars(connection, [folder / "mine.csv"]) == 1
    assert take_sidecars(connection, [folder / "mine.csv"]) == 0
    give_positions(connection)
    assert one(connection, "select ra_deg from spectrum") == 30


# ------------------------------------------------------------------------------------------------- 12: removed and renamed


def test_a_file_that_is_gone_is_missing_until_it_is_forgotten_or_back(connection, folder):
    path = put(folder, "a.fits.gz")
    put(folder, "b.fits.gz", index=3)
    loaded(connection, folder)
    content = path.read_bytes()
    path.unlink()
    assert loaded(connection, folder) == (["a.fits.gz", "b.fits.gz"], [], 0)
    assert missing_words(connection).startswith("1 spectrum is of 1 file that is no longer there")
    path.write_bytes(content)
    assert loaded(connection, folder)[0] == ["a.fits.gz", "b.fits.gz"] and not missing_words(connection)
    path.unlink()
    loaded(connection, folder)
    found = chosen(connection, [], missing=True)
    assert [(one.file, one.status) for one in found] == [(str(path), "missing")]
    assert forget(connection, [one.file for one in found]) == 1
    assert loaded(connection, folder) == (["b.fits.gz"], [], 0)
    for table in ("spectrum", "spectrum_as_read", "flux_red", "flux_blue", "star"):
        assert one(connection, f"select count(*) from {table}") == 1
    assert not verify(connection)


def test_a_rejected_file_that_is_gone_leaves_no_trace(connection, folder):
    path = put(folder, "a.fits.gz")
    path.write_bytes(path.read_bytes()[:1000])
    assert loaded(connection, folder) == ([], ["a.fits.gz"], 1)
    path.unlink()
    assert loaded(connection, folder) == ([], [], 0)
    assert one(connection, "select count(*) from input_file") == 0


def test_a_file_or_its_folder_that_is_renamed_is_the_same(connection, folder):
    path = put(folder, "a.fits.gz")
    loaded(connection, folder)
    path.rename(path.with_name("z.fits.gz"))
    assert loaded(connection, folder) == (["z.fits.gz"], [], 1)
    assert not missing_words(connection) and not verify(connection)
    (folder / "spectra").rename(folder / "moved")
    assert load_spectra(connection, [folder / "moved"], workers=1)["missing"] == 0
    gather_stars(connection)
    assert not missing_words(connection) and not verify(connection)
    assert connection.execute("select file from input_file").fetchall() == [(str(folder / "moved" / "z.fits.gz"),)]


def test_forget_says_what_it_does_and_asks(folder):
    path = put(folder, "a.fits.gz")
    catalogue = new_catalogue(folder / "c.duckdb")
    with open_catalogue(catalogue) as connection:
        loaded(connection, folder)
    asked = becat("forget", folder / "spectra", "-c", catalogue, check=1)  # nobody answers
    assert f"{path}: spectra, 1 row, loaded" in asked.stdout and "remove 1 file from" in asked.stdout
    assert "1 file and 1 spectrum removed; 0 stars" in becat("forget", path, "--yes", "-c", catalogue).stdout
    assert "has no file" in becat("forget", path, "--yes", "-c", catalogue, check=1).stderr
