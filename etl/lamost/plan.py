"""Which spectra of a release to fetch: the steps of the selection that need no flux are asked of its catalogues.

A file is left out only where every spectrum of it that would be loaded fails such a step, so that a selection on the files
of the plan gives what one on all files of the release gives.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from becat.etl.archives.ingest import ingested
from becat.etl.archives.rows import replace_rows
from becat.etl.archives.take_in import take_in_file
from becat.etl.catalogue.checksums import rows_digest
from becat.etl.catalogue.connection import TO_READ, Run, bounded_memory, transaction
from becat.etl.catalogue.versions import digest_of_files
from becat.etl.lamost import release_rows
from becat.etl.lamost.limits import Limits
from becat.etl.lamost.nights import nights_to_fetch
from becat.etl.lamost.rates import Rates, known_rates
from becat.etl.lamost.wishes import Wishes
from becat.etl.match.columns import position_in_degrees
from becat.etl.match.sphere import Side, match
from becat.schema import leftovers, parameters
from becat.schema.errors import BecatError
from becat.schema.releases import Release
from becat.schema.sphere import separation_sql
from becat.schema.sql_names import quoted
from becat.schema.words import counted

__all__ = ["Chosen", "Plan", "make_plan", "positions_of_stars"]

COMMAND = "lamost plan"
THRESHOLDS = (
    "snr_min",
    "teff_late_min_k",
    "teff_late_max_k",
    "q_late_min_mag",
    "q_reddening_ratio",
    "tmass_radius_max_arcsec",
)
# Gzipped: an extension of an MRS file, of which there is one for each row of the catalogue, and an LRS file. Files of DR7 and
# DR9 with 9 to 21 extensions have 330 to 914 kB, LRS files 45 to 58 kB.
BYTES_AN_EXTENSION, BYTES_OF_LRS = 43_000, 52_000
BYTES_OF_MRS = 350_000  # where the catalogue does not list what is in it


@dataclass(frozen=True)
class Chosen:
    """Files and bytes that are left after a step."""

    step: str
    n_files: int
    n_bytes: int


@dataclass
class Plan:
    """What a plan comes to."""

    release: str
    steps: list[Chosen] = field(default_factory=list)
    n_bad_rows: int = 0
    n_to_fetch: int = 0
    bytes_to_fetch: int = 0  # of the files
    n_whole_nights: int = 0  # of which the archive comes sooner than the files
    n_of_whole_nights: int = 0
    bytes_of_whole_nights: int = 0  # of the archives
    hours: float = 0.0
    hours_saved: float = 0.0  # by the archives
    rates: str = ""
    remarks: list[str] = field(default_factory=list)
    unchanged: bool = False

    def lines(self) -> list[str]:
        """The plan in words."""
        if self.unchanged:
            said = [f"plan of {self.release}: nothing has changed since it was made"]
        else:
            whole = self.steps[0]
            said = [f"{whole.n_files:>10,} files, {whole.n_bytes / 1e9:10,.3f} GB  {self.release} ({whole.step})"]
            said += [f"{one.n_files:>10,} files, {one.n_bytes / 1e9:10,.3f} GB  {one.step}" for one in self.steps[1:]]
            left = self.steps[-1]
            if whole.n_bytes:
                said.append(
                    f"chosen: {left.n_files:,} of {counted(whole.n_files, 'file')}, {left.n_bytes / whole.n_bytes:.1%} of the bytes"
                )
        said += self.remarks
        if self.n_bad_rows:
            said.append(f"{counted(self.n_bad_rows, 'row')} of the catalogues could not be used")
        said.append(
            f"to fetch: {counted(self.n_to_fetch, 'file')}, {self.bytes_to_fetch / 1e9:,.3f} GB, about {self.hours:,.1f} hours"
        )
        if self.n_whole_nights:
            said.append(
                f"of these {counted(self.n_of_whole_nights, 'file')} from the archives (tar) of {counted(self.n_whole_nights, 'whole night')}, where"
                f" LAMOST has them: {self.bytes_of_whole_nights / 1e9:,.3f} GB, expected to be {self.hours_saved:,.1f} hours faster"
            )
        elif self.n_to_fetch:
            said.append("all as single spectra: no archive of a whole night would be faster")
        if self.n_to_fetch:
            said.append(f"hours: {self.rates}")
        return said


def make_plan(
    connection: duckdb.DuckDBPyConnection,
    catalogues: Sequence[Path],
    release: Release,
    survey: str,
    wishes: Wishes,
    limits: Limits | None = None,
    is_whole: bool = True,
) -> Plan:
    """Choose the spectra of a release and write them to `download_plan`.

    Parameters
    ----------
    connection : duckdb connection
        The catalogue, open for writing.
    catalogues : sequence of Path
        The release's general catalogue and, for the step T_eff, that of stellar parameters.
    release : Release
    survey : {'mrs', 'lrs'}
    wishes : Wishes
    limits : Limits, optional
    is_whole : bool
        Whether the catalogues list all files of a night, so that the size of its archive can be told.

    Returns
    -------
    Plan

    Raises
    ------
    BecatError
        A catalogue, list or view cannot be used.
    """
    plan = Plan(release.name)
    digest = _fingerprint(connection, catalogues, release, survey, wishes, is_whole)
    row = connection.execute(
        "select code_version from etl_run where command = ? and status = 'done' order by run_id desc limit 1",
        [f"{COMMAND} {survey}"],
    ).fetchone()
    plan.unchanged = row is not None and row[0] == digest
    if not plan.unchanged:
        with (
            Run(connection, f"{COMMAND} {survey}", digest) as run,
            _scratch(connection),
            bounded_memory(connection, TO_READ),
        ):
            plan.n_bad_rows = release_rows.gather_files(connection, catalogues, survey, wishes.exposures, "_spectra")
            _choose(connection, survey, wishes, plan)
            with transaction(connection):
                run.n_done = _write(connection, release, survey, wishes, run.run_id, is_whole)
            run.message = (
                f"{release.name}: {plan.steps[-1].n_files:,} of {counted(plan.steps[0].n_files, 'file')} chosen"
            )
    _count_what_is_to_do(connection, survey, plan, known_rates(connection, limits or Limits()))
    return plan


class _scratch:
    """A folder to which DuckDB spills, gone at the end."""

    def __init__(self, connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._folder = leftovers.scratch("becat-plan")
        folder = self._folder.__enter__()
        row = self._connection.execute("select current_setting('temp_directory')").fetchone()
        self._before = row[0]
        self._connection.execute(f"set temp_directory = '{folder}'")

    def __exit__(self, *_) -> None:
        for table in ("_spectra", "_file", "_chosen", "_wanted_place", "_near"):
            self._connection.execute(f"drop table if exists temp.{table}")
        self._folder.__exit__(None, None, None)


def _fingerprint(connection, catalogues, release, survey, wishes: Wishes, is_whole: bool) -> str:
    """What a plan depends on, as twelve digits."""
    files = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in _existing(catalogues)]
    own = hashlib.sha256(wishes.stars.read_bytes()).hexdigest() if wishes.stars else ""
    viewed = ""
    if wishes.view:
        _position_columns(connection, wishes.view)
        viewed = connection.execute(f"select {rows_digest('v')} from {quoted(wishes.view)} as v").fetchall()
    tmass = ingested(connection).get("tmass")
    code = digest_of_files([Path(__file__), Path(release_rows.__file__)])
    limits = [parameters.value(name, connection) for name in THRESHOLDS]
    what = (files, own, viewed, tmass, release, survey, wishes, is_whole, limits, code)
    return hashlib.sha256(repr(what).encode()).hexdigest()[:12]


def _existing(paths: Sequence[Path]) -> Sequence[Path]:
    missing = [str(path) for path in paths if not path.is_file()]
    if missing or not paths:
        raise BecatError(f"no such file: {', '.join(missing)}: fetch it with `becat lamost catalogue`")
    return paths


def _choose(connection, survey: str, wishes: Wishes, plan: Plan) -> None:
    """Table _chosen: of each file that is wanted its row, and why; the steps go to the plan."""
    size = (
        str(BYTES_OF_LRS)
        if survey == "lrs"
        else f"if(sum(n_rows) > 0, {BYTES_AN_EXTENSION} * (sum(n_rows) + 1), {BYTES_OF_MRS})"
    )
    # An S/N that the catalogue lacks may stand in the file, a temperature in another catalogue.
    good = "passes_snr(coalesce(snr_b, 'infinity'), coalesce(snr_r, 'infinity'), true)"
    connection.execute(f"""
        create or replace temporary table _file as
        select
            file, min(obsid) as obsid, any_value(night) as night, any_value(plan_id) as plan_id,
            any_value(ra_deg) as ra_deg, any_value(dec_deg) as dec_deg,
            max(snr_b) as snr_b, max(snr_r) as snr_r, any_value(teff_k) as teff_k, any_value(g_mag) as g_mag,
            sum(n_rows) as n_rows, {size} as bytes_expected,
            bool_or({good}) as passes_snr,
            bool_or({good} and (teff_k is null or passes_teff(teff_k))) as passes_teff
        from _spectra group by file
    """)
    _note(connection, plan, "in the catalogues", "_file")
    conditions = _of_place(connection, wishes, plan)
    connection.execute(
        f"create or replace temporary table _chosen as select *, '' as why from _file where {conditions}"
    )
    if conditions != "true":
        _note(connection, plan, "of the stars, region and magnitudes asked for", "_chosen")
    if wishes.steps:
        _ask_steps(connection, plan)
    if wishes.all_epochs:
        _add_epochs(connection, wishes.radius_arcsec)
        _note(connection, plan, "with all epochs of these stars", "_chosen")


def _note(connection, plan: Plan, step: str, table: str) -> None:
    n_files, n_bytes = connection.execute(f"select count(*), coalesce(sum(bytes_expected), 0) from {table}").fetchone()
    plan.steps.append(Chosen(step, n_files, int(n_bytes)))


def _of_place(connection, wishes: Wishes, plan: Plan) -> str:
    """SQL condition: region, magnitude, and the stars of a list or view."""
    conditions = []
    if wishes.regions:
        circles = [_within(*circle) for circle in wishes.regions]
        conditions.append(f"({' or '.join(circles)})")
    for limit, sign in ((wishes.brightest_mag, ">="), (wishes.faintest_mag, "<=")):
        if limit is not None:
            conditions.append(f"coalesce(g_mag {sign} {limit:.6f}, true)")
    if (wishes.brightest_mag, wishes.faintest_mag) != (None, None):
        n_without = connection.execute("select count(*) from _file where g_mag is null").fetchone()[0]
        if n_without:
            plan.remarks.append(
                f"{counted(n_without, 'file has', 'files have')} no magnitude in the catalogue: none of them is left out for that"
            )
    for places in _lists(connection, wishes):
        _near(connection, places, "_file", wishes.radius_arcsec)
        connection.execute(
            "create or replace temporary table _wanted_place as select distinct right_id as file from _near"
        )
        conditions.append("file in (from _wanted_place)")
    return " and ".join(conditions) or "true"


def _within(ra_deg: float, dec_deg: float, radius_deg: float) -> str:
    """SQL condition: the position lies in a circle on the sky."""
    distance = separation_sql(f"({ra_deg:.9f})", f"({dec_deg:.9f})", "ra_deg", "dec_deg")
    return f"{distance} <= {radius_deg:.9f}"


def _lists(connection, wishes: Wishes) -> list[Side]:
    if wishes.stars and wishes.view:
        raise BecatError("stars of a list and stars of a view: give only one of the two")
    table = wishes.view or (take_in_file(connection, wishes.stars) if wishes.stars else "")
    if not table:
        return []
    ra, dec = _position_columns(connection, table)
    numbered = f"(select row_number() over () as n, {ra} as ra_deg, {dec} as dec_deg from {quoted(table)})"
    return [Side(numbered, "n")]


def positions_of_stars(connection, wishes: Wishes) -> list[tuple[float, float, float]]:
    """Circles around the stars that are wished: right ascension, declination, radius, degrees; none where none are.

    Raises
    ------
    BecatError
        The list or view has no positions.
    """
    found = []
    for places in _lists(connection, wishes):
        found = connection.execute(
            f"select distinct ra_deg, dec_deg from {places.table} where isfinite(ra_deg) and isfinite(dec_deg) order by all"
        ).fetchall()
        if not found:
            raise BecatError(f"{wishes.stars or wishes.view} holds no positions")
    return [(ra, dec, wishes.radius_arcsec / 3600) for ra, dec in found]


def _position_columns(connection, table: str) -> tuple[str, str]:
    try:
        return position_in_degrees(connection, table)
    except ValueError as error:
        raise BecatError(str(error)) from None


def _near(connection, left: Side, right: str, radius_arcsec: float) -> None:
    match(connection, left, Side(right, "file"), radius_arcsec, "_near", rank=False)


def _ask_steps(connection, plan: Plan) -> None:
    snr_min = parameters.value("snr_min", connection)
    connection.execute("delete from _chosen where not passes_snr")
    _note(connection, plan, f"S/N above {snr_min:g} in both arms", "_chosen")
    n_teff = connection.execute("select count(*) from _chosen where teff_k is not null").fetchone()[0]
    connection.execute("delete from _chosen where not passes_teff")
    _note(connection, plan, "T_eff not of a late A or F star, or unknown", "_chosen")
    if not n_teff:
        plan.remarks.append("no temperature in the catalogues: add the catalogue of stellar parameters")
    connection.execute("""
        update _chosen set why = concat_ws('; ',
            'S/N ' || coalesce(round(snr_b)::integer::text, '-') || ', ' || coalesce(round(snr_r)::integer::text, '-'),
            coalesce('T_eff ' || round(teff_k)::integer || ' K', 'no T_eff'))
    """)
    found = "select 1 from information_schema.tables where table_schema = 'archive' and table_name = 'tmass'"
    if not connection.execute(found).fetchone():
        plan.remarks.append(
            "Q is not applied: the catalogue has no 2MASS (becat fetch tmass, or --from FILE, then plan again)"
        )
        return
    _ask_q(connection)
    _note(connection, plan, f"Q below {parameters.value('q_late_min_mag', connection):g} mag, or unknown", "_chosen")


def _ask_q(connection) -> None:
    """Leave out files near whose place no 2MASS source is, or is without colours, or has the Q of an early star."""
    names = dict(connection.execute("select ours, theirs from archive.source_column where source = 'tmass'").fetchall())
    j, h, k, ra, dec = (
        f"try_cast({quoted(names[of])} as double)" for of in ("j_mag", "h_mag", "k_mag", "match.ra", "match.dec")
    )
    tmass = f"(select row_number() over () as n, {ra} as ra_deg, {dec} as dec_deg from archive.tmass)"
    _near(connection, Side(tmass, "n"), "_chosen", parameters.value("tmass_radius_max_arcsec", connection))
    connection.execute(f"""
        create or replace temporary table _wanted_place as
        with colour as (select row_number() over () as n, reddening_free_q({j}, {h}, {k}) as q_mag from archive.tmass)
        select right_id as file, bool_or(q_mag is null or passes_q(q_mag)) as passes, min(q_mag) as q_mag
        from _near join colour on n = left_id group by right_id;
        update _chosen set why = concat(why, '; ', coalesce(printf('Q %+.2f', found.q_mag), 'no Q'))
        from (from _chosen left join _wanted_place using (file) select file, q_mag, coalesce(passes, true) as passes) as found
        where found.file = _chosen.file;
        delete from _chosen where file in (select file from _wanted_place where not passes)
    """)


def _add_epochs(connection, radius_arcsec: float) -> None:
    places = "(select row_number() over () as n, ra_deg, dec_deg from (select distinct ra_deg, dec_deg from _chosen))"
    _near(connection, Side(places, "n"), "_file", radius_arcsec)
    connection.execute("""
        insert into _chosen
        select *, 'another epoch of a chosen star' as why from _file
        where file in (select right_id from _near) and file not in (select file from _chosen)
    """)


def _write(connection, release: Release, survey: str, wishes: Wishes, run_id: int, is_whole: bool) -> int:
    """Bring `download_plan` in step; a file that is there and that this release lists unchanged stays as it is."""
    same = (
        "false"
        if wishes.anew
        else """
        old.file = new.file and old.n_rows is not distinct from new.n_rows
        and old.snr_b is not distinct from new.snr_b and old.snr_r is not distinct from new.snr_r"""
    )
    query = f"""
        with new as (
            select
                '{survey}' as survey, obsid, '{release.release}' as release, '{release.version}' as version, night, plan_id,
                file, ra_deg, dec_deg, snr_b::real as snr_b, snr_r::real as snr_r, n_rows::integer as n_rows,
                bytes_expected::bigint as bytes_expected, why,
                if({is_whole} and not contains(file, '/by_obsid/'), night_bytes::bigint, null) as night_bytes
            from _chosen left join (select night, sum(bytes_expected) as night_bytes from _file group by night) using (night)
        ),
        judged as (
            select
                new.*, old.release as old_release, old.version as old_version, old.problem,
                (old.release = new.release and old.version = new.version) as is_same_release,
                coalesce(old.state = 'fetched' and ({same}), false) as stays,
                coalesce(old.state in ('fetched', 'replace'), false) as is_there, old.state as old_state
            from new left join download_plan as old on old.survey = new.survey and old.obsid = new.obsid
        )
        select
            survey, obsid, if(stays, old_release, release) as release, if(stays, old_version, version) as version, night,
            plan_id, file, ra_deg, dec_deg, snr_b, snr_r, n_rows, bytes_expected, night_bytes, why,
            case
                when stays then 'fetched'
                when is_same_release and old_state is not null and not {str(wishes.anew).lower()} then old_state
                when is_there then 'replace'
                else 'planned'
            end as state,
            if(stays or is_same_release, problem, null) as problem
        from judged
    """
    return replace_rows(connection, "download_plan", query, run_id, f"survey = '{survey}'")


def _count_what_is_to_do(connection, survey: str, plan: Plan, rates: Rates) -> None:
    nights = nights_to_fetch(connection, survey)
    whole = [night for night in nights if night.is_whole(rates)]
    single = [night for night in nights if not night.is_whole(rates)]
    plan.n_to_fetch, plan.bytes_to_fetch = (
        sum(getattr(one, name) for one in nights) for name in ("n_files", "n_bytes")
    )
    plan.n_whole_nights, plan.n_of_whole_nights = len(whole), sum(one.n_files for one in whole)
    plan.bytes_of_whole_nights = sum(one.night_bytes or 0 for one in whole)
    seconds = rates.single_s(sum(one.n_files for one in single), sum(one.n_bytes for one in single))
    seconds += rates.night_s(plan.bytes_of_whole_nights)
    plan.hours = seconds / 3600
    plan.hours_saved = max(0.0, rates.single_s(plan.n_to_fetch, plan.bytes_to_fetch) - seconds) / 3600
    plan.rates = rates.words(bool(whole))
