"""Where programs find the services of the Virtual Observatory: /services."""

from __future__ import annotations

from datasette import Response, hookimpl

from becat.publish.plugins.vo_formats import ROWS_MAX
from becat.publish.reading import snapshot_of
from becat.publish.vo.tap.jobs import service


@hookimpl
def register_routes():
    return [(r"^/services$", services)]


async def services(datasette, request):
    """A page of addresses, and what to do with them."""
    found = {
        name: datasette.absolute_url(request, datasette.urls.path(path))
        for name, path in (("tap", "/tap"), ("cone", "/vo/cone"), ("ssa", "/ssa"))
    }
    table = datasette.absolute_url(request, datasette.urls.table(snapshot_of(datasette).name, "classical_be"))
    rows = {"votable": ROWS_MAX, "json": datasette.setting("max_returned_rows")}
    context = {"address": found | {"table": table}, "limits": service().limits, "file_rows": rows}
    return Response.html(await datasette.render_template("services.html", context, request=request))
