"""An HTTP server on loopback that stands for LAMOST's: releases as recorded, catalogues, spectra, and its failures.

Forms of the failures are those that were seen of the real service (docs/archives.md).
"""

from __future__ import annotations

import json
import re
import threading
import time
import urllib.parse
from collections import Counter, defaultdict
from http.server import ThreadingHTTPServer

import duckdb
import pandas as pd

from tests.tools.servers.loopback import Answering
from tests.tools.servers.sql_service import answered

__all__ = ["LamostServer"]

LOGIN = (
    b'<!DOCTYPE html><html><head><meta http-equiv="refresh" content="0;url=https://oauth.china-vo.org/user/login?next=x">'
    b"</head><body>Redirecting</body></html>"
)
# Answers instead of a file: status, type, body.
WORDS = {
    "login page": (200, "text/html; charset=utf-8", LOGIN),
    "login page as octets": (200, "application/octet-stream", LOGIN),
    "token words": (200, "application/json", b'{"error":"Unauthorized","description":"please check your token"}'),
    "401": (401, "application/json", b"{}"),
    "json error": (200, "application/json", b'{"error":"Bad Request","description":"obsid not found"}'),
    "sql error": (200, "text/plain", b'{"error":"Internal Server Error","description":"syntax error"}'),
    "not found": (404, "text/html", b"Not Found"),
    "not found under 200": (200, "text/html", b"Not Found"),
    "empty": (200, "application/octet-stream", b""),
    "429": (429, "text/plain", b"Too Many Requests"),
    "500": (500, "text/html", b"<html>Internal Server Error</html>"),
    "503": (503, "text/html", b"<html>Service Unavailable</html>"),
    "web page": (200, "text/html", b"<html><body>maintenance</body></html>"),
}


class LamostServer:
    """Serves on 127.0.0.1 until it is closed.

    Parameters
    ----------
    versions : list of dict
        The recorded answer of dr_versions; addresses are replaced by the server's own.
    """

    def __init__(self, versions):
        self.versions = versions
        self.spectra: dict[tuple[str, str], dict[int, bytes]] = defaultdict(dict)  # ("dr7/v2.0", "mrs"): obsid: file
        self.nights: dict[str, dict[str, bytes]] = defaultdict(dict)  # "dr7/v2.0": "mrs/20180407.tar.gz": archive
        self.catalogues: dict[str, dict[str, bytes]] = defaultdict(dict)  # "dr7/v2.0": name: file
        self.tables: dict[str, dict[str, pd.DataFrame]] = defaultdict(dict)  # "dr7/v2.0": tables of its SQL
        self.row_limit: int | None = None  # of an answer to SQL
        self.queries: list[str] = []
        self.faults: dict[str, list[str]] = defaultdict(list)  # of an obsid or file name, for its next requests
        self.token: str | None = None  # which internal releases ask for
        self.delay_s = 0.0
        self.asked = Counter()  # by obsid or file name
        self.ranges: list[str] = []
        self.seen_tokens: list[tuple[str, str]] = []  # path and token
        self.agents: set[str] = set()
        self.under_way, self.most_at_once, self.lock = 0, 0, threading.Lock()
        server = self

        class Handler(_Handler):
            lamost = server

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._http.handle_error = lambda *_: None  # a client that was killed
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self.root = f"{self.url}/openapi"

    def close(self):
        self._http.shutdown()
        self._http.server_close()

    def listed(self):
        """The list of releases with the server's own addresses."""
        own = []
        for one in self.versions:
            place = "/".join(filter(None, (one["dr_version"], one["sub_version"])))
            own.append({**one, "base_url": f"{self.url}/{place}"})
        return {"versions": own}

    def is_internal(self, place):
        return any(
            one["public_status"] != "public"
            and "/".join(filter(None, (one["dr_version"], one["sub_version"]))) == place
            for one in self.versions
        )


class _Handler(Answering):
    lamost: LamostServer

    def do_GET(self):
        lamost = self.lamost
        with lamost.lock:
            lamost.under_way += 1
            lamost.most_at_once = max(lamost.most_at_once, lamost.under_way)
            lamost.agents.add(self.headers.get("User-Agent", ""))
        try:
            time.sleep(lamost.delay_s)
            self.answer()
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client has given up
        finally:
            with lamost.lock:
                lamost.under_way -= 1

    def answer(self):
        lamost = self.lamost
        parts = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(parts.query)
        if "token" in query:
            lamost.seen_tokens.append((parts.path, query["token"][0]))
        if parts.path == "/openapi/dr_versions":
            lamost.asked["dr_versions"] += 1
            return self.reply(json.dumps(lamost.listed()).encode(), "application/json")
        sql = re.fullmatch(r"/openapi/(dr\d+/v[\d.]+)/sql", parts.path)
        if sql:
            return self.sql(sql[1], query)
        spectrum = re.fullmatch(r"/(dr\d+(?:/v[\d.]+)?)/(med)?spectrum/fits/(\d+)", parts.path)
        catalogue = re.fullmatch(r"/(dr\d+(?:/v[\d.]+)?)/(medcas/)?catdl", parts.path)
        through_api = re.fullmatch(r"/openapi/(dr\d+/v[\d.]+)/(mrs|lrs)/catalog", parts.path)
        night = re.fullmatch(r"/(dr\d+(?:/v[\d.]+)?)/tar/(mrs|lrs)-fits/(\d{8}\.tar\.gz)", parts.path)
        found = spectrum or catalogue or through_api or night
        if not found:
            return self.reply(b"Not Found", "text/html", 404)
        place, key = found[1], spectrum[3] if spectrum else night[3] if night else query["name"][0]
        lamost.asked[key] += 1
        if lamost.is_internal(place) and query.get("token", [None])[0] != lamost.token:
            return self.words("login page")
        fault = lamost.faults[key].pop(0) if lamost.faults[key] else ""
        if fault in WORDS:
            return self.words(fault)
        if spectrum:
            of = lamost.spectra[place, "mrs" if spectrum[2] else "lrs"]
            content = of.get(int(key))
            if content is None:
                return self.words("json error" if any(of) else "not found")
        elif night:
            content = lamost.nights[place].get(f"{night[2]}/{key}")
            if content is None:
                return self.words("not found")
        else:
            content = lamost.catalogues[place].get(key)
            if content is None:
                return self.words("json error")
        return self.file(content, fault, key)

    def sql(self, place, query):
        """An answer in the recorded form: commas, a byte-order mark, numbers as they are written; an error under 200."""
        lamost, asked = self.lamost, query["sql"][0]
        lamost.queries.append(asked)
        lamost.asked["sql"] += 1
        if lamost.is_internal(place) and query.get("token", [None])[0] != lamost.token:
            return self.words("login page")
        fault = lamost.faults["sql"].pop(0) if lamost.faults["sql"] else ""
        if fault in WORDS:
            return self.words(fault)
        try:
            found = answered(asked, lamost.tables[place])
        except duckdb.Error as error:
            said = {"error": "Internal Server Error", "description": str(error)}
            return self.reply(json.dumps(said).encode(), "text/plain")
        found = found if lamost.row_limit is None else found.iloc[: lamost.row_limit]
        body = b"" if found.empty and fault == "old" else b"\xef\xbb\xbf" + found.to_csv(index=False).encode()
        return self.file(body, fault, "sql")

    def words(self, name):
        status, kind, body = WORDS[name]
        self.reply(body, kind, status, {"Retry-After": "0"} if status == 429 else {})

    def file(self, content, fault, key):
        """A file, from where it is asked for; with `cut` the connection ends in the middle."""
        start, status, headers = 0, 200, {"Content-disposition": f"attachment; filename={key}.fits.gz"}
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and fault != "no range":
            self.lamost.ranges.append(asked[0])
            start, status = int(asked[1]), 206
            if start >= len(content):
                return self.reply(b"", "text/plain", 416, {"Content-Range": f"bytes */{len(content)}"})
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        body = content[start:]
        if fault == "damaged":
            body = body[: len(body) // 2] + b"\0\0\0\0" + body[len(body) // 2 + 4 :]
        if fault == "half":  # well said, but half the file
            body = body[: len(body) // 2]
        if fault == "cut":
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.close_connection = True
            return None
        return self.reply(body, "application/gzip", status, headers)
