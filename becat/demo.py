"""`becat demo`: the main job on real LAMOST spectra and a simulated survey that holds the paper's printed stars."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from becat.demo_archives import demo_stars, write_demo_archives
from becat.entries import ConfigurationError
from becat.etl.catalogue.connection import open_catalogue
from becat.pipeline import Configuration, run_pipeline
from becat.sample_spectra import real_spectra
from becat.schema.errors import BecatError
from becat.schema.words import counted
from becat.show import print_funnel, print_verdicts, print_why
from becat.simulate.survey import write_survey

__all__ = ["run_demo"]

MARK = ".becat-demo"
CONFIGURATION = """\
# What `becat demo` has run. Add spectra, catalogues or an entry (`becat run --help`) and run it again:
#     becat run {name}
# Only what is new or stale is done. Paths are relative to this file.
catalog = "catalog.duckdb"
spectra = {spectra}
release_catalogues = {release_catalogues}
publish = "catalog.sqlite"

[archives]
{archives}
"""


def run_demo(directory: Path, n_spectra: int = 1000, seed: int = 1, added: Sequence[Path] = ()) -> None:
    """Fill a directory with a catalogue and its snapshot, or go on where an earlier demo was stopped.

    Parameters
    ----------
    directory : Path
        New, empty, or left by an earlier demo.
    n_spectra : int
        Simulated spectra, besides those of the printed stars.
    seed : int
        Seed of the simulation.
    added : list of path
        Files of spectra, or folders of such, to take in as well.
    """
    spectra, added = real_spectra(), [path.absolute() for path in added]
    directory = directory.absolute()
    mark = directory / MARK
    if directory.exists() and any(directory.iterdir()) and not mark.exists():
        raise BecatError(f"{directory} holds other files: choose a new directory")
    directory.mkdir(parents=True, exist_ok=True)
    mark.write_text("made by becat demo: safe to delete\n")

    survey = directory / "survey"
    if not (survey / "truth.csv").exists():
        click.echo(f"simulating a survey of about {n_spectra:,} spectra (seed {seed})")
        write_survey(survey, n=n_spectra, seed=seed, stars=demo_stars(), progress=True)
    archives = write_demo_archives(directory / "archives", survey / "truth.csv")

    catalog, snapshot = directory / "catalog.duckdb", directory / "catalog.sqlite"
    config = directory / "survey.toml"
    if not config.exists():  # one that is there may have been added to
        config.write_text(
            _configuration(config, [survey / "spectra", *spectra], sorted(survey.glob("*catalogue*.csv*")), archives)
        )
    try:
        configuration = Configuration.read(config)
        if missing := [path for path in added if path not in configuration.spectra]:
            _name_spectra(config, missing)
            configuration = Configuration.read(config)
    except ConfigurationError as error:
        raise BecatError(f"{config}: {error}: correct or remove that file, or choose a new directory") from None
    run_pipeline(configuration)
    with open_catalogue(catalog, read_only=True) as connection:
        click.echo()
        print_funnel(connection)
        click.echo()
        print_why(connection, "J192814.09+435531.0")
        if added:
            click.echo("\nYour spectra:")
            print_verdicts(connection, added)
    of_yours = "" if added else "; none of them shows a Be star: add one of yours with --with FILE"
    click.echo(
        f"\nThe survey is simulated (is_simulated); {counted(len(spectra), 'file holds a real LAMOST DR7 spectrum', 'files hold real LAMOST DR7 spectra')}{of_yours}."
        f"\nQuery {catalog} in SQL: select * from classical_be; select * from runaway; select * from verdict"
        f"\nLook at it in a browser: becat serve {snapshot}"
        f"\nAdd spectra of your own: name them in {config}, then becat run {config}"
    )


def _name_spectra(config: Path, paths: Sequence[Path]) -> None:
    """Add files to the entry `spectra` of a configuration; its other lines stay as they are."""
    if unnamed := [path for path in paths if not str(path).isprintable()]:
        raise BecatError(f"{str(unnamed[0])!r} cannot be named in {config}: rename it, without unusual characters")
    begin, text = "spectra = [\n", config.read_text(encoding="utf-8")
    if begin not in text:
        names = ", ".join(json.dumps(str(path), ensure_ascii=False) for path in paths)
        raise BecatError(f"add {names} to the entry `spectra` of {config}, then `becat run {config}`")
    added = "".join(f"    {json.dumps(str(path), ensure_ascii=False)},\n" for path in paths)
    config.write_text(text.replace(begin, begin + added, 1), encoding="utf-8")


def _configuration(
    config: Path, spectra: Sequence[Path], catalogues: Sequence[Path], archives: Mapping[str, Path]
) -> str:
    """A configuration in TOML, whose strings are those of JSON; paths in its directory are relative to it."""

    def name(path: Path) -> str:
        inside = path.is_relative_to(config.parent)
        return json.dumps(str(path.relative_to(config.parent) if inside else path), ensure_ascii=False)

    def names(paths: Sequence[Path]) -> str:
        return "[\n" + "".join(f"    {name(path)},\n" for path in paths) + "]"

    return CONFIGURATION.format(
        name=config.name,
        spectra=names(spectra),
        release_catalogues=names(catalogues),
        archives="\n".join(f"{source} = {name(path)}" for source, path in archives.items()),
    )
