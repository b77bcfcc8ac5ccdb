"""What every template can use: units, notes on columns, and the data of the front page."""

from __future__ import annotations

from collections import defaultdict

from datasette import hookimpl

from publish.formatting import format_value, unit_label
from publish.metadata import column_note, queries
from publish.reading import first, rows, snapshot_of

ROW_TARGETS = {  # the view whose rows a step of the funnel counts
    "spectra": "spectrum", "good_snr": "step_10_good_snr", "teff": "step_20_teff",
    "early_by_lines": "step_30_early_by_lines", "q_index": "step_40_q_index",
    "be_probability": "step_50_be_probability", "inspection": "be_candidate", "emission": "emission_star",
    "contaminant": "new_candidate", "spectral_type": "typed_candidate", "infrared": "new_cbe",
}  # fmt: skip
STEP_LABELS = {
    "spectra": "All spectra", "good_snr": "S/N in both arms", "teff": "No late A or F star by temperature",
    "early_by_lines": "Early type by H-alpha and Mg b", "q_index": "No K or M star by 2MASS colours",
    "be_probability": "Be by the classifier", "inspection": "Not rejected by eye", "emission": "H-alpha in emission",
    "contaminant": "New, and no contaminant", "spectral_type": "Later than O8, earlier than A2, no supergiant",
    "infrared": "Infrared colours of a classical Be star",
}  # fmt: skip
OUTCOME_LABELS = {
    "classical_be": "classical Be stars", "new_cbe": "new classical Be stars", "known_be": "known Be stars recovered",
    "herbig_aebe": "Herbig Ae/Be stars", "oe_star": "Oe stars", "cluster_member_be": "Be stars in clusters",
    "runaway": "runaway Be stars",
}  # fmt: skip


@hookimpl
def prepare_jinja2_environment(env, datasette):
    """For all pages, those of errors too."""
    env.globals |= {
        "snapshot": snapshot_of(datasette).name,
        "unit_label": unit_label,
        "column_note": column_note,
        "format_value": format_value,
        "step_labels": STEP_LABELS,
    }


@hookimpl
def extra_template_vars(datasette, view_name):
    async def variables():
        database = snapshot_of(datasette)
        if view_name == "index":
            return await _front(database)
        if view_name == "database":
            metadata = datasette.metadata("databases") or {}
            return {"table_notes": defaultdict(dict, metadata.get(database.name, {}).get("tables", {}))}
        return {}

    return variables


async def _front(database) -> dict:
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
        "n_profiles": await first(database, "select count(*) as n from halpha_profile"),
        "canned": list(queries()),
    }
