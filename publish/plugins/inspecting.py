"""Judging candidates by eye, for people who have signed in: /inspect."""

from __future__ import annotations

import asyncio
import math
import re
import secrets
from pathlib import Path

import datasette.actor_auth_cookie
from datasette import NotFound, Response, hookimpl
from datasette.plugins import pm
from itsdangerous import BadSignature

from becat.publish import inspection
from becat.publish.fair_queue import Busy, FairQueue
from becat.publish.plugins.star import LINES_SHOWN, profile_data
from becat.publish.reading import first, rows, snapshot_of
from becat.publish.slowdown import slowdown_of

# First the stars of which one classifier says Be and the other does not, then the candidates that the rules could not place, then
# the others, each in a scrambled, fixed order.
QUEUE = """
    select star_id from (
        select star_id, 0 as turn from classifier_disagreement where star_id is not null
        union all
        select star_id, case when coalesce(profile_class, 'unclassified') = 'unclassified' then 1 else 2 end from be_candidate
    )
    group by star_id order by min(turn), (star_id * 2654435761) % 4294967296"""
STAR = """
    select star.star_id, star.designation, coalesce(be_candidate.spectrum_id, doubtful.spectrum_id) as spectrum_id,
        be_probability, doubtful.be_probability_resnet18, doubtful.be_probability_profile, profile_class, shell_type, ew_halpha_a
    from star
    left join be_candidate using (star_id)
    left join (select * from classifier_disagreement where star_id = :star order by difference desc limit 1) as doubtful using (star_id)
    where star.star_id = :star"""
OF_THE_STAR = "select 1 from spectrum where spectrum_id = :spectrum and star_id = :star"
WRONG_PASSWORD_S = 1.0
STALE = "This form did not come from this site, or it is too old: reload the page and send it again."
HASHING_AT_ONCE = 1  # a password takes 50 ms of a processor and 16 MB
PATIENCE_S = 15.0
SESSION, DEVICE = "becat_session", "becat_device"
DEVICE_S = 365 * 86_400
# Datasette's own cookie holds a name that is signed and no more: nothing could end it.
if pm.is_registered(datasette.actor_auth_cookie):
    pm.unregister(datasette.actor_auth_cookie)
WORDS = {"be": True, "not": False, "undecided": None}


@hookimpl
def register_routes():
    return [
        (r"^/inspect$", inspect_page),
        (r"^/inspect/sign-in$", sign_in),
        (r"^/inspect/sign-out$", sign_out),
        (r"^/inspect/judge$", judge),
    ]


@hookimpl
def actor_from_request(datasette, request):
    """Who has signed in, for as long as the file of people says so."""
    labels, token = getattr(datasette, "becat_labels", None), request.cookies.get(SESSION, "")
    if labels is None or len(token) != 43:
        return None

    async def known():
        name = await asyncio.to_thread(inspection.who, labels, token)
        return {"id": name} if name else None

    return known


async def _form_of(request) -> dict[str, str]:
    """What was posted; it must hold the token of a page that this visitor has from here, also where there is no cookie yet."""
    form = await request.post_vars()
    if not secrets.compare_digest(form.get("csrftoken", "").encode(), request.scope["csrftoken"]().encode()):
        raise Forged
    return form


class Forged(Exception):
    """The form is not one that this visitor got from here."""


def _labels(datasette):
    path = getattr(datasette, "becat_labels", None)
    if path is None:
        raise NotFound("Judging by eye is not enabled here: start `becat serve` with --labels FILE")
    return path


async def inspect_page(datasette, request):
    """The next candidate that this person has not judged, or the sign-in form."""
    labels = _labels(datasette)
    if not request.actor:
        return await _form(datasette, request)
    database, who = snapshot_of(datasette), request.actor["id"]
    queue = [row["star_id"] for row in await rows(database, QUEUE)]
    done = await asyncio.to_thread(inspection.judged_by, labels, who)
    asked = request.args.get("star") or ""
    star_id = (
        int(asked)
        if asked.removeprefix("-").isdecimal() and len(asked) < 19
        else next((s for s in queue if s not in done), None)
    )
    star = await first(database, STAR, {"star": star_id}) if star_id is not None else None
    context = {
        "star": star,
        "who": who,
        "n_done": len(done & set(queue)),
        "n_all": len(queue),
        "classes": inspection.CLASSES,
        "is_blind": request.args.get("blind") != "0",
        "last": await asyncio.to_thread(inspection.last_judged, labels, who),
        "agreement": await asyncio.to_thread(inspection.agreement, labels),
        "data": {"star_id": star_id, "profiles": await profile_data(database, star["star_id"]), "lines": LINES_SHOWN}
        if star
        else None,
    }
    return Response.html(await datasette.render_template("inspect.html", context, request=request))


async def sign_in(datasette, request):
    """Check name and password and let the person in."""
    labels = _labels(datasette)
    if request.method != "POST":
        return await _form(datasette, request)
    try:
        form = await _form_of(request)
    except Forged:
        return await _form(datasette, request, STALE, 403)
    name, password = (form.get("name") or "").strip(), form.get("password") or ""
    address, device = (request.scope.get("client") or ("unknown",))[0], _device(datasette, request, name)
    tries = slowdown_of(Path(labels).absolute())
    wait = math.ceil(tries.begin(name, address, device))
    if wait:
        said = f"Too many wrong passwords for this name or from this address: try again in {wait} s."
        return await _form(datasette, request, said, 429, {"retry-after": str(wait)})
    try:
        async with _hashing(datasette).turn(address, PATIENCE_S):
            is_known = await asyncio.to_thread(inspection.is_inspector, labels, name, password)
    except Busy:
        return await _form(
            datasette, request, "Too many people are signing in: try again in a moment.", 503, {"retry-after": "15"}
        )
    if not is_known:
        await asyncio.sleep(WRONG_PASSWORD_S)
        return await _form(datasette, request, "Name and password do not match.", 403)
    tries.succeeded(name, address, device)
    response = Response.redirect(datasette.urls.path("/inspect"))
    kept = {"httponly": True, "samesite": "lax", "secure": request.scheme == "https"}
    token = await asyncio.to_thread(inspection.open_session, labels, name)
    response.set_cookie(SESSION, token, max_age=inspection.SESSION_S, **kept)
    mark = datasette.sign([name, device or secrets.token_urlsafe(16)], "device")
    response.set_cookie(DEVICE, mark, max_age=DEVICE_S, **kept)
    return response


def _hashing(datasette) -> FairQueue:
    if not hasattr(datasette, "becat_hashing"):
        datasette.becat_hashing = FairQueue(HASHING_AT_ONCE)
    return datasette.becat_hashing


def _device(datasette, request, name: str) -> str:
    """Which device this is, where a person of this name has signed in with it before; otherwise empty."""
    try:
        whose, device = datasette.unsign(request.cookies.get(DEVICE, ""), "device")
    except (BadSignature, ValueError, TypeError):
        return ""
    return device if whose == name else ""


async def sign_out(datasette, request):
    """Forget the person."""
    labels = _labels(datasette)
    if request.method != "POST":
        raise NotFound("Sign out with the button")
    try:
        await _form_of(request)
    except Forged:
        return await _form(datasette, request, STALE, 403)
    await asyncio.to_thread(inspection.end_session, labels, request.cookies.get(SESSION, ""))
    response = Response.redirect(datasette.urls.path("/inspect"))
    response.set_cookie(SESSION, "", expires=0, max_age=0)
    return response


async def judge(datasette, request):
    """Write one judgement and go on to the next star."""
    labels = _labels(datasette)
    if request.method != "POST":
        raise NotFound("Judge with the form")
    if not request.actor:
        return await _form(datasette, request, "Please sign in first.", 403)
    try:
        form = await _form_of(request)
    except Forged:
        return await _form(datasette, request, STALE, 403)
    try:
        star_id, spectrum, shell = (_number(form, name) for name in ("star_id", "spectrum_id", "shell_type"))
        if star_id is None or form.get("verdict") not in WORDS:
            raise ValueError("it names no star, or no verdict")
        numbers = {"star": star_id, "spectrum": spectrum}
        if await first(snapshot_of(datasette), "select 1 from star where star_id = :star", numbers) is None:
            raise ValueError(f"there is no star {star_id}")
        if spectrum is not None and await first(snapshot_of(datasette), OF_THE_STAR, numbers) is None:
            raise ValueError(f"star {star_id} has no spectrum {spectrum}")
        await asyncio.to_thread(
            inspection.judge, labels, request.actor["id"], star_id, WORDS[form["verdict"]],
            spectrum_id=spectrum, profile_class=form.get("profile_class") or None, shell_type=shell,
            comment=(form.get("comment") or "").strip(),
        )  # fmt: skip
    except ValueError as error:
        return await _form(datasette, request, f"This judgement cannot be stored: {error}", 400)
    blind = "" if form.get("blind", "1") == "1" else "?blind=0"
    return Response.redirect(datasette.urls.path("/inspect") + blind)


def _number(form: dict[str, str], name: str) -> int | None:
    """A whole number of a form, None where it is empty; ValueError where it is none that SQLite can hold."""
    word = form.get(name) or ""
    if not re.fullmatch(r"(-?[0-9]{1,19})?", word) or abs(int(word or 0)) >= 2**63:
        raise ValueError(f"{name} must be a whole number, not {word[:30]}")
    return int(word) if word else None


async def _form(datasette, request, message: str = "", status: int = 200, headers: dict | None = None) -> Response:
    html = await datasette.render_template("sign_in.html", {"message": message}, request=request)
    return Response.html(html, status=status, headers=headers)
