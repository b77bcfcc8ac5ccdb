"""Sliders for the thresholds: the funnel counted afresh, and the stars that enter and leave."""

from __future__ import annotations

import asyncio
import json
import math

from datasette import Response, hookimpl
from datasette.database import QueryInterrupted

from publish.reading import chain, rows, snapshot_of

SLIDERS = {  # lowest, highest, step
    "snr_min": (0, 100, 1),
    "teff_late_min_k": (3000, 8000, 100),
    "teff_late_max_k": (6000, 15000, 100),
    "ew_halpha_max_a": (-5, 20, 0.1),
    "ew_mgb_max_a": (0, 5, 0.05),
    "q_late_min_mag": (-0.5, 1, 0.01),
    "be_probability_min": (0, 1, 0.01),
    "nebular_significance_max": (0, 50, 0.5),
    "cbe_hk_max_mag": (-0.5, 1.5, 0.01),
    "cbe_kw1_max_mag": (-0.5, 2, 0.01),
}
CHANGED = (
    "selection_parameter",
    "select name, coalesce((select value from json_each(:changes) where key = name), value) as value"
    " from main.selection_parameter",
)
LISTS = ("be_candidate", "new_cbe", "classical_be")
KEPT = 500
TIME_LIMIT_MS = 20_000


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
    funnel = await rows(database, "select step, name, spectra, stars from funnel order by step")
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
    kept = getattr(datasette, "becat_recounts", None)
    if kept is None:
        kept = datasette.becat_recounts = {}
        datasette.becat_counting = asyncio.Lock()  # one at a time, so that no visitor takes all threads of the server
    key = (which, json.dumps(changes, sort_keys=True))
    if key not in kept:
        if len(kept) >= KEPT:
            kept.clear()
        if datasette.becat_counting.locked():
            return Response.json(
                {"ok": False, "error": "another count is under way: try again in a moment"}, status=503
            )
        try:
            async with datasette.becat_counting:
                kept[key] = await _recount(snapshot_of(datasette), changes, which)
        except QueryInterrupted:
            return Response.json({"ok": False, "error": "this takes longer than the server allows"}, status=503)
    return Response.json(kept[key])


async def _recount(database, changes: dict[str, float], which: str) -> dict:
    parameters = {"changes": json.dumps(changes)}
    funnel = await rows(
        database,
        await chain(database, "select step, name, spectra, stars from funnel", CHANGED),
        parameters,
        time_limit_ms=TIME_LIMIT_MS,
    )
    change = (
        f"select new.star_id, new.designation, 'enters' as change from {which} as new where star_id not in (select star_id from main.{which})"
        f" union all select old.star_id, old.designation, 'leaves' from main.{which} as old where star_id not in (select star_id from {which})"
        " order by change, designation"
    )
    changed = await rows(
        database, await chain(database, change, CHANGED), parameters, limit=500, time_limit_ms=TIME_LIMIT_MS
    )
    return {"ok": True, "changes": changes, "list": which, "funnel": funnel, "changed": changed}
