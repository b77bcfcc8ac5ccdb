"""A release of LAMOST as a part of `becat run`: its catalogues, a plan, the spectra of the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import click

from becat.entries import ConfigurationError, refuse_unknown
from becat.etl.lamost.wishes import SERVICES, Wishes

__all__ = ["LamostRelease", "bring_release"]


@dataclass(frozen=True)
class LamostRelease:
    """The table [lamost] of a configuration; the paths are absolute."""

    release: str
    version: str = ""
    survey: str = "mrs"
    folder: Path = Path("lamost")
    wishes: Wishes = field(default_factory=Wishes)
    nights: bool = True
    ask: str = ""
    token_file: Path | None = None
    server: str | None = None

    @classmethod
    def read(cls, entries: Any, folder: Path) -> LamostRelease:
        """Check the entries of a table.

        Raises
        ------
        ConfigurationError
            An entry is missing, unknown or of the wrong type.
        """
        if not isinstance(entries, Mapping):
            raise ConfigurationError('lamost must be a table, as in [lamost] release = "dr11"')
        of_wishes = [one.name for one in fields(Wishes) if one.name != "exposures"]
        own = [one.name for one in fields(cls) if one.name != "wishes"]
        refuse_unknown(entries, [*own, *of_wishes], "lamost")
        if "release" not in entries:
            raise ConfigurationError('no entry "release" in [lamost]: name one, as in release = "dr11"')
        given = {"folder": "lamost", **entries}
        checked = {name: _checked(name, value, folder) for name, value in given.items()}
        wishes = Wishes(**{name: checked.pop(name) for name in of_wishes if name in checked})
        return cls(**checked, wishes=wishes)


def _checked(name: str, value, folder: Path) -> Any:
    if name == "regions":
        circles: list = value if isinstance(value, list) else [None]
        if not all(isinstance(c, list) and len(c) == 3 and all(_is_number(x) for x in c) for c in circles):
            raise ConfigurationError(
                "regions in [lamost] must be a list of circles: [right ascension, declination, radius], degrees"
            )
        return [tuple(float(x) for x in circle) for circle in circles]
    if name in ("all_epochs", "steps", "anew", "nights"):
        if not isinstance(value, bool):
            raise ConfigurationError(f"{name} in [lamost] must be true or false, not {value!r}")
        return value
    if name in ("brightest_mag", "faintest_mag", "radius_arcsec"):
        if not _is_number(value):
            raise ConfigurationError(f"{name} in [lamost] must be a number, not {value!r}")
        return float(value)
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} in [lamost] must be a string, not {value!r}")
    if name == "survey" and value not in ("mrs", "lrs"):
        raise ConfigurationError(f"survey in [lamost] must be mrs or lrs, not {value!r}")
    if name == "ask" and value not in SERVICES:
        raise ConfigurationError(f"ask in [lamost] must be {', '.join(SERVICES)}, not {value!r}")
    if name in ("stars", "token_file") and not (folder / value).is_file():
        raise ConfigurationError(f"{name} in [lamost]: no such file: {folder / value}")
    return folder / value if name in ("folder", "stars", "token_file") else value


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def bring_release(connection, wanted: LamostRelease, exposures: str) -> tuple[Path, list[Path]]:
    """Fetch what is missing of a release.

    Parameters
    ----------
    connection : duckdb connection
        The catalogue, open for writing.
    wanted : LamostRelease
    exposures : {'coadd', 'single', 'all'}
        Which spectra will be loaded.

    Returns
    -------
    (Path, list of Path)
        Folder of the spectra, and the release's catalogues.

    Raises
    ------
    BecatError
        Something could not be fetched; the same run goes on with it.
    """
    from becat.etl.lamost.ask import Answer, ask_for_catalogues
    from becat.etl.lamost.catalogues import fetch_catalogues, known_releases
    from becat.etl.lamost.client import SERVER, Client
    from becat.etl.lamost.plan import make_plan
    from becat.etl.lamost.services import service_of
    from becat.etl.lamost.spectra import fetch_spectra
    from becat.etl.lamost.token import find_token
    from becat.schema.releases import find

    client = Client(wanted.server or SERVER, find_token(wanted.token_file))
    known = known_releases(client)
    release = find(known, wanted.release, wanted.version, wanted.survey)
    folder = wanted.folder / "catalogues"
    wishes = replace(wanted.wishes, exposures=exposures)

    def tell(line: str) -> None:
        click.echo(f"lamost:  {line}")

    if wanted.ask:
        service = service_of(wanted.ask, client)
        answer = ask_for_catalogues(service, connection, release, wanted.survey, wishes, folder, client.limits, tell)
    else:
        answer = Answer(fetch_catalogues(client, release, wanted.survey, folder), [], True)
    plan = make_plan(connection, answer.paths, release, wanted.survey, wishes, client.limits, answer.is_whole)
    for line in [*answer.remarks, *plan.lines()]:
        tell(line)
    folder = wanted.folder / wanted.survey
    fetched = fetch_spectra(connection, client, known, wanted.survey, folder, wanted.nights)
    for line in fetched.lines():
        tell(line)
    return folder, answer.paths
