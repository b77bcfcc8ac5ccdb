"""Data of the figures over all stars, made once with the snapshot: a sample of the many, all of the few."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from becat.publish.snapshot.address import address_of

__all__ = ["NAMES", "SAMPLE", "read", "write"]

SAMPLE = 3000  # of the crowd, by a scrambled identity, so that figures show the same stars where they can
# The kind of each star, once for all figures: the views behind it take a tenth of a second to plan each time.
KINDS = """
create or replace temp table star_kind as
    select star_id, case when star_id in (select star_id from new_cbe) then 'new'
        when star_id in (select star_id from known_be) then 'known'
        when star_id in (select star_id from herbig_aebe) then 'herbig'
        when star_id in (select star_id from be_candidate) then 'candidate' else 'other' end as kind
    from star"""
FIGURES = {
    "sky": "select star_id, designation, ra_deg as x, dec_deg as y from star",
    "ew": """
        select star_id, designation, ew_halpha_a as x, ew_mgb_a as y
        from step_20_teff join line_measurement using (spectrum_id)
        where star_id is not null and ew_halpha_a is not null and ew_mgb_a is not null""",
    "colours": """
        select star_id, designation, hk0_mag as x, kw10_mag as y
        from infrared_colour join star using (star_id) where hk0_mag is not null and kw10_mag is not null""",
    "diagram": """
        select star_id, designation, coalesce(bp_rp0_mag, bp_rp_mag) as x, coalesce(abs_g0_mag, abs_g_mag) as y
        from colour_magnitude""",
}
VELOCITY = """
    select star_id, designation, v_tp_km_s as x, e_v_tp_km_s as y, is_new from runaway_by_model
    where is_default and v_tp_km_s is not null order by star_id"""
NAMES = (*FIGURES, "velocity")
PARAMETERS = """select name, value from selection_parameter where name in ('ew_halpha_max_a', 'ew_mgb_max_a', 'cbe_hk_max_mag',
    'cbe_kw1_max_mag', 'herbig_hk_min_mag', 'herbig_kw1_min_mag') order by name"""


def write(source, target: sqlite3.Connection) -> None:
    """Put the data of each figure into the snapshot, as JSON.

    Parameters
    ----------
    source : DuckDB connection
        The catalogue.
    target : sqlite3.Connection
        The snapshot, without a table ``figure``.
    """
    target.execute("create table figure (name text primary key, json text not null)")
    parameters = dict(source.execute(PARAMETERS).fetchall())
    source.execute(KINDS)
    for name, sql in FIGURES.items():
        _put(target, name, _columns(source, _sampled(sql)) | {"parameters": parameters})
    limit = source.execute("select * from runaway_limit where is_default").fetchone()
    names = [column[0] for column in source.description]
    model = dict(zip(names, limit, strict=True)) if limit else None
    _put(target, "velocity", _columns(source, VELOCITY) | {"parameters": parameters, "model": model})


def _sampled(sql: str) -> str:
    """All stars that the selection names, and a sample of the others; these first, to be drawn below."""
    return f"""
        with points as (select * from ({sql}) join star_kind using (star_id)),
        others as (
            select * from points where kind = 'other' and isfinite(x) and isfinite(y)
            order by (star_id % 1000003) * 7919 % 1000003, star_id, x limit {SAMPLE}
        )
        select * from others
        union all select * from (select * from points where kind <> 'other' and isfinite(x) and isfinite(y) order by star_id, x)"""


def _columns(source, sql: str) -> dict[str, list]:
    source.execute(sql)
    names = [column[0] for column in source.description]
    rows = source.fetchall()
    return {name: [_short(row[place]) for row in rows] for place, name in enumerate(names)}


def _short(value):
    """Six digits are more than a screen shows."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _put(target: sqlite3.Connection, name: str, data: dict) -> None:
    target.execute(
        "insert into figure values (?, ?)", (name, json.dumps(data, separators=(",", ":"), ensure_ascii=False))
    )


def read(snapshot: str | Path, name: str) -> str | None:
    """Data of a figure as JSON; None where the snapshot, or becat, has no such figure."""
    with closing(sqlite3.connect(address_of(snapshot), uri=True)) as connection:
        try:
            found = connection.execute("select json from figure where name = ?", (name,)).fetchone()
        except sqlite3.OperationalError:
            return None
    return found[0] if found else None
