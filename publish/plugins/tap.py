"""Table Access Protocol (TAP 1.1, DALI 1.1, UWS 1.1, VOSI 1.1) on the published tables, at /tap."""

from __future__ import annotations

import asyncio
import math
import re
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from html import escape
from pathlib import Path
from urllib.parse import parse_qsl

from datasette import Response, hookimpl
from datasette.utils.asgi import asgi_send_file

from becat.publish.listening import while_listening
from becat.publish.reading import snapshot_of
from becat.publish.vo.tap import jobs, upload, uws, vosi
from becat.publish.vo.tap.jobs import Busy, Job, Limits, Service, close_service, service
from becat.publish.vo.tap.worker import FORMATS
from becat.publish.vo.votable import votable_error

XML = "text/xml; charset=utf-8"
VOTABLE = "application/x-votable+xml"
OPEN = {"access-control-allow-origin": "*"}  # what is public may be read by pages of other sites
BODY_BYTES_MAX = 200_000
BODY_SECONDS_MAX = 60.0
PARAMETERS_MAX = 50
PARTS_MAX = PARAMETERS_MAX + upload.TABLES_MAX
HEAD_BYTES_MAX = 1_000  # of a part; 500 kB of semicolons take 13 s to read, twice as many four times as long
FORM_WITH_PARTS = "multipart/form-data"
WAIT_SECONDS_MAX = 60
EXAMPLES = Path(jobs.__file__).with_name("examples")
FORMAT_OF = {
    "votable": "votable", "application/x-votable+xml": "votable", "text/xml": "votable", "votable/td": "votable",
    "csv": "csv", "text/csv": "csv", "tsv": "tsv", "text/tab-separated-values": "tsv", "fits": "fits",
    "application/fits": "fits",
}  # fmt: skip
LANGUAGES = ("ADQL", "ADQL-2.0", "ADQL-2.1")


class Mistake(Exception):
    """A request that cannot be understood; the message says why."""


@hookimpl
def register_routes():
    return [
        (r"^/tap/?$", examples),
        (r"^/tap/sync$", sync),
        (r"^/tap/async/?$", async_list),
        (r"^/tap/async/(?P<job>[\w-]+)/?$", async_job),
        (r"^/tap/async/(?P<job>[\w-]+)/(?P<part>[a-z]+)/?$", async_part),
        (r"^/tap/async/(?P<job>[\w-]+)/results/result$", async_result),
        (r"^/tap/capabilities$", capabilities),
        (r"^/tap/availability$", availability),
        (r"^/tap/tables/?$", tables),
        (r"^/tap/tables/(?P<name>[\w.\"]+)$", tables),
        (r"^/tap/examples$", examples),
    ]


@hookimpl
def startup(datasette):
    """Queries that still run when the server ends are ended with it."""
    datasette.becat_at_end.append(close_service)


@hookimpl
def skip_csrf(datasette, scope):
    """Nobody signs in to TAP, so there is no right that a forged request could use."""
    path = "/" + scope["path"].removeprefix(datasette.setting("base_url")).lstrip("/")
    return path.startswith(("/tap/sync", "/tap/async"))


def _address(datasette, request) -> str:
    return datasette.absolute_url(request, datasette.urls.path("/tap"))


def _snapshot(datasette) -> Path:
    return Path(snapshot_of(datasette).path or "")


def _asker(request) -> str:
    return (request.scope.get("client") or [""])[0]


async def _parameters(request) -> dict[str, str]:
    """Parameters of the address and of the body, their names in capitals; the last of a name counts."""
    pairs = parse_qsl(request.query_string, keep_blank_values=True)
    if request.method == "POST":
        try:
            async with asyncio.timeout(BODY_SECONDS_MAX):
                body = await _body(request, BODY_BYTES_MAX)
        except TimeoutError:
            raise Mistake("the request took too long to arrive") from None
        try:
            pairs += _fields(body, request.headers.get("content-type", ""))
        except ValueError as error:
            raise Mistake(str(error)) from error
    return {name.upper(): value for name, value in pairs}


async def _with_uploads(request, work: Service, address: str) -> tuple[dict[str, str], dict[str, bytes]]:
    """Parameters, and the tables that come with them by the name that they have in TAP_UPLOAD; `address` is the service's.

    Few forms with parts are taken at a time, and none for long, so that bodies that are big or never end fill no memory.
    """
    content_type = request.headers.get("content-type", "")
    try:
        if request.method == "POST" and content_type.startswith(FORM_WITH_PARTS):
            async with asyncio.timeout(work.limits.upload_seconds), work.uploading:
                body = await _body(request, BODY_BYTES_MAX + work.limits.upload_bytes)
                parts = await asyncio.to_thread(_parts, body, content_type)
            pairs = parse_qsl(request.query_string, keep_blank_values=True)
        else:
            parts, pairs = [], list((await _parameters(request)).items())
        pairs, wanted = _sorted_parts(pairs, parts)
        tables = {table: _table(place, dict(parts), work, address) for table, place in wanted.items()}
    except TimeoutError:
        raise Busy("the request took too long to arrive, or too many tables are being uploaded; try again") from None
    except ValueError as error:
        raise Mistake(str(error)) from error
    return {name.upper(): value for name, value in pairs}, tables


def _sorted_parts(pairs: list[tuple[str, str]], parts: list[tuple[str, bytes]]) -> tuple[list, dict[str, str]]:
    """Parameters, of the address and of the form, and the places of the tables; ValueError where it makes no sense."""
    said = [content.decode("utf-8", "replace") for name, content in parts if name.upper() == "UPLOAD"]
    said += [value for name, value in pairs if name.upper() == "UPLOAD"]
    words = ";".join(word for word in said if word)  # TOPCAT gives one for each table
    wanted = upload.named(words) if words else {}
    for name, content in parts:
        if f"param:{name}" not in wanted.values():
            if len(content) > BODY_BYTES_MAX:
                raise ValueError(f"the parameter {name[:60]} is longer than {BODY_BYTES_MAX:,} bytes")
            pairs.append((name, content.decode("utf-8", "replace")))
    return [*pairs, ("UPLOAD", words)] if words else pairs, wanted


def _table(place: str, parts: dict[str, bytes], work: Service, address: str) -> bytes:
    """A table that is a part of the request, or the answer of a job of this service: nothing is fetched from elsewhere."""
    if place.startswith("param:"):
        part = place.removeprefix("param:")
        if part not in parts:
            raise ValueError(f"UPLOAD: the request has no part {part[:60]}")
        return parts[part]
    found = re.fullmatch(r"/async/([\w-]+)/results/result", place.removeprefix(address))
    job = work.jobs.get(found[1]) if found else None
    if job is None or job.phase != "COMPLETED" or job.outcome is None:
        raise ValueError(
            "UPLOAD: a table comes with the request (name,param:part) or is the answer of a job of this service;"
            " nothing is fetched from another address"
        )
    if job.outcome.path.stat().st_size > work.limits.upload_bytes:
        raise ValueError(f"UPLOAD: that answer has more than {work.limits.upload_bytes:,} bytes")
    return job.outcome.path.read_bytes()


async def _body(request, bytes_max: int) -> bytes:
    body, more = bytearray(), True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise Mistake("the request was cut off")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > bytes_max:
            raise Mistake(
                f"this request may have at most {bytes_max:,} bytes; ask with a smaller table or a shorter query"
            )
    return bytes(body)


def _fields(body: bytes, content_type: str) -> list[tuple[str, str]]:
    if not content_type.startswith(FORM_WITH_PARTS):
        return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    return [(name, content.decode("utf-8", "replace")) for name, content in _parts(body, content_type)]


def _parts(body: bytes, content_type: str) -> list[tuple[str, bytes]]:
    """Names and contents of the parts of a form; ValueError where they are too many, or the head of one is too long.

    Not by the standard library, which takes the angle brackets around STILTS's boundary for quotes.
    """
    boundary = re.search(r'boundary=(?:"([^"]+)"|([^\s;]+))', content_type)
    if boundary is None:
        return []
    mark = b"\r\n--" + (boundary[1] or boundary[2]).encode("latin-1")
    found = []
    pieces = (b"\r\n" + body).split(mark, PARTS_MAX + 2)[1:]
    if len(pieces) > PARTS_MAX + 1:  # the last is the end
        raise ValueError(f"a form may have at most {PARTS_MAX} parts")
    for piece in pieces:
        if piece.startswith(b"--"):
            break
        head, _, content = piece.partition(b"\r\n\r\n")
        if len(head) > HEAD_BYTES_MAX:
            raise ValueError(f"the head of a part of a form may have at most {HEAD_BYTES_MAX:,} bytes")
        name = message_from_bytes(head.strip()).get_param("name", header="content-disposition")
        if isinstance(name, str):
            found.append((name, content))
    return found


def _question(parameters: dict[str, str], limits: Limits) -> dict:
    """What a worker needs to know of a request; Mistake where the request makes no sense."""
    if parameters.get("REQUEST", "doQuery") != "doQuery":
        raise Mistake(f"REQUEST must be doQuery, not {parameters['REQUEST']}")
    if parameters.get("LANG", "ADQL") not in LANGUAGES:
        raise Mistake(f"LANG must be one of {', '.join(LANGUAGES)}, not {parameters['LANG']}")
    if not parameters.get("QUERY", "").strip():
        raise Mistake("the parameter QUERY is missing: an ADQL query")
    asked = parameters.get("RESPONSEFORMAT") or parameters.get("FORMAT") or "votable"
    name = FORMAT_OF.get(asked.split(";")[0].strip().lower())
    if name is None or "binary" in asked.lower():
        raise Mistake(f"no format {asked} here; there are {', '.join(FORMATS)}")
    return {"adql": parameters["QUERY"], "format": name, "rows_max": _rows(parameters.get("MAXREC"), limits)}


def _rows(asked: str | None, limits: Limits) -> int:
    if asked is None or not asked.strip():
        return limits.rows
    if not asked.strip().isdecimal():
        raise Mistake(f"MAXREC must be a whole number, not {asked}")
    return min(int(asked[:18]), limits.rows_max)


def _wrong(message: str, status: int = 400) -> Response:
    headers = OPEN | ({"retry-after": "30"} if status == 503 else {})
    return Response(votable_error(message), status=status, content_type=VOTABLE, headers=headers)


def _text(text: str) -> Response:
    return Response.text(text, headers=OPEN)


def _xml(text: str, status: int = 200) -> Response:
    return Response(text, content_type=XML, status=status, headers=OPEN)


def _go(address: str) -> Response:
    return Response.redirect(address, status=303, headers=dict(OPEN))


async def sync(datasette, request, send):
    """A query answered at once."""
    work = service()
    try:
        parameters, tables = await _with_uploads(request, work, _address(datasette, request))
        question = _question(parameters, work.limits)
        answering = _answer_at_once(work, _snapshot(datasette), question, _asker(request), tables, send)
        return await while_listening(answering, request.receive)
    except Mistake as error:
        return _wrong(str(error))
    except Busy as error:
        return _wrong(str(error), 503)


async def _answer_at_once(work: Service, snapshot: Path, question: dict, address: str, tables: dict, send):
    async with work.answered(snapshot, question, address, tables) as outcome:
        if outcome.error:
            return _wrong(outcome.error)
        async with asyncio.timeout(work.limits.send_seconds):
            return await _send(send, outcome.path, outcome.content_type)


async def _send(send, path: Path, content_type: str) -> None:
    await asgi_send_file(send, str(path), content_type=content_type, chunk_size=1 << 18, headers=dict(OPEN))


async def async_list(datasette, request):
    """All jobs (nobody sees another's), and a new one for who posts."""
    if request.method != "POST":
        return _xml(uws.job_list())
    work = service()
    try:
        parameters, tables = await _with_uploads(request, work, _address(datasette, request))
        kept = {name: value for name, value in parameters.items() if name != "PHASE"}
        job = work.create(kept, _asker(request), tables)
        if parameters.get("PHASE") == "RUN":
            _start(work, job, datasette)
    except Mistake as error:
        return _wrong(str(error))
    except Busy as error:
        return _wrong(str(error), 503)
    return _go(f"{_address(datasette, request)}/async/{job.identity}")


def _start(work: Service, job: Job, datasette) -> None:
    try:
        work.start(job, _snapshot(datasette), _question(job.parameters, work.limits))
    except Mistake as error:
        work.fail(job, str(error))


def _job(request) -> Job | None:
    work = service()
    work.sweep()
    return work.jobs.get(request.url_vars["job"])


def _no_job(request) -> Response:
    return Response.text(f"There is no job {request.url_vars['job']}.", status=404)


async def async_job(datasette, request):
    """One job: GET shows it, DELETE or ACTION=DELETE removes it."""
    job = _job(request)
    if job is None:
        return _no_job(request)
    address = _address(datasette, request)
    try:
        parameters = await _parameters(request)
    except Mistake as error:
        return _wrong(str(error))
    if request.method == "DELETE" or (request.method == "POST" and parameters.get("ACTION") == "DELETE"):
        service().destroy(job)
        return _go(f"{address}/async")
    if request.method == "POST":
        return _change(job, "parameters", parameters, datasette) or _go(f"{address}/async/{job.identity}")
    await _wait(job, parameters)
    return _xml(uws.job_document(job, f"{address}/async/{job.identity}"))


async def _wait(job: Job, parameters: dict[str, str]) -> None:
    """WAIT=seconds: answer when the phase has changed, or then (UWS 1.1); only a job that will change is waited for."""
    try:
        seconds = float(parameters.get("WAIT", "0"))
    except ValueError:
        return
    if math.isnan(seconds) or parameters.get("PHASE", job.phase) != job.phase:
        return
    seconds = WAIT_SECONDS_MAX if seconds < 0 else min(seconds, WAIT_SECONDS_MAX)
    before, until = job.phase, datetime.now(UTC) + timedelta(seconds=seconds)
    while job.phase == before and job.phase in ("QUEUED", "EXECUTING") and datetime.now(UTC) < until:
        await asyncio.sleep(0.1)


async def async_part(datasette, request):
    """One property of a job; a post changes it."""
    job, part = _job(request), request.url_vars["part"]
    if job is None:
        return _no_job(request)
    address = f"{_address(datasette, request)}/async/{job.identity}"
    if request.method == "POST":
        try:
            wrong = _change(job, part, await _parameters(request), datasette)
        except Mistake as error:
            return _wrong(str(error))
        return wrong or _go(address)
    shown = {
        "phase": lambda: _text(job.phase),
        "executionduration": lambda: _text(str(job.duration_s)),
        "destruction": lambda: _text(uws.timestamp(job.destruction)),
        "quote": lambda: _text(""),
        "owner": lambda: _text(""),
        "parameters": lambda: _xml(uws.parameters_document(job)),
        "results": lambda: _xml(uws.results_document(job, address)),
        "error": lambda: _error(job),
    }
    return shown[part]() if part in shown else Response.text("There is no such part of a job.", status=404)


def _error(job: Job) -> Response:
    if job.outcome is None or not job.outcome.error:
        return Response.text("The job has no error.", status=404)
    return Response(votable_error(job.outcome.error), content_type=VOTABLE, headers=OPEN)


def _change(job: Job, part: str, parameters: dict[str, str], datasette) -> Response | None:
    """Do what a post to a job asks for; the answer where it cannot be done."""
    work = service()
    if part == "phase":
        if parameters.get("PHASE") == "RUN":
            _start(work, job, datasette)
        elif parameters.get("PHASE") == "ABORT":
            work.abort(job)
        else:
            return _wrong("PHASE must be RUN or ABORT")
    elif part == "destruction":
        return _set_destruction(job, parameters.get("DESTRUCTION", ""), work.limits)
    elif part == "executionduration":
        return _set_duration(job, parameters.get("EXECUTIONDURATION", ""), work.limits)
    elif part == "parameters":
        if job.phase != "PENDING":
            return _wrong("the parameters of a job that has been started cannot be changed", 403)
        if "UPLOAD" in parameters:
            return _wrong("tables are uploaded with the request that makes the job")
        said = job.parameters | {name: value for name, value in parameters.items() if name != "PHASE"}
        if len(said) > PARAMETERS_MAX or sum(map(len, said.values())) > BODY_BYTES_MAX:
            return _wrong(f"the parameters of a job may have {BODY_BYTES_MAX:,} letters, and be {PARAMETERS_MAX}")
        job.parameters = said
        if parameters.get("PHASE") == "RUN":
            _start(work, job, datasette)
    else:
        return _wrong(f"{part} cannot be changed", 403)
    return None


def _set_destruction(job: Job, asked: str, limits: Limits) -> Response | None:
    try:
        moment = uws.parse_time(asked)
    except ValueError:
        return _wrong("DESTRUCTION must be a time such as 2026-01-31T12:00:00Z")
    job.destruction = min(moment, job.created + timedelta(hours=limits.kept_hours_max))
    return None


def _set_duration(job: Job, asked: str, limits: Limits) -> Response | None:
    if not asked.isdecimal():
        return _wrong("EXECUTIONDURATION must be a whole number of seconds")
    if job.phase == "PENDING":
        job.duration_s = min(int(asked[:9]) or limits.async_seconds_max, limits.async_seconds_max)
    return None


async def async_result(datasette, request, send):
    """The answer of a job."""
    job = _job(request)
    if job is None or job.phase != "COMPLETED" or job.outcome is None:
        return Response.text("There is no such result, or it is not ready yet.", status=404)
    return await _send(send, job.outcome.path, job.outcome.content_type)


async def capabilities(datasette, request):
    """What the service can do."""
    return _xml(vosi.capabilities(_address(datasette, request), service().limits))


async def availability():
    """That the service is up."""
    return _xml(vosi.availability())


async def tables(datasette, request):
    """The tables and their columns."""
    tap_schema = await service().tap_schema(_snapshot(datasette))
    with_columns = request.args.get("detail") != "min"
    text = await asyncio.to_thread(vosi.tables, tap_schema, request.url_vars.get("name"), with_columns=with_columns)
    return Response.text("There is no such table.", status=404) if text is None else _xml(text)


async def examples(datasette, request):
    """Questions of the paper in ADQL, as a page that TOPCAT reads too (DALI examples)."""
    parts = []
    for path in sorted(EXAMPLES.glob("*.adql")):
        lines = path.read_text(encoding="utf-8").splitlines()
        title, description = (line.removeprefix("-- ") for line in lines[:2])
        name, query = path.stem[3:], "\n".join(lines[2:])
        parts.append(
            f'<div typeof="example" id="{name}" resource="#{name}"><h2 property="name">{escape(title)}</h2>\n'
            f'<p>{escape(description)}</p>\n<pre property="query">{escape(query)}</pre></div>\n'
        )
    address = escape(_address(datasette, request))
    page = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<html xmlns="http://www.w3.org/1999/xhtml" lang="en"><head>'
        f'<title>Queries in ADQL</title><link rel="stylesheet" href="{datasette.urls.path("/assets/becat.css")}"/></head>\n'
        f'<body><main vocab="http://www.ivoa.net/rdf/examples#"><h1>Queries in ADQL</h1>\n'
        f"<p>The Table Access Protocol answers at <code>{address}</code>: give this address to TOPCAT, Aladin, STILTS or pyvo."
        f' <a href="{datasette.urls.instance()}">To the site</a></p>\n{"".join(parts)}</main></body></html>\n'
    )
    return Response(page, content_type="application/xhtml+xml; charset=utf-8", headers=OPEN)
