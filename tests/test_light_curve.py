"""Light curves: each form with its times, what is left out and told, and what is refused."""

from __future__ import annotations

import gzip
import os

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.time import Time
from click.testing import CliRunner

from becat import cli
from becat.entries import ConfigurationError
from becat.etl.light_curves.forms import read_light_curve
from becat.etl.light_curves.load import load_light_curves
from becat.etl.load.forget import forget
from becat.etl.match.gather import gather_stars
from becat.light_curves import take_light_curves
from becat.pipeline import Configuration
from becat.schema.errors import BecatError

STAR = 5
RA_DEG, DEC_DEG = 292.0587, 43.9253

# As printed in the reader of AAVSO's VStar: Sky Patrol 1, the photometry database, and the page of Sky Patrol 2.
SKY_PATROL_1 = """HJD,UT Date,Camera,FWHM,Limit,mag,mag_err,flux(mJy),flux_err,Filter
2458000.47009,2017-09-03.9710173,be,1.77,15.518,14.839,0.117,4.448,0.477,V
2458002.51020,2017-09-06.0112978,be,2.03,14.814,>14.814,99.990,4.020,0.911,V
2458003.51020,2017-09-07.0112978,be,2.03,14.814,99.990,99.990,4.020,0.911,V
"""
PHOTOMETRY_DATABASE = """hjd,camera,mag,mag_err,flux,flux_err
2457981.84031,bc,11.221,0.02,124.549,2.292
"""
SKY_PATROL_2 = """# a line of comment

JD,Flux,Flux Error,Mag,Mag Error,Limit,FWHM,Filter,Quality
2457148.1143957,26.0455,0.1300,12.9204,0.0054,16.9278,1.70,V,G
2458848.1143957,26.0455,0.1300,12.9204,0.0054,16.9278,1.70,g,B
2458849.1143957,0.0455,0.1300,16.5,99.99,16.5,1.70,g,G
"""
CLIENT_2 = f"""# "asas_sn_id":1,"ra_deg":{RA_DEG},"dec_deg":{DEC_DEG}
asas_sn_id,jd,flux,flux_err,mag,mag_err,limit,fwhm,image_id,camera,quality,phot_filter
1,2458848.1143957,26.0455,0.13,12.9204,0.0054,16.9,1.7,coadd_1,bA,G,g
"""
ZTF = f"""oid,expid,hjd,mjd,mag,magerr,catflags,filtercode,ra,dec
6751,1,2458202.8577286243,58202.3531597,13.6746521,0.0466535,0,zg,{RA_DEG},{DEC_DEG}
6751,2,2458203.8577286243,58203.3531597,13.6846521,0.0466535,32768,zg,{RA_DEG},{DEC_DEG}
6751,3,2458204.8577286243,58204.3531597,13.6946521,0.0466535,2,zr,{RA_DEG},{DEC_DEG + 2 / 3600}
9999,4,2458204.8577286243,58204.3531597,18.6946521,0.0466535,0,zr,{RA_DEG},{DEC_DEG + 4 / 3600}
"""


def tess(path, flux_name="PDCSAP_FLUX", header=None, unit="BJD - 2457000, days", primary=None):
    """A light curve in the form of SPOC, or with flux_name FLUX and the unit btjd in that of lightkurve."""
    time = np.array([1683.35, 1683.351, np.nan, 1683.353, 1683.354])
    columns = [
        fits.Column("TIME", "D", unit=unit, array=time),
        fits.Column(flux_name, "E", unit="e-/s", array=[100.0, 102.0, 1.0, 1.0, np.nan]),
        fits.Column(f"{flux_name}_ERR", "E", unit="e-/s", array=np.full(5, 0.5)),
        fits.Column("QUALITY", "J", array=[0, 1024, 0, 512, 0]),
        fits.Column("POS", "2E", array=np.zeros((5, 2))),
    ]
    keywords = {"TELESCOP": "TESS", "RA_OBJ": RA_DEG, "DEC_OBJ": DEC_DEG} if primary is None else primary
    hdus = [fits.PrimaryHDU(header=fits.Header(keywords)), fits.BinTableHDU.from_columns(columns, name="LIGHTCURVE")]
    hdus[1].header.update({"BJDREFI": 2457000, "BJDREFF": 0.0, "TIMESYS": "TDB"} if header is None else header)
    fits.HDUList(hdus).writeto(path)
    return path


def written(path, text):
    path.write_text(text)
    return path


def read(path):
    return read_light_curve(path, RA_DEG, DEC_DEG)


def test_tess_has_the_times_of_astropy_and_the_flux_over_its_median(tmp_path):
    found = read(tess(tmp_path / "a.fits"))
    there = Time([2457000 + 1683.35, 2457000 + 1683.351], format="jd", scale="tdb")
    assert found.columns["mjd"] == pytest.approx(there.mjd, abs=1e-8)
    assert (found.source, found.time_system, found.position_deg) == ("TESS", "BJD TDB", (RA_DEG, DEC_DEG))
    assert found.columns["relative_flux"] == pytest.approx([100 / 101, 102 / 101])
    assert found.columns["e_relative_flux"] == pytest.approx([0.5 / 101] * 2)
    assert found.columns["row_in_file"].tolist() == [1, 2]
    assert list(found.left_out.values()) == [1, 1, 1]


def test_a_file_of_lightkurve_says_btjd_in_the_unit_of_its_times_alone(tmp_path):
    """What `LightCurve.to_fits` of lightkurve 2.6.0 writes: no BJDREFI, and no mission where it knows none."""
    path = tess(
        tmp_path / "a.fits", "FLUX", header={}, unit="btjd", primary={"CREATOR": "lightkurve.LightCurve.to_fits()"}
    )
    assert len(read(path)) == 2
    assert read(path).position_deg is None


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"header": {"BJDREFI": 2454833}, "unit": "BJD - 2454833"}, "it has 2454833"),
        ({"primary": {"TELESCOP": "Kepler"}}, "Kepler"),
        ({"header": {}, "unit": "d"}, "it has 0"),
        ({"header": {"BJDREFI": 2457000, "TIMESYS": "UTC"}}, "UTC"),
    ],
)
def test_times_that_are_not_those_of_tess_are_refused(tmp_path, changed, words):
    with pytest.raises(BecatError, match=words):
        read(tess(tmp_path / "a.fits", **changed))


def test_sky_patrol_1_has_limits_and_the_times_of_the_sun(tmp_path):
    found = read(written(tmp_path / "a.csv", SKY_PATROL_1))
    assert (found.source, found.time_system) == ("ASAS-SN", "HJD UTC")
    assert found.columns["mjd"] == pytest.approx([57999.97009, 58002.01020], abs=1e-8)
    assert found.columns["magnitude_mag"].tolist() == [14.839, 14.814]
    assert found.columns["is_limit"].tolist() == [False, True]
    assert found.columns["e_magnitude_mag"][0] == 0.117 and np.isnan(found.columns["e_magnitude_mag"][1])
    assert found.columns["band"].tolist() == ["V", "V"]
    assert found.left_out == {"without a measurement": 1}


def test_a_file_without_filter_says_so(tmp_path):
    found = read(written(tmp_path / "a.csv", PHOTOMETRY_DATABASE))
    assert found.columns["band"].tolist() == [None]
    assert "V or g" in found.remarks[0]


def test_sky_patrol_2_keeps_good_images_and_knows_its_limits(tmp_path):
    found = read(written(tmp_path / "a.csv", SKY_PATROL_2))
    assert found.time_system == "JD UTC" and "8.3 minutes" in found.remarks[0]
    assert found.columns["band"].tolist() == ["V", "g"]
    assert found.columns["is_limit"].tolist() == [False, True]
    assert list(found.left_out.items()) == [("of images that are not called good (quality G)", 1)]


def test_the_client_of_sky_patrol_2_names_the_star(tmp_path):
    found = read(written(tmp_path / "a.csv", CLIENT_2))
    assert found.position_deg == (RA_DEG, DEC_DEG)
    assert found.columns["band"].tolist() == ["g"]


@pytest.mark.parametrize("form", ["csv", "xml", "parquet"])
def test_ztf_without_flagged_rows_and_neighbours(tmp_path, form):
    path = written(tmp_path / "a.csv", ZTF)
    if form == "xml":
        Table.read(path, format="ascii.csv").write(tmp_path / "a.xml", format="votable")
    if form == "parquet":
        Table.read(path, format="ascii.csv").to_pandas().to_parquet(tmp_path / "a.parquet")
    found = read(tmp_path / f"a.{form}")
    assert (found.source, found.time_system) == ("ZTF", "HJD UTC")
    assert found.columns["mjd"] == pytest.approx([58202.3577286, 58204.3577286], abs=1e-7)
    assert found.columns["band"].tolist() == ["g", "r"]
    assert list(found.left_out.values()) == [1, 1]


def test_ztf_without_times_of_the_sun(tmp_path):
    found = read(written(tmp_path / "a.csv", ZTF.replace("hjd", "other")))
    assert found.time_system == "MJD UTC"
    assert found.columns["mjd"] == pytest.approx([58202.3531597, 58204.3531597], abs=1e-8)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("time,flux\n1,2\n", "not a light curve of TESS"),
        ("phase,mag\n1,2\n", "docs/formats.md names their columns"),
        (ZTF.replace("2458", "58"), "not what its columns claim"),
        (SKY_PATROL_1.splitlines()[0], "it is empty"),
        ("", "not a complete CSV table"),
        (f"{SKY_PATROL_1.splitlines()[0]}\n" + "1e308,2,b,1,1,12,1,1,1,V\n", r"from MJD 1e\+308 to 1e\+308"),
        (",".join(f"c{i}" for i in range(10_000)), r"it has c0, .* \[\.\.\.\]$"),
        (
            ZTF.replace(",zg,", f",{'x' * 1000},").replace(",zr,", ",<b>,"),
            "row that can be used: .* filter than g, r, i",
        ),
    ],
)
def test_what_is_not_known_is_refused_in_words(tmp_path, text, words):
    with pytest.raises(BecatError, match=words):
        read(written(tmp_path / "a.csv", text))


@pytest.mark.parametrize(
    ("header", "words"),
    [({"BJDREFI": "2457000"}, "is not a number"), ({"BJDREFI": 2457000, "BJDREFF": "x"}, "is not a number")],
)
def test_headers_with_words_for_numbers_are_refused(tmp_path, header, words):
    with pytest.raises(BecatError, match=words):
        read(tess(tmp_path / "a.fits", header=header))


def test_a_packed_fits_file_is_named_as_such(tmp_path):
    path = tmp_path / "a.fits.gz"
    path.write_bytes(gzip.compress(tess(tmp_path / "a.fits").read_bytes()))
    with pytest.raises(BecatError, match="unpack it first"):
        read(path)


def test_numbers_that_are_none_are_left_out_and_told(tmp_path):
    rows = [
        f"2458{i}.5,{mag},{error},{flags},zg,{ra},{DEC_DEG}"
        for i, (mag, error, flags, ra) in enumerate(
            [
                ("12", "0.01", "0", RA_DEG),
                ("inf", "0.01", "0", RA_DEG),
                ("-1e308", "0.01", "0", RA_DEG),
                ("12", "-0.01", "0", RA_DEG),
                ("12", "inf", "0", RA_DEG),
                ("12", "0.01", "inf", RA_DEG),
                ("12", "0.01", "0", "inf"),
            ],
            100,
        )
    ]
    text = "hjd,mag,magerr,catflags,filtercode,ra,dec\n" + "\n".join([*rows, rows[0]])
    found = read(written(tmp_path / "a.csv", text))
    assert found.columns["row_in_file"].tolist() == [1, 4, 5]
    assert found.columns["e_magnitude_mag"] == pytest.approx([0.01, np.nan, np.nan], nan_ok=True)
    assert found.remarks == ["errors that are no positive number left empty: 2"]
    assert found.left_out == {
        "without a position": 1,
        "flagged in catflags (bit 32768)": 1,
        "without a measurement": 2,
        "that stand in it twice": 1,
    }


def test_a_position_that_is_no_number_above_the_table_is_none(tmp_path):
    assert read(written(tmp_path / "a.csv", CLIENT_2.replace(str(DEC_DEG), "..5"))).position_deg is None


def test_flux_far_from_its_median_is_refused(tmp_path):
    path = tmp_path / "a.fits"
    columns = [
        fits.Column("TIME", "D", unit="btjd", array=[1683.0, 1684.0, 1685.0]),
        fits.Column("FLUX", "D", array=[1e-30, 1e-30, 1e29]),
        fits.Column("FLUX_ERR", "D", array=[1e29, -1.0, 1e-31]),
    ]
    fits.BinTableHDU.from_columns(columns).writeto(path)
    with pytest.raises(BecatError, match="too far from its median"):
        read(path)


def test_a_name_that_no_table_can_hold_is_told(tmp_path):
    path = tmp_path / os.fsdecode(b"a\xff.csv")
    with pytest.raises(BecatError, match=r"a\\xff.csv cannot be used: .* is not UTF-8"):
        read(written(path, ZTF))


@pytest.fixture
def with_star(catalogue):
    """A catalogue with one star."""
    add_spectrum(catalogue, 20, RA_DEG)
    gather_stars(catalogue)
    return catalogue


def add_spectrum(catalogue, spectrum_id, ra_deg, designation="J1"):
    catalogue.execute(
        "insert into spectrum (spectrum_id, survey, is_simulated, designation, file, coadd, ra_deg, dec_deg, has_blue)"
        " values (?, 'LAMOST MRS', false, ?, 'x.fits', true, ?, ?, false)",
        [spectrum_id, designation, ra_deg, DEC_DEG],
    )


def star_of(catalogue):
    return catalogue.execute("select star_id from star").fetchone()[0]


def test_rows_come_once_and_what_is_left_out_is_told(with_star, tmp_path):
    paths = [tess(tmp_path / "a.fits"), written(tmp_path / "b.csv", SKY_PATROL_1)]
    for _ in range(2):
        taken = load_light_curves(with_star, star_of(with_star), paths)
    rows = with_star.execute(
        "select source, band, count(*), count(magnitude_mag), count(relative_flux), count(e_magnitude_mag) from light_curve"
        " group by all order by 1"
    ).fetchall()
    assert rows == [("ASAS-SN", "V", 2, 2, 0, 1), ("TESS", "TESS", 2, 0, 2, 0)]
    told = with_star.execute("select reason from rejected_input where stage = 'light curve'").fetchall()
    assert len(told) == 4 and ("1 row left out: without a time",) in told
    assert any("left out: 1 without a time" in line for line in taken[0].lines())
    assert "1 of them limits" in taken[1].lines()[0]


def test_a_file_of_another_star_is_not_taken_and_none_with_it(with_star, tmp_path):
    other = tess(tmp_path / "a.fits", primary={"TELESCOP": "TESS", "RA_OBJ": RA_DEG, "DEC_OBJ": DEC_DEG + 0.01})
    with pytest.raises(BecatError, match="36 arcsec from this one"):
        load_light_curves(with_star, star_of(with_star), [written(tmp_path / "b.csv", ZTF), other])
    assert with_star.execute("select count(*) from light_curve").fetchone() == (0,)


def test_forgetting_the_file_takes_its_rows_out(with_star, tmp_path):
    load_light_curves(with_star, star_of(with_star), [written(tmp_path / "b.csv", ZTF)])
    forget(with_star, [str(tmp_path / "b.csv")])
    for table in ("light_curve", "input_file", "rejected_input"):
        assert with_star.execute(f"select count(*) from {table}").fetchone() == (0,), table


def test_it_stays_with_its_star_where_that_gets_another_number(with_star, tmp_path):
    load_light_curves(with_star, star_of(with_star), [written(tmp_path / "b.csv", ZTF)])
    before = star_of(with_star)
    add_spectrum(with_star, 10, RA_DEG + 0.0005)  # a smaller number: the star is named after its place
    gather_stars(with_star)
    assert star_of(with_star) != before
    assert with_star.execute("select distinct star_id from light_curve").fetchall() == [(star_of(with_star),)]


def test_the_command(with_star, tmp_path):
    written(tmp_path / "b.csv", ZTF)
    with_star.close()
    words = ["light-curve", "J1", str(tmp_path / "b.csv"), "-c", str(tmp_path / "c.duckdb")]
    done = CliRunner().invoke(cli.becat, words)
    assert done.exit_code == 0, done.output
    assert "2 rows of ZTF g, r, times HJD UTC" in done.output
    assert "left out: 1 of another object, more than 3 arcsec off" in done.output
    assert "2 measurements of J1" in done.output


def taken(catalogue, **named):
    """What is told of light curves that a configuration names by star, and the counts."""
    said: list[str] = []
    counts = take_light_curves(catalogue, {star: list(paths) for star, paths in named.items()}, said.append)
    return "\n".join(said), tuple(counts[name] for name in ("files", "unchanged", "rows", "rejected"))


def rows_of(catalogue):
    return dict(catalogue.execute("select parse_filename(file), count(*) from light_curve group by all").fetchall())


def test_what_is_new_or_has_changed_is_read_and_what_cannot_be_is_told(with_star, tmp_path):
    (tmp_path / "curves").mkdir()
    tess(tmp_path / "curves" / "a.fits")
    broken = written(tmp_path / "curves" / "broken.csv", "a,b\n1,2\n")
    written(tmp_path / "curves" / "notes.txt", "no table")
    zg = written(tmp_path / "b.csv", ZTF)
    named = {"J1": [tmp_path / "curves", zg]}
    said, counts = taken(with_star, **named)
    assert counts == (2, 0, 4, 1) and "broken.csv is not a known table of TESS" in said
    assert rows_of(with_star) == {"a.fits": 2, "b.csv": 2}
    assert with_star.execute("select count(*) from rejected_input where file like '%broken.csv'").fetchone() == (1,)

    before = with_star.execute("from etl_run").fetchall()
    assert taken(with_star, **named) == ("", (0, 3, 0, 0)) and with_star.execute("from etl_run").fetchall() == before

    written(zg, ZTF.replace(",32768,", ",0,"))
    written(broken, SKY_PATROL_1)
    assert taken(with_star, **named)[1] == (2, 1, 5, 0)
    assert rows_of(with_star) == {"a.fits": 2, "b.csv": 3, "broken.csv": 2}

    written(zg, "spoilt")
    assert taken(with_star, **named)[1] == (0, 2, 0, 1) and rows_of(with_star) == {"a.fits": 2, "broken.csv": 2}
    said, _ = taken(with_star, J1=[zg])
    assert f"no longer names it: {tmp_path / 'curves'} of star J1" in said and rows_of(with_star) == {}


def test_a_file_under_two_names_is_taken_once(with_star, tmp_path):
    """As spectra are: from the first in the alphabet, whatever came first, and from another when that one has gone."""
    b, c, d = tmp_path / "b.csv", tmp_path / "c.csv.gz", tmp_path / "d.csv"
    written(b, ZTF)
    c.write_bytes(gzip.compress(b.read_bytes()))
    d.symlink_to(b)
    assert taken(with_star, J1=[c])[1] == (1, 0, 2, 0)
    said, counts = taken(with_star, J1=[d, c, b])
    assert counts == (1, 1, 2, 0) and f"{d}: not taken, its measurements are those of {b}" in said
    assert rows_of(with_star) == {"b.csv": 2}
    status = "select parse_filename(file), status from input_file order by file"
    as_copies = [("b.csv", "loaded"), ("c.csv.gz", "duplicate"), ("d.csv", "duplicate")]
    assert with_star.execute(status).fetchall() == as_copies
    assert taken(with_star, J1=[b, c, d]) == ("", (0, 3, 0, 0))

    assert taken(with_star, J1=[c, d])[1] == (1, 0, 2, 0) and rows_of(with_star) == {"c.csv.gz": 2}
    assert taken(with_star, J1=[b, c, d])[1] == (1, 2, 2, 0) and rows_of(with_star) == {"b.csv": 2}
    written(b, ZTF.replace(",32768,", ",0,"))  # d is a link to it
    assert taken(with_star, J1=[b, c, d])[1] == (2, 0, 5, 0) and rows_of(with_star) == {"b.csv": 3, "c.csv.gz": 2}
    forget(with_star, [str(b)])
    assert taken(with_star, J1=[c, d])[1] == (1, 1, 3, 0) and rows_of(with_star) == {"c.csv.gz": 2, "d.csv": 3}

    (star_id,) = with_star.execute("select star_id from star where designation = 'J1'").fetchone()
    copy = load_light_curves(with_star, star_id, [d, b])[1]
    assert (copy.path, copy.copy_of, copy.n_rows) == (d, str(b), 0) and rows_of(with_star) == {
        "b.csv": 3,
        "c.csv.gz": 2,
    }
    d.unlink()
    d.write_bytes(b.read_bytes())
    written(b, ZTF)
    load_light_curves(with_star, star_id, [b])  # d, of which it does not hear, has other measurements now
    assert rows_of(with_star) == {"b.csv": 2}
    assert taken(with_star, J1=[b, c, d])[1] == (1, 2, 3, 0) and rows_of(with_star) == {"b.csv": 2, "d.csv": 3}


def test_the_same_difference_in_two_rows_makes_no_copy(with_star, tmp_path):
    star_id = star_of(with_star)
    load_light_curves(with_star, star_id, [written(tmp_path / "b.csv", ZTF)])
    with_star.execute("update light_curve set is_limit = not is_limit")
    load_light_curves(with_star, star_id, [written(tmp_path / "d.csv", ZTF)])
    assert rows_of(with_star) == {"b.csv": 2, "d.csv": 2}


def test_a_file_follows_the_star_for_which_it_is_named(with_star, tmp_path):
    far = tess(tmp_path / "a.fits", primary={"TELESCOP": "TESS", "RA_OBJ": RA_DEG + 1, "DEC_OBJ": DEC_DEG})
    near = written(tmp_path / "b.csv", SKY_PATROL_1)
    add_spectrum(with_star, 70, RA_DEG + 1, "J2")
    gather_stars(with_star)
    numbers = dict(with_star.execute("select designation, star_id from star").fetchall())
    said, counts = taken(with_star, J1=[far, near])
    assert counts == (1, 0, 2, 1) and "arcsec from this one" in said
    assert taken(with_star, J1=[far, near])[1] == (0, 2, 0, 0)  # what was refused is not read again
    assert taken(with_star, J2=[far, near])[1] == (2, 0, 4, 0)  # but for another star it is
    assert with_star.execute("select distinct star_id from light_curve").fetchall() == [(numbers["J2"],)]
    assert "named for two stars" in taken(with_star, J2=[far, near], J1=[near])[0]
    said, counts = taken(with_star, J2=[far], J3=[near])
    assert "no light curve of J3: no star" in said and counts == (0, 1, 0, 1) and rows_of(with_star) == {"a.fits": 2}


def test_a_run_takes_those_that_its_configuration_names(with_star, tmp_path):
    with_star.close()
    written(tmp_path / "b.csv", ZTF)
    (tmp_path / "run.toml").write_text('catalog = "c.duckdb"\nlight_curves = {J1 = "b.csv"}\n')
    first, again = (CliRunner().invoke(cli.becat, ["run", str(tmp_path / "run.toml")]) for _ in range(2))
    assert "light curves: 1 file, 0 unchanged, 2 rows, 0 rejected" in first.output
    assert "light curves: 0 files, 1 unchanged, 0 rows, 0 rejected" in again.output
    assert "nothing is new or stale" in again.output


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ('["b.csv"]', "a table of star and files"),
        ('{J1 = ["gone.csv"]}', "no such file"),
        ("{J1 = 7}", "a list of paths"),
    ],
)
def test_an_entry_that_cannot_be_used_is_told(tmp_path, entry, words):
    written(tmp_path / "run.toml", f'catalog = "c.duckdb"\nlight_curves = {entry}\n')
    with pytest.raises(ConfigurationError, match=words):
        Configuration.read(tmp_path / "run.toml")
