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


def test_numbers_too_large_to_keep_are_named(tmp_path):
    """The whole load ended with an error of DuckDB, and a far minute would be that of a coadd."""
    rows = [
        "9,82000000,0,30,R,9000",
        "8,82000000,0,1e39,R,9000",
        "7,82000000,0,30,R,1e50",
        "6,1e30,0,30,R,9000",
        "1e30,82000000,0,30,R,9000",
    ]
    (tmp_path / "c.csv").write_text("\n".join(["obsid,lmjm,coadd,snr,band,teff_lasp", *rows]))
    table, rejected = read(tmp_path / "c.csv")
    assert list(table.index) == [(9, 82000000)]
    assert [r.reason.split(":")[0] for r in sorted(rejected, key=lambda r: r.detail)] == [
        "snr is too large",
        "teff_lasp is too large",
        "lmjm is too large",
        "obsid is not a positive whole number",
    ]


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


GENERAL = pd.DataFrame(
    {
        "obsid": [5, 6, 7, 8],
        "lmjm": [85952098] * 4,
        "band": ["R"] * 4,
        "coadd": [0] * 4,
        "snr": [30.0] * 4,
        "rv_b0": [544.0, 20.0, 30.0, -9999.0],
        "rv_b0_err": [3.0, 1.0, 1.0, -9999.0],
        "rv_b_flag": [2, 0, 1, -9999],
        "rv_r0": [-5.6, 21.0, 31.0, -9999.0],
        "rv_r0_err": [3.2, 2.0, 2.0, -9999.0],
        "rv_r_flag": [0, 0, 3, -9999],
        "rv_r1": [-4.6, 21.5, 31.5, -9999.0],
        "rv_br0": [491.0, 22.0, 32.0, -9999.0],
        "rv_br0_err": [2.3, 3.0, 3.0, -9999.0],
        "rv_br_flag": [2, 0, 1, -9999],
        "rv_br1": [492.0, 22.5, 32.5, -9999.0],
        "rv_lasp0": [-3.3, 23.0, -9999.0, -9999.0],
        "rv_ku0": [-3.0, -3.0, -3.0, 7.5],
        "rv_ku1": [-2.0, -2.0, -9999.0, 8.5],
        "vsini_lasp": [120.0, -9999.0, -9999.0, -9999.0],
        "vsini_lasp_err": [5.0, -9999.0, -9999.0, -9999.0],
        "gaia_source_id": ["1559583684097592704", "", "1.559583684097592e+18", "-9999"],
        "fibermask": [0, 1, 0, 0],
        "bad_b": [0, 0, 3, 0],
        "bad_r": [0, 0, 0, 2],
        "moon_angle": [82.7, 12.5, 81.7, -9999.0],
        "moon_flg": [0, 1, 0, 0],
    }
)


def test_a_flagged_velocity_is_not_taken_and_the_next_trusted_one_is(tmp_path):
    table, _ = read(write(tmp_path / "general.csv", GENERAL))
    found = table.droplevel("lmjm")
    assert found.rv_km_s.tolist() == pytest.approx([-5.6, 22.0, -3.0, 7.5])
    assert found.e_rv_km_s.tolist() == pytest.approx([3.2, 3.0, np.nan, np.nan], nan_ok=True)
    # With the zero point of its spectrograph: the number of the same kind, or none.
    assert found.rv_corrected_km_s.tolist() == pytest.approx([-4.6, 22.5, np.nan, 8.5], nan_ok=True)


def test_the_corrected_velocity_is_of_the_row_whose_velocity_is_taken(tmp_path):
    """The bands of a spectrum need not agree: nothing of one row stands beside a velocity of the other."""
    frame = pd.DataFrame(
        {
            "obsid": [7, 7],
            "lmjm": [83000000] * 2,
            "coadd": [1, 1],
            "band": ["B", "R"],
            "snr": [50.0, 60.0],
            "rv_br0": [10.0, 12.0],
            "rv_br1": [-9999.0, 13.0],
        }
    )
    table, _ = read(write(tmp_path / "general.csv", frame))
    assert table.rv_km_s.tolist() == [10.0] and table.rv_corrected_km_s.isna().all()


@pytest.mark.parametrize("name", ["general.csv", "general.fits"])
def test_what_the_release_says_of_star_fibre_and_moon(tmp_path, name):
    if name.endswith("csv"):
        write(tmp_path / name, GENERAL)
    else:
        Table.from_pandas(GENERAL).write(tmp_path / name)
    batches = list(read_catalogue(tmp_path / name))
    rows = batches[0].table.to_pylist()
    assert [row["gaia_source_id"] for row in rows] == [
        1559583684097592704,
        None,
        None,
        None,
    ]  # bit for bit, or not at all
    assert [row["fibermask"] for row in rows] == [0, 1, 0, 0]
    assert [row["bad_b"] for row in rows] == [0, 0, 3, 0]
    assert [row["bad_r"] for row in rows] == [0, 0, 0, 2]
    assert [row["moon_flag"] for row in rows] == [0, 1, 0, 0]
    assert [row["moon_angle_deg"] for row in rows] == pytest.approx([82.7, 12.5, 81.7, None])
    assert (rows[0]["vsini_km_s"], rows[0]["e_vsini_km_s"], rows[1]["vsini_km_s"]) == (120.0, 5.0, None)
    assert {row["survey"] for row in rows} == {"LAMOST MRS"}
    assert any("gaia_source_id is not a whole number" in r.reason for r in batches[0].rejected)


def test_the_redshift_serves_stars_that_have_no_other_velocity(tmp_path):
    frame = pd.DataFrame(
        {
            "obsid": [1, 2, 3, 4],
            "snrr": [20.0] * 4,
            "class": ["STAR", "STAR", "GALAXY", "STAR"],
            "z": [1e-4, 2e-4, 0.05, -9999.0],
            "z_err": [1e-5, 1e-5, 1e-4, -9999.0],
            "rv": [-9999.0, 12.0, -9999.0, -9999.0],
        }
    )
    table, _ = read(write(tmp_path / "lrs.csv", frame, ","))
    assert table.rv_km_s.tolist() == pytest.approx([29.9792458, 12.0, np.nan, np.nan], nan_ok=True)
    assert table.e_rv_km_s.iloc[0] == pytest.approx(2.99792458)
    assert set(table.survey) == {"LAMOST LRS"}


def test_tables_of_the_field(real_data):
    folder = real_data / "field/tables"
    general = read(folder / "dr10_mrs_general.csv")[0].droplevel("obsid")
    assert general.rv_km_s.to_dict() == pytest.approx({85952098: -5.58, 85952252: -10.54})
    assert general.gaia_source_id.tolist() == [1559583684097592704] * 2
    prefixed = read(folder / "cone_mrs_dr8_prefixed.csv")[0].loc[(635003103, 0)]
    assert (prefixed.snr_b, prefixed.snr_r) == (16, np.float32(37.99))
    some = read(folder / "med_catalogue_dr8.txt")[0].loc[635003103]
    assert some.rv_km_s.to_dict() == pytest.approx({0: -1.08, 83727522: -3.97, 83727570: 3.67})
    assert read(folder / "med_stellar_dr8.txt")[0].loc[(635003103, 0)].teff_k == np.float32(3436.29)
    assert read(folder / "early_mrs_stellar.txt")[0].loc[(635003103, 0)].teff_k == np.float32(3436.29)
    with pytest.raises(Rejected, match="give the general catalogue"):
        read(folder / "dr10_MRS_mec.csv")
