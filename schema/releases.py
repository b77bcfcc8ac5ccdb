"""LAMOST's releases and the addresses of what they hold: as the service lists them, and as it did when becat was made."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from becat.schema.errors import BecatError

__all__ = ["Release", "find", "shipped"]


@dataclass(frozen=True)
class Release:
    """One version of one release.

    Attributes
    ----------
    release : str
        ``DR7``.
    version : str
        ``v2.0``; empty where the release has but one.
    address : str
        Where its pages and files lie.
    has_mrs : bool
        Whether it holds the medium-resolution survey.
    is_public : bool
        False: LAMOST asks for a token.
    """

    release: str
    version: str
    address: str
    has_mrs: bool
    is_public: bool

    @property
    def name(self) -> str:
        """As people say it: ``DR7 v2.0``."""
        return f"{self.release} {self.version}".strip()

    @property
    def order(self) -> tuple:
        """Sorts releases and their versions, the newest last."""
        return int(self.release[2:]), tuple(int(number) for number in re.findall(r"\d+", self.version))

    def spectrum(self, survey: str, obsid: int, what: str = "fits") -> str:
        """Address of a spectrum: its file (``fits``) or its page (``view``).

        Parameters
        ----------
        survey : {'mrs', 'lrs'}
            Numbers of the two surveys overlap: the path says which is meant.
        obsid : int
        what : {'fits', 'view'}
        """
        place = f"{self.address}/{'medspectrum' if survey == 'mrs' else 'spectrum'}/{what}"
        return f"{place}?obsid={obsid}" if what == "view" else f"{place}/{obsid}"

    def catalogue(self, survey: str, file: str) -> str:
        """Address of a catalogue file."""
        folder = "medcas/" if survey == "mrs" else ""
        return f"{self.address}/{folder}catdl?name={file}"

    def night(self, survey: str, night: str) -> str:
        """Address of the archive of a whole night, ``YYYYMMDD``."""
        return f"{self.address}/tar/{survey}-fits/{night}.tar.gz"


@cache
def shipped() -> tuple[Release, ...]:
    """The releases that the service listed when this version of becat was made."""
    with Path(__file__).with_name("lamost_releases.csv").open(encoding="utf-8", newline="") as file:
        return tuple(
            Release(
                row["release"], row["version"], row["address"], row["has_mrs"] == "true", row["is_public"] == "true"
            )
            for row in csv.DictReader(line for line in file if not line.startswith("#"))
        )


def find(known: Iterable[Release], release: str, version: str = "", survey: str = "") -> Release:
    """A version of a release; without a version the newest that is public, or the newest of all.

    Parameters
    ----------
    known : iterable of Release
    release : str
        ``DR11``, ``dr11`` or ``11``.
    version : str
        ``v2.0``, ``2.0`` or, where it is the only such, ``2``.
    survey : {'', 'mrs', 'lrs'}
        With ``mrs`` a version without that survey does not count.

    Raises
    ------
    BecatError
        There is none; the message says which there are.
    """
    known = sorted(known, key=lambda one: one.order)
    number = re.fullmatch(r"(?:dr)?\s*(\d+)", release.strip(), re.IGNORECASE)
    name = f"DR{number[1]}" if number else release
    of_release = [one for one in known if one.release == name]
    if not of_release:
        there = ", ".join(dict.fromkeys(one.release for one in known))
        raise BecatError(f"LAMOST has no release {release}: there are {there}")
    usable = [one for one in of_release if one.has_mrs or survey != "mrs"]
    if not usable:
        raise BecatError(f"{name} has no medium-resolution survey: DR6 was the first, or ask for --lrs")
    if not version:
        return next((one for one in reversed(usable) if one.is_public), usable[-1])
    wanted = version.strip().lower().removeprefix("v")
    exact = [one for one in of_release if one.version.removeprefix("v") == wanted]
    near = exact or [one for one in of_release if one.version.removeprefix("v") == f"{wanted}.0"]
    if not near:
        there = ", ".join(one.version or "no versions" for one in of_release)
        raise BecatError(f"{name} has no version {version}: there are {there}")
    if near[0] not in usable:
        raise BecatError(f"{near[0].name} has no medium-resolution survey: ask for --lrs, or another version")
    return near[0]
