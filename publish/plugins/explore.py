"""The page of figures over all stars, and their data."""

from __future__ import annotations

import asyncio

from datasette import NotFound, Response, hookimpl

from becat.publish.reading import snapshot_of
from becat.publish.snapshot import figure_data as figures


@hookimpl
def register_routes():
    return [(r"^/explore$", explore_page), (r"^/explore/(?P<figure>\w+)\.json$", figure_data)]


async def explore_page(datasette, request):
    """HTML page of the figures; its script asks for the data."""
    context = {"database": snapshot_of(datasette).name}
    return Response.html(await datasette.render_template("explore.html", context, request=request))


async def figure_data(datasette, request):
    """Points of one figure as JSON, as they were written with the snapshot."""
    name = request.url_vars["figure"]
    if name not in figures.NAMES:
        raise NotFound(f"There is no figure {name}")
    found = await asyncio.to_thread(figures.read, snapshot_of(datasette).path or "", name)
    if found is None:
        raise NotFound("An older becat made this snapshot: publish it again to see its figures")
    headers = {"cache-control": "max-age=60"}
    return Response(found, headers=headers, content_type="application/json; charset=utf-8")
