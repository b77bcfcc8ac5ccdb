"""The `becat` command: one page of help each, progress on the terminal, exit 0, 1 or 2.

Exit 2 means that the words of the call or of the configuration are wrong, 1 that it could not be done; either way
one line says what and what to do. What a command needs is imported when it runs, so that `becat --help` is quick.
`becat/__main__.py` calls it.
"""

from __future__ import annotations

import os

# Before numpy is loaded: work is spread over processes, and threads of BLAS that wait for each other only cost time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import math
import signal
import sqlite3
import sys
from dataclasses import replace
from pathlib import Path

import click
import duckdb

from becat.ctrl_c import STOPPED, leave
from becat.etl.catalogue.connection import open_catalogue, what_went_wrong
from becat.etl.catalogue.errors import is_utf8
from becat.etl.lamost.wishes import SERVICES
from becat.schema.errors import BecatError, missing_extra
from becat.schema.version import becat_version
from becat.schema.words import counted
from becat.terminal import only_showing, shown
from becat.udfs.memory import keep_freed_memory

__all__ = ["becat", "outcome"]


class Commands(click.Group):
    """Commands in the order in which they are used, not of the alphabet."""

    def list_commands(self, ctx):
        return list(self.commands)

    def format_commands(self, ctx, formatter):
        """The whole first sentence of every command: click would cut it at the end of the line."""
        commands = [(name, self.commands[name]) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(limit=500)) for name, command in commands])


def outcome() -> tuple[int, str]:
    """Run the command that the words of the call name; exit code, and what to say of an error.

    Names that come from files are shown as they are, but nothing that a terminal would obey.
    """
    with only_showing():
        code, words = _run()
    return code, shown(words)


def _run() -> tuple[int, str]:
    try:
        becat.main(prog_name="becat", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "becat"
        return 2, f"{error.format_message()} (see `{path} --help`)"
    except (click.exceptions.Abort, KeyboardInterrupt):
        return 1, STOPPED
    except click.ClickException as error:
        return error.exit_code, error.format_message()
    except BecatError as error:
        return error.exit_code, str(error)
    except BrokenPipeError:
        return 1, "the output was closed"
    except (duckdb.Error, sqlite3.Error, OSError) as error:
        return 1, what_went_wrong(error)
    except MemoryError:
        return (
            1,
            "there was not enough memory: close other programs or use a machine with more, then run the same command again",
        )
    except (UnicodeEncodeError, RuntimeError):
        odd = next((word for word in sys.argv[1:] if not is_utf8(word)), None)
        if odd is None:
            raise
        return 2, f"{odd!r} is not UTF-8, and becat cannot use such a name: rename it"
    return 0, ""


catalog_option = click.option(
    "--catalog",
    "-c",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("catalog.duckdb"),
    show_default=True,
    help="The catalogue, a DuckDB file.",
)
scheduler_option = click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Use the workers of this Dask scheduler, for example tcp://host:8786; `dask scheduler` starts one.",
)


class Training(click.Path):
    """A file or folder, or the word `becat` for the model that comes with it."""

    def convert(self, value, param, ctx):
        if value != "becat":
            return super().convert(value, param, ctx)
        from becat.models.score import FOLDER

        return FOLDER / "becat"


class Number(click.FloatRange):
    """A finite number: NaN is neither below nor above a limit, so that click takes it."""

    def convert(self, value, param, ctx):
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


MAX_LISTED = 20
CONFIGURATION_BYTES_MAX = 10_000_000

existing = click.Path(exists=True, path_type=Path)
existing_file = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(becat_version(), prog_name="becat")
@click.pass_context
def becat(context: click.Context) -> None:
    """Find classical Be stars in LAMOST spectra: spectra in, one DuckDB catalogue out.

    \b
    Example, from nothing to a web site:
        becat init catalog.duckdb
        becat load spectra/ --catalog catalog.duckdb
        becat measure && becat score && becat funnel
        becat publish catalog.sqlite && becat serve catalog.sqlite
    """
    # A server has no batches that follow each other: what it freed would be kept for good.
    if context.invoked_subcommand != "serve":
        keep_freed_memory()


@becat.command()
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Where to put everything.",
)
@click.option("--spectra", type=click.IntRange(min=100), default=1000, show_default=True, help="Simulated spectra.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Seed of the simulated survey.")
@click.option(
    "--with",
    "added",
    multiple=True,
    type=existing,
    metavar="FILE",
    help="Also load this spectrum of yours, or all those in a folder; may be repeated.",
)
def demo(directory: Path, spectra: int, seed: int, added: tuple[Path, ...]) -> None:
    """Run everything on real LAMOST DR7 spectra and a simulated survey.

    Writes DIR/catalog.duckdb and DIR/catalog.sqlite. Simulated rows are marked in the column is_simulated. None of the real spectra shows
    a Be star. Add your own with --with; the last lines give their verdict.

    \b
    Examples:
        becat demo --dir demo
        becat demo --dir demo --with gamma_cas.fits --with my_spectra/
    """
    from becat.demo import run_demo

    run_demo(directory, spectra, seed, added)


@becat.command()
@click.argument("catalog", type=click.Path(path_type=Path))
def init(catalog: Path) -> None:
    """Make a new, empty catalogue.

    \b
    Example:
        becat init catalog.duckdb
    """
    from becat.schema import build

    if catalog.exists():
        raise BecatError(f"{catalog} exists already: choose another name or delete it first")
    if not catalog.absolute().parent.is_dir():
        raise BecatError(f"there is no directory {catalog.absolute().parent}: make it first")
    build.create(catalog)
    click.echo(f"new catalogue {catalog}")


@becat.command()
@click.argument("catalog", type=click.Path(path_type=Path))
def upgrade(catalog: Path) -> None:
    """Bring a catalogue from an older becat up to date: its tables, views and thresholds. Its data are kept.

    Every command that writes to the catalogue does this by itself. Results of older code are computed again by the next `becat run`, or
    by `becat load`, `becat measure`, `becat score` and `becat match`.

    \b
    Example:
        becat upgrade catalog.duckdb
    """
    from becat.schema import build

    with open_catalogue(catalog) as connection:
        build.upgrade(connection)  # also where it is of this becat: a view that was dropped comes back
    click.echo(f"{catalog} is up to date")


@becat.command()
@click.argument("config", type=existing_file)
def run(config: Path) -> None:
    """Run every stage that CONFIG.toml names; only what is new or out of date is done.

    \b
    CONFIG.toml (paths are relative to it; all but catalog are optional):
        catalog = "catalog.duckdb"
        spectra = ["spectra/dr7", "spectra/dr9"]     # files and directories
        exposures = "coadd"                          # coadd, single or all
        release_catalogues = ["dr7_v2.0_MRS_catalogue.csv.gz"]
        positions = ["my_positions.csv"]             # names and positions for spectra that lack them
        resolve = true                               # ask SIMBAD for positions by name
        archives = {tmass = "2mass.parquet"}         # tables on disk, by source
        fetch = ["gaia", "allwise"]                  # sources to query over the network
        model = "my_model.onnx"                      # instead of both classifiers that come with becat
        score_all = true                             # also score spectra that an earlier step has rejected
        inspections = "labels.sqlite"
        light_curves = {"gam Cas" = ["tess", "asassn.csv"]}  # photometry: files and directories, by star
        scheduler = "tcp://host:8786"                # Dask, to use a cluster
        publish = "catalog.sqlite"
        [lamost]                                     # fetched from LAMOST: see `becat lamost plan --help`
        release = "dr11"
        version = "v2.0"                             # default: the newest public one
        regions = [[86.0, 27.0, 5.0]]                # circles on the sky, degrees
    \b
    Example:
        becat run survey.toml
    """
    from becat.entries import ConfigurationError
    from becat.pipeline import Configuration, run_pipeline

    if config.stat().st_size > CONFIGURATION_BYTES_MAX:
        raise click.UsageError(f"{config} has more than {CONFIGURATION_BYTES_MAX:,} bytes: that is no configuration")
    try:
        configuration = Configuration.read(config)
    except ConfigurationError as error:
        raise click.UsageError(f"{config}: {error}") from None
    except RecursionError:
        raise click.UsageError(f"{config}: its lists or tables are nested too deeply") from None
    run_pipeline(configuration)


survey_option = click.option(
    "--mrs/--lrs", "is_mrs", default=True, help="Medium- or low-resolution survey.", show_default="--mrs"
)
server_option = click.option(
    "--server", metavar="ADDRESS", help="Root URL of the service; default: https://www.lamost.org/openapi."
)
token_option = click.option(
    "--token-file",
    type=existing_file,
    help="File with the token for internal releases. Default: the variable BECAT_LAMOST_TOKEN, or ~/pylamost.ini.",
)


@becat.group(cls=Commands)
def lamost() -> None:
    """Get a release from LAMOST: its catalogues, a plan of the spectra needed, and the spectra themselves.

    \b
    Example:
        becat lamost releases
        becat lamost catalogue DR11 --into dr11
        becat lamost plan dr11/*MRS*.csv.gz --catalog catalog.duckdb
        becat lamost spectra dr11/mrs --catalog catalog.duckdb
    """


def _lamost_client(server: str | None, token_file: Path | None = None):
    from becat.etl.lamost.client import SERVER, Client
    from becat.etl.lamost.token import find_token

    return Client(server or SERVER, find_token(token_file))


@lamost.command("releases")
@server_option
def lamost_releases(server: str | None) -> None:
    """List the releases with their versions, and say which have an MRS and which are public.

    \b
    Example:
        becat lamost releases
    """
    from becat.etl.lamost.catalogues import known_releases

    for one in known_releases(_lamost_client(server)):
        surveys = "MRS and LRS" if one.has_mrs else "LRS only"
        public = "public" if one.is_public else "internal: a token is needed"
        click.echo(f"{one.release:5} {one.version:5} {surveys:12} {public:27} {one.address}")


@lamost.command("catalogue")
@click.argument("release")
@click.argument("version", required=False, default="")
@survey_option
@click.option("--into", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="Folder for the files.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["csv", "fits"]),
    default="csv",
    show_default=True,
    help="Format of the files.",
)
@server_option
@token_option
def lamost_catalogue(release, version, is_mrs, into, kind, server, token_file) -> None:
    """Fetch the general and stellar-parameter catalogues of RELEASE.

    Without VERSION, the newest public one is used. An interrupted download resumes where it stopped; complete files are kept.

    \b
    Example:
        becat lamost catalogue DR7 v2.0 --mrs --into dr7
    """
    from becat.etl.lamost.catalogues import fetch_catalogues, known_releases
    from becat.schema.releases import find

    client, survey = _lamost_client(server, token_file), "mrs" if is_mrs else "lrs"
    found = find(known_releases(client), release, version, survey)
    for path in fetch_catalogues(client, found, survey, into, kind):
        click.echo(f"{found.name}: {path} ({path.stat().st_size / 1e6:,.1f} MB)")


@lamost.command("plan")
@click.argument("catalogues", nargs=-1, type=existing_file)
@catalog_option
@click.option("--ask", type=click.Choice(SERVICES), help="Ask this service instead of reading files.")
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Folder for the answers of the service.",
)
@click.option("--release", help='Release and version, as in "DR7 v2.0", if the file names do not show it.')
@click.option("--mrs/--lrs", "is_mrs", default=None, help="Survey, if the file names do not show it.")
@click.option(
    "--exposures",
    type=click.Choice(["coadd", "single", "all"]),
    default="coadd",
    show_default=True,
    help="Which spectra you will load.",
)
@click.option("--region", "regions", type=(Number(), Number(), Number()), multiple=True, metavar="RA DEC RADIUS",
              help="Only stars in this circle, degrees; may be repeated.")  # fmt: skip
@click.option("--brightest", type=Number(), help="Only stars of this Gaia G or fainter.")
@click.option("--faintest", type=Number(), help="Only stars of this Gaia G or brighter.")
@click.option("--stars", type=existing_file, help="Only stars near the positions in this table.")
@click.option("--view", default="", help="Only stars near those of this view or table of the catalogue.")
@click.option(
    "--radius",
    type=Number(0, 3600, min_open=True),
    default=3.0,
    show_default=True,
    help="Search radius, arcsec.",
)
@click.option("--all-epochs", is_flag=True, help="If one spectrum of a star is chosen, fetch all of them.")
@click.option("--no-steps", is_flag=True, help="Do not apply the steps S/N, T_eff and Q.")
@click.option(
    "--anew",
    is_flag=True,
    help="Fetch files again even if an older release supplied them and this one lists them unchanged.",
)
@server_option
@token_option
def lamost_plan(catalogues, catalog, ask, into, release, is_mrs, exposures, regions, brightest, faintest, stars, view,
                radius, all_epochs, no_steps, anew, server, token_file) -> None:  # fmt: skip
    """Choose which spectra to fetch: apply the selection steps that need no flux to the release's CATALOGUES.

    Without files, --ask queries LAMOST's SQL service, VizieR (DR11, DR7, DR5) or the Gaia archive (DR9) for the rows of the region or
    stars, and stores them as a catalogue.

    Steps: S/N in both arms, T_eff (with the catalogue of stellar parameters), Q (with 2MASS in the catalogue: `becat fetch
    tmass --from FILE`). The plan is the table download_plan.

    \b
    Examples:
        becat lamost plan dr7_v2.0_MRS_catalogue.csv.gz dr7_v2.0_MRS_stellar.csv.gz
        becat lamost plan dr11_v2.0_MRS_*.csv.gz --region 86 27 5 --faintest 13 --all-epochs
        becat lamost plan dr11_v2.0_MRS_*.csv.gz --view runaway --no-steps
        becat lamost plan --ask lamost --release "DR11 v2.0" --region 86 27 5 --into dr11
    """
    from becat.etl.lamost.ask import ask_for_catalogues
    from becat.etl.lamost.catalogues import known_releases, release_of_files
    from becat.etl.lamost.plan import make_plan
    from becat.etl.lamost.services import service_of
    from becat.etl.lamost.wishes import Wishes
    from becat.schema.releases import find, shipped

    if bool(catalogues) == bool(ask):
        raise click.UsageError("give the release's catalogues, or --ask a service for them")
    if ask and not release:
        raise click.UsageError('--ask needs --release, as in --release "DR11 v2.0"')
    survey = {True: "mrs", False: "lrs", None: "mrs" if ask else ""}[is_mrs]
    wishes = Wishes(exposures, regions, brightest, faintest, stars, view, radius, all_epochs, not no_steps, anew)
    client, is_whole = _lamost_client(server, token_file), True
    with open_catalogue(catalog) as connection:
        if ask:
            name, _, version = release.strip().partition(" ")
            found = find(known_releases(client) if ask == "lamost" else shipped(), name, version, survey)
            answer = ask_for_catalogues(
                service_of(ask, client, server), connection, found, survey, wishes, into, client.limits, click.echo
            )
            catalogues, is_whole = answer.paths, answer.is_whole
            for remark in answer.remarks:
                click.echo(remark)
        else:
            found, survey = release_of_files(catalogues, release, survey)
        paths = [path.absolute() for path in catalogues]
        for line in make_plan(connection, paths, found, survey, wishes, client.limits, is_whole).lines():
            click.echo(line)


@lamost.command("spectra")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@catalog_option
@survey_option
@server_option
@token_option
@click.option(
    "--nights/--no-nights", default=True, show_default=True, help="Fetch whole nights where that should be faster."
)
def lamost_spectra(folder: Path, catalog: Path, is_mrs, server, token_file, nights: bool) -> None:
    """Fetch the planned spectra into FOLDER; existing files are kept, and an interrupted run resumes.

    Files are fetched one by one, or from the archive (tar) of a whole night where that should be faster.

    \b
    Example:
        becat lamost spectra dr11/mrs && becat load dr11/mrs
    """
    from becat.etl.lamost.spectra import fetch_spectra

    with open_catalogue(catalog) as connection:
        survey = "mrs" if is_mrs else "lrs"
        if not connection.execute("select 1 from download_plan where survey = ? limit 1", [survey]).fetchone():
            raise BecatError(f"{catalog} has no plan for the {survey.upper()}: make one with `becat lamost plan`")
        fetched = fetch_spectra(connection, _lamost_client(server, token_file), None, survey, folder, nights)
    for line in fetched.lines():
        click.echo(line)
    if fetched.n_failed:
        raise BecatError(
            f"{counted(fetched.n_failed, 'spectrum', 'spectra')} could not be fetched: run the same command again to retry"
        )


@becat.command()
@click.argument("paths", nargs=-1, required=True, type=existing)
@catalog_option
@click.option(
    "--exposures",
    type=click.Choice(["coadd", "single", "all"]),
    default="coadd",
    show_default=True,
    help="Coadds, single exposures, or both.",
)
@click.option(
    "--release-catalogue",
    "release_catalogues",
    multiple=True,
    type=existing_file,
    help="The release's general or stellar-parameter catalogue (CSV, CSV.gz or FITS); may be repeated.",
)
@click.option(
    "--positions",
    "sidecars",
    multiple=True,
    type=existing_file,
    help="Table of names or positions for spectra that lack them (columns file, and name or ra and dec); may be repeated.",
)
@click.option(
    "--resolve", is_flag=True, help="Ask SIMBAD for the positions of spectra that have a name but no position."
)
@click.option(
    "--workers", type=click.IntRange(min=1), help="Number of processes that read files; default: one per core."
)
@scheduler_option
def load(paths, catalog, exposures, release_catalogues, sidecars, resolve, workers, scheduler) -> None:
    """Load spectra: read, clean, rectify and grid the files of PATHS, files or directories.

    Files that were loaded earlier and have not changed are skipped. A file that was waiting for something, such as its S/N from a
    release catalogue, is read again once that is available. Files that cannot be trusted are recorded in the table rejected_input, with the
    reason. A table positions.csv beside the files supplies names and positions for spectra that lack them.

    \b
    Example:
        becat load dr7/ my_spectra/gamma_cas.fits --catalog catalog.duckdb
    """
    from becat.etl.load.load import load_spectra
    from becat.etl.load.positions import count_without_position, give_positions, resolve_names, take_sidecars
    from becat.etl.load.release import apply_release_entries, load_release_catalogues
    from becat.etl.match.gather import gather_stars

    with open_catalogue(catalog) as connection:
        if release_catalogues:
            counts = load_release_catalogues(connection, release_catalogues)
            click.echo(f"release catalogues: {counted(counts['rows'], 'row')}, {counts['rejected']:,} rejected")
        counts = load_spectra(connection, paths, exposures=exposures, workers=workers, scheduler=scheduler)
        apply_release_entries(connection)
        take_sidecars(connection, sidecars)
        if resolve:
            resolve_names(connection, tell=click.echo)
        give_positions(connection)
        n_stars = gather_stars(connection)
        n_nowhere = count_without_position(connection)
    click.echo(
        f"{counted(counts['files'], 'file')}: {counts['loaded']:,} loaded ({counted(counts['spectra'], 'spectrum')}),"
        f" {counts['unchanged']:,} unchanged, {counts['rejected']:,} rejected; {counted(n_stars, 'star')} in {catalog}"
    )
    if counts["again"]:
        click.echo(
            f"{counted(counts['again'], 'file of an earlier load was', 'files of earlier loads were')} read again: becat now reduces"
            " spectra differently, or something that was missing has arrived"
        )
    if counts["missing"]:
        click.echo(
            f"{counted(counts['missing'], 'file of the catalogue no longer exists', 'files of the catalogue no longer exist')}:"
            " `becat forget --missing` removes what was loaded from there"
        )
    if counts["rejected"]:
        click.echo("why: select file, stage, reason from rejected_input")
    if counts["others"]:
        click.echo(
            f"{counted(counts['others'], 'text file that may be a spectrum was', 'text files that may be spectra were')} skipped:"
            " to load one, name it on the command line"
        )
    if counts["copies"]:
        click.echo(
            f"{counted(counts['copies'], 'file is a copy of another', 'files are copies of others')}: select file from"
            " input_file where status = 'duplicate'"
        )
    if n_nowhere:
        click.echo(
            f"{counted(n_nowhere, 'spectrum has no position and belongs', 'spectra have no position and belong')} to no star:"
            " give positions in a table positions.csv beside the files or with --positions, or look them up by name"
            " with --resolve"
        )


@becat.command()
@click.argument("files", nargs=-1, metavar="FILE...", type=click.Path(path_type=Path))
@click.option("--missing", is_flag=True, help="Remove every file that no longer exists.")
@click.option("--yes", is_flag=True, help="Do not ask first.")
@catalog_option
def forget(files: tuple[Path, ...], missing: bool, yes: bool, catalog: Path) -> None:
    """Remove FILE, or all files below the folder FILE, from the catalogue.

    Removes its spectra and everything derived from them or, for a release's catalogue, its rows. The command lists what it will
    remove and asks first. The file itself stays on disk, and is loaded again by the next `becat load` or `becat run` that names it.

    \b
    Examples:
        becat forget spectra/20210105/ --catalog catalog.duckdb
        becat forget --missing --yes
    """
    from becat.etl.load.forget import chosen
    from becat.etl.load.forget import forget as take_out
    from becat.etl.load.release import apply_release_entries
    from becat.etl.match.gather import gather_stars

    if not files and not missing:
        raise click.UsageError("name files or folders, or give --missing")
    with open_catalogue(catalog) as connection:
        found = chosen(connection, files, missing)
        for one in found[:MAX_LISTED]:
            click.echo(f"{one.file}: {one.kind}, {counted(one.n_rows, 'row')}, {one.status}")
        if len(found) > MAX_LISTED:
            click.echo(f"and {len(found) - MAX_LISTED:,} more")
        if not found:
            click.echo("every file of the catalogue still exists: nothing to forget")
            return
        if not yes:
            click.confirm(f"remove {counted(len(found), 'file')} from {catalog}?", abort=True)
        n_spectra = take_out(connection, [one.file for one in found])
        apply_release_entries(connection)
        n_stars = gather_stars(connection)
    click.echo(
        f"{counted(len(found), 'file')} and {counted(n_spectra, 'spectrum')} removed; {counted(n_stars, 'star')} left in {catalog}. `becat run` or `becat match`"
        " updates what is derived from the stars"
    )


@becat.command(context_settings={"ignore_unknown_options": True})
@click.argument("star")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@catalog_option
def alias(star: str, names: tuple[str, ...], catalog: Path) -> None:
    """Say that spectra called NAME show STAR, whatever position their headers give.

    STAR is a name, a designation, a position, or the number of a spectrum or star. NAME is the object name in the spectra. It also
    applies to spectra loaded later.

    \b
    Example:
        becat alias "gam Cas" "HD 5394" "27 Cas" --catalog catalog.duckdb
    """
    from becat.etl.match.gather import link_names
    from becat.show import named_star

    with open_catalogue(catalog) as connection:
        row = named_star(connection, star, "give first the one that has a position")
        n_moved = link_names(connection, row[0], list(names))
    click.echo(f"{counted(n_moved, 'spectrum now belongs', 'spectra now belong')} to star {row[0]} ({row[1]})")


@becat.command("light-curve", context_settings={"ignore_unknown_options": True})
@click.argument("star")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=existing_file)
@catalog_option
def light_curve(star: str, files: tuple[Path, ...], catalog: Path) -> None:
    """Load photometry of STAR from FILE: a light curve of TESS, ASAS-SN or ZTF.

    STAR is a name, a designation, a position, or the number of a spectrum or star. FILE comes from lightkurve or MAST (FITS), Sky Patrol (CSV) or
    IRSA (CSV or VOTable). Rows that are flagged or empty are left out and counted. `becat plot STAR --epochs` and the star's page show the
    photometry; the selection does not use it.

    \b
    Example:
        becat light-curve J192814.09+435531.0 tess2019199201929-s0014_lc.fits asassn.csv
    """
    from becat.etl.light_curves.load import load_light_curves
    from becat.show import named_star

    with open_catalogue(catalog) as connection:
        row = named_star(connection, star)
        taken = load_light_curves(connection, row[0], list(files))
    for one in taken:
        for line in one.lines():
            click.echo(line)
    click.echo(f"{counted(sum(one.n_rows for one in taken), 'measurement')} of {row[1] or row[0]} in {catalog}")


@becat.command()
@catalog_option
@scheduler_option
def measure(catalog: Path, scheduler: str | None) -> None:
    """Measure equivalent widths, peaks and profile classes of the loaded spectra.

    \b
    Example:
        becat measure --catalog catalog.duckdb
    """
    from becat.etl.measure import measure_spectra
    from becat.etl.missing import count_missing

    with open_catalogue(catalog) as connection:
        counts = measure_spectra(connection, scheduler)
        n_missing = count_missing(connection, "measure")
    click.echo(f"{counted(counts['measured'], 'spectrum')} measured")
    _tell_missing(n_missing, "measure", "H-alpha could not be measured")


@becat.command()
@catalog_option
def periods(catalog: Path) -> None:
    """Search for periods in the velocity, EW(H-alpha) and V/R of stars with many nights, for the table star_period.

    Only stars with new or changed nights are searched. The thresholds period_nights_min and period_shortest_d set how many
    nights a star needs, and the shortest period.

    \b
    Example:
        becat periods --catalog catalog.duckdb
    """
    from becat.etl.periods.fill import search_periods

    with open_catalogue(catalog) as connection:
        counts = search_periods(connection)
    click.echo(
        f"{counted(counts['searched'], 'star')} searched; {counted(counts['significant'], 'star')} with a significant period"
    )


@becat.command()
@catalog_option
@click.option("--model", type=existing_file, help="An ONNX model to use instead of the two that come with becat.")
@click.option("--all", "every", is_flag=True, help="Also score the spectra that an earlier step has rejected.")
@scheduler_option
def score(catalog: Path, model: Path | None, every: bool, scheduler: str | None) -> None:
    """Score the spectra that reach the classifiers: ResNet-18 on a drawing, and networks on the flux.

    The threshold be_classifier sets which of them decides, or that both decide together.

    \b
    Example:
        becat score --catalog catalog.duckdb
    """
    from becat.etl.missing import count_missing
    from becat.etl.score import score_spectra

    with open_catalogue(catalog) as connection:
        counts = score_spectra(connection, model, scheduler, every=every)
        n_missing = count_missing(connection, "score")
    decided = f"{counts['models']}; {counts['model_id']} decides"
    click.echo(f"{counted(int(counts['scored']), 'spectrum')} scored by {decided}, on {counts['provider']}")
    _tell_missing(n_missing, "score", "H-alpha could not be scored")


def _tell_missing(n_missing: int, stage: str, words: str) -> None:
    if n_missing:
        click.echo(f"{counted(n_missing, 'spectrum')} of the catalogue: {words}")
        click.echo(f"why: select spectrum_id, reason from missing_result where stage = '{stage}'")


@becat.command()
@click.argument("sources", nargs=-1, metavar="SOURCE...")
@click.option(
    "--list",
    "lists",
    is_flag=True,
    help="List the sources, and which parts of each have been checked against a real answer.",
)
@catalog_option
@click.option("--from", "file", type=existing, help="Read the table from this file or folder instead of the network.")
@click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the stored answers; default: beside the catalogue.",
)
def fetch(sources: tuple[str, ...], lists: bool, catalog: Path, file: Path | None, cache: Path | None) -> None:
    """Get archive tables for the stars of the catalogue, and match them.

    SOURCE is a name such as tmass, gaia, simbad or skiff_2014 (--list shows all), or "all". Answers are stored, so an interrupted
    fetch resumes where it stopped. With --from, the table is read from a CSV, VOTable, FITS or Parquet file with the archive's own
    column names, and replaces what the catalogue had from that source. SOURCE may also be "bess": spectra of the classical Be stars
    from the Be Star Spectra database, written to a folder of the cache for `becat load`.

    \b
    Examples:
        becat fetch gaia gaia_distance tmass allwise reddening
        becat fetch skiff_2014 --from skiff.csv --catalog catalog.duckdb
    """
    from becat.etl.archives.ingest import replaced
    from becat.etl.archives.sources import load as known_sources
    from becat.etl.archives.stage import fetch_archives, ingest_archives, match_archives
    from becat.pipeline import default_cache

    if lists:
        _print_sources(known_sources().values())
        return
    if not sources:
        raise click.UsageError("name a source, or use --list to see them all")
    if sources == ("bess",):
        _fetch_bess(catalog, (cache or default_cache(catalog)) / "bess")
        return
    if file is not None and (len(sources) != 1 or sources[0] == "all"):
        raise click.UsageError("with --from name one source, as in `becat fetch skiff_2014 --from skiff.csv`")
    fetchable = [name for name, source in known_sources().items() if source.service != "file"]
    names = fetchable if sources == ("all",) else list(sources)
    unknown = [name for name in names if name not in known_sources()]
    if unknown:
        raise click.UsageError(f"unknown source {', '.join(unknown)}: the sources are {', '.join(known_sources())}")
    with open_catalogue(catalog) as connection:
        if file is not None:
            before = replaced(connection, sources[0])
            n_rows = ingest_archives(connection, {sources[0]: file})
            instead = f" instead of {before}" if before and n_rows else ""
            click.echo(f"{sources[0]}: {counted(n_rows, 'new row')}{instead}")
            n_failed = 0
        else:
            n_failed = fetch_archives(connection, names, cache or default_cache(catalog))
        _print_matched(match_archives(connection))
    if n_failed:
        raise BecatError(
            f"{n_failed} of {counted(len(names), 'source')} not complete: run the same command again to resume"
        )


def _fetch_bess(catalog: Path, folder: Path) -> None:
    from becat.etl.archives.bess import fetch_bess

    with open_catalogue(catalog, read_only=True) as connection:
        came = fetch_bess(connection, folder)
    click.echo(
        f"BeSS has {counted(came.n_listed, 'spectrum')} of {counted(came.n_stars, 'star')}: {came.n_fetched:,} fetched, {came.n_there:,} were there already,"
        f" {came.n_failed:,} failed; load them with `becat load {folder}`"
    )
    if came.n_failed:
        raise BecatError(f"not all BeSS spectra were fetched ({came.problem}): run the same command again to resume")


def _print_sources(sources) -> None:
    """Whether what sources.toml says of a service was seen, for no service could be asked when it was written."""
    for one in sources:
        where = ", ".join(one.tables) or "from a file"
        click.echo(f"{one.name:24} {one.service:10} {where}")
        if one.service == "file" and not one.unseen:
            continue
        click.echo(f"{'':24} checked: {one.seen or 'nothing'}" + (f"; not checked: {one.unseen}" if one.unseen else ""))


def _print_matched(changed: dict[str, int]) -> None:
    rows = ", ".join(f"{table} {n:,}" for table, n in changed.items())
    click.echo(f"rows changed: {rows}" if rows else "nothing is new or stale")


@becat.command()
@click.argument("table", required=False)
@catalog_option
@click.option("--radius", type=Number(min=0, min_open=True), help="Radius for TABLE, arcsec; default: 3.")
@click.option(
    "--ra",
    help="Column of right ascension in TABLE, degrees or hours as in 05:40:59.3, if it has an unusual name.",
)
@click.option("--dec", help="Column of declination in TABLE, degrees or as in -01:56:35, if it has an unusual name.")
@click.option("--into", help="Name of the new table; default: match_TABLE.")
def match(table, catalog, radius, ra, dec, into) -> None:
    """Match stars with the archives, or with your own table.

    Without TABLE: match the stars with every archive in the catalogue, and update spectral types, clusters, velocities and the runaway limit.

    With TABLE, a file (CSV, VOTable, FITS, Parquet) or a table or view of the catalogue: write every star within the radius of each row
    to a new table, with separation and rank. A file is first read into a table of the same name.

    \b
    Examples:
        becat match --catalog catalog.duckdb
        becat match my_targets.csv --radius 5
    """
    from becat.etl.archives.stage import match_archives
    from becat.etl.archives.take_in import take_in_file
    from becat.etl.catalogue.connection import transaction
    from becat.etl.match.sphere import match_table

    if table is None and (radius or ra or dec or into):
        raise click.UsageError("name the TABLE to match: --radius, --ra, --dec and --into are for a table of your own")
    with open_catalogue(catalog) as connection:
        if table is None:
            _print_matched(match_archives(connection))
            return
        try:
            with transaction(connection):  # a file whose positions cannot be read leaves no table behind
                if Path(table).is_file():
                    table = take_in_file(connection, Path(table))
                made, n_pairs = match_table(connection, table, radius or 3.0, ra, dec, into)
        except ValueError as error:
            raise BecatError(str(error)) from None
    click.echo(f"{counted(n_pairs, 'pair')} within {radius or 3.0:g} arcsec in table {made}")


@becat.command()
@catalog_option
def funnel(catalog: Path) -> None:
    """Print how many spectra and stars pass each step of the selection.

    \b
    Example:
        becat funnel --catalog catalog.duckdb
    """
    from becat.show import print_funnel

    with open_catalogue(catalog, read_only=True) as connection:
        print_funnel(connection)


# Numbers of spectra without an obsid are negative: they are no options.
@becat.command(context_settings={"ignore_unknown_options": True})
@click.argument("star")
@catalog_option
def why(star: str, catalog: Path) -> None:
    """Say step by step why STAR is a Be star, or why not.

    STAR is a name ("gam Cas") or part of one, a designation (J192814.09+435531.0), a position ("292.0587 43.9253",
    "19:28:14.1 +43:55:31") or the number of a spectrum or star.

    \b
    Example:
        becat why J192814.09+435531.0 --catalog catalog.duckdb
    """
    from becat.show import print_why

    with open_catalogue(catalog, read_only=True) as connection:
        print_why(connection, star)


@becat.command()
@click.argument("star_or_file", metavar="STAR_OR_FILE")
@catalog_option
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Picture to write (.png, .pdf or .svg); default: a .png named after the star or file.",
)
@click.option(
    "--epochs",
    is_flag=True,
    help="Draw all epochs of a star: the profiles, and equivalent width, V/R and velocity against time.",
)
@click.option(
    "--folded/--not-folded",
    default=None,
    help="Draw the epochs against the phase of the star's period, or against time; default: folded if there is a period.",
)
def plot(star_or_file: str, catalog: Path, output: Path | None, epochs: bool, folded: bool | None) -> None:
    """Draw a spectrum: H-alpha with its error, smoothed profile, peaks and numbers, and both arms.

    A file may have any layout of docs/formats.md, and needs no catalogue: it is measured with the shipped thresholds. A star (name,
    designation, position, or number of a spectrum or star, as for `becat why`) is read from the catalogue, with its thresholds and its
    score.

    \b
    Examples:
        becat plot my_spectrum.fits -o my_spectrum.png
        becat plot J192814.09+435531.0 --catalog catalog.duckdb
        becat plot J192814.09+435531.0 --epochs -o epochs.pdf
    """
    if epochs:
        _plot_epochs(star_or_file, catalog, output, folded)
        return
    if folded is not None:
        raise click.UsageError("--folded and --not-folded are for --epochs")
    from becat.plot import name_of_picture

    spectrum = _spectrum_of(star_or_file, catalog)
    path = output or name_of_picture(spectrum.name.split(".fits")[0], ".png")
    spectrum.plot(path)
    click.echo(repr(spectrum))
    click.echo(f"picture {path}")


def _plot_epochs(star: str, catalog: Path, output: Path | None, folded: bool | None) -> None:
    from becat.catalogue import Catalogue
    from becat.plot import name_of_picture

    with Catalogue(catalog) as opened:
        found = opened.epochs(star)
        path = output or name_of_picture(found.name, "_epochs.png")
        found.plot(path, folded)
    click.echo(repr(found))
    click.echo(f"picture {path}")


def _spectrum_of(star_or_file: str, catalog: Path):
    from becat.catalogue import Catalogue
    from becat.reading import read_spectrum

    if Path(star_or_file).is_file():
        return read_spectrum(star_or_file)
    try:
        with Catalogue(catalog) as opened:
            return opened.spectrum(star_or_file)
    except BecatError as error:
        raise BecatError(f"{star_or_file} is not a file; {error}") from None


@becat.command()
@catalog_option
@click.option(
    "--sample", type=click.IntRange(min=0), default=20, show_default=True, help="Number of spectra to read again."
)
@click.option("--all", "everything", is_flag=True, help="Read all spectra again, not a sample.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Seed of the sample.")
def verify(catalog: Path, sample: int, everything: bool, seed: int) -> None:
    """Check that the catalogue is as becat wrote it and agrees with its files.

    It checks keys, references, ranges and completeness. It compares the rows of every table with the checksums of the runs that wrote
    them, and views, macros, thresholds and constants with a new catalogue. A random sample of spectra is read from the files, reduced,
    measured and scored again. The command reports what it read; if something is wrong, it lists it and exits with 1.

    \b
    Example:
        becat verify --catalog catalog.duckdb --sample 100
    """
    from becat.verify import verify as verify_catalogue

    read: list[str] = []
    with open_catalogue(catalog, read_only=True) as connection:
        findings = verify_catalogue(connection, None if everything else sample, seed, read.append)
    for line in read:
        click.echo(f"read: {line}" if not line.startswith("not ") else line)
    for finding in findings:
        click.echo(f"{finding.check}: {counted(finding.n_rows, 'exception')}, such as {finding.examples}")
    if findings:
        raise BecatError(f"{counted(len(findings), 'check')} of {catalog} failed")
    click.echo(f"{catalog} passed every check")


@becat.command()
@click.argument("before", type=existing_file)
@click.argument("after", type=existing_file, required=False)
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Compare with this threshold; may be repeated."
)
def diff(before: Path, after: Path | None, settings: tuple[str, ...]) -> None:
    """Show which stars enter or leave the classical Be stars, and at which step.

    Compares the catalogues BEFORE and AFTER, or BEFORE with itself under other thresholds, which are not stored.

    \b
    Examples:
        becat diff dr7.duckdb dr9.duckdb
        becat diff catalog.duckdb --set be_probability_min=0.9 --set q_late_min_mag=0.35
    """
    from becat.diff import compare, verdicts, verdicts_with
    from becat.show import print_changes

    if (after is None) == (not settings):
        raise click.UsageError("name a second catalogue, or thresholds with --set NAME=VALUE")
    thresholds = dict(_setting(word) for word in settings)
    with open_catalogue(before, read_only=not settings) as connection:
        old = verdicts(connection)
        new = verdicts_with(connection, thresholds) if settings else None
    if new is None and after is not None:
        with open_catalogue(after, read_only=True) as connection:
            new = verdicts(connection)
    print_changes(compare(old, new))


def _setting(word: str) -> tuple[str, float]:
    from becat.schema.parameters import from_words

    name, _, value = word.partition("=")
    try:
        return name.strip(), from_words(name.strip(), value.strip())
    except ValueError:
        raise click.UsageError(f"{word}: give a name and a number, as in snr_min=20") from None


@becat.command()
@click.argument("published", metavar="LIST")
@catalog_option
@click.option(
    "--view",
    default="",
    help="View of the catalogue to compare; default: classical_be or, for a table of the paper, the view it prints.",
)
@click.option(
    "--radius",
    type=Number(0, 3600, min_open=True),
    default=3.0,
    show_default=True,
    help="Match radius, arcsec.",
)
@click.option("--ra", help="Column of right ascension in LIST, degrees or hours, if it has an unusual name.")
@click.option("--dec", help="Column of declination in LIST, degrees or sexagesimal, if it has an unusual name.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the comparison, star by star, to this CSV file.",
)
def compare(published, catalog, view, radius, ra, dec, out) -> None:
    """Compare a published LIST of Be stars with the catalogue: which stars are in both, which in only one, and why.

    LIST is a file with positions, a table or view of the catalogue, a fetched source (zhang_2022, an_2026), or a table of the paper
    (table5 to table9).

    \b
    Examples:
        becat compare table7 --catalog catalog.duckdb
        becat compare zhang_2022 --view emission_star --out zhang.csv
    """
    from becat.compare import compare_with, print_comparison

    _refuse_the_catalogue(out, catalog)
    with open_catalogue(catalog) as connection:
        found = compare_with(connection, published, view, radius, ra, dec)
        if out:
            connection.execute("from list_comparison where list = ?", [found.list]).df().to_csv(out, index=False)
    print_comparison(found)


@becat.command()
@click.argument("words", nargs=-1, metavar="[NAME | NAME=VALUE]...")
@click.option("--reset", "to_reset", is_flag=True, help="Set the named thresholds, or all, back to the shipped values.")
@catalog_option
def threshold(words: tuple[str, ...], to_reset: bool, catalog: Path) -> None:
    """Show or change the thresholds of the catalogue.

    Without arguments it lists all thresholds; with NAME it shows that one in full. NAME=VALUE stores a new value in the catalogue: the
    views follow at once, a snapshot with the next `becat publish`, and measurements with the next `becat measure`. `becat diff` tries a
    value without storing it.

    \b
    Examples:
        becat threshold --catalog catalog.duckdb
        becat threshold be_probability_min=0.9 q_late_min_mag=-0.1
        becat threshold --reset be_probability_min
    """
    from becat.schema.parameters import change, in_words, reset, thresholds
    from becat.show import print_funnel, print_threshold, print_thresholds

    settings = dict(_setting(word) for word in words if "=" in word)
    shown = [word for word in words if "=" not in word]
    if to_reset and settings:
        raise click.UsageError("--reset takes names, not values")
    with open_catalogue(catalog, read_only=not settings and not to_reset) as connection:
        if to_reset:
            for old in reset(connection, shown):
                click.echo(
                    f"{old.name} was {in_words(old.name, old.value)}, is {in_words(old.name, old.shipped)} again"
                )
            print_funnel(connection)
            return
        if not words:
            print_thresholds(thresholds(connection))
        for found in thresholds(connection, shown) if shown else ():
            print_threshold(found)
        if settings:
            before = thresholds(connection, settings)
            change(connection, settings)
            for old in before:
                now = in_words(old.name, settings[old.name])
                click.echo(f"{old.name} was {in_words(old.name, old.value)}, is {now}")
            print_funnel(connection)


@becat.command()
@click.argument("snapshot", type=click.Path(dir_okay=False, path_type=Path))
@catalog_option
@click.option(
    "--profiles",
    type=click.Choice(["candidates", "near", "all"]),
    default="all",
    show_default=True,
    help="H-alpha profiles to include: of the candidates, of all stars that reach the classifier, or of all stars.",
)
@click.option(
    "--profiles-max",
    type=click.IntRange(min=0),
    default=20_000,
    show_default=True,
    help="Largest number of profiles, 5 kB each: candidates first, then one per star, those that passed most steps first.",
)
def publish(snapshot: Path, catalog: Path, profiles: str, profiles_max: int) -> None:
    """Write a SQLite snapshot of the catalogue for Datasette.

    \b
    Examples:
        becat publish catalog.sqlite --catalog catalog.duckdb
        becat publish small.sqlite --profiles near --profiles-max 5000
    """
    from becat.snapshot import publish_snapshot

    with open_catalogue(catalog, read_only=True):
        pass  # says in its own words what is wrong with a file that is no catalogue
    click.echo(
        f"snapshot {publish_snapshot(catalog, snapshot, profiles, profiles_max)}: look at it with `becat serve {snapshot}`"
    )


@becat.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@catalog_option
@click.option(
    "--table",
    type=click.Choice(["stars", "spectra", "flux_red", "flux_blue"]),
    default="stars",
    show_default=True,
    help="Stars with their verdict, spectra with measurements and scores, or the arrays of an arm.",
)
def partition(directory: Path, catalog: Path, table: str) -> None:
    """Write the catalogue or its spectra to DIRECTORY as Parquet partitioned on the sky (HATS), which LSDB opens.

    \b
    Example:
        becat partition hats/stars --catalog catalog.duckdb
    """
    from becat.publish.hats import export_hats

    with open_catalogue(catalog, read_only=True) as connection:
        n_rows = export_hats(connection, directory, table)
    click.echo(f'{counted(n_rows, "row")} in {directory}: open them with lsdb.open_catalog("{directory}")')


@becat.command()
@click.argument("snapshot", type=existing_file)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=8001, show_default=True, help="Port to listen on.")
@click.option(
    "--labels",
    type=click.Path(dir_okay=False, path_type=Path),
    help="SQLite file with the people who may judge candidates at /inspect, and their judgements.",
)
@click.option(
    "--model",
    type=existing_file,
    help="The ONNX model that gave the scores, if not becat's own; needed to show what it looked at.",
)
@click.option("--open", "open_browser", is_flag=True, help="Open the site in a browser.")
@click.option(
    "--name",
    "names",
    multiple=True,
    help="Public name of the site, such as be.example.org: needed behind another server. May be repeated.",
)
def serve(
    snapshot: Path,
    host: str,
    port: int,
    labels: Path | None,
    model: Path | None,
    open_browser: bool,
    names: tuple[str, ...],
) -> None:
    """Serve a snapshot with Datasette.

    \b
    Example:
        becat serve catalog.sqlite --port 8001 --labels labels.sqlite
    """
    from becat.publish.serve import serve as serve_snapshot

    # Ctrl-C is how a server is meant to end: uvicorn takes it, closes what is open, and that is no error.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        serve_snapshot(snapshot, host, port, labels=labels, model=model, open_browser=open_browser, names=names)
    finally:
        signal.signal(signal.SIGINT, before)
    leave(0)  # without waiting for the thread that draws examples, which cannot be cut off in a library in C++ either


@becat.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@catalog_option
def report(directory: Path, catalog: Path) -> None:
    """Write the paper's figures and tables, made from the catalogue, to DIRECTORY.

    The report has a self-contained web page, a PDF, each figure as a file, and each table in the formats of CDS and AAS. It replaces an
    earlier report and touches no other files.

    \b
    Example:
        becat report report/ --catalog catalog.duckdb
    """
    from becat.etl.load.arms_of_file import read_arms
    from becat.publish.report.figures import figures
    from becat.publish.report.make import make_report

    with open_catalogue(catalog, read_only=True) as connection:
        made = make_report(connection, directory, catalogue=catalog.name, figures=figures(read_arms))
    for problem in made.problems:
        click.echo(problem)
    click.echo(
        f"{counted(made.n_figures, 'figure')} and {counted(made.n_tables, 'table')}, {made.size_bytes / 1e6:.1f} MB in {directory}:"
        f" look at {directory / 'report.html'} or {directory / 'report.pdf'}"
    )


@becat.command()
@click.argument("labels", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("name")
@click.password_option(help="Ten characters or more. If not given, the command asks for it.")
def inspector(labels: Path, name: str, password: str) -> None:
    """Let NAME sign in at /inspect and judge candidates by eye; LABELS is the SQLite file of the labels.

    \b
    Example:
        becat inspector labels.sqlite "Ada Lovelace"
    """
    from becat.publish.inspection import add_inspector

    try:
        add_inspector(labels, name, password)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    click.echo(f"{name} may sign in; labels are kept in {labels}")


@becat.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--spectra", type=click.IntRange(min=1), default=1000, show_default=True, help="Number of spectra.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Seed of the simulation.")
@click.option("--archives", is_flag=True, help="Also write archive tables for these stars, to DIRECTORY/archives.")
@click.option(
    "--nights",
    type=click.IntRange(min=2, max=200),
    help="Simulate changing and constant stars, each observed on this many nights, with every exposure in its file. SPECTRA files"
    " are written, one per star and night.",
)
def simulate(directory: Path, spectra: int, seed: int, archives: bool, nights: int | None) -> None:
    """Write a simulated survey in LAMOST's own file layouts, and the true properties of each spectrum.

    \b
    Examples:
        becat simulate survey/ --spectra 500 --seed 7
        becat simulate epochs/ --spectra 600 --nights 12     # 50 stars: discs that come and go, V/R cycles, binaries
    """
    from becat.demo_archives import write_demo_archives
    from becat.simulate.epochs import write_epoch_survey
    from becat.simulate.survey import write_survey

    if directory.exists() and any(directory.iterdir()):
        raise BecatError(f"{directory} is not empty: choose a new directory")
    if nights is None:
        write_survey(directory, n=spectra, seed=seed, progress=True)
    elif spectra < nights:
        raise BecatError(f"{spectra} spectra are not enough for one star on {nights} nights: increase --spectra")
    else:
        n_stars = spectra // nights
        write_epoch_survey(directory, n_stars, nights, seed, progress=True)
        click.echo(
            f"{counted(n_stars, 'star')} on {nights} nights; the true properties of each star are in truth_stars.csv"
        )
        spectra = n_stars * nights
    if archives:
        write_demo_archives(directory / "archives", directory / "truth.csv")
    click.echo(f"{counted(spectra, 'simulated spectrum')} and their true properties in {directory}")


@becat.command()
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path), default=Path("catalog.duckdb.template"))
def template(path: Path) -> None:
    """Write the empty catalogue that the repository ships, from schema/.

    \b
    Example:
        becat template catalog.duckdb.template
    """
    from becat.schema import build

    if path.exists() and path.suffix != ".template":
        raise BecatError(f"{path} exists already: choose another name or delete it first")
    build.write_template(path)
    click.echo(f"template {path}")


labels_option = click.option(
    "--labels", type=existing_file, help="CSV of spectrum_id,label (1 Be, 0 not Be), instead of the table inspection."
)


def _labelled(catalog: Path | None, labels: Path | None):
    from becat.models.training.training_data import labelled_from_catalogue

    if catalog is None:
        if labels is not None:
            raise click.UsageError("--labels needs --catalog, which holds the flux of these spectra")
        return None
    with open_catalogue(catalog, read_only=True):
        pass  # says in its own words what is wrong with a file that is missing, no catalogue, or of another becat
    try:
        return labelled_from_catalogue(catalog, labels)
    except ValueError as error:
        raise BecatError(str(error)) from None


def _need_torch() -> None:
    try:
        import torch  # noqa: F401
        import torchvision  # noqa: F401
    except ImportError:
        raise missing_extra("PyTorch", "train") from None


def _refuse_the_catalogue(path: Path | None, catalog: Path) -> None:
    """What would be written over the catalogue itself."""
    if path and path.exists() and catalog.exists() and path.samefile(catalog):
        raise click.UsageError(f"{path} is the catalogue itself: name another file")


def _finished(start_from: Path, directory: Path, network: str) -> Path:
    """A finished training as it is; an ONNX file as one, written into the new training's own directory."""
    if start_from.is_dir():
        return start_from
    from becat.models.score import FOLDER, own_model
    from becat.models.training.recovered import recover_training

    if start_from == FOLDER / "becat":
        start_from = own_model(network)
    unpacked = directory / start_from.stem
    return unpacked if (unpacked / "curves.json").exists() else recover_training(start_from, unpacked)


@becat.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--catalog", "-c", type=click.Path(path_type=Path), help="Catalogue with labelled spectra to train on as well."
)
@labels_option
@click.option("--imagenet", type=existing_file, help="NumPy archive of ImageNet weights, instead of torchvision's.")
@click.option(
    "--start-from",
    type=Training(exists=True, path_type=Path),
    help="Train networks further: those of a finished training (its directory), of a model (its ONNX file, with its JSON file beside"
    " it), or those that come with becat (`becat`).",
)
@click.option(
    "--network",
    type=click.Choice(["resnet18", "profile", "both"]),
    help="Which networks to train; default: both, or with --start-from the profile networks.",
)
@click.option(
    "--teacher",
    type=Training(exists=True, path_type=Path),
    help="Training, model or `becat`, as for --start-from, whose profile networks tell ResNet-18 how certain it should be.",
)
@click.option(
    "--spectra",
    type=click.IntRange(min=1),
    help="With --start-from, spectra to train each network on; default: 286,720 for profile networks, 64,000 for ResNet-18.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Seed; with --start-from, use one that the training did not use.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Number of processes on a machine without a GPU; default: one per core. Seed and workers together decide which spectra are"
    " simulated.",
)
def train(
    directory: Path,
    catalog: Path | None,
    labels: Path | None,
    imagenet: Path | None,
    start_from: Path | None,
    network: str | None,
    teacher: Path | None,
    spectra: int | None,
    seed: int,
    workers: int | None,
) -> None:
    """Train the classifiers; after an interruption, the same command resumes.

    \b
    Examples, becat's own profile networks trained further with your labels, and a new ResNet-18:
        becat train further/ --start-from becat --seed 5 --catalog catalog.duckdb --labels labels.csv
        becat train resnet18/ --network resnet18 --teacher becat --catalog catalog.duckdb --labels labels.csv
    """
    if imagenet and start_from:
        raise click.UsageError("--imagenet is for a new training, --start-from continues one: give only one of them")
    if spectra and not start_from:
        raise click.UsageError("--spectra is only for a training that starts from another: add --start-from")
    _need_torch()
    from becat.models.training.train import TrainConfig, further_drawing
    from becat.models.training.train import train as train_classifier
    from becat.models.training.train_profile import further

    network = network or ("profile" if start_from else "both")
    config = TrainConfig(seed=seed, imagenet=str(imagenet) if imagenet else None)
    if workers:
        config = replace(config, workers=workers)
    try:
        if network == "profile":
            config = replace(config, stages=())
        elif teacher:
            config = replace(config, teacher=str(_finished(teacher, directory, "profile")))
        if network == "resnet18":
            config = replace(config, profile=replace(config.profile, members=0))
        if start_from and network != "profile":
            before = _finished(start_from, directory, "resnet18")
            config = further_drawing(config, before, *([spectra] if spectra else []))
        if start_from and network != "resnet18":
            before = _finished(start_from, directory, "profile")
            config = replace(config, profile=further(before, *([spectra] if spectra else [])))
        train_classifier(directory, config, _labelled(catalog, labels))
    except FileNotFoundError as error:
        raise BecatError(
            f"{error.filename} is missing: {start_from} is neither the directory of a finished training nor a model with its card"
        ) from None
    except ValueError as error:
        raise BecatError(str(error)) from None
    click.echo(f"{directory}: export it with `becat export model {directory} models/`")


@becat.group(cls=Commands)
def export() -> None:
    """Write stars of the catalogue to a file for other programs, or a trained classifier to ONNX.

    \b
    Example:
        becat export stars classical_be --to be_stars.fits
    """


@export.command("stars")
@click.argument("view")
@click.option(
    "--to",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="File to write: .csv, .parquet, .fits, or .vot or .xml for a VOTable.",
)
@catalog_option
def export_stars(view: str, path: Path, catalog: Path) -> None:
    """Write all rows of VIEW, or of a table, to a file; all formats except CSV include units and descriptions.

    \b
    Examples:
        becat export stars classical_be --to be_stars.fits
        becat export stars runaway --to runaway.vot --catalog catalog.duckdb
    """
    from becat.publish.table_file import write_table

    _refuse_the_catalogue(path, catalog)
    with open_catalogue(catalog, read_only=True) as connection:
        n_rows = write_table(connection, view, path)
    click.echo(f"{counted(n_rows, 'row')} of {view} in {path}")


@export.command("model")
@click.argument("training", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--threshold", type=Number(0, 1), default=0.5, show_default=True, help="Decision threshold.")
@click.option("--name", default="classifier", show_default=True, help="First part of the file names.")
def export_model(training: Path, directory: Path, threshold: float, name: str) -> None:
    """Export the networks of a training to ONNX, each with its card; ResNet-18 in int8 for CPUs and in half precision for GPUs.

    \b
    Example:
        becat export model training/ mymodel/ && becat score --model mymodel/classifier_profile.onnx
    """
    _need_torch()
    from becat.models.training.export import export as export_models

    try:
        files = export_models(training, directory, threshold=threshold, name=name)
    except FileNotFoundError as error:
        raise BecatError(
            f"{error.filename} is missing: run `becat train {training}`, which resumes where it stopped and writes it"
        ) from None
    except ValueError as error:
        raise BecatError(str(error)) from None
    for precision, path in files.items():
        click.echo(f"{precision}: {path}")


@export.command("both")
@click.argument("resnet18", type=existing_file)
@click.argument("profile", type=existing_file)
@click.option("--catalog", "-c", type=click.Path(path_type=Path), help="Catalogue of labelled real spectra.")
@labels_option
def export_both(resnet18: Path, profile: Path, catalog: Path | None, labels: Path | None) -> None:
    """Combine two exported models, ResNet-18 and the profile networks, into one decision.

    The weights are written to a card beside the first model.

    \b
    Example:
        becat export both mymodel/classifier_resnet18.onnx mymodel/classifier_profile.onnx -c catalog.duckdb --labels labels.csv
    """
    from becat.models.evaluation.combine import combine

    try:
        card = combine(resnet18, profile, _labelled(catalog, labels))
    except ValueError as error:
        raise BecatError(str(error)) from None
    click.echo(f"{card}: {card.read_text(encoding='utf-8').strip()}")


@becat.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--model", type=existing_file, help="An ONNX model to evaluate instead of those that come with becat.")
@click.option("--catalog", "-c", type=click.Path(path_type=Path), help="Catalogue of labelled real spectra.")
@labels_option
@click.option(
    "--spectra", type=click.IntRange(min=100), default=3000, show_default=True, help="Simulated spectra per table."
)
@click.option("--quick", is_flag=True, help="Use only 200 spectra per table.")
@click.option(
    "--docs",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the results to this page of the documentation.",
)
def evaluate(
    directory: Path,
    model: Path | None,
    catalog: Path | None,
    labels: Path | None,
    spectra: int,
    quick: bool,
    docs: Path | None,
) -> None:
    """Evaluate a classifier: accuracy, calibration, stability, completeness; tables and figures.

    \b
    Examples:
        becat evaluate evaluation/ --quick
        becat evaluate evaluation/ -c catalog.duckdb --labels labels.csv
    """
    from becat.models.classifiers import decides, load
    from becat.models.evaluation.evaluate import evaluate as evaluate_model

    classifiers = load(model)
    scorer, n = decides(classifiers, "both"), 200 if quick else spectra
    evaluate_model(scorer, directory, _labelled(catalog, labels), n=n, docs=docs, beside=classifiers)
    click.echo((directory / "evaluation.md").read_text(encoding="utf-8"))
    click.echo(f"tables and figures in {directory}")
