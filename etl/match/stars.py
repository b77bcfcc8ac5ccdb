"""Which spectra are of the same star: identity is position, never the string of a designation.

No proper motion is applied here: a spectrum does not know one, and LAMOST repeats the position at which it pointed the
fibre. A star that moves by more than the radius between two epochs of the input catalogue becomes two stars.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from becat.etl.catalogue.connection import transaction
from becat.etl.match.sphere import Side, match
from becat.schema import parameters
from becat.schema.tables import TABLES

__all__ = ["Gathered", "gather"]

# 0.1 arcsec of right ascension and declination in one number; of stars that share it the later get a multiple of _NEXT added
_STAR_ID = "round(ra_deg * 36000)::bigint % 12960000 * 10000000 + round((dec_deg + 90) * 36000)::bigint"
_NEXT = 200_000_000_000_000
# Which spectra are gathered with which radius, in this order: those whose positions are the best found the stars.
RADII = (("survey <> 'other'", "star_radius_arcsec"), ("survey = 'other'", "star_radius_other_arcsec"))


@dataclass(frozen=True)
class Gathered:
    """What a call changed."""

    n_spectra: int  # spectra that were given a star
    n_new_stars: int
    n_removed_stars: int


def gather(connection: duckdb.DuckDBPyConnection, run_id: int) -> Gathered:
    """Give every spectrum with a position its star, and keep `star` and `star_alias` in step with the spectra.

    A new spectrum joins the star of the nearest known spectrum or star within the radius of its survey (`RADII`). What
    is left is grouped: a chain of spectra, each within the radius of the next, is one star, named after the position
    of its spectrum with the smallest spectrum_id. Stars once named keep their star_id; a star whose spectra are all
    gone is removed with all that was known of it. A second call changes nothing.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        The catalogue, open for writing and not in a transaction.
    run_id : int
        Written to the rows made.

    Returns
    -------
    Gathered
        Numbers of spectra and stars.
    """
    n_spectra = n_new = 0
    with transaction(connection):
        for which, parameter in RADII:
            joined, made = _join(connection, which, parameters.value(parameter, connection), run_id)
            n_spectra, n_new = n_spectra + joined, n_new + made
        _follow_links(connection)
        n_removed = _remove_orphans(connection)
        _describe_stars(connection, run_id)
    return Gathered(n_spectra, n_new, n_removed)


def _join(connection, which, radius_arcsec, run_id):
    """Give the spectra of some surveys their stars; numbers of spectra and of new stars."""
    connection.execute(f"""
        create or replace temporary table _place as
        select ra_deg, dec_deg, row_number() over (order by min(spectrum_id)) - 1 as place
        from spectrum
        where star_id is null and isfinite(ra_deg) and abs(dec_deg) <= 90 and {which}
        group by ra_deg, dec_deg
    """)
    n_places = connection.execute("select count(*) from _place").fetchall()[0][0]
    if not n_places:
        return 0, 0
    _group(connection, n_places, radius_arcsec)
    _name_groups(connection, radius_arcsec)
    n_spectra = connection.execute(f"""
        update spectrum
        set star_id = _place_star.star_id
        from _place_star
        where spectrum.star_id is null and {which}
          and spectrum.ra_deg = _place_star.ra_deg and spectrum.dec_deg = _place_star.dec_deg
    """).fetchall()[0][0]
    return n_spectra, _insert_stars(connection, run_id)


def _follow_links(connection):
    """Spectra of names that `becat alias` gave to a star are of that star, as long as it is there."""
    connection.execute("""
        update spectrum set star_id = link.star_id
        from star_link link
        where spectrum.designation = link.designation and spectrum.star_id is distinct from link.star_id
          and link.star_id in (select star_id from star)
    """)


def _group(connection, n_places, radius_arcsec):
    """Table _member: the connected group of every new place."""
    side = Side("_place", "place")
    match(connection, side, side, radius_arcsec, "_neighbour", rank=False)
    edges = connection.execute("select left_id, right_id from _neighbour where left_id < right_id").fetchnumpy()
    ones = np.ones(len(edges["left_id"]), dtype=bool)
    graph = coo_array((ones, (edges["left_id"], edges["right_id"])), shape=(n_places, n_places))
    _, group = connected_components(graph, directed=False)
    connection.register("_groups", pa.table({"place": np.arange(n_places), "group_id": group}))
    connection.execute("create or replace temporary table _member as select * from _groups join _place using (place)")
    connection.unregister("_groups")


def _name_groups(connection, radius_arcsec):
    """Table _place_star: the star of every new place, and whether it is a new star that the place founds."""
    connection.execute("""
        create or replace temporary table _known as
        select row_number() over () as known, * from (
            select star_id, ra_deg, dec_deg from star
            union
            select star_id, ra_deg, dec_deg from spectrum where star_id is not null
        )
    """)
    match(connection, Side("_place", "place"), Side("_known", "known"), radius_arcsec, "_near")
    connection.execute(f"""
        create or replace temporary table _place_star as
        with
        nearest as (
            select left_id as place, separation_arcsec, star_id as nearest_star_id
            from _near join _known on right_id = known
            where match_rank = 1
        ),
        members as (select * from _member left join nearest using (place)),
        grouped as (
            select group_id, min(place) as founder, arg_min(nearest_star_id, separation_arcsec) as group_star_id
            from members
            group by group_id
        ),
        used as (select star_id % {_NEXT} as base, max(star_id // {_NEXT}) + 1 as n_used from star group by all),
        based as (
            select group_id, founder, {_STAR_ID} as base
            from grouped join _place on founder = place
            where group_star_id is null
        ),
        named as (
            select group_id,
                base + {_NEXT} * (coalesce(n_used, 0) + row_number() over (partition by base order by founder) - 1) as new_star_id
            from based left join used using (base)
        )
        select place, ra_deg, dec_deg,
            coalesce(nearest_star_id, group_star_id, new_star_id)::bigint as star_id,
            group_star_id is null and place = founder as founds
        from members
        join grouped using (group_id)
        left join named using (group_id)
    """)


def _insert_stars(connection, run_id):
    return connection.execute(
        """
        insert into star (star_id, designation, ra_deg, dec_deg, is_simulated, run_id)
        select star_id, arg_min(spectrum.designation, spectrum_id), any_value(place.ra_deg), any_value(place.dec_deg),
            bool_and(is_simulated), ?
        from _place_star as place
        join spectrum using (star_id)
        where founds
        group by star_id
        """,
        [run_id],
    ).fetchall()[0][0]


def _remove_orphans(connection):
    """Drop stars without spectra, and the rows of every table that speak of a star that is gone."""
    n_removed = connection.execute("""
        delete from star where star_id not in (select star_id from spectrum where star_id is not null)
    """).fetchall()[0][0]
    if n_removed:
        for table in TABLES.values():
            if table.name not in ("star", "spectrum", "inspection") and "star_id" in table.columns:
                connection.execute(f"delete from {table.name} where star_id not in (select star_id from star)")
    return n_removed


def _describe_stars(connection, run_id):
    """Designation, aliases and the mark of simulation follow from the spectra; rows that are right stay untouched."""
    connection.execute(
        """
        update star
        set designation = found.designation, is_simulated = found.is_simulated, run_id = ?
        from (
            select star_id, coalesce(star.designation, arg_min(spectrum.designation, spectrum_id)) as designation,
                bool_and(spectrum.is_simulated) as is_simulated
            from spectrum join star using (star_id)
            group by star_id, star.designation
        ) as found
        where star.star_id = found.star_id
          and (star.designation is distinct from found.designation or star.is_simulated <> found.is_simulated)
        """,
        [run_id],
    )
    connection.execute("""
        create or replace temporary table _alias as
        select distinct star_id, designation from spectrum where star_id is not null and designation is not null
    """)
    connection.execute(
        "delete from star_alias where (star_id, designation) not in (select (star_id, designation) from _alias)"
    )
    connection.execute(
        "insert into star_alias (star_id, designation, run_id) select *, ? from (from _alias except select star_id, designation from star_alias)",
        [run_id],
    )
