"""One box that finds a star by part of its name, its position, or the number of a spectrum or of Gaia."""

from __future__ import annotations

from datasette import Response, hookimpl

from becat.publish.reading import rows, snapshot_of
from becat.schema.find_star import questions

LIMIT = 50
LETTERS_MAX = 200
VERDICTS = "select star_id, name as first_failed_step, is_classical_be from verdict where star_id in ({})"


@hookimpl
def register_routes():
    return [(r"^/search$", search_page)]


async def search_page(datasette, request):
    """HTML page of the stars found; a single one is shown at once."""
    asked = (request.args.get("q") or "").strip()[:LETTERS_MAX]
    found = await find(snapshot_of(datasette), asked) if asked else []
    if len(found) == 1:
        return Response.redirect(datasette.urls.path(f"/star/{found[0]['star_id']}"))
    context = {"asked": asked, "found": found, "limit": LIMIT, "database": snapshot_of(datasette).name}
    return Response.html(await datasette.render_template("search.html", context, request=request))


async def find(database, asked: str) -> list[dict]:
    """Stars that fit what was asked, the best first, each with its verdict; a whole name excludes parts of others."""
    for sql, parameters in questions(asked[:LETTERS_MAX], "sqlite", LIMIT):
        found = await rows(database, sql, parameters, LIMIT)
        if found and found[0]["preference"] == 0:
            found = [row for row in found if row["preference"] == 0]
        if found:
            ids = ", ".join(str(row["star_id"]) for row in found)
            verdicts = {row["star_id"]: row for row in await rows(database, VERDICTS.format(ids))}
            return [row | verdicts.get(row["star_id"], {}) for row in found]
    return []
