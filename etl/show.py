"""Answers on the terminal: the funnel, and why a star is or is not a Be star."""

from __future__ import annotations

import re

import click
import duckdb

from etl.catalogue import CatalogueError

__all__ = ["find_star", "print_funnel", "print_why"]

POSITION_RADIUS_ARCSEC = 5.0


def print_funnel(connection: duckdb.DuckDBPyConnection) -> None:
    """Print the view `funnel`: spectra and stars that pass each step."""
    rows = connection.execute("select step, name, spectra, stars from funnel order by step").fetchall()
    width = max((len(row[1]) for row in rows), default=10)
    click.echo(f"{'step':>4}  {'':{width}}  {'spectra':>10}  {'stars':>10}")
    for step, name, spectra, stars in rows:
        click.echo(f"{step:>4}  {name:{width}}  {_count(spectra):>10}  {_count(stars):>10}")


def _count(n: int | None) -> str:
    return "" if n is None else f"{n:,}"


def find_star(connection: duckdb.DuckDBPyConnection, words: str) -> list[int]:
    """Stars that a user may mean by a designation, a position or a number.

    Parameters
    ----------
    connection : duckdb connection
    words : str
        Designation (with or without "LAMOST"), right ascension and declination in degrees or sexagesimal, a
        spectrum_id, an obsid or a star_id.

    Returns
    -------
    list of int
        star_id, the nearest first.
    """
    text = words.strip()
    if re.fullmatch(r"-?\d+", text):
        number = int(text)
        return _ids(
            connection,
            "select star_id from star where star_id = ? union"
            " select star_id from spectrum where spectrum_id = ? or obsid = ?",
            [number, number, number],
        )
    name = re.sub(r"^lamost\s*", "", text, flags=re.IGNORECASE)
    found = _ids(
        connection,
        "select star_id from star_alias where designation ilike ? or designation ilike ?",
        [name, f"LAMOST {name}"],
    )
    position = _position(name)
    if found or position is None:
        return found
    return _ids(
        connection,
        """
        with near as (
            select star_id, 3600 * degrees(2 * asin(sqrt(
                pow(sin(radians(dec_deg - $dec) / 2), 2)
                + cos(radians(dec_deg)) * cos(radians($dec)) * pow(sin(radians(ra_deg - $ra) / 2), 2)
            ))) as separation_arcsec
            from star
        )
        select star_id from near where separation_arcsec < $radius order by separation_arcsec
        """,
        {"ra": position[0], "dec": position[1], "radius": POSITION_RADIUS_ARCSEC},
    )


def _ids(connection, sql: str, parameters) -> list[int]:
    return [row[0] for row in connection.execute(sql, parameters).fetchall() if row[0] is not None]


def _position(text: str) -> tuple[float, float] | None:
    """Right ascension and declination, degrees, from degrees, sexagesimal or a JHHMMSS.ss+DDMMSS.s name."""
    from astropy import units
    from astropy.coordinates import SkyCoord

    match = re.fullmatch(r"J?(\d{2})(\d{2})(\d{2}(?:\.\d+)?)([+-]\d{2})(\d{2})(\d{2}(?:\.\d+)?)", text)
    if match:
        text = "{}:{}:{} {}:{}:{}".format(*match.groups())
    numbers = re.fullmatch(r"\s*([+-]?\d+(?:\.\d*)?)[\s,]+([+-]?\d+(?:\.\d*)?)\s*", text)
    try:
        if numbers:
            found = SkyCoord(float(numbers[1]), float(numbers[2]), unit="deg")
        else:
            found = SkyCoord(text, unit=(units.hourangle, units.deg))
    except ValueError:
        return None
    return float(found.ra.deg), float(found.dec.deg)


def print_why(connection: duckdb.DuckDBPyConnection, words: str) -> None:
    """Print every step for a star with value, threshold and margin, and the first that it fails.

    Raises
    ------
    CatalogueError
        No star is found.
    """
    found = find_star(connection, words)
    if not found:
        raise CatalogueError(
            f"no star {words!r} here: give a designation such as J222704.21+590534.8, a position in degrees such as"
            " '336.767 59.093', or the number of a spectrum"
        )
    star_id = found[0]
    designation, ra, dec, simulated = connection.execute(
        "select designation, ra_deg, dec_deg, is_simulated from star where star_id = ?", [star_id]
    ).fetchall()[0]
    click.echo(f"{designation}  (star {star_id}, RA {ra:.5f} deg, Dec {dec:+.5f} deg){'  SIMULATED' if simulated else ''}")
    steps = connection.execute(
        "select name, value, threshold, unit, margin, passed from verdict_step where star_id = ? order by step", [star_id]
    ).fetchall()
    width = max((len(row[0]) for row in steps), default=10)
    click.echo(f"{'':{width}}  {'value':>12}  {'threshold':>12}  {'margin':>12}")
    for name, value, threshold, unit, margin, passed in steps:
        click.echo(
            f"{name:{width}}  {_number(value):>12}  {_number(threshold):>12}  {_number(margin):>12}"
            f"  {unit or '':10} {_passed(passed)}"
        )
    verdict = connection.execute("select * from verdict where star_id = ?", [star_id])
    names = [column[0] for column in verdict.description]
    row = verdict.fetchone()
    if row is not None:
        answer = dict(zip(names, row, strict=True))
        failed = answer.get("failed_name") or answer.get("failed_step")
        click.echo(f"first step that fails: {failed}" if failed else "no step fails")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}" if abs(value) < 1e5 else f"{value:,.0f}"


def _passed(passed: bool | None) -> str:
    return "?" if passed is None else "pass" if passed else "FAIL"
