"""The front page: what this is, the selection as a figure, what was found, how the snapshot was made."""

from __future__ import annotations

from functools import wraps

from datasette import Response, hookimpl

from becat.publish.reading import first, rows, snapshot_of
from becat.publish.snapshot.metadata import queries
from becat.schema.selection import SELECTION

ADDRESS = "-/front"
ROW_TARGETS = {  # the view whose rows a step of the funnel counts
    "spectra": "spectrum",
    **{step.name: step.view for step in (*SELECTION.steps, SELECTION.branch)},
    "inspection": "be_candidate",
    "classical_be": "classical_be",
}
LOADED = """
    select 'Photometry of 2MASS' as name, (select count(*) from photometry where j_mag is not null) as n, 'tmass' as source
    union all select 'Photometry of AllWISE', (select count(*) from photometry where w1_mag is not null), 'allwise'
    union all select 'Astrometry of Gaia', (select count(*) from astrometry), 'gaia'
    union all select 'Distances of Bailer-Jones', (select count(*) from astrometry where distance_pc is not null), 'gaia_distance'
    union all select 'Reddening', (select count(*) from reddening where ebv_mag is not null), 'reddening'
    union all select 'Spectral types', (select count(distinct star_id) from spectral_type), 'skiff_2014 simbad'"""
LISTS = """
    select literature_catalogue.catalogue_id, reference, object_class, coalesce(n_rows, 0) as n_rows
    from literature_catalogue where object_class <> 'spectral types' order by n_rows is null, object_class, reference"""
UNDECIDED = """
    select decided_by, count(*) as stars from verdict where result = 'unknown' group by decided_by order by stars desc, decided_by"""
OUTCOME_LABELS = {
    "classical_be": "classical Be stars", "new_cbe": "new classical Be stars", "known_be": "known classical Be stars",
    "herbig_aebe": "Herbig Ae/Be stars", "oe_star": "Oe stars", "cluster_member_be": "classical Be stars in open clusters",
    "runaway": "runaway classical Be stars",
}  # fmt: skip


@hookimpl
def register_routes():
    return [(rf"^/{ADDRESS}$", front_page)]


@hookimpl
def asgi_wrapper(datasette):
    """Show our page at the root: Datasette's own looks at every table with its rights and counts, which takes longer."""

    def wrap(application):
        @wraps(application)
        async def with_front(scope, receive, send):
            root = datasette.setting("base_url")
            if scope["type"] == "http" and scope["path"] == root:
                scope = {**scope, "path": root + ADDRESS, "raw_path": (root + ADDRESS).encode()}
            await application(scope, receive, send)

        return with_front

    return wrap


async def front_page(datasette, request):
    """HTML front page."""
    if not hasattr(datasette, "becat_front"):  # a snapshot never changes: it is read once
        datasette.becat_front = await _context(snapshot_of(datasette)) | {"metadata": datasette.metadata()}
    context = dict(datasette.becat_front)
    return Response.html(await datasette.render_template("index.html", context, request=request))


async def _context(database) -> dict:
    funnel = await rows(database, "select * from funnel order by step")
    most = max((step["spectra"] for step in funnel), default=0) or 1
    for step in funnel:
        step["target"] = ROW_TARGETS.get(step["name"], "")
        step["share"] = (max(step["spectra"], 0) / most) ** 0.25  # the fourth root shows both millions and dozens
    facts = {row["name"]: row["value"] for row in await rows(database, "select name, value from provenance")}
    return {
        "funnel": funnel,
        "facts": facts,
        "outcome": await rows(database, "select * from outcome"),
        "outcome_labels": OUTCOME_LABELS,
        "n_profiles": await first(
            database, "select (select count(*) from halpha_profile) as n, (select count(*) from spectrum) as n_spectra"
        ),
        "canned": list(queries()),
        "loaded": await rows(database, LOADED),
        "lists": await rows(database, LISTS),
        "undecided": await rows(database, UNDECIDED),
    }
