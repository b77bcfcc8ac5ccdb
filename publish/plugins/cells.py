"""Cells of tables: links to stars and works, numbers with the digits that they deserve."""

from __future__ import annotations

import asyncio
from itertools import count
from urllib.parse import quote

from datasette import hookimpl
from markupsafe import Markup, escape

from becat.publish.snapshot.formatting import FLAG, format_value

LINKS = {
    "bibcode": "https://ui.adsabs.harvard.edu/abs/{}/abstract",
    "doi": "https://doi.org/{}",
}


BREATH = 8  # cells, of some 20 microseconds each
_written = count()


@hookimpl
def render_cell(value, column, datasette):
    """A cell; every few of them a page that is being written lets the others go on."""
    shown = _shown(value, column, datasette)
    if next(_written) % BREATH:
        return shown

    async def later():
        await asyncio.sleep(0)
        return shown

    return later


def _shown(value, column, datasette):
    if column == "star_id" and value is not None:
        return _star(datasette, value)
    if column in LINKS and value:
        return Markup('<a href="{}" rel="noopener">{}</a>').format(LINKS[column].format(quote(str(value))), value)
    if column == "designation" and value:
        address = datasette.urls.path(f"/star/{quote(str(value), safe='')}")
        return Markup('<a href="{}">{}</a>').format(address, value)
    if isinstance(value, int) and FLAG.search(column):
        return Markup("<span>{}</span>").format(format_value(value, column))
    if isinstance(value, float | int):
        return Markup('<span class="n">{}</span>').format(format_value(value, column))
    return None


def _star(datasette, value):
    """A foreign key comes with the star's name as its label."""
    label = value.get("label") if isinstance(value, dict) else None
    star_id = value["value"] if isinstance(value, dict) else value
    if not isinstance(star_id, int):
        return None
    address = datasette.urls.path(f"/star/{star_id}")
    return Markup('<a href="{}">{}</a>').format(escape(address), label or star_id)
