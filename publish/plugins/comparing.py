"""Published lists beside ours: /compare."""

from __future__ import annotations

import re
from itertools import groupby

from datasette import Response, hookimpl

from becat.publish.reading import rows, snapshot_of

REASONS = """
    select list, reason_kind, count(*) as n from list_comparison where reason_kind is not null
    group by list, reason_kind order by list, n desc, reason_kind"""


@hookimpl
def register_routes():
    return [(r"^/compare$", compare_page)]


async def compare_page(datasette, request):
    """HTML page of the lists that `becat compare` took: how they agree, and why stars of them are none of ours."""
    database = snapshot_of(datasette)
    rates = await rows(database, "select * from list_rate order by list, part_order, bin_from, bin")
    reasons = await rows(database, REASONS)
    titles = await rows(database, "select catalogue_id, title, reference from literature_catalogue")
    context = {
        "lists": [(name, list(of)) for name, of in groupby(rates, key=lambda row: row["list"])],
        "reasons": {name: list(of) for name, of in groupby(reasons, key=lambda row: row["list"])},
        "titles": {row["catalogue_id"]: f"{row['title']} ({row['reference']})" for row in titles},
        "paper": re.compile(r"table(\d)_"),
    }
    return Response.html(await datasette.render_template("compare.html", context, request=request))
