"""Sliders for the thresholds: the funnel counted afresh, and the stars that enter and leave."""

from __future__ import annotations

import asyncio
import json
import math

import numpy as np
from datasette import Response, hookimpl

from becat.publish.reading import chain, rows, snapshot_of
from becat.publish.snapshot.recount import THRESHOLDS, count, load
from becat.schema.selection import SELECTION

SLIDERS = SELECTION.sliders
CHANGED = (
    "selection_parameter",
    "select name, coalesce((select value from json_each(:changes) where key = name), value) as value"
    " from main.selection_parameter",
)
LISTS = ("be_candidate", "new_cbe", "classical_be")
SHOWN = 500
NAMES = """
    select star_id, designation from star where star_id in (select value from json_each(:stars))"""
OLD = "An older becat made this snapshot: publish it again to count with other thresholds."


@hookimpl
def register_routes():
    return [(r"^/thresholds$", thresholds_page), (r"^/thresholds\.json$", recount)]


async def thresholds_page(datasette, request):
    """HTML page of the sliders."""
    database = snapshot_of(datasette)
    found = {row["name"]: row for row in await rows(database, "select * from selection_parameter")}
    sliders = [
        {**found[name], "low": low, "high": high, "tick": tick}
        for name, (low, high, tick) in SLIDERS.items()
        if name in found
    ]
    funnel = await rows(database, "select step, name, spectra, stars, branch from funnel order by step")
    context = {
        "database": database.name,
        "sliders": sliders,
        "funnel": funnel,
        "others": [row for name, row in found.items() if name not in SLIDERS],
        "sql": await chain(database, "select * from funnel", CHANGED),
    }
    return Response.html(await datasette.render_template("thresholds.html", context, request=request))


async def recount(datasette, request):
    """The funnel with other thresholds, and who enters and leaves the lists, as JSON."""
    try:
        changes = {name: float(request.args[name]) for name in SLIDERS if name in request.args}
        if not all(math.isfinite(value) for value in changes.values()):
            raise ValueError("thresholds must be finite numbers")
        which = request.args.get("list") or "classical_be"
        if which not in LISTS:
            raise ValueError(f"list must be one of {', '.join(LISTS)}")
    except ValueError as error:
        return Response.json({"ok": False, "error": str(error)}, status=400)
    database = snapshot_of(datasette)
    if not hasattr(datasette, "becat_counting"):
        datasette.becat_counting = asyncio.Lock()  # one count at a time: it takes a processor
    async with datasette.becat_counting:
        counter = await _counter(datasette, database)
        if counter is None:
            return Response.json({"ok": False, "error": OLD}, status=409)
        columns, limits, in_force = counter
        found = await asyncio.to_thread(count, columns, limits | changes)
    funnel = [dict(zip(("step", "name", "spectra", "stars"), step, strict=True)) for step in found.funnel]
    answer = {"ok": True, "changes": changes, "list": which, "funnel": funnel}
    return Response.json(answer | await _changed(database, getattr(in_force, which), getattr(found, which)))


async def _counter(datasette, database):
    """Arrays, thresholds in force and what they give; read when first asked for, kept as long as the snapshot."""
    if not hasattr(datasette, "becat_counter"):
        columns = await asyncio.to_thread(load, database.path)
        if columns is None:
            return None
        found = await rows(database, "select name, value from selection_parameter")
        limits = {row["name"]: row["value"] for row in found if row["name"] in THRESHOLDS}
        datasette.becat_counter = columns, limits, await asyncio.to_thread(count, columns, limits)
    return datasette.becat_counter


async def _changed(database, before, after) -> dict:
    """Stars of one list and not of the other: how many, and the names of the first of them."""
    enters, leaves = np.setdiff1d(after, before), np.setdiff1d(before, after)
    shown = [*enters[:SHOWN].tolist(), *leaves[:SHOWN].tolist()]
    names = await rows(database, NAMES, {"stars": json.dumps(shown)}) if shown else []
    entering = set(enters.tolist())
    changed = [{**row, "change": "enters" if row["star_id"] in entering else "leaves"} for row in names]
    changed.sort(key=lambda row: (row["change"], row["designation"] or ""))
    return {"n_enters": len(enters), "n_leaves": len(leaves), "changed": changed}
