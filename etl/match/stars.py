"""Which spectra are of the same star: identity is position, never the string of a designation.

Stars follow from the spectra that are there, in whatever order they came: the same spectra and radii give the same stars.

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

from becat.etl.archives.rows import replace_rows
from becat.etl.catalogue.connection import transaction
from becat.etl.match.sphere import Side, match
from becat.schema import parameters
from becat.schema.tables import TABLES

__all__ = ["Gathered", "gather"]

# 0.1 arcsec of right ascension and declination in one number; of stars that share it the later get a multiple of _NEXT added
_STAR_ID = "round(ra_deg * 36000)::bigint % 12960000 * 10000000 + round((dec_deg + 90) * 36000)::bigint"
_NEXT = 200_000_000_000_000
SAID_BY_PEOPLE = ("star_link", "inspection", "light_curve")  # of stars, which they outlive: the spectra may come back
# Which spectra are gathered with which radius, in this order: those whose positions are the best found the stars.
RADII = (("survey <> 'other'", "star_radius_arcsec"), ("survey = 'other'", "star_radius_other_arcsec"))


@dataclass(frozen=True)
class Gathered:
    """What a call changed."""

    n_spectra: int  # spectra that were given a star
    n_new_stars: int
    n_removed_stars: int


def gather(connection: duckdb.DuckDBPyConnection, run_id: int) -> Gathered:
    """Give every spectrum with a position its star, and bring `star` and `star_alias` in step with the spectra.

    A chain of LAMOST's spectra, each within the radius of the next, is one star, named after the position of its spectrum
    with the smallest spectrum_id. A spectrum of another survey joins the nearest star or spectrum within its radius (`RADII`);
    what is left of them is grouped likewise. A star whose spectra are all gone is removed with all that was known of it.
    Rows that are right stay untouched; a second call changes nothing.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        The catalogue, open for writing and not in a transaction.
    run_id : int
        Written to the rows made.

    Returns
    -------
    Gathered
        Numbers of spectra that are of another star now, of new and of removed stars.
    """
    with transaction(connection):
        connection.execute("""
            create or replace temporary table _spectrum as
            select spectrum_id, survey, ra_deg, dec_deg, designation, is_simulated, null::bigint as star_id,
                false as is_linked
            from spectrum
        """)
        connection.execute("create or replace temporary table _star (star_id bigint, ra_deg double, dec_deg double)")
        for which, parameter in RADII:
            _join(connection, which, parameters.value(parameter, connection))
        _rename_linked(connection)
        _follow_links(connection)
        n_spectra = connection.execute("""
            update spectrum set star_id = found.star_id
            from (select spectrum_id, n.star_id from spectrum left join _spectrum n using (spectrum_id)) as found
            where spectrum.spectrum_id = found.spectrum_id and spectrum.star_id is distinct from found.star_id
        """).fetchall()[0][0]
        n_new, n_removed = _write_stars(connection, run_id)
        _write_aliases(connection, run_id)
        connection.execute("drop table _spectrum; drop table _star")
    return Gathered(n_spectra, n_new, n_removed)


def _join(connection, which, radius_arcsec):
    """Give the spectra of some surveys their stars, and make those that are new."""
    connection.execute(f"""
        create or replace temporary table _place as
        select ra_deg, dec_deg, row_number() over (order by min(spectrum_id)) - 1 as place
        from _spectrum
        where {which} and isfinite(ra_deg) and abs(dec_deg) <= 90
        group by ra_deg, dec_deg
    """)
    n_places = connection.execute("select count(*) from _place").fetchall()[0][0]
    if not n_places:
        return
    _group(connection, n_places, radius_arcsec)
    _name_groups(connection, radius_arcsec)
    connection.execute(f"""
        update _spectrum set star_id = p.star_id from _place_star p
        where {which} and _spectrum.ra_deg = p.ra_deg and _spectrum.dec_deg = p.dec_deg
    """)
    connection.execute("insert into _star select star_id, ra_deg, dec_deg from _place_star where founds")


def _rename_linked(connection):
    """What people said of a star follows its first spectrum, where that is of a star of another number now."""
    connection.execute("""
        create or replace temporary table _renamed as
        select s.star_id as old_star_id, arg_min(n.star_id, s.spectrum_id) as star_id
        from spectrum s join _spectrum n using (spectrum_id)
        where s.star_id is not null and s.star_id not in (select star_id from _star)
            and coalesce(s.designation, '') not in (select designation from star_link)
        group by s.star_id
    """)
    for table in SAID_BY_PEOPLE:
        connection.execute(
            f"update {table} set star_id = r.star_id from _renamed r where {table}.star_id = r.old_star_id"
        )
    connection.execute("""
        update inspection set star_id = n.star_id from _spectrum n
        where inspection.spectrum_id = n.spectrum_id and inspection.star_id not in (select star_id from _star)
    """)


def _follow_links(connection):
    """Spectra of names that `becat alias` gave to a star are of that star, as long as it is there."""
    connection.execute("""
        update _spectrum set star_id = link.star_id, is_linked = _spectrum.star_id is distinct from link.star_id
        from star_link link
        where _spectrum.designation = link.designation and link.star_id in (select star_id from _star)
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
            select star_id, ra_deg, dec_deg from _star
            union
            select star_id, ra_deg, dec_deg from _spectrum where star_id is not null
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
        used as (select star_id % {_NEXT} as base, max(star_id // {_NEXT}) + 1 as n_used from _star group by all),
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


def _write_stars(connection, run_id):
    """Bring `star` in step with its spectra; numbers of new and of removed stars, whose rows go from every table."""
    n_before = connection.execute("select count(*) from star").fetchall()[0][0]
    query = """
        select star_id,
            coalesce(arg_min(n.designation, spectrum_id) filter (not is_linked), arg_min(n.designation, spectrum_id))
                as designation,
            any_value(star.ra_deg) as ra_deg,
            any_value(star.dec_deg) as dec_deg, bool_and(is_simulated) as is_simulated
        from _spectrum n join _star as star using (star_id)
        group by star_id
    """
    n_removed = connection.execute(f"delete from star where star_id not in (select star_id from ({query}))").fetchall()[
        0
    ][0]
    replace_rows(connection, "star", query, run_id)
    if n_removed:
        for table in TABLES.values():
            if table.name not in ("star", "spectrum", *SAID_BY_PEOPLE) and "star_id" in table.columns:
                connection.execute(f"delete from {table.name} where star_id not in (select star_id from star)")
    n_after = connection.execute("select count(*) from star").fetchall()[0][0]
    return n_after - n_before + n_removed, n_removed


def _write_aliases(connection, run_id):
    query = "select distinct star_id, designation from _spectrum where star_id is not null and designation is not null"
    replace_rows(connection, "star_alias", query, run_id)
