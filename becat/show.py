"""Answers on the terminal: the funnel, and why a star is or is not a Be star."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import click
import duckdb

from becat.etl.load.forget import missing_words
from becat.schema.errors import BecatError
from becat.schema.find_star import questions, squeezed
from becat.schema.parameters import Threshold, in_words
from becat.schema.selection import LABELS, SELECTION
from becat.schema.words import counted

__all__ = [
    "find_spectrum",
    "named_star",
    "print_changes",
    "print_funnel",
    "print_threshold",
    "print_thresholds",
    "print_verdicts",
    "print_why",
]

SHOWN_MAX = 8
LISTED_MAX = 20
# Kinds of change that `becat.diff.compare` finds, in words.
CHANGES = {
    "entered": ("enters", "enter"),
    "left": ("leaves", "leave"),
    "moved": ("fails at another step", "fail at another step"),
}
TOLD_ARCSEC = 1.0  # how far the nearest star may be from a position without a word


def print_funnel(connection: duckdb.DuckDBPyConnection) -> None:
    """Print the view `funnel`: spectra and stars that pass each step; known stars leave it and are added at the end."""
    rows = connection.execute("select step, name, spectra, stars from funnel order by step").fetchall()
    names, labels = (max(len(words) for words in column) for column in (LABELS, LABELS.values()))
    click.echo(f"{'step':>4}  {'name':{names}}  {'what is left':{labels}}  {'spectra':>10}  {'stars':>10}")
    for step, name, spectra, stars in rows:
        label = LABELS.get(name, "")
        click.echo(f"{step:>4}  {name:{names}}  {label:{labels}}  {_count(spectra):>10}  {_count(stars):>10}")
    if missing := missing_words(connection):
        click.echo(f"missing: {missing}")


def print_thresholds(found: Sequence[Threshold]) -> None:
    """Print the thresholds, one a line; those that are not as shipped say what they were."""
    width = max(len(threshold.name) for threshold in found)
    for threshold in found:
        value, shipped = (in_words(threshold.name, number) for number in (threshold.value, threshold.shipped))
        note = "" if threshold.value == threshold.shipped else f"  (shipped as {shipped})"
        click.echo(f"{threshold.name:{width}}  {value:>10}  {threshold.unit or ''}{note}".rstrip())


def print_threshold(threshold: Threshold) -> None:
    """Print one threshold in full."""
    unit = f" {threshold.unit}" if threshold.unit else ""
    value, shipped = (in_words(threshold.name, number) for number in (threshold.value, threshold.shipped))
    click.echo(f"{threshold.name} = {value}{unit} (shipped as {shipped})")
    click.echo(f"  {threshold.description} [{threshold.reference}]")


def _count(n: int | None) -> str:
    return "" if n is None else f"{n:,}"


def find_spectrum(connection: duckdb.DuckDBPyConnection, words: str) -> int:
    """The spectrum that a user asks about: one that is named by number, else the one that stands for a star.

    Parameters
    ----------
    connection : duckdb connection
    words : str
        As `becat.schema.find_star.questions` takes them.

    Returns
    -------
    int
        spectrum_id.

    Raises
    ------
    BecatError
        There is no such star, or more than one; the message names them.
    """
    own = _own_spectrum(connection, words.strip())
    if own is not None:
        return own
    for sql, parameters in questions(words, "duckdb", SHOWN_MAX + 1):
        found = connection.execute(sql, parameters).fetchall()
        best = [row for row in found if row[4] == found[0][4]]
        if len(best) > 1 and best[0][5] is None:
            names = [f"{name or f'star {star_id}'}" for star_id, name, *_ in best[:SHOWN_MAX]]
            more = " and more" if len(best) > SHOWN_MAX else ""
            raise BecatError(f"{words!r} is part of the names of several stars: {', '.join(names)}{more}")
        if best:
            if best[0][5] is not None and best[0][5] > TOLD_ARCSEC:
                click.echo(f"the nearest star, {best[0][5]:.1f} arcsec from that position:")
            return _of_star(connection, best[0][0])
    raise BecatError(
        f"no star {words!r} here: give a name such as J192814.09+435531.0 or a part of one, a position in degrees such as"
        " '292.0587 43.9253', or the number of a spectrum"
    )


def named_star(
    connection: duckdb.DuckDBPyConnection, words: str, advice: str = "give it one with `becat load --positions`"
) -> tuple[int, str]:
    """Number and designation of the star that a user names, as for `find_spectrum`.

    Raises
    ------
    BecatError
        There is no such star, or more than one; or a spectrum without a position is named: then the advice is given.
    """
    row = connection.execute(
        "select star_id, designation from spectrum where spectrum_id = ?", [find_spectrum(connection, words)]
    ).fetchone()
    if row is None or row[0] is None:
        raise BecatError(f"{words} has no position and belongs to no star: {advice}")
    return row


def _own_spectrum(connection, words: str) -> int | None:
    """A spectrum named by its own number, or one of no star by its designation."""
    if re.fullmatch(r"[+-]?\d{1,18}", words):
        sql = "select spectrum_id from spectrum where spectrum_id = $n or obsid = $n order by spectrum_id <> $n, coadd desc"
        return _first(connection, sql, {"n": int(words)})
    sql = "select spectrum_id from spectrum where star_id is null and upper(replace(designation, ' ', '')) = $name"
    return _first(connection, sql, {"name": squeezed(words)})


def _of_star(connection, star_id: int) -> int:
    """The spectrum that stands for a star."""
    sql = "select spectrum_id from spectrum_verdict where star_id = $star and rank_in_star = 1"
    found = _first(connection, sql, {"star": star_id})
    if found is None:
        raise BecatError(f"star {star_id} has no spectrum: load one first")
    return found


def _first(connection, sql: str, parameters: dict) -> int | None:
    row = connection.execute(sql, parameters).fetchone()
    return row[0] if row else None


def print_why(connection: duckdb.DuckDBPyConnection, words: str) -> None:
    """Print every step for a star with value, threshold and margin, and the first that it fails.

    Raises
    ------
    BecatError
        No star is found, or more than one.
    """
    spectrum_id = find_spectrum(connection, words)
    star_id = _print_heading(connection, spectrum_id)
    *tests, last = _steps(connection, spectrum_id, star_id)
    reasons = dict(
        connection.execute("select stage, reason from missing_result where spectrum_id = ?", [spectrum_id]).fetchall()
    )
    for reason in reasons.values():
        click.echo(reason)
    stages = {test.test: test.stage for _, test in SELECTION.tests}
    names = max(len(row[0]) for row in tests)
    quantities = max(len(row[1] or "") for row in tests)
    click.echo(
        f"{'step':>4}  {'name':{names}}  {'quantity':{quantities}}  {'value':>10}  {'threshold':>10}  {'margin':>10}"
    )
    for name, quantity, value, threshold, margin, unit, detail, result, decided_by, _, test, step in tests:
        numbers = f"{_number(value):>10}  {_number(threshold):>10}  {_number(margin):>10}"
        outcome = result.replace("fail", "FAIL")
        if value is None and stages.get(test) in reasons:
            outcome, decided_by = "no result", None
        words = "  ".join(part for part in (outcome, unit, detail, decided_by) if part)
        click.echo(f"{step:>4}  {name:{names}}  {quantity or '':{quantities}}  {numbers}  {words}")
    _print_classifiers(connection, spectrum_id)
    click.echo(_conclusion(tests, *last[6:8]))


def _steps(connection, spectrum_id: int, star_id: int | None) -> list[tuple]:
    """Every test of a spectrum, and last the conclusion."""
    # The view ranks the spectra of each star: with the star named it reads that star's rows only.
    of_star = "star_id is null" if star_id is None else f"star_id = {star_id}"
    return connection.execute(
        f"""
        select name, quantity, value, threshold, margin, unit, detail, result, decided_by, is_verdict, test, step
        from verdict_step where {of_star} and spectrum_id = ? order by test
        """,
        [spectrum_id],
    ).fetchall()


def print_verdicts(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> None:
    """Print a line for every spectrum of some files: its name, and the first step that it fails.

    Parameters
    ----------
    connection : duckdb connection
    paths : list of path
        Files, or folders. A file that gave no spectrum is listed with the reason.
    """
    names = [os.path.abspath(path) for path in paths]
    of_paths = (
        "exists (from unnest($names) as _(name) where file = name or starts_with(file, rtrim(name, $sep) || $sep))"
    )
    given = {"names": names, "sep": os.sep}
    rows = connection.execute(
        f"""
        select spectrum_id, star_id, coalesce(star.designation, spectrum.designation), file
        from spectrum left join star using (star_id) where {of_paths} order by file, spectrum_id
        """,
        given,
    ).fetchall()
    for spectrum_id, star_id, name, file in rows[:LISTED_MAX]:
        *tests, last = _steps(connection, spectrum_id, star_id)
        of_file = f"{name} ({os.path.basename(file)})" if name else os.path.basename(file)
        click.echo(f"{of_file}: {_conclusion(tests, *last[6:8])}")
    if len(rows) > LISTED_MAX:
        click.echo(f"and {len(rows) - LISTED_MAX:,} more: select * from verdict")
    refused = connection.execute(
        f"select file, reason from rejected_input where {of_paths} and file not in (select file from spectrum) order by all",
        given,
    ).fetchall()
    for file, reason in refused[:LISTED_MAX]:
        click.echo(f"{os.path.basename(file)} was not loaded: {reason}")
    if len(refused) > LISTED_MAX:
        click.echo(f"and {len(refused) - LISTED_MAX:,} more: select file, reason from rejected_input")


def _print_classifiers(connection, spectrum_id: int) -> None:
    """Print what each classifier says, where there are several."""
    said = connection.execute(
        """
        select network, be_probability from be_score join model using (model_id)
        where is_current and spectrum_id = ? order by network = 'both', network desc
        """,
        [spectrum_id],
    ).fetchall()
    if len(said) > 1:
        click.echo("probability of Be: " + ", ".join(f"{network} {_number(found)}" for network, found in said))


def _conclusion(tests, conclusion: str, result: str) -> str:
    """The last line of `becat why`."""
    decisive = next((row for row in tests if row[9]), None)
    if decisive is None:
        return f"no step fails: {conclusion}"
    step = f"{decisive[0]} ({decisive[1]})"
    if result == "unknown":
        return f"not decided: it stops at {step}, {decisive[8]}"
    if decisive[7] == "unknown":
        refused = next(row for row in tests if row[7] == "fail")
        return f"first step that fails: {step}, because data are missing; the first to fail on data: {refused[0]} ({refused[1]})"
    return f"first step that fails: {step}"


def _print_heading(connection, spectrum_id: int) -> int | None:
    """Print which star and spectrum it is; gives the star_id."""
    star_id, designation, ra, dec, mjd, file, simulated = connection.execute(
        """
        select star_id, coalesce(star.designation, spectrum.designation), coalesce(star.ra_deg, spectrum.ra_deg),
            coalesce(star.dec_deg, spectrum.dec_deg), mjd, file, spectrum.is_simulated
        from spectrum left join star using (star_id) where spectrum_id = ?
        """,
        [spectrum_id],
    ).fetchall()[0]
    place = "no position in the file" if ra is None else f"RA {ra:.5f} deg, Dec {dec:+.5f} deg"
    click.echo(f"{designation}  star {star_id}  {place}{'  SIMULATED' if simulated else ''}")
    click.echo(f"spectrum {spectrum_id}  MJD {'-' if mjd is None else f'{mjd:.4f}'}  {file}")
    return star_id


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}" if abs(value) < 1e5 else f"{value:,.0f}"


def print_changes(changes: list[tuple]) -> None:
    """Print what `becat.diff.compare` found: a count of each kind first, then star by star."""
    kinds = [change[0] for change in changes]
    counts = ", ".join(counted(kinds.count(kind), *words) for kind, words in CHANGES.items() if kind in kinds)
    click.echo(f"classical Be stars: {counts}" if changes else "no star differs")
    for change, designation, ra, dec, before, after, value, threshold in changes:
        numbers = "" if value is None else f"  {_number(value)} against {_number(threshold)}"
        click.echo(
            f"{change:8} {designation or '':22} {ra:10.5f} {dec:+9.5f}"
            f"  {before or 'not there'} -> {after or 'not there'}{numbers}"
        )
