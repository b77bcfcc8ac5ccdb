"""Colour excesses through the real `dustmaps`: a small map in the layout of Bayestar19, and a web service on loopback."""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord

from becat.etl.archives import reddening
from becat.etl.archives.reddening import EBV_PER_UNIT, fill_reddening, n_stars_to_fill
from tests.tools.view_rows import catalogue

pytest.importorskip("dustmaps", reason="dustmaps is not installed: pip install 'becat[reddening]'")
h5py = pytest.importorskip("h5py")
healpy = pytest.importorskip("healpy")

NSIDE = 4
DISTANCE_MODULI = np.arange(4.0, 19.0, 0.125)
# Reddening of the five samples of the map, in its unit, per magnitude of distance modulus beyond 4.
SLOPES = np.array([0.05, 0.06, 0.07, 0.09, 0.13])
NOT_CONVERGED = (10.0, 40.0)  # right ascension and declination, degrees, of a pixel that did not converge


def pixel(ra_deg, dec_deg):
    galactic = SkyCoord(ra_deg * u.deg, dec_deg * u.deg).galactic
    return healpy.ang2pix(NSIDE, galactic.l.deg, galactic.b.deg, nest=True, lonlat=True)


@pytest.fixture(scope="module")
def map_file(tmp_path_factory):
    """A map north of declination -30 deg in which reddening grows in proportion to the distance modulus."""
    l_deg, b_deg = healpy.pix2ang(NSIDE, np.arange(healpy.nside2npix(NSIDE)), nest=True, lonlat=True)
    covered = np.flatnonzero(SkyCoord(l_deg * u.deg, b_deg * u.deg, frame="galactic").icrs.dec.deg > -30)
    kinds = [
        ("nside", "u4"),
        ("healpix_index", "u4"),
        ("converged", "u1"),
        ("DM_reliable_min", "f4"),
        ("DM_reliable_max", "f4"),
    ]
    pixels = np.zeros(len(covered), kinds)
    pixels["nside"], pixels["healpix_index"] = NSIDE, covered
    pixels["converged"] = covered != pixel(*NOT_CONVERGED)
    pixels["DM_reliable_min"], pixels["DM_reliable_max"] = 6.0, 13.0
    samples = np.broadcast_to(SLOPES[:, None] * (DISTANCE_MODULI - 4), (len(covered), 5, len(DISTANCE_MODULI)))
    path = tmp_path_factory.mktemp("map") / "bayestar2019.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("pixel_info", data=pixels).attrs["DM_bin_edges"] = DISTANCE_MODULI
        file.create_dataset("samples", data=samples.astype("f4"))
        file.create_dataset("best_fit", data=samples[:, 2].astype("f4"))
    return path


STARS = {  # star_id: right ascension, declination, distance and its percentiles
    1: (83.0, 22.0, 1000.0, 900.0, 1150.0),
    2: (300.0, 35.0, 2500.0, None, None),
    3: (120.0, 60.0, 9000.0, 8000.0, 10500.0),  # beyond the reliable distances
    4: (200.0, -70.0, 500.0, 490.0, 510.0),  # outside the map
    5: (*NOT_CONVERGED, 700.0, 690.0, 710.0),
    6: (83.0, 22.0, 1000.0, 900.0, 1150.0),  # has a row from a file
    7: (83.0, 22.0, None, None, None),  # no distance
}


@pytest.fixture
def con(tmp_path):
    with catalogue(tmp_path / "c.duckdb") as connection:
        for star_id, (ra, dec, *distances) in STARS.items():
            connection.execute(
                "insert into astrometry (star_id, ra_deg, dec_deg, distance_pc, distance_lo_pc, distance_hi_pc, run_id)"
                " values (?, ?, ?, ?, ?, ?, 1)",
                [star_id, ra, dec, *distances],
            )
        connection.execute("insert into reddening values (6, 0.42, 0.05, null, 'a table', 1)")
        yield connection


def rows(con):
    found = con.execute("select star_id, ebv_mag, e_ebv_mag, source from reddening order by star_id").fetchall()
    return {star_id: rest for star_id, *rest in found}


def expected(distance_pc, lo_pc=None, hi_pc=None):
    """E(B-V) and its error by hand: the map's percentiles at the distance, and its change along the distance's errors."""
    modulus = lambda d: 5 * np.log10(d) - 5  # noqa: E731
    low, middle, high = EBV_PER_UNIT * np.percentile(SLOPES, [16, 50, 84])
    by_map = (high - low) / 2 * (modulus(distance_pc) - 4)
    by_distance = middle * (modulus(hi_pc) - modulus(lo_pc)) / 2 if lo_pc else 0.0
    return pytest.approx([middle * (modulus(distance_pc) - 4), np.hypot(by_map, by_distance)], rel=1e-4)


def check(con):
    found = rows(con)
    assert set(found) == {1, 2, 3, 4, 5, 6}
    for star_id in (1, 2, 3):
        assert found[star_id][:2] == expected(*STARS[star_id][2:]), star_id
    assert found[1][2] == found[2][2] == reddening.RELIABLE and found[3][2] == reddening.UNRELIABLE
    assert found[4] == found[5] == [None, None, reddening.NO_VALUE]
    assert found[6] == [pytest.approx(0.42), pytest.approx(0.05), "a table"]


def test_unit_follows_from_the_coefficients_of_the_map():
    assert pytest.approx(0.981 * (3.518 - 2.617), abs=5e-4) == EBV_PER_UNIT


def test_map_file(con, map_file):
    assert n_stars_to_fill(con) == 5
    counts = fill_reddening(con, 7, map_file)
    assert (counts.n_asked, counts.n_filled, counts.n_without_value) == (5, 3, 2)
    assert "NULL" in counts.message
    check(con)
    assert n_stars_to_fill(con) == 0
    assert fill_reddening(con, 8, map_file) == reddening.ReddeningCounts()
    assert con.execute("select distinct run_id from reddening where star_id <= 5").fetchall() == [(7,)]


def test_small_batches_give_the_same(con, map_file, monkeypatch):
    monkeypatch.setitem(reddening.STARS_PER_BATCH, "map", 2)
    assert fill_reddening(con, 7, map_file).n_asked == 5
    check(con)


def test_a_new_distance_is_read_again_and_a_lost_one_forgotten(con, map_file):
    fill_reddening(con, 7, map_file)
    con.execute("update astrometry set distance_pc = 2000, distance_lo_pc = null where star_id in (1, 6)")
    con.execute("update astrometry set distance_pc = null where star_id = 2")
    assert fill_reddening(con, 8, map_file).n_asked == 1
    found = rows(con)
    assert found[1][0] == pytest.approx(EBV_PER_UNIT * 0.07 * (5 * np.log10(2000) - 9), rel=1e-4)
    assert 2 not in found and found[6][2] == "a table"


def test_an_unknown_reddening_is_never_zero_in_the_views(con, map_file):
    fill_reddening(con, 7, map_file)
    for star_id in (1, 4):
        con.execute("insert into photometry (star_id, h_mag, k_mag, w1_mag) values (?, 10, 9.9, 9.7)", [star_id])
    colours = dict(con.execute("select star_id, hk0_mag from infrared_colour").fetchall())
    assert colours[1] is not None and colours[4] is None


class Service(BaseHTTPRequestHandler):
    """Answers as the map's web service does, with a fault from the list of its server while there is one."""

    def do_POST(self):
        from dustmaps.json_serializers import MultiJSONDecoder, get_encoder

        text = self.rfile.read(int(self.headers["content-length"])).decode()
        fault = self.server.faults.pop(0) if self.server.faults else None
        question = json.loads(text, cls=MultiJSONDecoder)
        self.server.asked.append((self.path, len(question["coords"])))
        if fault == "500":
            return self.answer(500, "out of order")
        if fault == "silence":
            self.close_connection = True
            return None
        values, flags = self.server.map.query(question.pop("coords"), **question)
        if fault == "few":
            values = values[:-1]
        body = json.dumps([values, flags], cls=get_encoder())
        return self.answer(200, body[: len(body) // 2] if fault == "half" else body)

    def answer(self, status, body):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *words):
        """Nothing on the terminal."""


@pytest.fixture
def service(map_file, monkeypatch, tmp_path):
    from dustmaps import bayestar

    monkeypatch.setattr(bayestar, "data_dir", lambda: str(tmp_path))  # no map on this machine
    server = HTTPServer(("127.0.0.1", 0), Service)
    server.map, server.faults, server.asked = bayestar.BayestarQuery(str(map_file)), [], []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.url = f"http://127.0.0.1:{server.server_port}/api/v2/"
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("faults", [[], ["500", "silence", "half"], ["few"]], ids=["", "three faults", "few"])
def test_web_service(con, service, faults):
    service.faults = list(faults)
    counts = fill_reddening(con, 7, service_url=service.url, wait_s=0.01)
    assert (counts.n_asked, counts.n_filled, counts.n_without_value) == (5, 3, 2)
    assert service.asked == [("/api/v2/bayestar2019/query", 15)] * (1 + len(faults))
    check(con)


def test_a_service_that_stays_down_loses_nothing(con, service, monkeypatch):
    monkeypatch.setitem(reddening.STARS_PER_BATCH, "service", 2)
    service.faults = [None, "500", "500"]
    counts = fill_reddening(con, 7, service_url=service.url, attempts=2, wait_s=0.01)
    assert counts.n_asked == 2 and "no E(B-V) yet for 3 stars" in counts.message and "500" in counts.message
    assert set(rows(con)) == {1, 2, 6}
    assert fill_reddening(con, 8, service_url=service.url).n_asked == 3
    check(con)


def test_one_clear_message_where_there_is_no_map(con, tmp_path, monkeypatch, service):
    before = rows(con)
    for words, counts in (
        ("fetch it with dustmaps.bayestar.fetch()", fill_reddening(con, 7, service_url=None)),
        ("there is no map at", fill_reddening(con, 7, map_file=tmp_path / "none.h5")),
    ):
        assert counts.n_asked == 0 and words in counts.message and "5 stars" in counts.message
    (tmp_path / "broken.h5").write_bytes(b"not a map")
    assert "cannot be read as a map" in fill_reddening(con, 7, tmp_path / "broken.h5").message
    monkeypatch.setitem(sys.modules, "dustmaps", None)
    assert "pip install 'dustmaps>=" in fill_reddening(con, 7, service_url=service.url).message
    assert rows(con) == before and not service.asked
