"""`becat run`: every stage in its order, each doing only what is new or stale."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import click

from becat.entries import ConfigurationError, refuse_unknown
from becat.etl.catalogue.connection import open_catalogue
from becat.lamost_release import LamostRelease, bring_release
from becat.schema import build
from becat.schema.errors import BecatError
from becat.schema.words import counted

__all__ = ["Configuration", "default_cache", "run_pipeline"]


@dataclass(frozen=True)
class Configuration:
    """What `becat run` is to do; the paths are absolute."""

    catalog: Path
    spectra: list[Path] = field(default_factory=list)
    exposures: str = "coadd"
    release_catalogues: list[Path] = field(default_factory=list)
    positions: list[Path] = field(default_factory=list)
    resolve: bool = False
    archives: dict[str, Path] = field(default_factory=dict)
    fetch: list[str] = field(default_factory=list)
    cache: Path | None = None
    model: Path | None = None
    score_all: bool = False
    inspections: Path | None = None
    light_curves: dict[str, list[Path]] = field(default_factory=dict)
    publish: Path | None = None
    workers: int | None = None
    scheduler: str | None = None
    lamost: LamostRelease | None = None

    @classmethod
    def read(cls, path: Path) -> Configuration:
        """Read and check a TOML file.

        Raises
        ------
        ConfigurationError
            The file is no TOML, or an entry is unknown, of the wrong type, or names a file that is not there.
        """
        try:
            with path.open("rb") as stream:
                entries = tomllib.load(stream)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigurationError(str(error)) from None
        refuse_unknown(entries, [f.name for f in fields(cls)])
        if "catalog" not in entries:
            raise ConfigurationError('no entry "catalog": name the DuckDB file, as in catalog = "catalog.duckdb"')
        folder = path.absolute().parent
        checked: dict[str, Any] = {name: _checked(name, value, folder) for name, value in entries.items()}
        _refuse_no_place(checked)
        return cls(**checked)


def _refuse_no_place(entries: dict[str, Any]) -> None:
    """Refuse a catalogue or a snapshot that has nowhere to go, before hours are spent on what it shall hold."""
    catalog, publish = entries["catalog"], entries.get("publish")
    for name, path in (("catalog", catalog), ("publish", publish)):
        if path and not path.parent.is_dir():
            raise ConfigurationError(f"{name}: no such directory: {path.parent}")
        if path and path.is_dir():
            raise ConfigurationError(f"{name} is a directory, not a file: {path}")
    if publish and publish.resolve() == catalog.resolve():
        raise ConfigurationError(f"publish names the catalogue itself, {publish}: give the snapshot another name")


def _checked(name: str, value, folder: Path):
    if name in ("catalog", "publish", "inspections", "cache"):
        return folder / _of_type(name, value, str, "a path")
    if name == "model":
        return _existing(name, folder / _of_type(name, value, str, "a path"))
    if name in ("resolve", "score_all"):
        if not isinstance(value, bool):
            raise ConfigurationError(f"{name} must be true or false, not {value!r}")
        return value
    if name in ("spectra", "release_catalogues", "positions"):
        return _paths(name, value, folder)
    if name == "archives":
        table = _of_type(name, value, dict, "a table of source and file")
        return {source: _existing(name, folder / _of_type(name, p, str, "a path")) for source, p in table.items()}
    if name == "light_curves":
        table = _of_type(name, value, dict, "a table of star and files")
        return {star: _paths(name, files, folder) for star, files in table.items()}
    if name == "lamost":
        return LamostRelease.read(value, folder)
    if name == "scheduler":
        return _of_type(name, value, str, "the address of a Dask scheduler")
    if name == "fetch":
        return [_of_type(name, s, str, "a list of sources") for s in _of_type(name, value, list, "a list of sources")]
    if name == "workers":
        workers = _of_type(name, value, int, "a number of processes")
        if workers < 1:
            raise ConfigurationError(f"{name} must be 1 or more, not {workers}")
        return workers
    if value not in ("coadd", "single", "all"):
        raise ConfigurationError(f"{name} must be coadd, single or all, not {value!r}")
    return value


def _paths(name: str, value, folder: Path) -> list[Path]:
    paths = _of_type(name, [value] if isinstance(value, str) else value, list, "a list of paths")
    return [_existing(name, folder / _of_type(name, path, str, "a list of paths")) for path in paths]


def _of_type(name: str, value, kind: type, words: str):
    if not isinstance(value, kind) or isinstance(value, bool) or (isinstance(value, str) and "\0" in value):
        raise ConfigurationError(f"{name} must be {words}, not {value!r}")
    return value


def _existing(name: str, path: Path) -> Path:
    if not path.exists():
        raise ConfigurationError(f"{name}: no such file or directory: {path}")
    return path


def run_pipeline(configuration: Configuration) -> None:
    """Do every stage of a configuration and print a line for each.

    Parameters
    ----------
    configuration : Configuration

    Raises
    ------
    BecatError
        A stage could not be done.
    """
    # The stages are imported here: `becat run --help` should not wait for them.
    from becat.etl.archives.stage import fetch_archives, ingest_archives, match_archives
    from becat.etl.load.forget import missing_words
    from becat.etl.load.load import load_spectra
    from becat.etl.load.positions import count_without_position, give_positions, resolve_names, take_sidecars
    from becat.etl.load.release import apply_release_entries, load_release_catalogues
    from becat.etl.match.gather import gather_stars
    from becat.etl.measure import measure_spectra
    from becat.etl.missing import count_missing
    from becat.etl.periods.fill import search_periods
    from becat.etl.score import score_spectra
    from becat.inspections import take_inspections
    from becat.light_curves import take_light_curves
    from becat.named import withdraw_unnamed
    from becat.snapshot import is_published, publish_snapshot

    if not configuration.catalog.exists():
        build.create(configuration.catalog)
        click.echo(f"new catalogue {configuration.catalog}")
    with open_catalogue(configuration.catalog) as connection:
        build.upgrade(connection)  # also where it is of this becat: a view that was dropped comes back
        last_run = _last_run(connection)
        withdraw_unnamed(connection, "archive", [*configuration.archives, *configuration.fetch], click.echo)
        n_rows = ingest_archives(connection, configuration.archives)  # first: the plan of a release asks 2MASS
        spectra, catalogues = list(configuration.spectra), list(configuration.release_catalogues)
        if configuration.lamost:
            folder, of_release = bring_release(connection, configuration.lamost, configuration.exposures)
            spectra, catalogues = [*spectra, folder], [*catalogues, *of_release]
        withdraw_unnamed(connection, "release catalogue", [str(path.absolute()) for path in catalogues], click.echo)
        withdraw_unnamed(
            connection, "positions", [str(path.absolute()) for path in configuration.positions], click.echo
        )
        if catalogues:
            counts = load_release_catalogues(connection, catalogues)
            click.echo(f"release catalogues: {counted(counts['rows'], 'new row')}, {counts['rejected']:,} rejected")
        counts = load_spectra(
            connection,
            spectra,
            exposures=configuration.exposures,
            workers=configuration.workers,
            scheduler=configuration.scheduler,
        )
        click.echo(
            f"load:    {counted(counts['files'], 'file')}, {counts['unchanged']:,} unchanged, {counted(counts['spectra'], 'spectrum')}"
            f" written, {counts['rejected']:,} rejected"
        )
        if counts["missing"]:
            click.echo(f"missing: {missing_words(connection)}")
        updated = apply_release_entries(connection)
        click.echo(f"release: {counted(updated, 'spectrum')} updated")
        take_sidecars(connection, configuration.positions)
        if configuration.resolve:
            resolve_names(connection, tell=click.echo)
        give_positions(connection)
        n_nowhere = count_without_position(connection)
        nowhere = (
            f" ({counted(n_nowhere, 'spectrum has no position and belongs', 'spectra have no position and belong')} to none)"
            if n_nowhere
            else ""
        )
        click.echo(f"stars:   {gather_stars(connection):,}{nowhere}")
        click.echo(f"measure: {counted(measure_spectra(connection, configuration.scheduler)['measured'], 'spectrum')}")
        searched = search_periods(connection)
        click.echo(
            f"periods: {counted(searched['searched'], 'star')} searched, {searched['significant']:,} significant"
        )
        scored = score_spectra(connection, configuration.model, configuration.scheduler, every=configuration.score_all)
        click.echo(f"score:   {counted(int(scored['scored']), 'spectrum')}, {scored['models']}, {scored['provider']}")
        if n_missing := [
            f"{n:,} at {stage}" for stage in ("measure", "score") if (n := count_missing(connection, stage))
        ]:
            click.echo(f"no result: {', '.join(n_missing)} (table missing_result says why)")
        if configuration.inspections:
            click.echo(f"inspect: {counted(take_inspections(connection, configuration.inspections), 'new judgement')}")
        n_failed = 0
        if configuration.fetch:
            n_failed = fetch_archives(
                connection, configuration.fetch, configuration.cache or default_cache(configuration.catalog)
            )
        n_matched = sum(match_archives(connection).values())
        click.echo(
            f"match:   {counted(n_rows, 'new archive row')}, {counted(n_matched, 'row')} of the catalogue changed"
        )
        # After the archives, by whose names a star may be called.
        counts = take_light_curves(connection, configuration.light_curves, click.echo)
        if configuration.light_curves:
            click.echo(
                f"light curves: {counted(counts['files'], 'file')}, {counts['unchanged']:,} unchanged,"
                f" {counted(counts['rows'], 'row')}, {counts['rejected']:,} rejected"
                + (f", {counted(counts['copies'], 'copy', 'copies')} of others" if counts["copies"] else "")
            )
        changed = _last_run(connection) != last_run
        to_publish = configuration.publish and not is_published(connection, configuration.publish)
    if configuration.publish and to_publish:
        click.echo(f"publish: {publish_snapshot(configuration.catalog, configuration.publish)}")
    if not changed and not to_publish:
        click.echo("nothing is new or stale")
    if n_failed:
        n_asked = len(configuration.fetch)
        raise BecatError(
            f"{n_failed} of {counted(n_asked, 'source')} not complete: run the same command again to resume"
        )


def default_cache(catalog: Path) -> Path:
    """Folder of fetched answers beside a catalogue."""
    return catalog.with_name(f"{catalog.stem}-archives")


def _last_run(connection) -> int:
    row = connection.execute("select coalesce(max(run_id), 0) from etl_run").fetchone()
    return int(row[0])
