"""Cross-match of two tables on the sphere, in plain DuckDB SQL.

The sky is cut into zones of declination and each zone into cells of right ascension, so that a match is a hash join
on the number of a cell. Each circle around a row of one table is entered into every cell that it touches; each position
of the other lies in one cell. So every pair within the radius meets exactly once, at the poles and across 0h as
elsewhere, and only pairs that share a cell are measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import duckdb

from becat.etl.match.columns import column_names, position_in_degrees
from becat.schema.sql_names import quoted_table
from becat.schema.tables import TABLES

__all__ = ["MAX_RADIUS_ARCSEC", "Side", "check_radius", "match", "match_table"]

ADDED = {"star_id", "separation_arcsec", "match_rank", "is_best", "is_ambiguous"}  # columns, to those of the table
MAX_RADIUS_ARCSEC = 20 * 3600.0  # wider than any catalogue match; cells grow with it
_CELL_MIN_DEG = 20 / 3600  # smaller cells: more circles lie across their limits than candidates are saved
_CELLS_A_ZONE = 1_000_000  # more than any zone has: number of a cell = zone * this + cell in the zone
_EDGE_DEG = 1e-9  # circles are entered this much wider, so that rounding loses no pair; the chord decides


@dataclass(frozen=True)
class Side:
    """One of the two tables: where its positions are.

    Each field but `table` is a column or any SQL expression over the columns of the table.

    Parameters
    ----------
    table : str
        Table, view or query in parentheses.
    id : str
        Unique key of a row.
    ra, dec : str
        Position, degrees (ICRS). Rows where it is NULL, not finite or out of range match nothing.
    epoch : str, optional
        Epoch of the position, Julian year.
    pmra, pmdec : str, optional
        Proper motion, mas/yr (right ascension times cos dec).
    """

    table: str
    id: str
    ra: str = "ra_deg"
    dec: str = "dec_deg"
    epoch: str | None = None
    pmra: str | None = None
    pmdec: str | None = None

    @property
    def moves(self) -> bool:
        """Whether proper motions and epochs are given, so that positions can be brought to another epoch."""
        return None not in (self.epoch, self.pmra, self.pmdec)

    def sql(self) -> str:
        """Query of the usable rows: id, position, unit vector p, epoch, and motion v in radians a year."""
        motion = """
            coalesce(isfinite(epoch) and isfinite(mu_ra) and isfinite(mu_dec), false) as moves,
            if(moves, -mu_ra * sin(ra) - mu_dec * sin(de) * cos(ra), 0) as vx,
            if(moves, mu_ra * cos(ra) - mu_dec * sin(de) * sin(ra), 0) as vy,
            if(moves, mu_dec * cos(de), 0) as vz,
        """
        return f"""
            select
                id, epoch, ra_deg, dec_deg,
                radians(ra_deg) as ra,
                radians(dec_deg) as de,
                {motion if self.moves else "false as moves, 0.0 as vx, 0.0 as vy, 0.0 as vz,"}
                cos(de) * cos(ra) as px,
                cos(de) * sin(ra) as py,
                sin(de) as pz
            from (
                select id, epoch, mu_ra, mu_dec, right_ascension - 360 * floor(right_ascension / 360) as ra_deg, dec_deg
                from (
                    select
                        {self.id} as id,
                        ({self.ra})::double as right_ascension,
                        ({self.dec})::double as dec_deg,
                        ({self.epoch or "null"})::double as epoch,
                        radians(({self.pmra or "null"})::double / 3.6e6) as mu_ra,
                        radians(({self.pmdec or "null"})::double / 3.6e6) as mu_dec
                    from {self.table}
                )
                where isfinite(right_ascension) and abs(dec_deg) <= 90
            )
        """


def match(
    connection: duckdb.DuckDBPyConnection,
    left: Side,
    right: Side,
    radius_arcsec: float,
    into: str,
    *,
    temporary: bool = True,
    rank: bool = True,
) -> int:
    """Every pair of rows within a radius, with separation, rank and the best one flagged.

    Where a row of `right` has a proper motion and both epochs are known, it is brought to the epoch of the left row;
    where only the left row has one, that is brought to the epoch of the right row. Motion is uniform in space.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Holds both tables.
    left, right : Side
        The tables and their columns. Ids must be unique and not NULL.
    radius_arcsec : float
        Largest separation, included.
    into : str
        Table to make (replaced if it exists): left_id, right_id, separation_arcsec, match_rank (1 for the nearest
        right row of a left row; equal separations by id), is_best (each is the nearest to the other), is_ambiguous
        (the left row has more than one right row within the radius).
    temporary : bool
        Make it a temporary table.
    rank : bool
        Without it the last three columns are left out, which saves sorting.

    Returns
    -------
    int
        Number of pairs.

    Raises
    ------
    ValueError
        The radius is not between 0 and `MAX_RADIUS_ARCSEC`.
    """
    check_radius(radius_arcsec)
    kind = "table" if left.moves or right.moves else "view"  # motion reads both twice
    for name, side in (("_sphere_left", left), ("_sphere_right", right)):
        connection.execute(f"create or replace temporary {kind} {name} as {side.sql()}")
    pairs = _pairs_sql("_sphere_left", "_sphere_right", radius_arcsec, left.moves, "true", "not moves")
    if right.moves:
        swapped = _pairs_sql("_sphere_right", "_sphere_left", radius_arcsec, True, "moves", "true")
        pairs += f" union all select fixed_id, moving_id, separation_arcsec from ({swapped})"
    connection.execute(
        f"create or replace {'temporary ' if temporary else ''}table {into} as {_ranked_sql(pairs) if rank else _plain_sql(pairs)}"
    )
    connection.execute(f"drop {kind} _sphere_left; drop {kind} _sphere_right")
    return connection.execute(f"select count(*) from {into}").fetchall()[0][0]


def match_table(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    radius_arcsec: float,
    ra_column: str | None = None,
    dec_column: str | None = None,
    into: str | None = None,
) -> tuple[str, int]:
    """Match any table of the catalogue's file with its stars.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        The catalogue, open for writing.
    table : str
        Table or view, with or without its schema.
    radius_arcsec : float
        Largest separation.
    ra_column, dec_column : str, optional
        Position (ICRS), degrees, or text in degrees or sexagesimal; guessed from the usual names if not given.
    into : str, optional
        Table to make (replaced if an earlier match made it); ``match_<table>`` if not given.

    Returns
    -------
    into : str
        The table made: every column of `table`, then star_id, separation_arcsec, match_rank (1 for the nearest star
        of a row), is_best and is_ambiguous; a row of `table` with no star within the radius is left out.
    n_pairs : int
        Its number of rows.

    Raises
    ------
    ValueError
        There is no such table, no column of positions or a text in it that is none, the radius is out of range, or `into` is a table
        of something else; the message says which.
    """
    ra, dec = position_in_degrees(connection, table, ra_column, dec_column)
    into = into or f"match_{table.split('.')[-1]}"
    taken = ADDED & set(column_names(connection, table))
    if taken:
        raise ValueError(f"{table} has a column {min(taken)}, which the result needs: rename it first")
    _refuse_what_match_did_not_make(connection, into)
    connection.execute(
        f"create or replace temporary table _match_mine as select row_number() over () as _row, * from {quoted_table(table)}"
    )
    match(
        connection,
        Side("_match_mine", "_row", ra, dec),
        Side("star", "star_id"),
        radius_arcsec,
        "_match_pairs",
    )
    connection.execute(f"""
        create or replace table {quoted_table(into)} as
        select mine.* exclude (_row), right_id as star_id, separation_arcsec, match_rank, is_best, is_ambiguous
        from _match_pairs
        join _match_mine as mine on _row = left_id
        order by _row, match_rank
    """)
    connection.execute("drop table _match_mine; drop table _match_pairs")
    return into, connection.execute(f"select count(*) from {quoted_table(into)}").fetchall()[0][0]


def check_radius(radius_arcsec: float) -> None:
    """Raise ValueError for a radius that is not between 0 and `MAX_RADIUS_ARCSEC`."""
    if not 0 < radius_arcsec <= MAX_RADIUS_ARCSEC:
        raise ValueError(f"radius of {radius_arcsec} arcsec: give one above 0 and up to {MAX_RADIUS_ARCSEC:.0f}")


def _refuse_what_match_did_not_make(connection: duckdb.DuckDBPyConnection, into: str) -> None:
    try:
        columns = set(column_names(connection, into))
    except ValueError:  # there is none
        return
    if into.lower() in TABLES or not columns >= ADDED:
        raise ValueError(f"the catalogue has a table or view {into} that no match made: name another with --into")


def _pairs_sql(moving, fixed, radius_arcsec, with_motion, where_moving, where_fixed):
    """Query of all pairs (moving_id, fixed_id, separation_arcsec); rows of `moving` are brought to the other's epoch."""
    cell_deg = max(_CELL_MIN_DEG, 4 * radius_arcsec / 3600)
    years = "coalesce(fixed.epoch - moving.epoch, 0)" if with_motion else "0"
    differences = ", ".join(f"{_at(years, c, with_motion)} - fixed.p{c} as d{c}" for c in "xyz")
    chord = math.radians(
        radius_arcsec / 3600
    )  # an upper limit of the chord of the radius: cheaper to test than the angle
    return f"""
        select moving_id, fixed_id, degrees(2 * asin(least(1, sqrt(chord_squared) / 2))) * 3600 as separation_arcsec
        from (
            select moving_id, fixed_id, dx * dx + dy * dy + dz * dz as chord_squared
            from (
                select moving.id as moving_id, fixed.id as fixed_id, {differences}
                from ({_cells_of_circles_sql(moving, fixed, radius_arcsec, cell_deg, with_motion, where_moving)}) as moving
                join ({_cell_of_positions_sql(fixed, cell_deg, where_fixed)}) as fixed using (cell)
            )
            where chord_squared <= {_double(chord * chord * (1 + 1e-9))}
        )
        where separation_arcsec <= {_double(radius_arcsec)}
    """


def _double(value):
    """SQL literal of a double: one without an exponent is a decimal, whose products are slow and can overflow."""
    return f"{value:.17e}"


def _at(years, component, with_motion):
    """SQL of a component of the moving row's unit vector after some years of uniform motion in space."""
    if not with_motion:
        return f"moving.p{component}"
    moved = f"(moving.p{component} + moving.v{component} * {years})"
    return f"{moved} / sqrt(1 + (moving.vx ** 2 + moving.vy ** 2 + moving.vz ** 2) * {years} ** 2)"


def _every_sql(first, last):
    """One row for every whole number from first to last: nearly always one, for which no range has to be made."""
    return f"unnest(if({first} = {last}, [{first}], range({first}, {last} + 1)))"


def _zone_sql(dec_deg, cell_deg):
    return f"least(greatest(floor(({dec_deg} + 90) / {_double(cell_deg)}), 0), {int(180 / cell_deg)})::bigint"


def _cells_sql(zone, cell_deg):
    """Number of cells in a zone: none is narrower than `cell_deg`, and a zone that touches a pole has one."""
    nearest_pole = f"greatest(abs({zone} * {_double(cell_deg)} - 90), abs(({zone} + 1) * {_double(cell_deg)} - 90))"
    return f"greatest(1, floor(360 * cos(radians(least(90, {nearest_pole}))) / {_double(cell_deg)}))::bigint"


def _cell_of_positions_sql(fixed, cell_deg, where):
    return f"""
        select
            id, epoch, px, py, pz,
            {_zone_sql("dec_deg", cell_deg)} as zone,
            {_cells_sql("zone", cell_deg)} as n_cells,
            zone * {_CELLS_A_ZONE} + floor(ra_deg / 360 * n_cells)::bigint % n_cells as cell
        from {fixed}
        where {where}
    """


def _cells_of_circles_sql(moving, fixed, radius_arcsec, cell_deg, with_motion, where):
    """Query of the moving rows, once for every cell that the circle of its matches touches."""
    radius_deg = radius_arcsec / 3600 + _EDGE_DEG
    centre = f"ra_deg as centre_ra, dec_deg as centre_dec, {_double(radius_deg)} as circle_deg"
    epochs = ""
    if with_motion:
        # the circle holds every place of the row between the first and the last epoch of the other table
        position = {c: _at("middle_years", c, True).replace("moving.", "") for c in "xyz"}
        centre = f"""
            if(moves, degrees(atan2({position["y"]}, {position["x"]})), ra_deg) as centre_ra,
            if(moves, degrees(asin(least(1, greatest(-1, {position["z"]})))), dec_deg) as centre_dec,
            {_double(radius_deg)} + degrees(sqrt(vx ** 2 + vy ** 2 + vz ** 2)) * half_years as circle_deg
        """
        epochs = f"""
            cross join (
                select coalesce(min(epoch), 0) as first_epoch, coalesce(max(epoch), 0) as last_epoch,
                    count(*) > count(epoch) as some_unknown, count(epoch) as n_epochs
                from {fixed}
            ),
            lateral (
                select
                    if(n_epochs = 0 or epoch is null, 0, first_epoch - epoch) as years_0,
                    if(n_epochs = 0 or epoch is null, 0, last_epoch - epoch) as years_1
            ),
            lateral (
                select if(some_unknown, least(years_0, 0), years_0) as years_from,
                    if(some_unknown, greatest(years_1, 0), years_1) as years_to
            ),
            lateral (select (years_from + years_to) / 2 as middle_years, (years_to - years_from) / 2 as half_years)
        """
    return f"""
        select id, epoch, px, py, pz, vx, vy, vz,
            zone * {_CELLS_A_ZONE} + ({_every_sql("first_cell", "last_cell")} % n_cells + n_cells) % n_cells as cell
        from (
            select *,
                {_cells_sql("zone", cell_deg)} as n_cells,
                floor((centre_ra - half_width) / 360 * n_cells)::bigint as first_cell,
                least(floor((centre_ra + half_width) / 360 * n_cells)::bigint, first_cell + n_cells - 1) as last_cell
            from (
                select *,
                    if(abs(centre_dec) + circle_deg >= 90, 180,
                        degrees(asin(least(1, sin(radians(circle_deg)) / cos(radians(centre_dec)))))) as half_width,
                    {_every_sql("first_zone", "last_zone")} as zone
                from (
                    select *,
                        {_zone_sql("centre_dec - circle_deg", cell_deg)} as first_zone,
                        {_zone_sql("centre_dec + circle_deg", cell_deg)} as last_zone
                    from (select *, {centre} from {moving} {epochs} where {where})
                )
            )
        )
    """


def _plain_sql(pairs):
    return f"select moving_id as left_id, fixed_id as right_id, separation_arcsec from ({pairs})"


def _ranked_sql(pairs):
    return f"""
        with
        pairs as ({pairs}),
        ranked as (
            select
                moving_id as left_id,
                fixed_id as right_id,
                separation_arcsec,
                row_number() over (partition by moving_id order by separation_arcsec, fixed_id) as match_rank,
                row_number() over (partition by fixed_id order by separation_arcsec, moving_id) as rank_of_left,
                count(*) over (partition by moving_id) as n_within
            from pairs
        )
        select left_id, right_id, separation_arcsec, match_rank::integer as match_rank,
            match_rank = 1 and rank_of_left = 1 as is_best, n_within > 1 as is_ambiguous
        from ranked
    """
