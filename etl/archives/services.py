"""One question to one archive, through its astroquery client."""

from __future__ import annotations

import contextlib
import io
import logging
import socket
import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa
from astropy import units as u
from astropy.table import Table, vstack
from requests.adapters import HTTPAdapter

from becat.etl.archives.sources import Source
from becat.etl.archives.tables import from_astropy
from becat.schema.errors import BecatError
from becat.schema.sql_names import literal
from becat.schema.version import becat_version
from becat.schema.votable_safe import follow_no_address

__all__ = ["DEC", "ID", "RA", "SERVERS", "Client", "clients_of", "quiet"]

# Names of the columns that are sent along: no archive has them.
ID, RA, DEC = "becat_star", "becat_ra", "becat_dec"

SERVERS = {
    "xmatch": "http://cdsxmatch.u-strasbg.fr/xmatch/api/v1/sync",
    "vizier": "https://vizier.cds.unistra.fr",
    "tapvizier": "https://tapvizier.cds.unistra.fr/TAPVizieR/tap",
    "gaia_tap": "https://gea.esac.esa.int/",
    "simbad_tap": "https://simbad.cds.unistra.fr/simbad/sim-tap",
}


TAP_ROWS_MAX = 10_000_000


@dataclass
class Client:
    """Asks one archive at a time.

    Parameters
    ----------
    servers : dict
        Address of each service; see `SERVERS`.
    timeout_s : float
        Longest wait for a server to say anything.
    """

    servers: dict[str, str]
    timeout_s: float = 120.0

    def ask(self, source: Source, places: pa.Table | None, radius_arcsec: float) -> tuple[pa.Table, dict[str, str]]:
        """Rows of a source: around some places, or (service vizier) all of them.

        Parameters
        ----------
        source : Source
        places : pyarrow.Table or None
            Columns `ID`, `RA` and `DEC` (degrees, ICRS).
        radius_arcsec : float
            Radius around each place.

        Returns
        -------
        table : pyarrow.Table
            The archive's columns, and `ID` of the place that each row is near to.
        units : dict
            Units of the columns that state one.

        Raises
        ------
        Exception
            Whatever the client raises; the caller tries again.
        """
        ask = {
            "xmatch": self._xmatch,
            "vizier": self._vizier,
            "tapvizier": self._tapvizier,
            "gaia_tap": self._gaia,
            "simbad_tap": self._simbad,
        }
        if source.service not in ask:
            raise BecatError(f"{source.name} is not served by any archive: load it with --from FILE")
        before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(self.timeout_s)  # the Gaia client knows none of its own
        try:
            with quiet():
                return from_astropy(ask[source.service](source, places, radius_arcsec))
        finally:
            socket.setdefaulttimeout(before)

    def resolve(self, name: str) -> tuple[str | None, float | None, float | None]:
        """Main name and position (degrees, ICRS) by which SIMBAD knows an object; None each where it knows none of that name.

        Raises
        ------
        Exception
            Whatever the client raises.
        """
        client = clients_of(self.servers["simbad_tap"], self.timeout_s)["simbad"]
        query = (
            "select top 1 main_id, ra, dec from basic join ident on ident.oidref = basic.oid"
            f" where id = {literal(name)} and ra is not null"
        )
        with quiet():
            found, _ = from_astropy(client.query_tap(query, maxrec=1))
        if not found.num_rows:
            return None, None, None
        row = found.to_pylist()[0]
        return str(row["main_id"]), float(row["ra"]), float(row["dec"])

    def _xmatch(self, source, places, radius_arcsec):
        client = clients_of(self.servers["xmatch"], self.timeout_s)["xmatch"]
        return client.query(
            _upload(places), source.table, radius_arcsec * u.arcsec, colRA1=RA, colDec1=DEC, cache=False
        )

    def _vizier(self, source, places, radius_arcsec):
        client = clients_of(self.servers["vizier"], self.timeout_s)["vizier"]
        tables = client.get_catalogs(list(source.tables) if len(source.tables) > 1 else source.table)
        wanted = source.wanted()
        parts = []
        keys = list(tables.keys())  # a TableList iterates over its values
        for name in keys:
            table = tables[name]
            # a catalogue given without its table: those of its tables that list objects, and their names as a class
            if (
                all(set(names) & set(table.colnames) for ours, names in wanted.items() if ours.startswith("match."))
                or len(tables) == 1
            ):
                if "object_class" in wanted and not set(wanted["object_class"]) & set(table.colnames):
                    table["Class"] = name.split("/")[-1]
                parts.append(table)
        if not keys:
            raise LookupError(
                f"VizieR answers with no rows of {', '.join(source.tables)}"
            )  # so it does too when it is overloaded
        if not parts:
            raise BecatError(f"VizieR has no table of objects at {', '.join(source.tables)}: it has {', '.join(keys)}")
        if len(parts) == 1:
            return parts[0]
        columns = [[n for names in wanted.values() for n in names if n in part.colnames] for part in parts]
        return vstack([part[list(dict.fromkeys(names))] for part, names in zip(parts, columns, strict=True)])

    def _tapvizier(self, source, places, radius_arcsec):
        """The columns that are read of a large table: all of them would take longer than a server waits."""
        service = clients_of(self.servers["tapvizier"], self.timeout_s)["tapvizier"]
        listed = service.search(f"select column_name from TAP_SCHEMA.columns where table_name = '{source.table}'")
        there = {str(row["column_name"]).strip('"') for row in listed}
        if not there:
            raise BecatError(
                f"TAPVizieR has no table {source.table}: look for its name at VizieR, or load it with --from FILE"
            )
        names = dict.fromkeys(next((n for n in of if n in there), None) for of in source.wanted().values())
        columns = ", ".join(f'"{name}"' for name in names if name)
        return service.run_sync(f'select {columns} from "{source.table}"', maxrec=TAP_ROWS_MAX).to_table()

    def _gaia(self, source, places, radius_arcsec):
        client = clients_of(self.servers["gaia_tap"], self.timeout_s)["gaia"]
        query = _query_around(source, radius_arcsec)
        return client.launch_job_async(query, upload_resource=_upload(places), upload_table_name="stars").get_results()

    def _simbad(self, source, places, radius_arcsec):
        client = clients_of(self.servers["simbad_tap"], self.timeout_s)["simbad"]
        return client.query_tap(_query_around(source, radius_arcsec), maxrec=client.hardlimit, stars=_upload(places))


def _upload(places):
    return Table({name: places[name].to_numpy() for name in (ID, RA, DEC)})


def _query_around(source, radius_arcsec):
    """ADQL for the rows of a table near uploaded places, in their order; a table without positions is joined to one."""
    join = f" join {source.table} as d on d.source_id = g.source_id" if source.joined else ""
    columns = dict.fromkeys(names[0] for names in source.wanted().values())
    listed = ", ".join(f"{'d' if source.joined and name not in source.of_joined else 'g'}.{name}" for name in columns)
    return (
        f"select u.{ID}, {listed} from TAP_UPLOAD.stars as u join {source.joined or source.table} as g"
        f" on 1 = contains(point('ICRS', g.ra, g.dec), circle('ICRS', u.{RA}, u.{DEC}, {radius_arcsec / 3600:.9f}))"
        f"{join} order by u.{ID}"
    )


class _Timeout(HTTPAdapter):
    """Gives requests that name no time-out the one of the session."""

    def __init__(self, timeout_s):
        self._timeout_s = timeout_s
        super().__init__()

    def send(self, request, **how: Any):  # type: ignore[override]
        how["timeout"] = how.get("timeout") or self._timeout_s
        return super().send(request, **how)


@cache
def clients_of(server: str, timeout_s: float) -> dict[str, Any]:
    """The astroquery clients, pointed at a server, with a time-out and becat's name in their requests.

    They are imported here: it takes a second, and some write to the terminal.
    """
    with quiet():
        from astroquery.gaia import GaiaClass
        from astroquery.simbad import SimbadClass
        from astroquery.vizier import VizierClass
        from astroquery.xmatch import XMatchClass
        from pyvo.dal import TAPService
    follow_no_address()  # that an archive's answer might hold: the clients read VOTables by astropy

    class XMatch(XMatchClass):
        URL, TIMEOUT = server, timeout_s

        @cache  # noqa: B019 (one client a process)
        def get_available_tables(self, *, cache=False):
            return super().get_available_tables(cache=cache)

    class Vizier(VizierClass):
        def _server_to_url(self, return_type="votable"):
            return f"{server.rstrip('/')}/viz-bin/{return_type}"

    class Simbad(SimbadClass):
        @property
        def tap(self):
            if self._tap is None:
                self._tap = TAPService(server, session=self._session)
            return self._tap

    class Lazy(dict):
        """Makes a client when it is first asked for."""

        def __missing__(self, name):
            with quiet():
                self[name] = client = _named(make[name](), timeout_s)
            return client

    make = {
        "xmatch": XMatch,
        "vizier": lambda: Vizier(columns=["**", "_RAJ2000", "_DEJ2000"], row_limit=-1, timeout=timeout_s),
        "simbad": Simbad,
        "tapvizier": lambda: TAPService(server),
        "gaia": lambda: GaiaClass(gaia_tap_server=server, gaia_data_server=server, show_server_messages=False),
    }
    return Lazy()


def _named(client, timeout_s):
    session = getattr(client, "_session", None)
    if session is not None:
        session.headers["User-Agent"] = f"becat/{becat_version()} {session.headers.get('User-Agent', '')}".strip()
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Timeout(timeout_s))
    return client


@contextlib.contextmanager
def quiet():
    """Keep the words of the clients off the terminal, and their answers out of astroquery's own cache."""
    from astropy import log
    from astroquery import cache_conf

    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            cache_conf.set_temp("cache_active", False),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
