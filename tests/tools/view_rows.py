"""Hand-made rows for tests of the views: a star that passes everything, to be spoilt one value at a time."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from tests.tools.pipeline_tools import new_catalogue

PAPER = Path(__file__).parents[2] / "etl" / "data" / "wang2022"

# Printed spectral types as ranges on the scale of spectral_type (B0 = 10, A0 = 20; class III = 3, V = 5), read by hand.
TYPE_RANGES = {
    "B2": (12, 12, None),
    "O9 III": (9, 9, 3),
    "O9": (9, 9, None),
    "OBe": (0, 19.9, None),
    "OB": (0, 19.9, None),
    "A": (20, 29.9, None),
    "Ae": (20, 29.9, None),
    "O4 V((c))": (4, 4, 5),
    "O6.5 V((f))": (6.5, 6.5, 5),
    "O8 III((f))": (8, 8, 3),
    "O8 Ve": (8, 8, 5),
    "O5": (5, 5, None),
    "O5: Iafpe": (4, 6, 1.0),
    "B0 V": (10, 10, 5),
    "B": (10, 19.9, None),
    "B1.5 Vep_sh": (11.5, 11.5, 5),
    "B3": (13, 13, None),
    "B3e": (13, 13, None),
    "Be": (10, 19.9, None),
    "B0e": (10, 10, None),
    "B1/2e": (11, 12, None),
}


def catalogue(path) -> duckdb.DuckDBPyConnection:
    """A new catalogue with a current model, open for writing; of a few stars a second thread only makes a view dearer."""
    connection = duckdb.connect(str(new_catalogue(Path(path))), config={"threads": 1})
    insert(connection, "model", model_id="m1", is_current=True)
    insert(connection, "model", model_id="m0", is_current=False)
    return connection


class _Rows(defaultdict):
    """Rows that wait to be inserted, by table and columns."""


@contextmanager
def at_once(connection) -> Iterator[_Rows]:
    """What is added to `_Rows` in place of the connection is inserted at the end, all rows of a table in one statement."""
    waiting = _Rows(list)
    yield waiting
    for (table, columns), rows in waiting.items():
        added = pa.Table.from_pylist(rows)  # noqa: F841 (DuckDB finds it by its name)
        connection.execute(f"insert into {table} ({', '.join(columns)}) from added")


def insert(connection, table, **row):
    """One row; the columns not named stay NULL."""
    if isinstance(connection, _Rows):
        connection[table, tuple(row)].append(row)
        return
    places = ", ".join("?" for _ in row)
    connection.execute(f"insert into {table} ({', '.join(row)}) values ({places})", list(row.values()))


def add_spectrum(connection, spectrum_id, star_id, **changes):
    """A spectrum of a new Be star that passes every step, with its measurement, score and class."""
    row = {
        "snr_b": 50, "snr_r": 60, "has_blue": True, "teff_k": None, "mjd": 58000.25, "coadd": True,
        "ew_halpha_a": -8.0, "e_ew_halpha_a": 0.1, "ew_mgb_a": 0.2, "nebular_significance": 0.0, "fwhm_halpha_km_s": 300.0,
        "be_probability": 0.99, "profile_class": "emission", "designation": f"star {star_id}", "ra_deg": 10.0, "dec_deg": 60.0,
    } | changes  # fmt: skip
    spectrum = ("snr_b", "snr_r", "has_blue", "teff_k", "mjd", "coadd", "designation", "ra_deg", "dec_deg")
    insert(
        connection, "spectrum", spectrum_id=spectrum_id, star_id=star_id, survey="LAMOST MRS", is_simulated=False,
        file="f", **{name: row[name] for name in spectrum},
    )  # fmt: skip
    measured = ("ew_halpha_a", "e_ew_halpha_a", "ew_mgb_a", "nebular_significance", "fwhm_halpha_km_s")
    insert(connection, "line_measurement", spectrum_id=spectrum_id, **{name: row[name] for name in measured})
    insert(connection, "be_score", spectrum_id=spectrum_id, model_id="m1", be_probability=row["be_probability"])
    insert(connection, "profile_class", spectrum_id=spectrum_id, profile_class=row["profile_class"])


def add_star(connection, star_id, spectral_type="B2", photometry=True, **changes):
    """A new classical Be star with one spectrum of the same number; `changes` go to its spectrum and photometry."""
    place = {k: changes[k] for k in ("designation", "ra_deg", "dec_deg") if k in changes}
    place = {"designation": f"star {star_id}", "ra_deg": 10.0, "dec_deg": 60.0} | place
    insert(connection, "star", star_id=star_id, is_simulated=False, **place)
    magnitudes = {
        "j_mag": 10.0, "h_mag": 9.95, "k_mag": 9.90, "w1_mag": 9.7, "e_j_mag": 0.02, "e_h_mag": 0.02, "e_k_mag": 0.02,
        "e_w1_mag": 0.02, "tmass_separation_arcsec": 0.2, "allwise_separation_arcsec": 0.2,
    }  # fmt: skip
    magnitudes |= {k: v for k, v in changes.items() if k in magnitudes}
    if photometry:
        insert(connection, "photometry", star_id=star_id, **magnitudes)
        insert(
            connection,
            "reddening",
            star_id=star_id,
            ebv_mag=changes.get("ebv_mag", 0.3),
            e_ebv_mag=changes.get("e_ebv_mag"),
        )
    if spectral_type:
        add_type(connection, star_id, spectral_type, *TYPE_RANGES[spectral_type])
    spectrum = {k: v for k, v in changes.items() if k not in magnitudes and k not in ("ebv_mag", "e_ebv_mag")}
    add_spectrum(connection, star_id, star_id, **spectrum)


def add_type(connection, star_id, spectral_type, subtype_min, subtype_max, luminosity_min, **more):
    """The adopted spectral type of a star."""
    insert(
        connection, "spectral_type", star_id=star_id, catalogue_id="skiff_2014", spectral_type=spectral_type, reference="r",
        subtype_min=subtype_min, subtype_max=subtype_max, luminosity_min=luminosity_min, luminosity_max=luminosity_min,
        is_adopted=True, **more,
    )  # fmt: skip


def add_match(connection, star_id, catalogue_id, object_class, is_best=True):
    """A literature match."""
    insert(
        connection, "literature_match", star_id=star_id, catalogue_id=catalogue_id, object_name=f"{catalogue_id} {star_id}",
        object_class=object_class, separation_arcsec=0.3, match_rank=1, is_best=is_best,
    )  # fmt: skip


def add_astrometry(connection, star_id, v_tp_km_s, e_v_tp_km_s=1.0, ruwe=1.0, separation_arcsec=0.1, **more):
    """A Gaia solution and the peculiar velocity in the default model."""
    insert(connection, "astrometry", star_id=star_id, ruwe=ruwe, separation_arcsec=separation_arcsec, **more)
    insert(
        connection, "kinematics", star_id=star_id, kinematic_model="wang_2022", v_tp_km_s=v_tp_km_s,
        e_v_tp_km_s=e_v_tp_km_s, z_pc=10.0,
    )  # fmt: skip


def stars(connection, view) -> set[int]:
    """star_id of all rows of a view; each star once."""
    rows = [row[0] for row in connection.execute(f"select star_id from {view}").fetchall()]
    assert len(rows) == len(set(rows)), f"{view} lists a star twice"
    return set(rows)


def printed(table) -> list[dict]:
    """Rows of a printed table of the paper; coordinates from the designation where the table has none."""
    (path,) = PAPER.glob(f"table{table}_*.csv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if "designation" in row and "ra_deg" not in row:
            row["ra_deg"], row["dec_deg"] = position(row["designation"])
    return rows


def position(designation) -> tuple[float, float]:
    """Right ascension and declination, degrees, of a LAMOST designation."""
    h, m, s, sign, d, dm, ds = re.fullmatch(
        r"J(\d\d)(\d\d)([\d.]{5})([+-])(\d\d)(\d\d)([\d.]{4})", designation
    ).groups()
    dec = float(d) + float(dm) / 60 + float(ds) / 3600
    return 15 * (float(h) + float(m) / 60 + float(s) / 3600), -dec if sign == "-" else dec
