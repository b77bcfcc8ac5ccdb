"""Spectra of the Be Star Spectra database (BeSS), through its service of the Simple Spectral Access protocol.

Address and parameters are those of public code; the service was not asked when this was written.
"""

from __future__ import annotations

import hashlib
import io
import re
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import requests
from astropy.io.votable import parse
from astropy.utils.exceptions import AstropyWarning
from tqdm import tqdm

from becat.etl.archives.fetch import Manners
from becat.etl.match.columns import column_names
from becat.schema.errors import BecatError
from becat.schema.sql_names import quoted
from becat.schema.version import becat_version
from becat.schema.votable_safe import follow_no_address

__all__ = ["SERVER", "BessSpectra", "fetch_bess"]

SERVER = "http://basebe.obspm.fr/cgi-bin/ssapBE.pl"
SIZE_DEG = 0.006  # diameter of the circle asked about: a position of BeSS is good to some arcsec
BAND_M = "6.4e-7/6.8e-7"  # H-alpha


@dataclass
class BessSpectra:
    """What came."""

    n_stars: int = 0
    n_listed: int = 0
    n_fetched: int = 0
    n_there: int = 0
    n_failed: int = 0
    problem: str = ""


def fetch_bess(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    view: str = "classical_be",
    *,
    server: str = SERVER,
    manners: Manners | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> BessSpectra:
    """Fetch the spectra around H-alpha that BeSS has of our stars.

    Parameters
    ----------
    connection : duckdb connection
    folder : Path
        For the FITS files; those that are there stay. `becat load` reads them.
    view : str
        Of which stars: a view with ra_deg and dec_deg.
    server : str
    manners : Manners, optional
    sleep : callable

    Raises
    ------
    BecatError
        There is no such view, or the service does not answer.
    """
    manners = manners or Manners()
    try:
        known = column_names(connection, view)
    except ValueError as error:
        raise BecatError(str(error)) from None
    if not {"ra_deg", "dec_deg"} <= set(known):
        raise BecatError(f"{view} has no columns ra_deg and dec_deg: name a view of stars")
    folder.mkdir(parents=True, exist_ok=True)
    stars = connection.execute(f"select distinct ra_deg, dec_deg from {quoted(view)} order by all").fetchall()
    counts = BessSpectra(n_stars=len(stars))
    session = requests.Session()
    session.headers["User-Agent"] = f"becat/{becat_version()}"
    for ra_deg, dec_deg in tqdm(stars, desc="BeSS", unit=" stars", disable=None):
        question = {"POS": f"{ra_deg:.6f},{dec_deg:.6f}", "SIZE": str(SIZE_DEG), "BAND": BAND_M}
        answer = _get(session, server, question, manners, sleep)
        for address in _addresses(answer, server):
            counts.n_listed += 1
            _take(session, address, folder, counts, manners, sleep)
        sleep(manners.pause_s)
    return counts


def _get(session, address: str, question: dict[str, str] | None, manners: Manners, sleep) -> bytes:
    wait = manners.first_wait_s
    for turn in range(1, manners.tries + 1):
        try:
            answer = session.get(address, params=question, timeout=manners.timeout_s)
            answer.raise_for_status()
            return answer.content
        except requests.RequestException as error:
            if turn == manners.tries:
                raise BecatError(
                    f"BeSS does not answer ({type(error).__name__}): what has arrived is kept; run the same command again later to resume"
                ) from None
        sleep(wait)
        wait *= 2
    raise AssertionError("never reached")


def _addresses(answer: bytes, server: str) -> list[str]:
    """Addresses of the spectra in an answer: the first cell of each row; only those of the service's own host."""
    follow_no_address()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)
            tables = list(parse(io.BytesIO(answer), verify="ignore").iter_tables())
    except Exception as error:  # astropy's many ways to say that it is no VOTable
        raise BecatError(f"the answer of BeSS is not a VOTable ({type(error).__name__})") from None
    rows = [row for table in tables if table.fields for row in table.array.tolist()]
    addresses = [str(row[0]).strip() for row in rows]
    return [one for one in addresses if urlsplit(one).hostname == urlsplit(server).hostname]


def _take(session, address: str, folder: Path, counts: BessSpectra, manners: Manners, sleep) -> None:
    stem = re.sub(r"[^\w.-]", "_", address.rsplit("/", 1)[-1])[-60:]
    target = folder / f"{hashlib.sha256(address.encode()).hexdigest()[:8]}_{stem}"
    target = target if target.suffix in (".fits", ".fit", ".gz") else target.with_name(target.name + ".fits")
    if target.exists():
        counts.n_there += 1
        return
    sleep(manners.pause_s)
    try:
        content = _get(session, address, None, manners, sleep)
    except BecatError as error:
        counts.n_failed, counts.problem = counts.n_failed + 1, str(error)
        return
    if not content.startswith((b"SIMPLE  =", b"\x1f\x8b")):
        counts.n_failed, counts.problem = counts.n_failed + 1, f"{address} is not a FITS file"
        return
    part = target.with_name(target.name + ".part")
    part.write_bytes(content)
    part.replace(target)
    counts.n_fetched += 1
