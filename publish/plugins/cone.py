"""Simple Cone Search (IVOA Recommendation 1.03) on the stars, at /vo/cone."""

from __future__ import annotations

import numpy as np
from astropy.coordinates import angular_separation
from datasette import Response, hookimpl

from becat.publish.reading import made_of, rows, snapshot_of
from becat.publish.snapshot.metadata import column_note
from becat.publish.vo.votable import Field, to_votable, votable_error

ROWS_MAX = 50_000
RADIUS_MAX_DEG = 180.0
UCD1 = {
    "star_id": "ID_MAIN",
    "ra_deg": "POS_EQ_RA_MAIN",
    "dec_deg": "POS_EQ_DEC_MAIN",
}  # the standard asks for the old words
SQL = """
    select star.star_id, star.designation, star.ra_deg, star.dec_deg, star.source_id, star.is_simulated,
        verdict.name as first_failed_step, verdict.is_classical_be
    from star left join verdict using (star_id)
    where star.star_id in ({})"""
KINDS = {
    "star_id": "long",
    "ra_deg": "double",
    "dec_deg": "double",
    "is_simulated": "boolean",
    "is_classical_be": "boolean",
}
NOTES = {"first_failed_step": "First step of the selection that the star fails; null: none"}


@hookimpl
def register_routes():
    return [(r"^/vo/cone$", cone_search)]


async def cone_search(datasette, request):
    """Stars within SR degrees of RA, DEC, as VOTable; the nearest first."""
    try:
        ra, dec, radius = (float(request.args[name]) for name in ("RA", "DEC", "SR"))
    except KeyError as error:
        return _answer(votable_error(f"the parameter {error.args[0]} is missing: give RA, DEC and SR, in degrees"))
    except ValueError:
        return _answer(votable_error("RA, DEC and SR must be numbers, in degrees"))
    if not (np.isfinite([ra, dec, radius]).all() and abs(dec) <= 90 and 0 <= radius <= RADIUS_MAX_DEG):
        return _answer(votable_error("DEC must be between -90 and 90, SR between 0 and 180 degrees"))
    return _answer(await _find(snapshot_of(datasette), ra % 360, dec, radius))


def _answer(body: str) -> Response:
    return Response(body, content_type="text/xml;content=x-votable")


async def _find(database, ra: float, dec: float, radius: float) -> str:
    def nearest(stars: list[dict]) -> tuple[list[tuple[int, float]], bool]:
        """Numbers and distances of the nearest stars, and whether there are more."""
        places = np.radians([(row["ra_deg"], row["dec_deg"]) for row in stars]).reshape(-1, 2)
        distance = np.degrees(angular_separation(*np.radians((ra, dec)), *places.T))
        order = np.argsort(distance, kind="stable")[: np.count_nonzero(distance <= radius)]
        return [(stars[i]["star_id"], float(distance[i])) for i in order[:ROWS_MAX]], len(order) > ROWS_MAX

    near, overflow = await made_of(
        database,
        "select star_id, ra_deg, dec_deg from star where dec_deg between :low and :high",
        nearest,
        {"low": dec - radius, "high": dec + radius},
        limit=10_000_000,
    )
    found = {}
    for start in range(0, len(near), 500):
        ids = ",".join(str(star_id) for star_id, _ in near[start : start + 500])
        found |= {row["star_id"]: row for row in await rows(database, SQL.format(ids))}
    return await database.execute_fn(lambda _: _table(near, found, overflow))


def _table(near: list[tuple[int, float]], found: dict[int, dict], overflow: bool) -> str:
    names = [
        "star_id",
        "designation",
        "ra_deg",
        "dec_deg",
        "source_id",
        "is_simulated",
        "first_failed_step",
        "is_classical_be",
    ]
    fields = [_field(name) for name in names] + [
        Field("separation_deg", "double", "deg", "POS_ANG_DIST_GENERAL", "Distance from the given position")
    ]
    cells = [[*found[star_id].values(), distance] for star_id, distance in near]
    return to_votable(fields, cells, name="star", description="Stars near a position", overflow=overflow)


def _field(name: str) -> Field:
    description, unit, ucd = column_note("star", name)
    return Field(name, KINDS.get(name, "text"), unit, UCD1.get(name, ucd), NOTES.get(name, description))
