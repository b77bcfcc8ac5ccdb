"""Open clusters: their parameters, and which stars are published members.

A star is a member by identity where its Gaia source_id is in a list of members, else where it lies on a member's position
and agrees with it in proper motion and parallax within the errors. Cantat-Gaudin 2018, Spina 2021 and Dias 2021 give Gaia
DR2 identifiers; most of them are the same in EDR3, and those that changed are caught by position. An identifier that
was given anew to another source would be far from the star: identity counts only within `_SAME_PLACE_ARCSEC`.
"""

from __future__ import annotations

import re

import duckdb
import pyarrow as pa

from becat.etl.archives.rows import replace_rows
from becat.etl.archives.sources import Source

__all__ = ["ALIASES", "cluster_name", "fill"]

_SAME_PLACE_ARCSEC = 5.0

# Names under which the same cluster stands in other tables, after the general rules of `cluster_name`.
ALIASES = {
    "Czemik 23": "Czernik 23",  # misprint in table 8 of Wang et al. 2022
    "h Persei": "NGC 869",
    "chi Persei": "NGC 884",
    "M 11": "NGC 6705",
    "M 36": "NGC 1960",
    "Pleiades": "Melotte 22",
    "Hyades": "Melotte 25",
    "Praesepe": "NGC 2632",
}


def cluster_name(name: str) -> str:
    """A cluster's name as this catalogue writes it.

    Parameters
    ----------
    name : str
        As an archive prints it: ``NGC_2281``, ``NGC 2281``, ``FSR_0451``...

    Returns
    -------
    str
        Words separated by single spaces, aliases resolved.
    """
    words = re.sub(r"[_\s]+", " ", name).strip()
    words = re.sub(r"^FoF (?=\d)", "LP ", words)  # Liu & Pang 2019: Dias 2021 writes FoF, Wang et al. 2022 LP
    return ALIASES.get(words, words)


def fill(connection: duckdb.DuckDBPyConnection, present: list[Source], run_id: int, changed: dict[str, int]) -> None:
    """Fill `cluster` and `cluster_match` from the archive rows that `becat.etl.archives.apply` has read and matched.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        In the transaction of `apply`, with the temporary tables of every source.
    present : list of Source
        Sources that have been taken in; of two tables of parameters the one declared first gives those of a cluster.
    run_id : int
    changed : dict
        Rows changed, by table; added to.
    """
    members = [source for source in present if "members" in source.fills]
    parameters = [source for source in present if "clusters" in source.fills]
    if not members and not parameters:
        return
    _name_clusters(connection, members + parameters)
    changed["cluster"] = replace_rows(connection, "cluster", _parameters_sql(parameters, members), run_id)
    if members:
        changed["cluster_match"] = replace_rows(connection, "cluster_match", _members_sql(members), run_id)


def _name_clusters(connection, sources):
    """Table _cluster: the name that we use for every printed one."""
    listed = " union ".join(f"select cluster from _rows_{source.name} where cluster is not null" for source in sources)
    printed = [row[0] for row in connection.execute(listed).fetchall()]
    connection.register(
        "_cluster_names",
        pa.table(
            {"printed": pa.array(printed, pa.string()), "cluster": pa.array(map(cluster_name, printed), pa.string())}
        ),
    )
    connection.execute("create or replace temporary table _cluster as from _cluster_names")
    connection.unregister("_cluster_names")


def _parameters_sql(parameters, members):
    names = (
        "ra_deg, dec_deg, r50_deg, n_members, pmra_mas_yr, e_pmra_mas_yr, pmdec_mas_yr, e_pmdec_mas_yr, parallax_mas,"
        " e_parallax_mas, rv_km_s, e_rv_km_s, distance_pc, e_distance_pc, log_age_yr, e_log_age_yr, fe_h, e_fe_h, av_mag, e_av_mag"
    )
    parts = [
        f"select _cluster.cluster, {names}, '{source.reference}' as reference, {order} as list_order"
        f" from _rows_{source.name} as listed join _cluster on printed = listed.cluster"
        for order, source in enumerate(parameters)
    ]
    nothing = ", ".join(f"null as {name.strip()}" for name in names.split(","))
    parts += [
        f"select distinct _cluster.cluster, {nothing}, '{source.reference}' as reference, {len(parameters) + order} as list_order"
        f" from _rows_{source.name} as listed join _cluster on printed = listed.cluster"
        for order, source in enumerate(members)
    ]
    return f"""
        select * exclude (list_order) from ({" union all ".join(parts)})
        qualify row_number() over (partition by cluster order by list_order, n_members desc nulls last) = 1
    """


def _members_sql(members):
    return f"""
        select star_id, cluster, catalogue_id, member_source_id, method, membership_probability, separation_arcsec,
            pm_difference_sigma, parallax_difference_sigma
        from ({" union all ".join(f"from ({_members_of_list_sql(source)})" for source in members)})
        qualify row_number() over (
            partition by star_id, cluster, catalogue_id order by method = 'source_id' desc, separation_arcsec, member_source_id
        ) = 1
    """


def _members_of_list_sql(source):
    """Stars that are members of one list, by identity or by position, with the differences in units of their errors."""
    rows, pairs = f"_rows_{source.name}", f"_pairs_{source.name}"
    # Errors that a list of DR2 leaves out: about twice those of EDR3, which has nearly twice the time (Lindegren et al. 2021)
    sigma = {
        name: f"sqrt(power(astrometry.e_{name}, 2) + power(coalesce(listed.e_{name}, 2 * astrometry.e_{name}), 2))"
        for name in ("pmra_mas_yr", "pmdec_mas_yr", "parallax_mas")
    }
    difference = {name: f"(astrometry.{name} - listed.{name}) / {sigma[name]}" for name in sigma}
    percent = f"(select max(membership_probability) > 1 from {rows})"
    return f"""
        with
        by_identity as (
            select astrometry.star_id, archive_row, 'source_id' as method, coalesce(separation, 0) as separation_arcsec
            from {rows}
            join astrometry on astrometry.source_id = member_source_id,
            lateral (
                select 3600 * sqrt(power((((at_ra - astrometry.ra_deg + 540) % 360) - 180) * cos(radians(at_dec)), 2)
                    + power(at_dec - astrometry.dec_deg, 2)) as separation
            )
            where coalesce(separation, 0) < {_SAME_PLACE_ARCSEC}
        ),
        by_position as (
            select left_id as star_id, right_id as archive_row, 'position' as method, separation_arcsec
            from {pairs}
            where is_best and left_id not in (select star_id from by_identity)
        )
        select star_id, _cluster.cluster, '{source.catalogue_id}' as catalogue_id, member_source_id, method,
            if({percent}, membership_probability / 100, membership_probability) as membership_probability,
            found.separation_arcsec,
            sqrt(power({difference["pmra_mas_yr"]}, 2) + power({difference["pmdec_mas_yr"]}, 2)) as pm_difference_sigma,
            {difference["parallax_mas"]} as parallax_difference_sigma
        from (from by_identity union all from by_position) as found
        join {rows} as listed using (archive_row)
        join _cluster on printed = listed.cluster
        left join astrometry using (star_id)
    """
