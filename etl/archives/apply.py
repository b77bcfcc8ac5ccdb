"""From archive tables to the catalogue: matching with the stars, and filling the tables that the views read."""

from __future__ import annotations

import hashlib

import duckdb
import numpy as np
import pyarrow as pa

from becat.etl.archives import clusters
from becat.etl.archives.ingest import WITHDRAWN, ingested
from becat.etl.archives.reddening import OURS
from becat.etl.archives.rows import replace_rows
from becat.etl.archives.sources import Source, load
from becat.etl.archives.spectral_types import parse_table
from becat.etl.archives.zero_point import parallax_zero_points
from becat.etl.catalogue.checksums import rows_digest
from becat.etl.catalogue.connection import transaction
from becat.etl.match.sphere import Side, match
from becat.schema.sql_names import quoted

__all__ = ["apply", "fingerprint"]

_TEXT = {
    "object_name",
    "alias",
    "object_class",
    "spectral_type",
    "reference",
    "cluster",
    "tmass_id",
    "tmass_quality",
    "allwise_id",
    "allwise_quality",
    "source",
    "ew_espels_halpha_flag",
    "espels_class",
    "espels_class_flag",
    "esphs_spectral_type",
}
_WHOLE = {"source_id", "member_source_id", "n_members", "astrometric_params_solved", "non_single_star"}


def apply(connection: duckdb.DuckDBPyConnection, run_id: int) -> dict[str, int]:
    """Match every ingested archive with the stars and fill the tables that follow from it.

    Gaia comes first, by the position of the star; the other archives are matched with the Gaia position and proper
    motion brought to their epochs where a star has them, else with the star's own position as it is, since LAMOST does
    not say to which epoch it belongs. The best counterpart (each the nearest to the other) gives photometry and
    astrometry; literature matches and spectral types are kept all.

    Tables of sources that have not been taken in are left alone. A second call changes nothing.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        The catalogue, open for writing and not in a transaction.
    run_id : int
        Written to the rows that change.

    Returns
    -------
    dict
        Rows changed, by table.
    """
    present = [source for source in load().values() if source.name in ingested(connection)]
    changed: dict[str, int] = {}
    with transaction(connection):
        for source in present:
            _read_rows(connection, source)
        _fill_astrometry(connection, present, run_id, changed)
        matched = [s for s in present if "match.ra" in _columns(connection, s) and "clusters" not in s.fills]
        for source in matched:
            if source.name != "gaia":
                _match_stars(connection, source)
        _fill_photometry(connection, present, run_id, changed)
        _fill_gaia_parameters(connection, present, run_id, changed)
        _fill_reddening(connection, matched, run_id, changed)
        _fill_literature(connection, matched, run_id, changed)
        _fill_spectral_types(connection, matched, run_id, changed)
        clusters.fill(connection, present, run_id, changed)
        for source in present:
            connection.execute(f"drop table if exists {_rows(source)}; drop table if exists {_pairs(source)}")
            if ingested(connection)[source.name] == WITHDRAWN:
                _take_out(connection, source)
    return {table: n for table, n in changed.items() if n}


def _take_out(connection, source):
    """A source of which nothing is left in the other tables."""
    connection.execute(f"drop table archive.{quoted(source.name)}")
    for table in ("source", "source_column"):
        connection.execute(f"delete from archive.{table} where source = ?", [source.name])
    if source.catalogue_id:
        connection.execute(
            "update literature_catalogue set n_rows = null, run_id = null where catalogue_id = ?", [source.catalogue_id]
        )


def fingerprint(connection: duckdb.DuckDBPyConnection) -> str:
    """Hash of what `apply` depends on in the catalogue: the stars, the archive tables, the radii.

    While it stays the same, and the code too, and no source is withdrawn, `apply` would change nothing.
    """
    ingested(connection)
    stars = connection.execute(f"select {rows_digest('star_id, ra_deg, dec_deg')} from star").fetchall()
    tables = connection.execute(
        "select source, sha256 from archive.source where sha256 <> ? order by source", [WITHDRAWN]
    ).fetchall()
    radii = [source.radius_of(connection) for source in load().values()]
    return hashlib.sha256(repr((stars, tables, radii)).encode()).hexdigest()


def _rows(source: Source) -> str:
    return f"_rows_{source.name}"


def _pairs(source: Source) -> str:
    return f"_pairs_{source.name}"


def _columns(connection, source):
    return dict(
        connection.execute("select ours, theirs from archive.source_column where source = ?", [source.name]).fetchall()
    )


def _read_rows(connection, source):
    """Temporary table of an archive's rows under our names, each with a number; cells that are no numbers are NULL."""
    found = _columns(connection, source)
    columns = []
    for ours in source.wanted():
        theirs = found.get(ours)
        name = ours.removeprefix("match.") if ours.startswith("match.") else ours
        if ours.startswith("match."):
            name = f"at_{name}"
        kind = "text" if name in _TEXT or name == "at_id" else "bigint" if name in _WHOLE else "double"
        value = f"try_cast({quoted(theirs)} as {kind})" if theirs else f"null::{kind}"
        if kind == "double":
            value = f"if(isfinite({value}), {value}, null)"
        columns.append(f"{value} as {quoted(name)}")
    connection.execute(f"""
        create or replace temporary table {_rows(source)} as
        select row_number() over () as archive_row, {", ".join(columns)} from archive.{quoted(source.name)}
    """)
    for column, names in source.wrong.items():
        connection.execute(
            f"update {_rows(source)} set {column} = null where list_contains(?::varchar[], replace(cluster, '_', ' '))",
            [names],
        )


def _side(connection, source):
    found = _columns(connection, source)
    moves = "match.pmra" in found and "match.pmdec" in found
    return Side(
        _rows(source),
        "archive_row",
        "at_ra",
        "at_dec",
        epoch=repr(source.epoch_yr),
        pmra="at_pmra" if moves else None,
        pmdec="at_pmdec" if moves else None,
    )


def _match_stars(connection, source):
    """Temporary table of pairs of stars (left) and archive rows (right)."""
    stars = """(
        select star_id,
            coalesce(astrometry.ra_deg, star.ra_deg) as ra_deg,
            coalesce(astrometry.dec_deg, star.dec_deg) as dec_deg,
            astrometry.epoch_yr, pmra_mas_yr, pmdec_mas_yr
        from star left join astrometry using (star_id)
    )"""
    left = Side(stars, "star_id", epoch="epoch_yr", pmra="pmra_mas_yr", pmdec="pmdec_mas_yr")
    match(connection, left, _side(connection, source), source.radius_of(connection), _pairs(source))


def _fill_astrometry(connection, present, run_id, changed):
    names = {source.name: source for source in present}
    if "gaia" not in names:
        return
    gaia = names["gaia"]
    match(connection, Side("star", "star_id"), _side(connection, gaia), gaia.radius_of(connection), _pairs(gaia))
    distances = "select null::bigint as source_id, null as distance_pc, null as distance_lo_pc, null as distance_hi_pc"
    if "gaia_distance" in names:
        distances = f"""
            select source_id, distance_pc, distance_lo_pc, distance_hi_pc from {_rows(names["gaia_distance"])}
            qualify row_number() over (partition by source_id order by archive_row) = 1
        """
    connection.register("_zero_points", _zero_points(connection, gaia))
    query = f"""
        select left_id as star_id, gaia.source_id, '{gaia.release}' as release, at_ra as ra_deg, at_dec as dec_deg,
            {gaia.epoch_yr!r} as epoch_yr,
            pmra_mas_yr, e_pmra_mas_yr, pmdec_mas_yr, e_pmdec_mas_yr, parallax_mas, e_parallax_mas,
            pmra_pmdec_corr, parallax_pmra_corr, parallax_pmdec_corr, ruwe,
            nu_eff_per_um, pseudocolour_per_um, astrometric_params_solved, _zero_points.parallax_zero_point_mas,
            distances.distance_pc, distances.distance_lo_pc, distances.distance_hi_pc,
            separation_arcsec, is_ambiguous
        from {_pairs(gaia)}
        join {_rows(gaia)} as gaia on archive_row = right_id
        left join _zero_points using (archive_row)
        left join ({distances}) as distances on distances.source_id = gaia.source_id
        where is_best
    """
    changed["astrometry"] = replace_rows(connection, "astrometry", query, run_id)
    connection.unregister("_zero_points")
    changed["star"] = connection.execute(
        """
        update star set source_id = found.source_id, run_id = ?
        from (select star_id, astrometry.source_id from star left join astrometry using (star_id)) as found
        where star.star_id = found.star_id and star.source_id is distinct from found.source_id
        """,
        [run_id],
    ).fetchall()[0][0]


def _zero_points(connection, gaia) -> pa.Table:
    """Zero point of the parallax of each row that is a counterpart, null where it is not known."""
    rows = connection.execute(f"""
        select archive_row, at_ra, at_dec, g_mag, nu_eff_per_um, pseudocolour_per_um, astrometric_params_solved
        from {_rows(gaia)} where archive_row in (select right_id from {_pairs(gaia)} where is_best)
    """).fetchnumpy()
    values = [np.ma.filled(np.ma.asarray(column).astype(float), np.nan) for column in rows.values()]
    found = parallax_zero_points(*values[1:])
    return pa.table({"archive_row": rows["archive_row"], "parallax_zero_point_mas": pa.array(found, from_pandas=True)})


_COUNTERPARTS = {
    "tmass": ("tmass_id, j_mag, e_j_mag, h_mag, e_h_mag, k_mag, e_k_mag, tmass_quality", "tmass_"),
    "allwise": ("allwise_id, w1_mag, e_w1_mag, allwise_quality", "allwise_"),
    "gaia": ("g_mag, bp_mag, rp_mag, bp_rp_excess_factor", None),
}


def _fill_photometry(connection, present, run_id, changed):
    parts = [source for source in present if "photometry" in source.fills]
    if not parts:
        return
    columns, joins, known = [], [], []
    for source in parts:
        names, prefix = _COUNTERPARTS[source.name]
        columns += [f"{source.name}.{name.strip()}" for name in names.split(",")]
        if prefix:
            columns += [
                f"{source.name}.separation_arcsec as {prefix}separation_arcsec",
                f"{source.name}.is_ambiguous as {prefix}ambiguous",
            ]
        joins.append(
            f"left join (from {_pairs(source)} join {_rows(source)} on archive_row = right_id select * where is_best)"
            f" as {source.name} on {source.name}.left_id = star_id"
        )
        known.append(f"{source.name}.left_id")
    query = f"select star_id, {', '.join(columns)} from star {' '.join(joins)} where coalesce({', '.join(known)}) is not null"
    changed["photometry"] = replace_rows(connection, "photometry", query, run_id)


def _fill_gaia_parameters(connection, present, run_id, changed):
    """By the number of the source: where a star has no Gaia counterpart yet, nothing."""
    for source in present:
        if "gaia_parameters" in source.fills:
            query = f"""
                select star_id, parameters.* exclude (archive_row, at_id)
                from astrometry join {_rows(source)} as parameters using (source_id)
                qualify row_number() over (partition by star_id order by archive_row) = 1
            """
            changed["gaia_parameters"] = replace_rows(connection, "gaia_parameters", query, run_id)


def _fill_reddening(connection, matched, run_id, changed):
    for source in matched:
        if "reddening" in source.fills:
            query = f"""
                select left_id as star_id, ebv_mag, e_ebv_mag, distance_pc, coalesce(source, 'table') as source
                from {_pairs(source)} join {_rows(source)} on archive_row = right_id
                where is_best and ebv_mag is not null
            """
            # values read from a map or service stay where the table has none
            changed["reddening"] = replace_rows(connection, "reddening", query, run_id, f"source not in {OURS}")


def _fill_literature(connection, matched, run_id, changed):
    for source in matched:
        _count_rows(connection, source, run_id)
    lists = [source for source in matched if "literature" in source.fills]
    if not lists:
        return
    parts = []
    for source in lists:
        names = source.columns
        own = "object_class" if "object_class" in names else "null"
        classes = " ".join(f"when '{theirs.lower()}' then '{ours}'" for theirs, ours in source.classes.items())
        object_class = (
            f"case lower(trim({own})) {classes} else coalesce({own}, '{source.object_class}') end"
            if classes
            else f"'{source.object_class}'"
        )
        name = "coalesce(object_name, alias)" if "alias" in names else "object_name"
        parts.append(f"""
            select left_id as star_id, '{source.catalogue_id}' as catalogue_id,
                coalesce({name}, format('{{:.5f}} {{:+.5f}}', at_ra, at_dec)) as object_name,
                {object_class} as object_class,
                separation_arcsec, match_rank, is_best, is_ambiguous
            from {_pairs(source)} join {_rows(source)} on archive_row = right_id
        """)
    query = f"""
        from ({" union all ".join(parts)})
        qualify row_number() over (partition by star_id, catalogue_id, object_name order by match_rank) = 1
    """
    own = ", ".join(f"'{source.catalogue_id}'" for source in lists)
    changed["literature_match"] = replace_rows(
        connection, "literature_match", query, run_id, f"catalogue_id in ({own})"
    )


def _fill_spectral_types(connection, matched, run_id, changed):
    """Every type of every list; `becat.etl.archives.spectral_types` reads the strings and says which one is adopted."""
    lists = [source for source in matched if "spectral_type" in source.fills]
    if not lists:
        return
    for source in lists:
        _count_rows(connection, source, run_id)
    parts = []
    for source in lists:
        reference = "reference" if "reference" in source.columns else "null"
        name = "object_name" if "object_name" in source.columns else "null"
        parts.append(f"""
            select left_id as star_id, '{source.catalogue_id}' as catalogue_id, spectral_type,
                coalesce({reference}, '{source.reference}') as reference,
                coalesce(try_cast(left({reference}, 4) as integer), {source.year or "null"}) as year,
                {name} as object_name,
                separation_arcsec
            from {_pairs(source)} join {_rows(source)} on archive_row = right_id
            where spectral_type is not null
        """)
    query = f"""
        from ({" union all ".join(parts)})
        qualify row_number() over (
            partition by star_id, catalogue_id, spectral_type, reference order by separation_arcsec, year
        ) = 1
    """
    own = ", ".join(f"'{source.catalogue_id}'" for source in lists)
    changed["spectral_type"] = replace_rows(connection, "spectral_type", query, run_id, f"catalogue_id in ({own})")
    parse_table(connection)


def _count_rows(connection, source, run_id):
    connection.execute(
        f"""
        update literature_catalogue set n_rows = found.n, run_id = ?
        from (select count(*) as n from {_rows(source)}) as found
        where catalogue_id = ? and n_rows is distinct from found.n
        """,
        [run_id, source.catalogue_id],
    )
