"""The services that can be asked for a release's catalogues, and what each calls its tables and columns.

What was seen of them stands in docs/archives.md; none could be asked when this was written.
"""

from __future__ import annotations

import csv
import io
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from becat.etl.archives.services import SERVERS, clients_of, quiet
from becat.etl.lamost.answers import NeedsToken, Unusable
from becat.etl.lamost.catalogues import token_needed
from becat.etl.lamost.client import Client
from becat.etl.lamost.limits import Limits
from becat.schema.errors import BecatError
from becat.schema.releases import Release

__all__ = ["GaiaArchive", "LamostSql", "Vizier", "service_of"]

ANSWER_BYTES_MAX = 512 << 20


class LamostSql:
    """LAMOST's own: PostgreSQL with pg_sphere, for the releases that its OpenAPI serves."""

    name = "LAMOST's SQL"
    strip_deg = 0.1  # some ten thousand rows, which take it some ten seconds

    def __init__(self, client: Client) -> None:
        self._client = client

    def tables(self, release: Release, survey: str) -> tuple[str, str]:
        """See `Service.tables`."""
        if release.order[0] < 4:
            raise BecatError(
                f"{release.name} is not served by LAMOST's OpenAPI: fetch its catalogue with `becat lamost catalogue"
                f" {release.release} --lrs`"
            )
        self._release = release
        return ("med_catalogue", "med_stellar") if survey == "mrs" else ("catalogue", "stellar")

    def names(self, table: str) -> dict[str, str]:
        """See `Service.names`; the columns of a row, for not every release lists its tables."""
        header, _ = self._table(f"select * from {table} limit 1")
        return {name: name for name in (one.lower().removeprefix(f"{table}_") for one in header)}

    def constants(self, table: str) -> dict[str, str]:
        """See `Service.constants`."""
        return {}

    def remarks(self, table: str) -> list[str]:
        """See `Service.remarks`."""
        return []

    def circle(self, ra: str, dec: str, place: tuple[float, float, float]) -> str:
        """See `Service.circle`."""
        return f"spos({ra},{dec}) @ scircle '<({place[0]:.7f}d,{place[1]:.7f}d),{place[2]:.7f}d>'"

    def count(self, table: str, condition: str) -> int:
        """See `Service.count`."""
        _, rows = self._table(f"select count(*) as n from {table}{_where(condition)}")
        if len(rows) != 1 or not rows[0][0].isdigit():
            raise BecatError(f"{self.name} does not count the rows of {table}: its answers have changed their form")
        return int(rows[0][0])

    def rows(self, table: str, columns: Sequence[str], condition: str) -> list[list[str]]:
        """See `Service.rows`."""
        return self._table(f"select {', '.join(columns)} from {table}{_where(condition)}", len(columns))[1]

    def _table(self, sql: str, n_columns: int = 0) -> tuple[list[str], list[list[str]]]:
        release = self._release
        place = f"{self._client.server}/{release.release.lower()}/{release.version}/sql"
        address = f"{place}?{urlencode({'sql': sql, 'output.fmt': 'csv'})}"
        read: list[tuple[list[str], list[list[str]]]] = []

        def check(content: bytes) -> None:
            read[:] = [_read_csv(content, n_columns)]

        try:
            self._client.text(address, not release.is_public, ANSWER_BYTES_MAX, check)
        except NeedsToken:
            raise token_needed(release) from None
        except Unusable as error:
            raise BecatError(
                f"{self.name} of {release.name}: {error}; what has arrived is kept: run the same command again to resume"
            ) from None
        return read[0]


def _read_csv(content: bytes, n_columns: int) -> tuple[list[str], list[list[str]]]:
    """Header and rows of an answer; an empty one is how old releases say that there are no rows."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unusable("the answer is not text") from None
    header = text.partition("\n")[0]
    separator = max(",|", key=header.count)
    lines = [line for line in csv.reader(io.StringIO(text), delimiter=separator) if line]
    if not lines:
        return [], []
    width = len(lines[0])
    if any(len(line) != width for line in lines) or (n_columns and width != n_columns):
        raise Unusable("the answer is not a complete table")
    return lines[0], [["" if cell in ("null", "None") else cell for cell in line] for line in lines[1:]]


def _where(condition: str) -> str:
    return f" where {condition}" if condition else ""


class _Adql(ABC):
    """What VizieR and Gaia's archive have in common: ADQL, with an answer that may be empty for no reason of ours."""

    name = ""
    strip_deg = 1.0
    renamed: dict[str, str] = {}  # noqa: RUF012 (the service's names, in small letters, and LAMOST's)

    def __init__(self, server: str, limits: Limits | None = None, sleep: Callable[[float], None] = time.sleep) -> None:
        self._server, self._limits, self._sleep = server, limits or Limits(), sleep

    def names(self, table: str) -> dict[str, str]:
        """See `Service.names`."""
        there = self._ask(f"select top 1 * from {table}").colnames
        return {self.renamed.get(str(name).lower(), str(name).lower()): f'"{name}"' for name in there}

    def constants(self, table: str) -> dict[str, str]:
        """See `Service.constants`."""
        return {}

    def remarks(self, table: str) -> list[str]:
        """See `Service.remarks`."""
        return [
            f"{self.name} does not say which version its tables are of: a file that one version lacks is looked for in the others"
        ]

    def circle(self, ra: str, dec: str, place: tuple[float, float, float]) -> str:
        """See `Service.circle`."""
        circle = f"circle('ICRS', {place[0]:.7f}, {place[1]:.7f}, {place[2]:.7f})"
        return f"1 = contains(point('ICRS', {ra}, {dec}), {circle})"

    def count(self, table: str, condition: str) -> int:
        """See `Service.count`."""
        found = self._ask(f"select count(*) as n from {table}{_where(condition)}")
        return int(found[found.colnames[0]][0])

    def rows(self, table: str, columns: Sequence[str], condition: str) -> list[list[str]]:
        """See `Service.rows`."""
        found = self._ask(f"select {', '.join(columns)} from {table}{_where(condition)}")
        if len(found.colnames) != len(columns):
            raise BecatError(f"{self.name} gave {len(found.colnames)} columns of {table} instead of {len(columns)}")
        return [[_text(cell) for cell in row] for row in found.iterrows()]

    def _ask(self, query: str) -> Any:
        for turn in range(self._limits.tries):
            try:
                with quiet():
                    return self._answer(query)
            except Exception as error:  # every client has its own; what may be otherwise later is asked for again
                words = " ".join(str(error).split())[:300] or type(error).__name__
                if _is_of_the_question(error, words) or turn == self._limits.tries - 1:
                    raise BecatError(
                        f"{self.name} does not answer {query[:120]!r}: {words}; what has arrived is kept: run the same command again to resume"
                    ) from None
                self._sleep(min(self._limits.first_wait_s * 2**turn, self._limits.longest_wait_s))

    @abstractmethod
    def _answer(self, query: str) -> Any:
        """The table that the service's client makes of an answer."""


def _is_of_the_question(error: Exception, words: str) -> bool:
    """Whether the service has refused the question itself, which it would again."""
    code = getattr(error, "code", None) or getattr(getattr(error, "response", None), "status_code", None)
    refused = str(code) == "400" or type(error).__name__ == "DALQueryError"
    return refused or "Error 400" in words or "Bad Request" in words


def _text(cell: Any) -> str:
    from numpy import ma

    if cell is ma.masked or cell is None or cell != cell:
        return ""
    return cell.decode() if isinstance(cell, bytes) else str(cell).strip()


COADDS_ONLY = ('"V/162/dr11m"', '"V/162/dr11sm"')  # as far as was seen


class Vizier(_Adql):
    """VizieR's tables of LAMOST, through TAPVizieR. Its tables of the MRS list coadds only, as far as was seen."""

    name = "VizieR"
    renamed = {  # noqa: RUF012
        "obs.date": "obsdate",
        "raj2000": "ra",
        "dej2000": "dec",
        "gmag": "gaia_g_mean_mag",
        "tefflasp": "teff_lasp",
        "teff-lasp": "teff_lasp",
    }
    of_release = {  # noqa: RUF012
        ("DR11", "mrs"): ("V/162/dr11m", "V/162/dr11sm"),
        ("DR11", "lrs"): ("V/162/dr11l", "V/162/dr11sl"),
        ("DR7", "lrs"): ("V/156/dr7lrs", "V/156/dr7slrs"),
        ("DR5", "lrs"): ("V/164/dr5", "V/164/stellar5"),
    }

    def tables(self, release: Release, survey: str) -> tuple[str, str]:
        """See `Service.tables`."""
        return _of_release(self.of_release, release, survey, self.name)

    def constants(self, table: str) -> dict[str, str]:
        """See `Service.constants`."""
        return {"coadd": "1", "lmjm": "0"} if table in COADDS_ONLY else {}

    def remarks(self, table: str) -> list[str]:
        """See `Service.remarks`."""
        said = [
            "VizieR does not say which version its tables are of: a file that one version lacks is looked for in the others"
        ]
        if table in COADDS_ONLY:
            said.append("VizieR lists coadds only: the sizes of the files and the S/N of the exposures are not known")
        return said

    def _answer(self, query: str) -> Any:
        return self._service.run_sync(query, maxrec=10_000_000).to_table()

    @cached_property
    def _service(self) -> Any:
        return clients_of(self._server, self._limits.timeout_s)["tapvizier"]


class GaiaArchive(_Adql):
    """ESA's archive of Gaia, which holds the general catalogues of DR9 without Gaia's own columns."""

    name = "Gaia's archive"
    of_release = {  # noqa: RUF012
        ("DR9", "mrs"): ("external.lamost_dr9_mrs", ""),
        ("DR9", "lrs"): ("external.lamost_dr9_lrs", ""),
    }

    def tables(self, release: Release, survey: str) -> tuple[str, str]:
        """See `Service.tables`."""
        return _of_release(self.of_release, release, survey, self.name)

    def _answer(self, query: str) -> Any:
        return clients_of(self._server, self._limits.timeout_s)["gaia"].launch_job_async(query).get_results()


def _of_release(known: dict, release: Release, survey: str, name: str) -> tuple[str, str]:
    found = known.get((release.release, survey))
    if not found:
        there = ", ".join(f"{one} ({of.upper()})" for one, of in known)
        raise BecatError(f"{name} has no {survey.upper()} of {release.release}: it has {there}")
    general, stellar = (f'"{table}"' if "/" in table else table for table in found)
    return general, stellar


def service_of(which: str, client: Client, server: str | None = None) -> LamostSql | Vizier | GaiaArchive:
    """The service of a name: ``lamost``, ``vizier`` or ``gaia``; the latter two at another address than their own, if one is given."""
    if which == "vizier":
        return Vizier(server or SERVERS["tapvizier"], client.limits)
    if which == "gaia":
        return GaiaArchive(server or SERVERS["gaia_tap"], client.limits)
    return LamostSql(client)
