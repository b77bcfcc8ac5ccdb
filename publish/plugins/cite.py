"""The works to cite as one BibTeX file: /cite.bib."""

from __future__ import annotations

from datasette import Response, hookimpl

from becat.publish.reading import rows, snapshot_of


@hookimpl
def register_routes():
    return [(r"^/cite\.bib$", bibliography)]


async def bibliography(datasette):
    """BibTeX of the snapshot's table `citation`."""
    found = await rows(snapshot_of(datasette), "select bibtex from citation order by key")
    return Response.text("\n\n".join(row["bibtex"] for row in found) + "\n")
