"""`becat compare`: the stars of a published list and ours, star by star, and why a star of the list is not among ours."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import click
import duckdb
import pandas as pd

from becat.demo_archives import designation_position
from becat.etl.archives.sources import load as known_sources
from becat.etl.archives.take_in import take_in_file
from becat.etl.catalogue.connection import Run, transaction
from becat.etl.match.columns import column_names, position_in_degrees
from becat.etl.match.sphere import Side, check_radius, match
from becat.schema.errors import BecatError
from becat.schema.sql_names import quoted, quoted_table

__all__ = ["Comparison", "compare_with", "print_comparison"]

# The paper's own tables, by the names of their files in etl/data/wang2022, and which view of ours they stand for.
PAPER = {
    "table5_oe_stars": "oe_star",
    "table6_known_be": "known_be",
    "table7_new_cbe": "new_cbe",
    "table8_open_cluster_members": "cluster_member_be",
    "table9_runaways": "runaway",
}
NAMES = ("designation", "name", "object_name", "star_name", "lamost", "obsid")
CLASSES = ("object_class", "class", "type", "otype", "objtype_hou")


@dataclass(frozen=True)
class Comparison:
    """A list that was compared: its rows stand in the table list_comparison, its rates in the view list_rate.

    Attributes
    ----------
    list : str
        Name of the list.
    view : str
        Which of our stars.
    counts : dict
        Stars found by both, only in the list, only here.
    reasons : list of (str, int)
        Why stars of the list are not among ours.
    rates : list of (str, str, float or None, int, float or None, int)
        Part, bin, completeness and the number of stars of which it is the share, purity and the same.
    """

    list: str
    view: str
    counts: dict[str, int]
    reasons: list[tuple[str, int]]
    rates: list[tuple]


def compare_with(
    connection: duckdb.DuckDBPyConnection,
    words: str,
    view: str = "",
    radius_arcsec: float = 3.0,
    ra: str | None = None,
    dec: str | None = None,
) -> Comparison:
    """Compare a published list with our stars.

    Parameters
    ----------
    connection : duckdb connection
        The catalogue, open for writing.
    words : str
        A file, a table or view of the catalogue, a source that was fetched (``zhang_2022``), or a table of the paper
        (``table7_new_cbe``).
    view : str
        Ours: a view with star_id. By default the classical Be stars, for a table of the paper what it prints.
    radius_arcsec : float
        Nearer than this two positions are one star.
    ra, dec : str, optional
        Columns of the position, degrees or sexagesimal; guessed if not given.

    Returns
    -------
    Comparison

    Raises
    ------
    BecatError
        There is no such list or view, or it has no positions.
    """
    table, name, of_paper = _list(connection, words)
    view = view or of_paper or "classical_be"
    try:
        if "star_id" not in column_names(connection, view):
            raise BecatError(f"{view} is not a view of stars: it has no column star_id")
        check_radius(radius_arcsec)
        ra, dec = position_in_degrees(connection, table, ra, dec)
        columns = column_names(connection, table)
    except ValueError as error:
        raise BecatError(str(error)) from None
    spelt = {column.lower(): column for column in columns}
    label, kind = (next((spelt[n] for n in of if n in spelt), None) for of in (NAMES, CLASSES))
    connection.execute(f"""
        create or replace temporary table _listed as
        select row_number() over () as n, {_as_text(label)} as name, {_as_text(kind)} as listed_class,
            {ra} as ra_deg, {dec} as dec_deg
        from {quoted_table(table)}
    """)
    match(connection, Side("_listed", "n"), Side("star", "star_id"), radius_arcsec, "_listed_star")
    with Run(connection, f"compare {name}") as run, transaction(connection):
        connection.execute("delete from list_comparison where list = ?", [name])
        connection.execute(f"insert into list_comparison by name {_rows(view)}", [name, view, run.run_id])
        run.n_done = connection.execute("select count(*) from list_comparison where list = ?", [name]).fetchall()[0][0]
    connection.execute("drop table _listed; drop table _listed_star")
    return Comparison(name, view, *_counted(connection, name))


def _list(connection, words: str) -> tuple[str, str, str]:
    """Table of the list, its name, and the view that a table of the paper stands for."""
    if Path(words).is_file():
        table = take_in_file(connection, Path(words))
        return table, table, ""
    paper = next((name for name in PAPER if words in (name, name.split("_")[0])), None)
    if paper:
        frame = pd.read_csv(str(files("becat.etl").joinpath("data", "wang2022", f"{paper}.csv")))
        places = [designation_position(designation) for designation in frame.designation]
        frame["ra_deg"], frame["dec_deg"] = zip(*places, strict=True)
        connection.register("_of_paper", frame[["designation", "ra_deg", "dec_deg"]])
        connection.execute("create or replace temporary table _paper_list as from _of_paper")
        connection.unregister("_of_paper")
        return "_paper_list", paper, PAPER[paper]
    if words in known_sources():
        found = "select 1 from information_schema.tables where table_schema = 'archive' and table_name = ?"
        if not connection.execute(found, [words]).fetchone():
            raise BecatError(
                f"{words} is not in the catalogue: get it with `becat fetch {words}`, from a file with --from FILE"
            )
        return f"archive.{words}", words, ""
    return words, words.split(".")[-1], ""


def _as_text(column: str | None) -> str:
    return f"{quoted(column)}::varchar" if column else "null::varchar"


def _rows(view: str) -> str:
    """A row for each star of the list, and for each of ours that the list lacks. Of several places near one of our stars
    the nearest counts."""
    return f"""
        with
        ours as (select distinct star_id from {quoted_table(view)}),
        pair as (select left_id as n, right_id as star_id, separation_arcsec from _listed_star where match_rank = 1),
        why as (select star_id, step, name, quantity, value, threshold, unit, detail from verdict),
        best as (select star_id, max(snr_r) as snr_r, max(snr_b) as snr_b from spectrum group by star_id),
        listed as (
            select _listed.*, pair.star_id, separation_arcsec, pair.star_id in (from ours) as is_ours
            from _listed left join pair using (n)
        ),
        either as (
            select n as row_in_list, name as object_name, listed_class, ra_deg, dec_deg, star_id, separation_arcsec,
                case when is_ours then 'both' else 'only in the list' end as found_by
            from listed
            union all
            select (select count(*) from _listed) + row_number() over (order by star_id), designation, null, ra_deg, dec_deg,
                star_id, null, 'only here'
            from ours join star using (star_id)
            where star_id not in (select star_id from pair)
        )
        select
            $1 as list, $2 as compared_view, $3 as run_id, star.is_simulated, either.*, best.snr_b, best.snr_r, photometry.g_mag, why.step, why.name as step_name, why.value, why.threshold,
            case
                when found_by <> 'only in the list' then null
                when either.star_id is null then 'no spectrum here'
                when why.step is null then 'a classical Be star here, but not in ' || $2
                when why.value is null then concat(why.name, ': ', coalesce(why.detail, 'no ' || why.quantity))
                else printf('%s: %s %.4g, limit %.4g', why.name, why.quantity, why.value, why.threshold)
            end as reason,
            case
                when found_by <> 'only in the list' then null
                when either.star_id is null then 'no spectrum here'
                when why.step is null then 'a classical Be star here, but not in ' || $2
                else concat('step ', why.step, ', ', why.name, case when why.value is null then ': ' || coalesce(why.detail, 'no value') else '' end)
            end as reason_kind
        from either
        left join star using (star_id)
        left join best on best.star_id = either.star_id
        left join photometry on photometry.star_id = either.star_id
        left join why on why.star_id = either.star_id
        order by row_in_list
    """


def _counted(connection, name: str):
    counts = dict(
        connection.execute(
            "select found_by, count(*) from list_comparison where list = ? group by 1", [name]
        ).fetchall()
    )
    reasons = connection.execute(
        "select reason_kind, count(*) from list_comparison where list = ? and reason_kind is not null"
        " group by 1 order by 2 desc, 1",
        [name],
    ).fetchall()
    rates = connection.execute(
        "select part, bin, completeness, n_both + n_missed, purity, n_both + n_only_here from list_rate where list = ?"
        " order by part_order, bin_from, bin",
        [name],
    ).fetchall()
    return counts, reasons, rates


def print_comparison(found: Comparison) -> None:
    """Print counts, reasons, completeness and purity."""
    both, only_list, only_here = (found.counts.get(name, 0) for name in ("both", "only in the list", "only here"))
    click.echo(f"{both:>8,} found by both")
    click.echo(f"{only_list:>8,} only in the list")
    for reason, n in found.reasons:
        click.echo(f"{n:>16,}  {reason}")
    click.echo(f"{only_here:>8,} only here (view {found.view})")
    for part, group, completeness, n_listed, purity, n_ours in found.rates:
        words = [
            f"{word} {share:.1%} of {n:,}"
            for word, share, n in (("completeness", completeness, n_listed), ("purity", purity, n_ours))
            if share is not None
        ]
        name = f"{part} {group}".strip() if part != "all" else "stars with a spectrum here"
        click.echo(f"    {name}: {', '.join(words) or 'none to compare'}")
    click.echo(f"star by star: select * from list_comparison where list = '{found.list}'")
