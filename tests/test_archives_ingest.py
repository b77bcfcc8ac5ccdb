"""Archive tables from files of every format, and what is made of them."""

from __future__ import annotations

import gzip
import os

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, Table

from becat.etl.archives.apply import apply, fingerprint
from becat.etl.archives.ingest import ingest_file
from becat.etl.archives.sources import ColumnMissing, load, source
from becat.etl.archives.tables import read_table
from becat.etl.load.release import load_release_catalogues
from becat.etl.match.stars import gather
from becat.schema.errors import BecatError
from becat.schema.tables import TABLES
from tests.tools.view_rows import catalogue, insert

BIG = 4_053_935_518_061_656_832  # a Gaia identifier: a double would lose its last digits


@pytest.fixture
def connection(tmp_path):
    connection = catalogue(tmp_path / "catalogue.duckdb")
    yield connection
    connection.close()


def add_spectra(connection, places, first=1):
    for i, (ra, dec) in enumerate(places):
        insert(
            connection, "spectrum", spectrum_id=first + i, ra_deg=float(ra), dec_deg=float(dec), designation=f"J{first + i}",
            is_simulated=False, survey="LAMOST MRS", file="f", coadd=True, has_blue=True,
        )  # fmt: skip
    gather(connection, 1)


def example():
    table = Table()
    table["Source"] = np.array([BIG, BIG + 1], dtype=np.int64)
    table["Name"] = ["alf  ", ""]
    table["RA_ICRS"] = [10.0, 20.0] * u.deg
    table["Gmag"] = MaskedColumn([11.5, 0.0], mask=[False, True], unit="mag")
    table["e_G"] = [0.5, np.nan]
    return table


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
@pytest.mark.parametrize("take_in", [
    lambda _, path: read_table(path),
    lambda connection, path: ingest_file(connection, "skiff_2014", path, 1),
    lambda connection, path: load_release_catalogues(connection, [path]),
])  # fmt: skip
def test_pipes_and_devices_are_refused_and_never_opened(connection, tmp_path, take_in):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "endless.csv").symlink_to("/dev/zero")
    for name in ("pipe.csv", "endless.csv"):
        with pytest.raises(BecatError, match=f"{name} is not a regular file"):
            take_in(connection, tmp_path / name)


@pytest.mark.parametrize(
    "name", ["t.csv", "t.csv.gz", "t.tsv", "t.vot", "t.vot.gz", "t.fits", "t.fits.gz", "t.parquet", "no-suffix"]
)
def test_every_format_reads_alike(tmp_path, name):
    path, table = tmp_path / name, example()
    kind = {"vot": "votable", "fits": "fits"}.get(name.split(".")[1] if "." in name else "")
    if name == "t.parquet":
        table.to_pandas().to_parquet(path)
    elif kind:
        plain = tmp_path / f"plain.{kind}"
        table.write(plain, format=kind)
        path.write_bytes(gzip.compress(plain.read_bytes()) if name.endswith("gz") else plain.read_bytes())
    else:
        text = "\ufeff" + ("\t" if "tsv" in name else ",").join(table.colnames) + "\n\n"
        for row in ([str(BIG), "alf  ", "10.0", "11.5", "0.5"], [str(BIG + 1), "", "020.0", "", ""]):
            text += ("\t" if "tsv" in name else ",").join(row) + "\n"
        path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    found, units = read_table(path)
    assert found.to_pydict() == {
        "Source": [BIG, BIG + 1], "Name": ["alf", None], "RA_ICRS": [10.0, 20.0], "Gmag": [11.5, None], "e_G": [0.5, None],
    }  # fmt: skip
    assert units.get("RA_ICRS", "deg") == "deg"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.csv", b"", "not a complete"),
        ("cut.vot", b"<?xml version='1.0'?><VOTABLE><RESOURCE><TABLE>", "not a complete"),
        ("cut.parquet", b"PAR1 and nothing more", "not a complete"),
        ("cut.csv.gz", gzip.compress(b"a,b\n1,2\n" * 1000, mtime=0)[:40], "not a complete"),
        ("prose.txt", b"this is no table\nat all\n", "fewer than two columns"),
        ("one.csv", b"ra\n1\n", "fewer than two columns"),
    ],
)
def test_files_that_are_no_tables(connection, tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BecatError, match=words):
        ingest_file(connection, "tmass", path)


def test_words_for_what_is_missing(connection, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("2MASS,RAJ2000,DEJ2000,Jmagn,e_Jmag,Hmag,e_Hmag,Kmag,e_Kmag,Qfl\nx,1,2,3,4,5,6,7,8,AAA\n")
    with pytest.raises(ColumnMissing, match=r"must have a column Jmag or j_m \(for j_mag\); is it now Jmagn\?"):
        ingest_file(connection, "tmass", path)
    with pytest.raises(BecatError, match="did you mean tmass"):
        ingest_file(connection, "tmas", path)
    with pytest.raises(BecatError, match="cannot be read: No such file"):
        ingest_file(connection, "tmass", tmp_path / "nowhere.csv")
    (tmp_path / "folder").mkdir()
    with pytest.raises(BecatError, match="empty folder"):
        ingest_file(connection, "tmass", tmp_path / "folder")
    path.write_text("Name,RAJ2000,DEJ2000\nx,here,there\n")
    with pytest.raises(BecatError, match="RAJ2000 holds here, no position"):
        ingest_file(connection, "chen_2016", path)


def test_units_are_converted_or_refused(connection, tmp_path):
    table = Table(
        {"source_id": [1], "r_med_geo": [1.5] * u.kpc, "r_lo_geo": [1400.0] * u.pc, "r_hi_geo": [1600.0] * u.pc}
    )
    table.write(tmp_path / "t.vot", format="votable")
    ingest_file(connection, "gaia_distance", tmp_path / "t.vot")
    assert connection.execute("select r_med_geo, r_lo_geo from archive.gaia_distance").fetchone() == (1500.0, 1400.0)
    table["r_med_geo"].unit = "mag"
    table.write(tmp_path / "t.vot", format="votable", overwrite=True)
    with pytest.raises(BecatError, match="r_med_geo is in mag, which is not pc"):
        ingest_file(connection, "gaia_distance", tmp_path / "t.vot")


def test_names_that_differ_in_case_only_and_sexagesimal_positions(connection, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("Source,rgeo,b_rgeo,B_rgeo\n1,1000,900,1100\n")  # as VizieR names them in I/352
    ingest_file(connection, "gaia_distance", path)
    assert connection.execute('select b_rgeo, "B_rgeo_2" from archive.gaia_distance').fetchone() == (900, 1100)
    columns = dict(
        connection.execute("select ours, theirs from archive.source_column where source = 'gaia_distance'").fetchall()
    )
    assert (columns["distance_lo_pc"], columns["distance_hi_pc"]) == ("b_rgeo", "B_rgeo_2")
    path.write_text("Name,RAJ2000,DEJ2000\nx,06 00 00,-30 30 00\n")
    ingest_file(connection, "chen_2016", path)
    assert connection.execute("select RAJ2000, DEJ2000 from archive.chen_2016").fetchone() == pytest.approx(
        (90.0, -30.5)
    )


def test_the_same_content_is_taken_in_once(connection, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("Name,RAJ2000,DEJ2000\nx,10,20\n")
    assert [ingest_file(connection, "chen_2016", path, run) for run in (1, 2)] == [1, 0]
    path.write_text("Name,RAJ2000,DEJ2000\nx,10,20\ny,11,21\n")
    assert ingest_file(connection, "chen_2016", path, 3) == 2
    assert connection.execute("select n_rows, run_id from archive.source").fetchall() == [(2, 3)]


def test_a_fast_star_is_followed_by_gaia_to_2mass(connection, tmp_path):
    add_spectra(connection, [(100.0, 30.0)])
    pd.DataFrame({"ra": [100.0], "dec": [30.0], "source_id": [BIG]}).assign(
        **{c[0]: 1.0 for name, c in source("gaia").columns.items() if name != "source_id"}
    ).assign(pmra=0.0, pmdec=1000.0).to_csv(tmp_path / "gaia.csv", index=False)  # 16 arcsec in 16 years
    pd.DataFrame({
        "2MASS": ["near", "there"], "RAJ2000": 100.0, "DEJ2000": [30.0 + 1 / 3600, 30.0 - 16 / 3600], "Jmag": 9.0, "e_Jmag": 0.02,
        "Hmag": 9.0, "e_Hmag": 0.02, "Kmag": 9.0, "e_Kmag": 0.02, "Qfl": "AAA",
    }).to_csv(tmp_path / "tmass.csv", index=False)  # fmt: skip
    ingest_file(connection, "tmass", tmp_path / "tmass.csv")
    apply(connection, 1)
    assert connection.execute("select tmass_id, tmass_ambiguous from photometry").fetchone() == ("near", False)
    ingest_file(connection, "gaia", tmp_path / "gaia.csv")
    apply(connection, 2)
    assert connection.execute("select tmass_id, tmass_separation_arcsec < 0.01 from photometry").fetchone() == (
        "there",
        True,
    )
    assert connection.execute("select source_id from star").fetchone() == (BIG,)


def test_gaia_parameters_follow_the_number_of_the_source(connection, tmp_path):
    add_spectra(connection, [(10.0, 20.0), (30.0, 40.0)])
    (tmp_path / "gaia.csv").write_text(
        "source_id,ra,dec,parallax,parallax_error,pmra,pmra_error,pmdec,pmdec_error,ruwe,phot_g_mean_mag,phot_bp_mean_mag,"
        f"phot_rp_mean_mag\n{BIG},10.0,20.0,1,0.1,0,0.1,0,0.1,1.0,11,11,11\n"
    )
    names = [names[0] for names in source("gaia_parameters").columns.values()]
    rows = [
        [str(BIG + 1), *["9"] * (len(names) - 1)],
        [str(BIG), "-1.25", "0.5", "0", "beStar", "1", "0.9", "", "21000", *[""] * (len(names) - 10), "3"],
    ]
    text = [",".join([*row, *[""] * (len(names) - len(row))]) for row in rows]
    (tmp_path / "parameters.csv").write_text("\n".join([",".join(names), *text]) + "\n")
    ingest_file(connection, "gaia", tmp_path / "gaia.csv")
    ingest_file(connection, "gaia_parameters", tmp_path / "parameters.csv")
    apply(connection, 1)
    found = connection.execute(
        "select source_id, ew_espels_halpha_nm, espels_class, espels_be_probability, espels_herbig_probability, teff_esphs_k,"
        " non_single_star from gaia_parameters"
    ).fetchall()
    assert found == [(BIG, -1.25, "beStar", pytest.approx(0.9), None, 21000, 3)]


def test_only_what_changed_is_written(connection, tmp_path):
    path = tmp_path / "t.csv"
    add_spectra(connection, [(10.0, 20.0), (11.0, 21.0)])
    path.write_text("Name,RAJ2000,DEJ2000\nx,10,20\ny,11,21\n")
    ingest_file(connection, "chen_2016", path)
    before = fingerprint(connection)
    assert apply(connection, 1) == {"literature_match": 2}
    assert apply(connection, 2) == {}
    assert fingerprint(connection) == before
    path.write_text("Name,RAJ2000,DEJ2000\nx,10,20\nz,11,21.0001\n")
    ingest_file(connection, "chen_2016", path)
    assert fingerprint(connection) != before
    assert apply(connection, 3) == {"literature_match": 2}  # y goes, z comes
    assert connection.execute("select object_name, run_id from literature_match order by 1").fetchall() == [
        ("x", 1),
        ("z", 3),
    ]
    assert connection.execute(
        "select n_rows from literature_catalogue where catalogue_id = 'chen_2016'"
    ).fetchone() == (2,)


def test_every_type_is_kept_and_the_latest_adopted(connection, tmp_path):
    add_spectra(connection, [(10.0, 20.0), (11.0, 21.0)])
    (tmp_path / "skiff.csv").write_text(
        "Name,RAJ2000,DEJ2000,SpType,Bibcode\nA,10,20,B2V,1955ApJS....2...41M\nA,10.0001,20,B3Ve,2011AJ....142..149N\n"
    )
    (tmp_path / "simbad.csv").write_text(
        "main_id,ra,dec,otype,sp_type,sp_bibcode,pmra,pmdec\nA,10,20,Be*,B9,2020A&A...638A..21V,,\nB,11,21,*,A0V,2000A&A...638A..21V,,\n"
    )
    ingest_file(connection, "skiff_2014", tmp_path / "skiff.csv")
    ingest_file(connection, "simbad", tmp_path / "simbad.csv")
    apply(connection, 1)
    rows = connection.execute(
        "select catalogue_id, spectral_type, year, is_adopted from spectral_type order by 1, 2"
    ).fetchall()
    assert rows == [
        ("simbad", "A0V", 2000, True), ("simbad", "B9", 2020, False),
        ("skiff_2014", "B2V", 1955, False), ("skiff_2014", "B3Ve", 2011, True),
    ]  # fmt: skip


def test_real_lists_of_be_stars(connection, real_data):
    """Every star of two real lists finds itself, half an arcsecond away."""
    for name, file in (("jaschek_egret_1982", "jaschek_egret_1982.csv"), ("hou_2016", "hou_2016_subset.csv")):
        ingest_file(connection, name, real_data / "catalogues" / file)
    connection.execute("""
        insert into spectrum (spectrum_id, designation, ra_deg, dec_deg, is_simulated, survey, file, coadd, has_blue)
        select row_number() over (), name, ra, "dec" + 0.5 / 3600, false, 'LAMOST MRS', 'f', true, true from (
            select bd as name, ra_deg as ra, dec_deg as "dec" from archive.jaschek_egret_1982
            union all select ID, RAJ2000, DEJ2000 from archive.hou_2016)
    """)
    gather(connection, 1)
    apply(connection, 1)
    best = "select object_class, count(distinct object_name) from literature_match where catalogue_id = ? group by all"
    (n_names,) = connection.execute("select count(distinct bd) from archive.jaschek_egret_1982").fetchone()
    assert connection.execute(best, ["jaschek_egret_1982"]).fetchall() == [("CBe", n_names)]
    assert n_names > 1140
    listed = connection.execute("select objtype_Hou, count(distinct ID) from archive.hou_2016 group by all").fetchall()
    found = dict(connection.execute(best, ["hou_2016"]).fetchall())
    ours = source("hou_2016").classes
    assert found == {ours.get(name, name): n for name, n in listed}
    assert found["CBe"] > 500 and found["H II region"] > 250 and found["Herbig Ae/Be"] == 3


def test_the_declaration_fits_the_schema():
    tables = {
        "photometry": "photometry", "astrometry": "astrometry", "distance": "astrometry", "reddening": "reddening",
        "literature": "literature_match", "spectral_type": "spectral_type", "members": "cluster_match", "clusters": "cluster",
        "gaia_parameters": "gaia_parameters",
    }  # fmt: skip
    of_members = {f"{e}{name}" for e in ("", "e_") for name in ("pmra_mas_yr", "pmdec_mas_yr", "parallax_mas")}
    for entry in load().values():
        columns = {column.name for fill in entry.fills for column in TABLES[tables[fill]].columns}
        assert set(entry.columns) <= columns | {"alias", "object_name"} | (
            of_members if "members" in entry.fills else set()
        )
        assert set(entry.optional) <= set(entry.wanted()) - {"match.ra", "match.dec"}
        assert set(entry.units) <= set(entry.columns)
        assert entry.radius_of() > 0
        assert entry.service == "file" or entry.table


FIELD_TABLES = {
    ("tmass", "tmass_astroquery.csv"): ("select j_mag, tmass_id from photometry", (10.1, "02450966+5150197")),
    ("tmass", "tmass_irsa.csv"): ("select h_mag, e_j_mag from photometry", (10.0, None)),
    ("tmass", "tmass_qflg.csv"): ("select k_mag, tmass_quality from photometry", (9.9, "AAA")),
    ("tmass", "tmass_xmatch.csv"): ("select k_mag, tmass_quality from photometry", (9.9, "AAA")),
    ("gaia", "gaia_upper.csv"): ("select source_id, ruwe from astrometry", (438562431908765120, 1.0)),
    ("gaia", "gaia_vizier_default.csv"): (
        "select source_id, pmra_pmdec_corr from astrometry",
        (438562431908765120, None),
    ),
    ("simbad", "simbad_047.csv"): ("select object_name, object_class from literature_match", ("BD+51 607", "CBe")),
    ("simbad", "simbad_048.csv"): ("select spectral_type, reference from spectral_type", ("B2Ve", "2003AJ")),
    ("simbad", "simbad_048_nosp.csv"): (
        "select spectral_type, reference from spectral_type",
        ("B2Ve", "Wenger et al. 2000"),
    ),
    ("skiff_2014", "skiff_vizier.csv"): ("select spectral_type, reference from spectral_type", ("B2Ve", "1995")),
    ("neiner_2011", "bess_list.csv"): ("select object_name, object_class from literature_match", ("BD+51 607", "CBe")),
}


@pytest.mark.parametrize(("name", "file"), FIELD_TABLES, ids=lambda word: word)
def test_tables_as_services_and_programs_give_them(connection, real_data, name, file):
    add_spectra(connection, [(41.290277, 51.838795)])
    assert ingest_file(connection, name, real_data / "field/tables" / file) == 1
    apply(connection, 1)
    query, expected = FIELD_TABLES[name, file]
    (found,) = connection.execute(query).fetchall()
    for value, wanted in zip(found, expected, strict=True):
        assert value == (pytest.approx(wanted, rel=1e-6) if isinstance(wanted, float) else wanted)


@pytest.mark.parametrize("identifier", [f"{BIG}.0", f"{BIG:e}", f"{BIG:.15e}"])
def test_a_source_id_that_was_rounded_is_refused(connection, tmp_path, identifier):
    path = tmp_path / "gaia.csv"
    columns = [names[0] for key, names in source("gaia").wanted().items() if not key.startswith("match.")]
    path.write_text(
        ",".join([*columns, "ra", "dec"]) + f"\n{identifier}," + ",".join(["1.0"] * (len(columns) + 1)) + "\n"
    )
    with pytest.raises(BecatError, match="last digits are lost"):
        ingest_file(connection, "gaia", path)
    path.write_text(path.read_text().replace(identifier, str(BIG)))
    assert ingest_file(connection, "gaia", path) == 1


def test_rounded_identifiers_of_the_field_are_refused(connection, real_data):
    for name in ("gaia_float_id.csv", "gaia_float_id2.csv"):
        with pytest.raises(BecatError, match="last digits are lost"):
            ingest_file(connection, "gaia", real_data / "field/tables" / name)


def test_reddening_that_is_not_a_number_is_none(connection, real_data):
    add_spectra(connection, [(41.290277, 51.838795), (41.578708, 51.829126)])
    assert ingest_file(connection, "reddening", real_data / "field/tables/reddening_nan.csv") == 3
    apply(connection, 1)
    assert connection.execute("select ebv_mag from reddening").fetchall() == [(pytest.approx(0.35),)]


def test_object_types_that_are_no_class_of_ours_stay_as_they_are(connection, real_data):
    add_spectra(connection, [(41.290277, 51.838795)])
    assert ingest_file(connection, "simbad", real_data / "field/tables/simbad_2022otype.csv") == 3
    apply(connection, 1)
    found = connection.execute("select object_class from literature_match").fetchall()
    assert set(found) <= {("CBe",), ("HerbigHaroObj",), ("Ae?",)}
