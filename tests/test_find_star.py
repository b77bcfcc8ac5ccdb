"""Which star is meant: the same answers on the terminal (DuckDB) and on the site (SQLite)."""

import sqlite3

import duckdb
import pytest

from becat.publish.snapshot import write as snapshot
from becat.schema import build
from becat.schema.errors import BecatError
from becat.schema.find_star import questions, read_position
from becat.show import find_spectrum

STARS = {
    1: ("J032822.23+450756.0", 52.092625, 45.132222, "EM* AS 1", "235000000000000001"),
    2: ("J195021.60+463011.0", 297.59, 46.503056, "HD 236689", None),
    3: ("J195022.10+463012.0", 297.592083, 46.503333, "HD 2366891", None),
    -4: (None, 10.0, -20.0, "BD+60 1", None),
    5: ("J005642.53+604300.3", 14.177208, 60.716750, "* gam Cas", None),
    6: ("J000910.68+590859.2", 2.294522, 59.149781, "beta Cas", None),
    7: ("J071407.56-263920.0", 108.5315, -26.65556, "27 CMa", None),
}


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    path = tmp_path_factory.mktemp("stars") / "c.duckdb"
    build.create(path)
    with duckdb.connect(str(path)) as connection:
        for star, (designation, ra, dec, name, source) in STARS.items():
            connection.execute(
                "insert into star by name select ? as star_id, ? as designation, ? as ra_deg, ? as dec_deg,"
                " ?::bigint as source_id, false as is_simulated",
                [star, designation, ra, dec, source],
            )
            connection.execute(
                "insert into spectrum by name select ? as spectrum_id, ? as obsid, ? as star_id, ? as designation, 'LAMOST MRS' as"
                " survey, 'f' as file, false as is_simulated, true as coadd, true as has_blue, 50 as snr_r, 50 as snr_b",
                [100 + star, 700 + star, star, designation],
            )
            connection.execute(
                "insert into literature_match by name select ? as star_id, 'simbad' as catalogue_id, ? as object_name,"
                " 0.1 as separation_arcsec, 1 as match_rank, true as is_best, false as is_ambiguous",
                [star, name],
            )
    return path


@pytest.fixture(scope="module")
def ask(catalogue):
    """Finds stars in both: star_id of the best rows, which must be the same."""
    made = catalogue.with_name("c.sqlite")
    snapshot.write(catalogue, made)
    opened = {"duckdb": duckdb.connect(str(catalogue), read_only=True), "sqlite": sqlite3.connect(made)}

    def find(words):
        answers = []
        for dialect, connection in opened.items():
            for sql, parameters in questions(words, dialect, 10):
                rows = connection.execute(sql, parameters).fetchall()
                if rows:
                    answers.append([row[0] for row in rows])
                    break
            else:
                answers.append([])
        assert answers[0] == answers[1]
        return answers[0]

    yield find
    for connection in opened.values():
        connection.close()


@pytest.mark.parametrize(
    ("words", "stars"),
    [
        ("J032822.23+450756.0", [1]),
        ("lamost j032822.23+450756.0", [1]),
        ("hd236689", [2, 3]),  # the whole name first, then the longer one
        ("HD  2366891", [3]),
        ("236689", [2, 3]),
        ("AS 1", [1]),
        ("bd+60 1", [-4]),
        ("-4", [-4]),
        ("gam Cas", [5]),  # a Greek letter in every way that it is written
        ("GammaCas", [5]),
        ("γ Cas", [5]),
        ("* gam Cas", [5]),
        ("bet Cas", [6]),
        ("β cas", [6]),
        ("eta Cas", []),  # which ends "beta Cas"
        ("27 CMa", [7]),
        ("101", [1]),
        ("703", [3]),
        ("235000000000000001", [1]),
        ("297.5901 46.5031", [2, 3]),  # the nearest first
        ("19:50:21.6 +46:30:11", [2, 3]),
        ("J195021.59+463011.4", [2, 3]),
        ("100.0 10.0", []),
        ('"; drop table star', []),
        ("no such star", []),
    ],
)
def test_terminal_and_site_find_the_same_stars(ask, words, stars):
    assert ask(words) == stars


def test_the_terminal_names_the_stars_where_several_are_meant(catalogue):
    with duckdb.connect(str(catalogue), read_only=True) as connection:
        assert find_spectrum(connection, "HD 236689") == 102
        assert find_spectrum(connection, "101") == 101
        with pytest.raises(BecatError, match=r"several stars: J195021\.60.*J195022\.10"):
            find_spectrum(connection, "23668")
        with pytest.raises(BecatError, match="no star 'nobody' here"):
            find_spectrum(connection, "nobody")


@pytest.mark.parametrize("words", ["no position 5", "HD 5", "", "12", "99:99:99 +99:99:99"])
def test_what_is_no_position(words):
    assert read_position(words) is None
