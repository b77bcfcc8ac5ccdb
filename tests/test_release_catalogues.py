"""LAMOST's own catalogues: every spelling and container gives the same rows, and bad ones are named."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest
from astropy.table import Table

from becat.etl.catalogue.errors import Rejected
from becat.etl.load.release_files import COLUMNS, read_catalogue

# Columns as in the MRS general and stellar-parameter catalogues of DR7 to DR10.
ROWS = pd.DataFrame(
    {
        "mobsid": ["a", "b", "c", "d", "e"],
        "obsid": [690611073, 690611073, 690611073, 690611073, 690606029],
        "lmjm": [84153340, 84153340, 84153340, 84153340, 84153340],
        "band": ["B", "R", "B", "R", "R"],
        "coadd": [1, 1, 0, 0, 1],
        "snr": [20.2, 52.96, 10.35, 29.73, 2.01],
        "teff_lasp": [12000.0, -9999.0, -9999.0, -9999.0, -9999.0],
        "teff_lasp_err": [150.0, -9999.0, -9999.0, -9999.0, -9999.0],
        "logg_lasp": [3.9, -9999.0, -9999.0, -9999.0, -9999.0],
        "feh_lasp": [-0.2, -9999.0, -9999.0, -9999.0, -9999.0],
        "rv_b0": [-31.5, -9999.0, -9999.0, -9999.0, -9999.0],
        "rv_b0_err": [1.5, -9999.0, -9999.0, -9999.0, -9999.0],
        "rv_r0": [-9999.0, -30.0, -9999.0, -9999.0, -9999.0],
        "rv_r0_err": [-9999.0, 2.0, -9999.0, -9999.0, -9999.0],
    }
)


def read(path, **options):
    batches = list(read_catalogue(path, **options))
    table = pd.concat([b.table.to_pandas() for b in batches], ignore_index=True)
    return table.set_index(["obsid", "lmjm"]), [r for b in batches for r in b.rejected]


def write(path, frame, separator="|", mark=""):
    text = mark + frame.to_csv(index=False, sep=separator)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def check(table):
    assert list(table.reset_index().columns) == list(COLUMNS)
    coadd = table.loc[(690611073, 0)]
    assert coadd.snr_b == np.float32(20.2)
    assert coadd.snr_r == np.float32(52.96)
    assert (coadd.teff_k, coadd.e_teff_k) == (12000, 150)
    assert coadd.rv_km_s == np.float32(-31.5), "the blue arm's value where the two differ"
    assert coadd.e_rv_km_s == np.float32(1.5)
    single = table.loc[(690611073, 84153340)]
    assert (single.snr_b, single.snr_r) == (np.float32(10.35), np.float32(29.73))
    assert np.isnan(single.teff_k), "-9999 is no value"
    assert np.isnan(table.loc[(690606029, 0)].snr_b)
    assert len(table) == 3


@pytest.mark.parametrize("separator", ["|", ","])
@pytest.mark.parametrize("name", ["catalogue.csv", "catalogue.csv.gz", "my catalogue é.txt"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_text_of_every_kind_gives_the_same_rows(tmp_path, separator, name, mark):
    table, rejected = read(write(tmp_path / name, ROWS, separator, mark))
    check(table)
    assert rejected == []


@pytest.mark.parametrize("name", ["catalogue.fits", "catalogue.fits.gz"])
def test_fits_gives_the_same_rows(tmp_path, name):
    Table.from_pandas(ROWS).write(tmp_path / name)
    table, rejected = read(tmp_path / name)
    check(table)
    assert rejected == []


def test_small_slices_bring_the_bands_of_a_spectrum_together(tmp_path):
    shuffled = ROWS.iloc[[3, 0, 4, 2, 1]]
    table, _ = read(write(tmp_path / "c.csv", shuffled), rows_a_batch=1)
    check(table)


def test_low_resolution_catalogue(tmp_path):
    frame = pd.DataFrame(
        {"obsid": [101001], "snrg": [12.2], "snrr": [27.2], "teff": [9100.0], "teff_err": [80.0], "rv": [-4.0]}
    )
    table, rejected = read(write(tmp_path / "lrs.csv", frame))
    row = table.loc[(101001, 0)]
    assert (row.snr_b, row.snr_r, row.teff_k, row.rv_km_s) == (np.float32(12.2), np.float32(27.2), 9100, -4)
    assert rejected == []


@pytest.mark.parametrize(
    ("spelt", "missing"),
    [
        ("obs_id", "obsid"),
        ("bnd", "band"),
        ("s_n_r", "snr"),
        ("lmjn", "lmjm"),
        ("co_add", "coadd"),
        ("teff_laps", "teff_lasp"),
    ],
)
def test_a_misspelt_column_is_named_with_the_nearest(tmp_path, spelt, missing):
    with pytest.raises(Rejected, match=f"column {missing} is missing; the nearest is '{spelt}'"):
        read(write(tmp_path / "c.csv", ROWS.rename(columns={missing: spelt})))


def test_bad_rows_are_named_and_the_rest_goes_on(tmp_path):
    lines = ROWS.to_csv(index=False, sep="|").splitlines()
    lines[3] = lines[3].replace("690611073", "x690611073")
    lines[4] = lines[4].replace("|R|", "|G|")
    lines.insert(5, "too|short")
    lines[6] = lines[6].replace("|2.01|", "||")
    (tmp_path / "c.csv").write_text("\n".join(lines))
    table, rejected = read(tmp_path / "c.csv")
    assert list(table.index) == [(690606029, 0), (690611073, 0)]
    assert np.isnan(table.loc[(690606029, 0)].snr_r), "an empty cell is NULL"
    reasons = sorted(r.reason for r in rejected)
    assert sorted(r.detail for r in rejected) == ["row 3", "row 4", "row 5", "row 6"], "as counted in the file"
    assert any("obsid is not a number" in r for r in reasons)
    assert any("band is neither" in r for r in reasons)
    assert any("2 cells, the header 14" in r for r in reasons)
    assert any("snr is empty" in r for r in reasons)


def test_many_bad_rows_are_counted_not_listed(tmp_path):
    bad = pd.concat([ROWS.assign(band="X")] * 400)
    _, rejected = read(write(tmp_path / "c.csv", pd.concat([ROWS, bad])))
    assert len(rejected) == 1001
    assert "1000 more rows" in rejected[-1].reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\xff\xfe\x00\x01binary\xff\n", "neither text nor FITS"),
        (b"hello,world\n1,2\n", "column obsid is missing"),
        (b"obsid,ra\n1,2\n", "snrr is missing"),
        (b"obsid|obsid|snrr\n1|2|3\n", "there twice"),
        (b"SIMPLE  =                    T" + b" " * 50, "cannot be read"),
        (gzip.compress(b"obsid,snrr\n1,2\n" * 1000, mtime=0)[:-20], "gzip is damaged"),
        (gzip.compress(b"obsid,snrr\n1,2\n" * 1000, mtime=0)[:-8] + b"\0" * 8, "gzip is damaged"),
    ],
)
def test_a_bad_catalogue_is_rejected_with_a_reason(tmp_path, content, reason):
    (tmp_path / "c").write_bytes(content)
    with pytest.raises(Rejected, match=reason):
        read(tmp_path / "c")


def test_a_catalogue_of_no_rows(tmp_path):
    assert list(read_catalogue(write(tmp_path / "c.csv", ROWS[:0]))) == []
    with pytest.raises(Rejected, match="cannot be opened"):
        list(read_catalogue(tmp_path / "absent.csv"))
