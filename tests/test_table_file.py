"""`becat export stars`: what other programs read is what the catalogue has, with units, and nothing where there is nothing."""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.table import Table
from pyarrow import parquet

from tests.tools.pipeline_tools import becat, new_catalogue

ROWS = [
    (2**62, "J0, \"Schön\" 'α'", 359.99999999999994, -89.5, None, 3),
    (-7, None, None, None, True, None),
    (1, "", 10.0, 20.0, False, 0),
]


@pytest.fixture
def catalogue(tmp_path):
    path = new_catalogue(tmp_path / "c.duckdb")
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "create table mine (star_id bigint, designation text, ra_deg double, dec_deg double, is_simulated boolean,"
            " n_spectra integer)"
        )
        connection.executemany("insert into mine values (?, ?, ?, ?, ?, ?)", ROWS)
    return path


def exported(catalogue, ending):
    path = catalogue.with_name(f"mine's stars.{ending}")
    assert "3 rows of mine" in becat("export", "stars", "mine", "--to", path, "-c", catalogue).stdout
    assert [file.name for file in catalogue.parent.glob(".*")] == []
    return path


def test_parquet_keeps_everything(catalogue):
    path = exported(catalogue, "parquet")
    assert [tuple(row.values()) for row in parquet.read_table(path).to_pylist()] == ROWS
    note = parquet.read_schema(path).field("ra_deg").metadata
    assert note[b"unit"] == b"deg" and note[b"ucd"].startswith(b"pos.eq.ra") and note[b"description"]


def test_csv_has_an_empty_cell_for_null(catalogue):
    path = exported(catalogue, "csv")
    assert path.read_text(encoding="utf-8").splitlines()[2] == "-7,,,,true,"
    frame = pd.read_csv(path, dtype={"n_spectra": "Int64", "is_simulated": "boolean"})
    assert frame.star_id.tolist() == [2**62, -7, 1] and frame.designation[0] == ROWS[0][1]
    assert frame.ra_deg[0] == ROWS[0][2] and frame.n_spectra.tolist() == [3, pd.NA, 0]


@pytest.mark.parametrize("ending", ["fits", "vot"])
def test_astropy_reads_units_and_nulls(catalogue, ending):
    table = Table.read(exported(catalogue, ending))
    assert table["star_id"].tolist() == [2**62, -7, 1]
    assert table["ra_deg"].unit == "deg"
    assert np.asarray(table["ra_deg"])[0] == ROWS[0][2]
    assert np.ma.getmaskarray(table["n_spectra"]).tolist() == [False, True, False]
    assert np.ma.getmaskarray(table["is_simulated"]).tolist() == [True, False, False]
    missing = np.ma.getmaskarray(table["ra_deg"]) | np.isnan(np.ma.filled(table["ra_deg"], np.nan))
    assert missing.tolist() == [False, True, False]


def test_a_view_of_the_selection(catalogue, tmp_path):
    assert "0 rows" in becat("export", "stars", "classical_be", "--to", tmp_path / "be.fits", "-c", catalogue).stdout
    table = Table.read(tmp_path / "be.fits")
    assert len(table) == 0 and table["ew_halpha_a"].unit == "Angstrom"
    header = fits.getheader(tmp_path / "be.fits", 1)
    whole = "".join("".join(header["COMMENT"]).split())  # cards lose the blanks at their ends
    cut = [words for words in header["TCOMM*"].values() if words.endswith(" ...")]
    assert cut and all(":" + "".join(words.removesuffix("...").split()) in whole for words in cut)


@pytest.mark.parametrize(
    ("view", "name", "said"),
    [
        ("mine", "there.csv", "exists already"),
        ("mine", "mine.txt", ".parquet"),
        ("classical_bee", "new.csv", "did you mean classical_be"),
        ("flux_red", "new.fits", "only Parquet"),
        ("mine", "no/folder/new.csv", "no/folder"),
    ],
)
def test_wrong_words_write_nothing(catalogue, tmp_path, view, name, said):
    (tmp_path / "there.csv").write_text("mine")
    done = becat("export", "stars", view, "--to", tmp_path / name, "-c", catalogue, check=1)
    assert said in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "new.csv").exists() and (tmp_path / "there.csv").read_text() == "mine"
