"""The page of one star: everything that the catalogue knows of it, and why it is or is not a Be star."""

from __future__ import annotations

import json
from urllib.parse import unquote, urlencode

import numpy as np
from datasette import NotFound, Response, hookimpl

from becat.publish.plugins.in_time import CHANGE, COMPANION, EPOCHS, LIGHT_CURVES, PERIOD, in_time
from becat.publish.plugins.search import find
from becat.publish.reading import first, rows, scored_by, snapshot_of
from becat.publish.saliency import Busy, Explainer
from becat.schema import releases
from becat.schema.errors import BecatError
from becat.schema.lines import LINES
from becat.udfs.bands import repair
from becat.udfs.bartlett import smooth_bartlett

PROFILES = """
        select spectrum_id, start_a, step_a, flux, extrema, mjd, snr_r, bartlett_width_px
        from halpha_profile join spectrum using (spectrum_id) left join line_measurement using (spectrum_id)
        where star_id = :star order by mjd"""
LINES_SHOWN = [
    {
        "label": "Hα" if name == "halpha" else LINES[name].label.split("]")[0] + "]",
        "wavelength_a": LINES[name].wavelength_a,
    }
    for name in ("halpha", "nii_6550", "nii_6585")
]
OF_STAR = {
    "spectra": """
        select spectrum.spectrum_id, obsid, survey, release, coadd, mjd, snr_b, snr_r, teff_k, ew_halpha_a, e_ew_halpha_a,
            ew_mgb_a, n_peaks, n_significant_peaks, bartlett_width_px, be_probability, profile_class, profile_type, shell_type,
            violet_red_ratio, spectrum.is_simulated,
            (select max(be_probability) from be_score join model using (model_id)
                where be_score.spectrum_id = spectrum.spectrum_id and is_current and network = 'resnet18') as be_probability_resnet18,
            (select max(be_probability) from be_score join model using (model_id)
                where be_score.spectrum_id = spectrum.spectrum_id and is_current and network = 'profile') as be_probability_profile
        from spectrum
        left join line_measurement using (spectrum_id)
        left join profile_class using (spectrum_id)
        left join current_score using (spectrum_id)
        where star_id = :star order by mjd""",
    "aliases": "select distinct designation from star_alias where star_id = :star",
    "types": """
        select spectral_type, reference, year, catalogue_id, is_adopted from spectral_type
        where star_id = :star order by is_adopted desc, year desc""",
    "matches": """
        select catalogue_id, object_name, literature_match.object_class, separation_arcsec, reference, bibcode
        from literature_match join literature_catalogue using (catalogue_id)
        where star_id = :star and is_best order by separation_arcsec""",
    "clusters": """
        select cluster, catalogue_id, membership_probability, distance_pc, log_age_yr
        from cluster_match left join cluster using (cluster) where star_id = :star""",
    "verdict": "select * from verdict_step where star_id = :star and rank_in_star = 1 order by test",
    "epochs": EPOCHS,
    "light": LIGHT_CURVES,
    "inspections": "select inspector, is_be, profile_class, comment, inspected_at from inspection where star_id = :star",
}
ONE_OF_STAR = {
    "photometry": "select * from photometry where star_id = :star",
    "reddening": "select * from reddening where star_id = :star",
    "astrometry": "select * from astrometry where star_id = :star",
    "colours": "select q_mag, hk0_mag, kw10_mag from infrared_colour where star_id = :star",
    "diagram": "select bp_rp_mag, abs_g_mag, bp_rp0_mag, abs_g0_mag from colour_magnitude where star_id = :star",
    "change": CHANGE,
    "companion": COMPANION,
    "period": PERIOD,
    "kinematics": """
        select kinematics.*, v_limit_km_s from kinematics join runaway_limit using (kinematic_model)
        where star_id = :star and runaway_limit.is_default""",
}

# What has been loaded at all: where nothing has, nothing is known of any star.
LOADED = """
    select
        exists (select 1 from literature_catalogue where n_rows > 0 and object_class = 'spectral types') as types,
        exists (select 1 from literature_catalogue where n_rows > 0 and object_class not in ('spectral types', 'cluster members',
            'cluster parameters')) as lists,
        exists (select 1 from photometry) as photometry,
        exists (select 1 from astrometry) as astrometry"""


@hookimpl
def register_routes():
    return [
        (r"^/star/(?P<star_id>-?\d{1,19})$", star_page),
        (r"^/star/(?P<name>[^/]+)$", star_of_name),
        (r"^/(?P<kind>saliency|nearest)/(?P<spectrum_id>-?\d{1,19})\.json$", explained),
    ]


async def star_of_name(datasette, request):
    """Goes to the page of the one star of this name, or to those that may be meant."""
    name = unquote(request.url_vars["name"])
    found = await find(snapshot_of(datasette), name)
    if not found:
        raise NotFound(f"There is no star {name}")
    path = f"/star/{found[0]['star_id']}" if len(found) == 1 else f"/search?{urlencode({'q': name})}"
    return Response.redirect(datasette.urls.path(path))


async def star_page(datasette, request):
    """HTML page of one star."""
    database = snapshot_of(datasette)
    star_id = int(request.url_vars["star_id"])
    known = abs(star_id) < 2**63  # what SQLite can hold
    star = await first(database, "select * from star where star_id = :star", {"star": star_id}) if known else None
    if star is None:
        raise NotFound(f"There is no star {star_id}")
    context = {"star": star, "database": database.name, "title": star["designation"] or f"Star {star_id}"}
    for name, sql in OF_STAR.items():
        context[name] = await rows(database, sql, {"star": star_id})
    for name, sql in ONE_OF_STAR.items():
        context[name] = await first(database, sql, {"star": star_id}) or {}
    context["loaded"] = await first(database, LOADED)
    context["profiles"] = await profile_data(database, star_id)
    context |= in_time(context)
    context["decisive"] = next((row for row in context["verdict"] if row["is_verdict"]), None)
    context["outside"] = _outside_links(star, context["spectra"], context["astrometry"])
    context["data"] = _plot_data(context)
    context["can_judge"] = bool(getattr(datasette, "becat_labels", None))
    context["can_explain"] = _explainer(datasette).knows(await scored_by(database))
    return Response.html(await datasette.render_template("star.html", context, request=request))


def _outside_links(star, spectra, astrometry) -> list[tuple[str, str]]:
    position = f"{star['ra_deg']:.6f} {star['dec_deg']:+.6f}"
    links = [
        (
            "SIMBAD",
            "https://simbad.u-strasbg.fr/simbad/sim-coo?"
            + urlencode({"Coord": position, "Radius": "5", "Radius.unit": "arcsec"}),
        ),
        ("VizieR", "https://vizier.cds.unistra.fr/viz-bin/VizieR?" + urlencode({"-c": position, "-c.rs": "5"})),
        ("Aladin", "https://aladin.cds.unistra.fr/AladinLite/?" + urlencode({"target": position, "fov": "0.1"})),
    ]
    if star["is_simulated"]:
        return links  # its place on the sky may be real, its numbers in the archives are not
    source = (astrometry or {}).get("source_id") or star["source_id"]
    if source:
        query = {"-source": "I/350/gaiaedr3", "Source": source}
        links.append(("Gaia EDR3", "https://vizier.cds.unistra.fr/viz-bin/VizieR-3?" + urlencode(query)))
    page = next(filter(None, (_lamost_page(row) for row in spectra)), None)
    return [*links, page] if page else links


def _lamost_page(spectrum) -> tuple[str, str] | None:
    """LAMOST's own page of a coadd, where its release lies; None where the file names no release that is known."""
    if not (spectrum["coadd"] and spectrum["obsid"] and (spectrum["survey"] or "").startswith("LAMOST")):
        return None
    survey = "mrs" if "MRS" in spectrum["survey"] else "lrs"
    try:
        release = releases.find(releases.shipped(), spectrum["release"] or "", survey=survey)
    except BecatError:
        return None
    label = "LAMOST" if release.is_public else "LAMOST (internal release: sign in there)"
    return label, release.spectrum(survey, spectrum["obsid"], "view")


def _explainer(datasette) -> Explainer:
    """Of the server; becat's own where the application runs without one."""
    if not hasattr(datasette, "becat_explainer"):
        datasette.becat_explainer = Explainer()
    return datasette.becat_explainer


async def explained(datasette, request):
    """What the classifier looked at in one published profile, or the training spectra nearest to it, as JSON."""
    spectrum_id = int(request.url_vars["spectrum_id"])
    sql = "select start_a, flux from halpha_profile where spectrum_id = :spectrum"
    known = abs(spectrum_id) < 2**63
    database = snapshot_of(datasette)
    profile = await first(database, sql, {"spectrum": spectrum_id}) if known else None
    if profile is None:
        raise NotFound(f"There is no published profile of spectrum {spectrum_id}")
    try:
        make = getattr(_explainer(datasette), request.url_vars["kind"])
        found = await make(spectrum_id, profile["start_a"], json.loads(profile["flux"]), await scored_by(database))
    except Busy:
        return Response.json({"error": "Others wait already"}, status=503, headers={"retry-after": "3"})
    except ValueError as error:
        return Response.json({"error": str(error)}, status=422)
    return Response.json(found, headers={"cache-control": "max-age=3600"})


async def profile_data(database, star_id: int) -> list[dict]:
    """H-alpha profiles of a star: flux, smoothed flux, and peaks (1) and valleys (-1) as the catalogue counts them."""
    found = await rows(database, PROFILES, {"star": star_id})
    lists = [{name: json.loads(profile[name]) for name in ("flux", "extrema")} for profile in found]
    return [
        {**profile, **read, "smooth": _smoothed(read["flux"], profile["bartlett_width_px"])}
        for profile, read in zip(found, lists, strict=True)
    ]


def _smoothed(flux: list[float | None], width_px: int | None) -> list[float | None]:
    """The profile smoothed as the catalogue smooths it; None where there is no flux, or it was not smoothed."""
    values, good = repair(np.array([flux], float), np.isfinite(np.array([flux], float)))
    smooth = smooth_bartlett(values, np.array([width_px or 0]))[0]
    return [round(float(x), 4) if ok and np.isfinite(x) else None for x, ok in zip(smooth, good[0], strict=True)]


def _plot_data(context: dict) -> dict:
    """What the page's script draws: profiles, epochs, light curves, and where the star lies in the diagrams."""
    return {
        "star_id": context["star"]["star_id"],
        "profiles": context["profiles"],
        "epochs": context["drawn_epochs"],
        "period": context["period"] or None,
        "light": context["light_curves"],
        "colours": context["colours"],
        "diagram": context["diagram"],
        "v_tp_km_s": context["kinematics"].get("v_tp_km_s"),
        "lines": LINES_SHOWN,
    }
