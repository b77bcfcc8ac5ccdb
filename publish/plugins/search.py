"""One box that finds a star by part of its name, its position, or the number of a spectrum or of Gaia."""

from __future__ import annotations

import re

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from datasette import Response, hookimpl

from becat.publish.reading import rows, snapshot_of

RADIUS_DEG = 1 / 60
LIMIT = 50
BY_NUMBER = """
    select star_id, designation, ra_deg, dec_deg from star where star_id = :number or source_id = :text
    union select star.star_id, star.designation, star.ra_deg, star.dec_deg
    from spectrum join star using (star_id) where spectrum_id = :number"""
BY_NAME = """
    select star_id, designation, ra_deg, dec_deg from star
    where star_id in (select rowid from star_search where names match :words limit 200) order by designation limit 50"""
BY_SHORT_NAME = (
    "select star_id, designation, ra_deg, dec_deg from star where designation like :part escape '\\' limit 50"
)
BY_POSITION = """
    select star_id, designation, ra_deg, dec_deg from star where dec_deg between :low and :high"""


@hookimpl
def register_routes():
    return [(r"^/search$", search_page)]


async def search_page(datasette, request):
    """HTML page of the stars found; a single one is shown at once."""
    asked = (request.args.get("q") or "").strip()[:200]
    found = await find(snapshot_of(datasette), asked) if asked else []
    if len(found) == 1:
        return Response.redirect(datasette.urls.path(f"/star/{found[0]['star_id']}"))
    context = {"asked": asked, "found": found, "limit": LIMIT, "database": snapshot_of(datasette).name}
    return Response.html(await datasette.render_template("search.html", context, request=request))


async def find(database, asked: str) -> list[dict]:
    """Stars that fit what was asked: by number, by name, by position, in this order."""
    if re.fullmatch(r"-?\d{1,19}", asked) and abs(int(asked)) < 2**63:
        found = await rows(database, BY_NUMBER, {"number": int(asked), "text": asked}, LIMIT)
        if found:
            return found
    if len(asked) >= 3:
        words = " ".join('"' + word.replace('"', '""') + '"' for word in asked.split() if len(word) >= 3)
        found = await rows(database, BY_NAME, {"words": words}, LIMIT) if words else []
    else:
        found = await rows(database, BY_SHORT_NAME, {"part": "%" + re.sub(r"([%_\\])", r"\\\1", asked) + "%"}, LIMIT)
    return found or await _near(database, asked)


async def _near(database, asked: str) -> list[dict]:
    centre = read_position(asked)
    if centre is None:
        return []
    limits = {"low": centre.dec.deg - RADIUS_DEG, "high": centre.dec.deg + RADIUS_DEG}
    near = await rows(database, BY_POSITION, limits, 1_000_000)
    if not near:
        return []
    others = SkyCoord([row["ra_deg"] for row in near], [row["dec_deg"] for row in near], unit="deg")
    distance = centre.separation(others).deg
    return [near[i] for i in np.argsort(distance) if distance[i] <= RADIUS_DEG][:LIMIT]


def read_position(text: str) -> SkyCoord | None:
    """A position written in degrees or in hours, minutes and seconds; None where it is not one."""
    numbers = re.fullmatch(r"([+-]?\d+(?:\.\d+)?)[\s,]+([+-]?\d+(?:\.\d+)?)", text)
    try:
        if numbers:
            return SkyCoord(float(numbers[1]), float(numbers[2]), unit="deg")
        return SkyCoord(text, unit=(u.hourangle, u.deg)) if re.search(r"\d", text) else None
    except (ValueError, TypeError, u.UnitsError):
        return None
