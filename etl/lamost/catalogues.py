"""A release's own catalogues: their names, which changed from release to release, and their files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

from becat.etl.lamost.answers import NeedsToken, NotThere, Unusable, check_gzip
from becat.etl.lamost.client import Client
from becat.schema.errors import BecatError
from becat.schema.releases import Release, find, shipped

__all__ = [
    "catalogue_names",
    "fetch_catalogues",
    "known_releases",
    "release_of_file",
    "release_of_files",
    "token_needed",
]

FORMATS = ("csv", "fits")


def known_releases(client: Client) -> list[Release]:
    """The releases and versions that the service lists, the newest last.

    Raises
    ------
    BecatError
        The service cannot be reached, or its answer is not what it was.
    """
    said = client.json("dr_versions")
    try:
        found = [
            Release(
                str(one["dr_version"]).upper(),
                str(one["sub_version"]),
                str(one["base_url"]).rstrip("/"),
                bool(one["has_mrs"]),
                one["public_status"] == "public",
            )
            for one in said["versions"]
            if re.fullmatch(r"dr\d+", str(one["dr_version"]), re.IGNORECASE)
        ]
    except (KeyError, TypeError):
        raise BecatError("LAMOST's list of releases has changed its form: check that becat is up to date") from None
    return sorted(found, key=lambda one: one.order)


def catalogue_names(release: Release, survey: str) -> tuple[list[str], list[str]]:
    """Names, without ending, of the general and of the stellar-parameter catalogue.

    Parameters
    ----------
    release : Release
    survey : {'mrs', 'lrs'}

    Returns
    -------
    (list of str, list of str)
        More than one name where a release came in quarters of a year.

    References
    ----------
    The names that LAMOST's own client knows (pylamost, DR1 to DR11), and LAMOST's pages of DR7 to DR11.
    """
    number, version = release.order[0], release.version
    dr = f"dr{number}"
    if version == "v0":
        return _of_quarters(number, survey)
    if number <= 3:
        return [dr], [f"{dr}_stellar"]
    old = {6: ("v1", "v1.1", "v2"), 7: ("v1", "v1.1", "v1.2"), 4: (version,), 5: (version,)}
    if version in old.get(number, ()):
        return _of_old(number, version, survey)
    if (number, version) in ((7, "v1.3"), (8, "v1.0")):
        of = f"{dr}_med_{version}" if survey == "mrs" else f"{dr}_{version}"
        return [f"{of}_catalogue_{survey.upper()}"], [f"{of}_stellar_{survey.upper()}"]
    return [f"{dr}_{version}_{survey.upper()}_catalogue"], [f"{dr}_{version}_{survey.upper()}_stellar"]


def _of_quarters(number: int, survey: str) -> tuple[list[str], list[str]]:
    if number >= 9:  # the quarters are also there together
        end = "{survey}_{kind}_q1q2q3" if number >= 10 else "q1q2q3_{survey}_{kind}"
        general, stellar = (
            f"dr{number}_v0_" + end.format(survey=survey.upper(), kind=kind) for kind in ("catalogue", "stellar")
        )
        return [general], [stellar]
    if number == 6:
        return ["dr6_v0"], ["dr6_v0_stellar"]
    of = "dr5" if number == 5 else f"dr{number}_med_v0" if survey == "mrs" else f"dr{number}_v0"
    quarters = [f"{of}_q{quarter}" for quarter in (1, 2, 3)]
    return quarters, [f"{name}_stellar" for name in quarters]


def _of_old(number: int, version: str, survey: str) -> tuple[list[str], list[str]]:
    of = f"dr{number}_med_{version}" if survey == "mrs" else f"dr{number}_{version}"
    if number != 6:
        return [of], [f"{of}_stellar"]
    end = "LSR" if survey == "lrs" else "MSR" if version == "v1" else "MRS"  # sic
    of = f"dr6_{version}" if end == "MSR" else of
    return [f"{of}_{end}"], [f"{of}_stellar_{end}"]


def release_of_file(name: str) -> tuple[str, str, str] | None:
    """Release, version and survey that the name of a catalogue file tells; None where it tells none."""
    stem = re.sub(r"\.(csv|fits)(\.gz)?$", "", name.lower())
    found = re.match(r"dr(\d+)(?:_med)?(?:_(v[\d.]+))?", stem)
    if not found:
        return None
    is_mrs = "_med" in stem or "_mrs" in stem or "_msr" in stem
    return f"DR{found[1]}", found[2] or "", "mrs" if is_mrs else "lrs"


def release_of_files(paths: Iterable[Path], release: str | None = None, survey: str = "") -> tuple[Release, str]:
    """The release and survey of catalogue files: as given, or as their names tell.

    Raises
    ------
    BecatError
        The names tell none, or more than one.
    """
    told = {release_of_file(path.name) for path in paths} - {None}
    if not release or not survey:
        releases, surveys = {one[:2] for one in told if one}, {one[2] for one in told if one}
        if (not release and len(releases) != 1) or (not survey and len(surveys) != 1):
            raise BecatError(
                'the names of the catalogues do not show one release and survey: give them, as in --release "DR7 v2.0" --mrs'
            )
        release = release or " ".join(releases.pop())
        survey = survey or surveys.pop()
    name, _, version = release.strip().partition(" ")
    try:
        return find(shipped(), name, version, survey), survey
    except BecatError:  # newer than this becat: only the service knows its address
        return Release(name.upper(), version, "", survey == "mrs", True), survey


def token_needed(release: Release) -> BecatError:
    """What is told where a release is not public and the token is missing or wrong."""
    public = "public" if release.is_public else "internal"
    return BecatError(
        f"LAMOST asks for a token for {release.name}, which it lists as {public}: the token missing, wrong or expired? Yours is on"
        " https://www.lamost.org/lmusers/user/; give it with --token-file, or in the variable BECAT_LAMOST_TOKEN"
    )


def fetch_catalogues(client: Client, release: Release, survey: str, folder: Path, kind: str = "csv") -> list[Path]:
    """Fetch the general and the stellar-parameter catalogue of a release; what is there already stays.

    A file that was broken off goes on where it stopped. It has its name only once it has unpacked to its CRC.

    Parameters
    ----------
    client : Client
    release : Release
    survey : {'mrs', 'lrs'}
    folder : Path
        Made if it is not there.
    kind : {'csv', 'fits'}

    Returns
    -------
    list of Path

    Raises
    ------
    BecatError
        A file is not there, or cannot be fetched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    general, stellar = catalogue_names(release, survey)
    return [_fetch(client, release, survey, folder / f"{name}.{kind}.gz") for name in (*general, *stellar)]


def _fetch(client: Client, release: Release, survey: str, target: Path) -> Path:
    if target.exists():
        return target
    # The path of the pages first, as LAMOST's own clients do; then the service's.
    addresses = [
        release.catalogue(survey, target.name),
        f"{client.server}/{release.release.lower()}/{release.version}/{survey}/catalog?name={target.name}",
    ]
    said = ""
    for address in addresses:
        try:
            _to_end(client, address, not release.is_public, target)
            return target
        except NeedsToken:
            raise token_needed(release) from None
        except NotThere as error:
            said = str(error)
        except Unusable as error:
            part = _part(target)
            kept = (
                f"; {part.stat().st_size / 1e6:,.0f} MB of it are kept: run the same command again to resume"
                if part.exists()
                else ""
            )
            raise BecatError(f"{target.name} could not be fetched: {error}{kept}") from None
    raise BecatError(
        f"LAMOST has no {target.name} ({said}): find its name on the page of {release.name}, and save the file as {target}"
    )


def _part(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def _to_end(client: Client, address: str, with_token: bool, target: Path) -> None:
    part = _part(target)
    with tqdm(desc=target.name, unit="B", unit_scale=True, disable=None) as bar:

        def progress(have: int, whole: int | None) -> None:
            bar.total = whole
            bar.update(have - bar.n)

        for begun_anew in (False, True):
            client.to_file(address, with_token, part, progress)
            try:
                check_gzip(part)
                break
            except Unusable:  # its parts may be of two files, where LAMOST has replaced it meanwhile
                part.unlink()
                if begun_anew:
                    raise
    part.replace(target)
