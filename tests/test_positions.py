"""Spectra without a position are told of, and are given one: by a table beside them, by SIMBAD, or by `becat alias`."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits

from becat.etl.catalogue.connection import open_catalogue
from becat.etl.load.load import load_spectra
from becat.etl.load.positions import count_without_position, give_positions, resolve_names, take_sidecars
from becat.etl.match.gather import gather_stars, link_names
from becat.schema.errors import BecatError
from becat.schema.quality import Quality
from tests.tools.pipeline_tools import becat, new_catalogue
from tests.tools.servers.archive_server import ArchiveServer

GRID_A = np.arange(6400.0, 6700.0, 0.25)


def spectrum(path, seed, **cards):
    noise = 0.01 * np.random.default_rng(seed).normal(size=GRID_A.size)
    hdu = fits.PrimaryHDU((1 + 2 * np.exp(-0.5 * ((GRID_A - 6562.8) / 4) ** 2) + noise).astype("f4"))
    hdu.header.update(CRVAL1=GRID_A[0], CDELT1=0.25, CRPIX1=1.0, CUNIT1="Angstrom", **cards)
    hdu.writeto(path, overwrite=True)


@pytest.fixture
def folder(tmp_path):
    spectrum(tmp_path / "a.fits", 1, OBJECT="gam Cas")
    spectrum(tmp_path / "b.fits", 2, OBJECT="HD 5394", RA=14.18, DEC=60.718)
    spectrum(tmp_path / "c.fits", 3)
    return tmp_path


def loaded(folder):
    with open_catalogue(new_catalogue(folder / "c.duckdb")) as connection:
        load_spectra(connection, [folder], workers=1)
        gather_stars(connection)
    return folder / "c.duckdb"


def rows(connection):
    """Name, right ascension and star of each file."""
    found = connection.execute("select file, designation, ra_deg, star_id, quality from spectrum").fetchall()
    return {file.rsplit("/", 1)[1][0]: row for file, *row in found}


def test_loading_tells_of_spectra_without_a_position(folder):
    path = new_catalogue(folder / "c.duckdb")
    (folder / "text.dat").write_text("a spectrum, perhaps")
    words = becat("load", folder, "-c", path, "--workers", 1).stdout
    assert "1 text file that may be a spectrum was skipped: to load one, name it" in words
    assert "2 spectra have no position and belong to no star" in words


def test_a_table_beside_the_files_gives_names_and_positions(folder):
    (folder / "positions.csv").write_text(
        "file,name,ra,dec\na.fits,,14.177,60.7167\nc.fits,my star,05 25 07.9,+01 50 47\n"
    )
    with open_catalogue(loaded(folder)) as connection:
        assert take_sidecars(connection) == 2
        assert give_positions(connection) == 2
        gather_stars(connection)
        found = rows(connection)
        assert found["a"][:2] == ["gam Cas", 14.177]
        assert found["c"][0] == "my star"
        assert found["c"][1] == pytest.approx(81.28292, abs=1e-4)
        assert not (found["a"][3] | found["c"][3]) & Quality.NO_POSITION
        assert (
            found["a"][2] == found["b"][2] != found["c"][2]
        )  # 7 arcsec apart: within the radius of other observatories
        assert count_without_position(connection) == 0
        assert (take_sidecars(connection), give_positions(connection)) == (0, 0)
        spectrum(folder / "a.fits", 4, OBJECT="gam Cas")  # read again, it keeps what it was given
        load_spectra(connection, [folder], workers=1)
        take_sidecars(connection)
        assert give_positions(connection) == 1
        assert rows(connection)["a"][1] == 14.177


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,name,ra,dec\na.fits,x,400,20\n", "not a position on the sky"),
        ("file,name,ra,dec\na.fits,x,here,there\n", "in degrees or sexagesimal"),
        ("spectrum,ra,dec\na.fits,1,2\n", "needs a column file"),
        ("file,colour\na.fits,blue\n", "needs a column file"),
    ],
)
def test_a_table_that_cannot_be_understood_is_refused(folder, text, words):
    (folder / "mine.csv").write_text(text)
    with open_catalogue(loaded(folder)) as connection, pytest.raises(BecatError, match=words):
        take_sidecars(connection, [folder / "mine.csv"])


def test_names_are_resolved_once_and_kept(folder):
    ident = pd.DataFrame({"id": ["gam Cas"], "main_id": ["* gam Cas"], "ra": [14.1772], "dec": [60.7167]})
    server = ArchiveServer({"ident": ident})
    try:
        spectrum(folder / "d.fits", 5, OBJECT="Nobody's Star")
        with open_catalogue(loaded(folder)) as connection:
            assert resolve_names(connection, server.servers) == 1
            assert server.asked == {"simbad_tap": 2}
            give_positions(connection)
            gather_stars(connection)
            assert rows(connection)["a"][1] == 14.1772
            assert rows(connection)["d"][1] is None
            assert resolve_names(connection, server.servers) == 0
            assert server.asked == {"simbad_tap": 2}  # an unknown name is not asked for again
            assert connection.execute("select main_id from resolved_name order by 1").fetchall() == [
                ("* gam Cas",),
                (None,),
            ]
    finally:
        server.close()


def test_a_resolver_that_cannot_be_reached_stops_nothing(folder):
    told = []
    with open_catalogue(loaded(folder)) as connection:
        assert resolve_names(connection, {"simbad_tap": "http://127.0.0.1:9/sim-tap"}, told.append) == 0
    assert len(told) == 1
    assert "SIMBAD could not be asked for 1 name" in told[0]


def test_names_of_one_star(folder):
    spectrum(folder / "d.fits", 6, OBJECT="27 Cas", RA=15.0, DEC=61.0)
    path = loaded(folder)
    words = becat("alias", "HD 5394", "gam cas", "27 Cas", "-c", path).stdout
    assert "2 spectra now belong to star" in words
    with open_catalogue(path) as connection:
        found = rows(connection)
        assert found["a"][2] == found["b"][2] == found["d"][2]
        aliases = {name for (name,) in connection.execute("select designation from star_alias").fetchall()}
        assert aliases == {"gam Cas", "HD 5394", "27 Cas"}
        for name in ("a", "b", "d"):  # all are read again: they find each other again
            spectrum(folder / f"{name}.fits", 10 + ord(name), OBJECT=found[name][0],
                     **({"RA": found[name][1], "DEC": 60.718} if found[name][1] else {}))  # fmt: skip
        load_spectra(connection, [folder], workers=1)
        gather_stars(connection)
        again = rows(connection)
        assert again["a"][2] == again["b"][2] == again["d"][2] == found["b"][2]
        with pytest.raises(BecatError, match="no spectrum is called"):
            link_names(connection, found["b"][2], ["alf Cas"])
    assert (
        "has no position and belongs to no star"
        in becat("alias", found["a"][0], "27 Cas", "-c", loaded_without(folder), check=1).stderr
    )


def loaded_without(folder):
    """A catalogue of the spectra that have no position."""
    path = new_catalogue(folder / "nowhere.duckdb")
    with open_catalogue(path) as connection:
        load_spectra(connection, [folder / "a.fits"], workers=1)
    return path


def test_each_survey_has_its_radius(tmp_path):
    """A position of another observatory joins LAMOST's star 10 arcsec off; LAMOST's own stars 10 arcsec apart stay two."""
    with open_catalogue(new_catalogue(tmp_path / "c.duckdb")) as connection:
        places = [(1, "LAMOST MRS", 50.0), (2, "LAMOST LRS", 50.0 + 10 / 3600), (3, "other", 50.0 - 10 / 3600),
                  (4, "other", 50.0 + 60 / 3600)]  # fmt: skip
        connection.executemany(
            "insert into spectrum (spectrum_id, survey, ra_deg, dec_deg, is_simulated, file, coadd, has_blue)"
            " values (?, ?, ?, 0, false, 'f', true, true)",
            places,
        )
        assert gather_stars(connection) == 3
        star = dict(connection.execute("select spectrum_id, star_id from spectrum").fetchall())
        assert star[1] == star[3] != star[2]
        assert star[4] not in (star[1], star[2])


def test_an_observation_in_another_wrapping_is_not_loaded_twice(folder):
    header = {"OBJECT": "the same", "RA": 10.0, "DEC": 20.0}
    spectrum(folder / "copy.fits", 1, **header)
    with open_catalogue(new_catalogue(folder / "c.duckdb")) as connection:
        counts = load_spectra(connection, [folder], workers=1)
        assert (counts["loaded"], counts["copies"], counts["rejected"]) == (3, 1, 0)
        spectrum(folder / "later.fits", 2, **header)
        counts = load_spectra(connection, [folder], workers=1)
        assert (counts["loaded"], counts["copies"]) == (0, 1)
        (folder / "b.fits").unlink()
        spectrum(folder / "third.fits", 2, OBJECT="again", RA=10.0, DEC=20.0)
        assert load_spectra(connection, [folder], workers=1)["loaded"] == 1  # its first file has gone
