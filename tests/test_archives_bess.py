"""BeSS: its spectra through its SSA service, played on loopback."""

from __future__ import annotations

import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import duckdb
import numpy as np
import pytest
from astropy.io import fits, votable
from astropy.table import Table

from becat.etl.archives.bess import fetch_bess
from becat.etl.archives.fetch import Manners
from becat.schema.errors import BecatError

QUICK = Manners(tries=3, first_wait_s=0.0, pause_s=0.0, timeout_s=5.0)


def spectrum():
    out = io.BytesIO()
    fits.PrimaryHDU(np.ones(10)).writeto(out)
    return out.getvalue()


class Bess(BaseHTTPRequestHandler):
    asked: list[dict]
    faults: list[int]

    def log_message(self, *_):
        """Say nothing."""

    def do_GET(self):
        parts = urlsplit(self.path)
        if self.faults:
            return self.say(self.faults.pop(0), b"busy")
        if parts.path == "/cgi-bin/ssapBE.pl":
            question = {key: value[0] for key, value in parse_qs(parts.query).items()}
            self.asked.append(question)
            host = f"http://127.0.0.1:{self.server.server_address[1]}"
            mine = [f"{host}/fits/a.fits", f"{host}/fits/b.fits", "http://elsewhere.invalid/c.fits"]
            rows = mine if question["POS"].startswith("10.") else []
            table = Table({"accref": np.array(rows, dtype="U80"), "title": np.array(rows, dtype="U80")})
            out = io.BytesIO()
            votable.from_table(table).to_xml(out)
            return self.say(200, out.getvalue())
        self.asked.append({"file": parts.path})
        return self.say(200, spectrum() if parts.path.endswith("a.fits") else b"<html>gone</html>")

    def say(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def bess():
    class Handler(Bess):
        asked, faults = [], []

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield Handler, f"http://127.0.0.1:{server.server_address[1]}/cgi-bin/ssapBE.pl"
    server.shutdown()
    server.server_close()


@pytest.fixture
def connection():
    with duckdb.connect() as connection:
        connection.execute("create view be as select * from (values (10.5, 60.0), (20.0, -5.0)) v(ra_deg, dec_deg)")
        yield connection


def test_spectra_of_our_stars_come_once(connection, bess, tmp_path):
    handler, server = bess
    handler.faults += [503]
    came = fetch_bess(connection, tmp_path, "be", server=server, manners=QUICK, sleep=lambda _: None)
    assert (came.n_stars, came.n_listed, came.n_fetched, came.n_failed) == (
        2,
        2,
        1,
        1,
    ) and "b.fits is not a FITS" in came.problem
    assert handler.asked[0] == {"POS": "10.500000,60.000000", "SIZE": "0.006", "BAND": "6.4e-7/6.8e-7"}
    (file,) = tmp_path.iterdir()
    assert file.read_bytes() == spectrum() and file.name.endswith("_a.fits")
    handler.asked.clear()
    again = fetch_bess(connection, tmp_path, "be", server=server, manners=QUICK, sleep=lambda _: None)
    assert again.n_there == 1 and {"file": "/fits/a.fits"} not in handler.asked


def test_what_is_wrong_is_named(connection, bess, tmp_path):
    handler, server = bess
    handler.faults += [500] * 3
    with pytest.raises(BecatError, match="does not answer"):
        fetch_bess(connection, tmp_path, "be", server=server, manners=QUICK, sleep=lambda _: None)
    with pytest.raises(BecatError, match="is not a VOTable"):
        fetch_bess(
            connection, tmp_path, "be", server=server.replace("ssapBE.pl", "x"), manners=QUICK, sleep=lambda _: None
        )
    with pytest.raises(BecatError, match="nowhere"):
        fetch_bess(connection, tmp_path, "nowhere", server=server, manners=QUICK)
