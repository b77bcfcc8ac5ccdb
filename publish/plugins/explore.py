"""The page of figures over all stars, and their data: a sample of the many, all of the few."""

from __future__ import annotations

from datasette import NotFound, Response, hookimpl

from publish.reading import first, rows, snapshot_of

SAMPLE = 3000  # of the crowd, in the order of a scrambled identity, so that it is the same on every visit
KIND = """
    case when star_id in (select star_id from new_cbe) then 'new'
         when star_id in (select star_id from known_be) then 'known'
         when star_id in (select star_id from herbig_aebe) then 'herbig'
         when star_id in (select star_id from be_candidate) then 'candidate' else 'other' end as kind"""
FIGURES = {
    "sky": f"select star_id, designation, ra_deg as x, dec_deg as y, {KIND} from star",
    "ew": f"""
        select star_id, designation, ew_halpha_a as x, ew_mgb_a as y, {KIND}
        from step_20_teff join line_measurement using (spectrum_id)
        where ew_halpha_a is not null and ew_mgb_a is not null""",
    "colours": f"""
        select star_id, designation, hk0_mag as x, kw10_mag as y, {KIND}
        from infrared_colour join star using (star_id) where hk0_mag is not null and kw10_mag is not null""",
    "diagram": f"""
        select star_id, designation, coalesce(bp_rp0_mag, bp_rp_mag) as x, coalesce(abs_g0_mag, abs_g_mag) as y, {KIND}
        from colour_magnitude""",
    "velocity": """
        select star_id, designation, v_tp_km_s as x, e_v_tp_km_s as y, is_new from runaway_by_model where is_default""",
}
PARAMETERS = """select name, value from selection_parameter where name in ('ew_halpha_max_a', 'ew_mgb_max_a', 'cbe_hk_max_mag',
    'cbe_kw1_max_mag', 'herbig_hk_min_mag', 'herbig_kw1_min_mag')"""


@hookimpl
def register_routes():
    return [(r"^/explore$", explore_page), (r"^/explore/(?P<figure>\w+)\.json$", figure_data)]


async def explore_page(datasette, request):
    """HTML page of the figures; its script asks for the data."""
    context = {"database": snapshot_of(datasette).name}
    return Response.html(await datasette.render_template("explore.html", context, request=request))


async def figure_data(datasette, request):
    """Points of one figure as JSON: all stars that the selection names, and a sample of the others."""
    figure = request.url_vars["figure"]
    if figure not in FIGURES:
        raise NotFound(f"There is no figure {figure}")
    kept = getattr(datasette, "becat_figures", None)
    if kept is None:
        kept = datasette.becat_figures = {}  # a snapshot never changes: each figure is computed once
    if figure not in kept:
        kept[figure] = await _compute(snapshot_of(datasette), figure)
    return Response.json(kept[figure], headers={"cache-control": "max-age=60"})


async def _compute(database, figure: str) -> dict:
    sql = FIGURES[figure]
    if figure == "velocity":
        found = await rows(database, sql)
    else:
        named = await rows(database, f"select * from ({sql}) where kind <> 'other'")
        others = await rows(
            database,
            f"select * from ({sql}) where kind = 'other' order by (star_id * 2654435761) % 4294967296 limit {SAMPLE}",
        )
        found = others + named
    names = ("star_id", "designation", "x", "y", "kind" if figure != "velocity" else "is_new")
    result: dict = {name: [row[name] for row in found] for name in names}
    result["parameters"] = {row["name"]: row["value"] for row in await rows(database, PARAMETERS)}
    if figure == "velocity":
        result["model"] = await first(database, "select * from runaway_limit where is_default")
    return result
