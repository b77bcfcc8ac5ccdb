"""Published lists beside ours: /compare."""

from __future__ import annotations

import re
from itertools import groupby

from datasette import Response, hookimpl

from becat.publish.reading import rows, snapshot_of

SHOWN = 30  # a list may have a class for each of its stars
RATES = f"""
    with placed as (
        select *, row_number() over (partition by list, part order by n_both + n_missed + n_only_here desc, bin) as place,
            count(*) over (partition by list, part) as n_of_part
        from list_rate
    )
    select * from placed where place <= {SHOWN} order by list, part_order, bin_from, bin"""
REASONS = f"""
    with counted as (
        select list, reason_kind, count(*) as n from list_comparison where reason_kind is not null group by list, reason_kind
    ),
    placed as (select *, row_number() over (partition by list order by n desc, reason_kind) as place from counted)
    select * from placed where place <= {SHOWN} order by list, place"""


@hookimpl
def register_routes():
    return [(r"^/compare$", compare_page)]


async def compare_page(datasette, request):
    """HTML page of the lists that `becat compare` took: how they agree, and why stars of them are none of ours."""
    database = snapshot_of(datasette)
    rates = await rows(database, RATES)
    reasons = await rows(database, REASONS)
    titles = await rows(database, "select catalogue_id, title, reference from literature_catalogue")
    context = {
        "lists": [(name, list(of)) for name, of in groupby(rates, key=lambda row: row["list"])],
        "reasons": {name: list(of) for name, of in groupby(reasons, key=lambda row: row["list"])},
        "titles": {row["catalogue_id"]: f"{row['title']} ({row['reference']})" for row in titles},
        "shown": SHOWN,
        "paper": re.compile(r"table(\d)_"),
    }
    return Response.html(await datasette.render_template("compare.html", context, request=request))
