"""An HTTP server on loopback that speaks CDS X-Match, VizieR, and TAP as Gaia and SIMBAD do, with faults on demand.

It holds tables of any columns and answers from them: uploads are matched with the tables by astropy, so that what the
clients bring home is known beforehand.
"""

from __future__ import annotations

import email
import io
import re
import threading
import time
import urllib.parse
import warnings
from collections import Counter
from http.server import ThreadingHTTPServer

import numpy as np
import pandas as pd
from astropy import units as u
from astropy.coordinates import SkyCoord, search_around_sky
from astropy.io import votable
from astropy.table import MaskedColumn, Table

from tests.tools.servers.loopback import Answering

__all__ = ["ArchiveServer"]

CAPABILITIES = """<?xml version="1.0" encoding="UTF-8"?>
<vosi:capabilities xmlns:vosi="http://www.ivoa.net/xml/VOSICapabilities/v1.0"
  xmlns:tr="http://www.ivoa.net/xml/TAPRegExt/v1.0" xmlns:vs="http://www.ivoa.net/xml/VODataService/v1.1"
  xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<capability standardID="ivo://ivoa.net/std/TAP" xsi:type="tr:TableAccess">
  <interface role="std" xsi:type="vs:ParamHTTP"><accessURL use="base">{url}</accessURL></interface>
  <language><name>ADQL</name><version ivo-id="ivo://ivoa.net/std/ADQL#v2.0">2.0</version></language>
  <outputFormat><mime>application/x-votable+xml</mime><alias>votable</alias></outputFormat>
  <uploadMethod ivo-id="ivo://ivoa.net/std/TAPRegExt#upload-inline"/>
  <outputLimit><default unit="row">10000</default><hard unit="row">2000000</hard></outputLimit>
  <uploadLimit><hard unit="row">200000</hard></uploadLimit>
</capability></vosi:capabilities>"""


class ArchiveServer:
    """Serves tables on 127.0.0.1 until it is closed.

    Parameters
    ----------
    tables : dict of pandas.DataFrame
        Tables by the name under which they are asked for; each with the columns given in `positions`.
    positions : dict, optional
        Names of right ascension and declination in each table; ("ra", "dec") where it is not named.
    """

    def __init__(self, tables, positions=None):
        self.tables = tables
        self.positions = positions or {}
        self.faults: list[str] = []  # of the next requests for data: timeout, 500, half, cut, empty, extra, or none
        self.renamed: dict[str, str] = {}  # columns that go by another name from now on
        self.asked = Counter()  # requests for data, by service
        self.agents: set[str] = set()
        self.under_way, self.most_at_once = 0, 0
        self.jobs: dict[str, bytes] = {}
        server = self

        class Handler(_Handler):
            archive = server

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def servers(self):
        """Addresses as `becat.etl.archives.fetch.fetch` takes them."""
        return {
            "xmatch": f"{self.url}/xmatch/api/v1/sync",
            "vizier": self.url,
            "tapvizier": f"{self.url}/TAPVizieR/tap",
            "gaia_tap": f"{self.url}/",
            "simbad_tap": f"{self.url}/simbad/sim-tap",
        }

    def close(self):
        self._http.shutdown()
        self._http.server_close()

    def near(self, name, upload, ra, dec, radius_arcsec):
        """Rows of a table near uploaded places, with the uploaded columns before them, ordered by place."""
        table = self.tables[name]
        at = self.positions.get(name, ("ra", "dec"))
        here = SkyCoord(upload[ra].to_numpy(float), upload[dec].to_numpy(float), unit="deg")
        there = SkyCoord(table[at[0]].to_numpy(float), table[at[1]].to_numpy(float), unit="deg")
        i, j, distance, _ = search_around_sky(here, there, radius_arcsec * u.arcsec)
        order = np.lexsort((j, i))
        found = pd.concat(
            [upload.iloc[i[order]].reset_index(drop=True), table.iloc[j[order]].reset_index(drop=True)], axis=1
        )
        found.insert(0, "angDist", distance.arcsec[order])
        return found.rename(columns=self.renamed)

    def spoilt(self, service, frame, name="result"):
        """The answer as bytes, after the next fault in the queue; None: the connection is to be dropped in the middle."""
        self.asked[service] += 1
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "timeout":
            time.sleep(1.5)
        elif fault == "500":
            raise ConnectionAbortedError("500")
        elif fault == "half":
            frame = frame.iloc[: len(frame) // 2]
        elif fault == "empty":
            frame = frame.iloc[:0]
        elif fault == "extra":
            frame = frame.assign(becat_star=17)
        body = as_votable(frame, name)
        return body[: len(body) // 2] if fault == "cut" else body


def as_votable(frame, name):
    """A table as the bytes of a VOTable; missing cells stay missing."""
    table = Table()
    for column in frame.columns:
        values = frame[column]
        if values.dtype == object or pd.api.types.is_string_dtype(values):
            table[column] = np.array(
                [("" if v is None or v != v else str(v)) for v in values], dtype=str if len(values) else "U1"
            )
        else:
            table[column] = MaskedColumn(values.to_numpy(), mask=values.isna().to_numpy())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names like 2MASS, which archives use all the same
        tree = votable.from_table(table)
    tree.resources[0].tables[0].name = name
    out = io.BytesIO()
    tree.to_xml(out)
    return out.getvalue()


class _Handler(Answering):
    archive: ArchiveServer

    def do_GET(self):
        path = urllib.parse.urlparse(self.path).path
        if path.endswith("/tables"):
            names = [name.removeprefix("vizier:") for name in self.archive.tables]
            self.reply("\n".join(names).encode(), "text/plain")
        elif path.endswith("/capabilities"):
            self.reply(CAPABILITIES.format(url=f"{self.archive.url}/simbad/sim-tap").encode(), "text/xml")
        elif path.endswith("/phase"):
            self.reply(b"COMPLETED", "text/plain")
        elif path.endswith("/results/result"):
            self.reply(self.archive.jobs[path.split("/")[-3]], "application/x-votable+xml")
        else:
            self.reply(b"COMPLETED", "text/plain")

    def do_POST(self):
        archive = self.archive
        archive.under_way += 1
        archive.most_at_once = max(archive.most_at_once, archive.under_way)
        archive.agents.add(self.headers.get("User-Agent", ""))
        try:
            self.answer(urllib.parse.urlparse(self.path).path, *self.fields())
        except ConnectionAbortedError:
            self.reply(b"<html><body>Internal Server Error</body></html>", "text/html", 500)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client has given up
        finally:
            archive.under_way -= 1

    def answer(self, path, fields, files):
        archive = self.archive
        if path.startswith("/xmatch"):
            upload = pd.read_csv(io.BytesIO(files["cat1"]))
            found = archive.near(
                fields["cat2"], upload, fields["colRA1"], fields["colDec1"], float(fields["distMaxArcsec"])
            )
            self.reply(archive.spoilt("xmatch", found), "application/x-votable+xml")
        elif path.startswith("/viz-bin"):
            names = fields["-source"].split(",")
            if len(names) == 1:
                frame = archive.tables[names[0]].rename(columns=archive.renamed)
                return self.reply(archive.spoilt("vizier", frame, names[0]), "application/x-votable+xml")
            parts = [votable.parse(io.BytesIO(as_votable(archive.tables[name], name))) for name in names]
            parts[0].resources.extend(part.resources[0] for part in parts[1:])
            out = io.BytesIO()
            parts[0].to_xml(out)
            self.reply(out.getvalue(), "application/x-votable+xml")
        elif path.startswith("/TAPVizieR/tap/sync"):
            self.reply(self.of_vizier(fields["QUERY"]), "application/x-votable+xml")
        elif path.startswith("/tap-server/tap/async"):
            job = str(len(archive.jobs) + 1)
            archive.jobs[job] = archive.spoilt("gaia_tap", self.adql(fields["QUERY"], files["stars"]))
            self.reply(b"", "text/plain", 303, {"Location": f"{archive.url}/tap-server/tap/async/{job}"})
        elif path.startswith("/simbad/sim-tap/sync"):
            found = self.adql(fields["QUERY"], files["stars"]) if files else self.by_name(fields["QUERY"])
            self.reply(archive.spoilt("simbad_tap", found), "application/x-votable+xml")
        else:
            self.reply(b"", "text/plain", 200)

    def of_vizier(self, query):
        """Names of a table's columns, or some of its columns."""
        asked = re.fullmatch(r"select column_name from TAP_SCHEMA.columns where table_name = '(.*)'", query)
        if asked:
            table = self.archive.tables.get(asked[1], pd.DataFrame()).rename(columns=self.archive.renamed)
            return as_votable(pd.DataFrame({"column_name": list(table.columns)}, dtype=str), "columns")
        columns, name = re.fullmatch(r'select (.*) from "(.*)"', query).groups()
        table = self.archive.tables[name].rename(columns=self.archive.renamed)
        return self.archive.spoilt("tapvizier", table[re.findall(r'"([^"]+)"', columns)], "result")

    def adql(self, query, upload):
        """The one kind of query that is sent: uploaded places joined with a table by position."""
        words = re.match(
            r"select (?P<columns>.*) from tap_upload\.\w+ as u join (?P<table>\S+) as \w+ on 1 = contains\(.*"
            r" u\.(?P<dec>\w+), (?P<radius>[\d.]+)\)\)(?: join (?P<joined>\S+) as d on .*)? order by",
            query,
            re.IGNORECASE,
        )
        assert words, query
        places = votable.parse_single_table(io.BytesIO(upload)).to_table(use_names_over_ids=True).to_pandas()
        found = self.archive.near(words["table"], places, "becat_ra", "becat_dec", float(words["radius"]) * 3600)
        if words["joined"]:
            both = found[["becat_star", "source_id"]].merge(self.archive.tables[words["joined"]], on="source_id")
            found = both.rename(columns=self.archive.renamed)
        columns = [word.strip().split(".")[-1] for word in words["columns"].split(",")]
        return found[[column for column in columns if column in found]]

    def by_name(self, query):
        """The query for one name: rows of table `ident`, which here has the columns of `basic` too."""
        words = re.match(
            r"select top 1 (?P<columns>.*) from basic join ident .* where id = '(?P<name>(?:[^']|'')*)' and", query
        )
        assert words, query
        table = self.archive.tables["ident"]
        columns = [word.strip() for word in words["columns"].split(",")]
        return table.loc[table["id"] == words["name"].replace("''", "'"), columns]

    def fields(self):
        """Form fields and uploaded files of the request."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind = self.headers.get("Content-Type", "")
        if self.path.startswith("/viz-bin"):  # ASU: one parameter a line, some without a value
            return dict((line + "=").split("=")[:2] for line in body.decode().splitlines()), {}
        if not kind.startswith("multipart"):
            return {k: v[0] for k, v in urllib.parse.parse_qs(body.decode(), keep_blank_values=True).items()}, {}
        message = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
        fields, files = {}, {}
        for part in message.get_payload():
            name = part.get_param("name", header="content-disposition")
            (files if part.get_filename() else fields)[name] = part.get_payload(decode=True)
        return {k: v.decode().strip() for k, v in fields.items()}, files
