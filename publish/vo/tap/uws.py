"""Jobs in the XML of the Universal Worker Service 1.1."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.sax.saxutils import escape, quoteattr

from becat.publish.vo.tap.jobs import Job

__all__ = ["job_document", "job_list", "parameters_document", "parse_time", "results_document", "timestamp"]

NAMESPACES = (
    'xmlns:uws="http://www.ivoa.net/xml/UWS/v1.0" xmlns:xlink="http://www.w3.org/1999/xlink"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
)
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


def timestamp(moment: datetime | None) -> str:
    """A moment as UWS writes it, in UTC; empty for None."""
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    """A moment as UWS writes it; ValueError where it is none."""
    found = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def job_list() -> str:
    """Nobody signs in to this service, so nobody owns a job: each is known only to who has its address."""
    return f'{HEAD}<uws:jobs {NAMESPACES} version="1.1"></uws:jobs>\n'


def job_document(job: Job, address: str) -> str:
    """Everything about one job; `address` is its own."""
    error = job.outcome.error if job.outcome else ""
    summary = (
        f'<uws:errorSummary type="fatal" hasDetail="true"><uws:message>{_text(error)}</uws:message></uws:errorSummary>\n'
        if error
        else ""
    )
    run = f"<uws:runId>{_text(job.parameters['RUNID'])}</uws:runId>\n" if "RUNID" in job.parameters else ""
    return (
        f'{HEAD}<uws:job {NAMESPACES} version="1.1">\n<uws:jobId>{_text(job.identity)}</uws:jobId>\n{run}'
        f'<uws:ownerId xsi:nil="true"/>\n<uws:phase>{job.phase}</uws:phase>\n<uws:quote xsi:nil="true"/>\n'
        f"<uws:creationTime>{timestamp(job.created)}</uws:creationTime>\n"
        f"{_moment('startTime', job.started)}{_moment('endTime', job.ended)}"
        f"<uws:executionDuration>{job.duration_s}</uws:executionDuration>\n"
        f"<uws:destruction>{timestamp(job.destruction)}</uws:destruction>\n"
        f"{_parameters(job)}{_results(job, address)}{summary}</uws:job>\n"
    )


def parameters_document(job: Job) -> str:
    """The parameters of a job."""
    return HEAD + _parameters(job).replace("<uws:parameters>", f"<uws:parameters {NAMESPACES}>", 1)


def results_document(job: Job, address: str) -> str:
    """The answers of a job."""
    return HEAD + _results(job, address).replace("<uws:results>", f"<uws:results {NAMESPACES}>", 1)


def _moment(name: str, moment: datetime | None) -> str:
    if moment is None:
        return f'<uws:{name} xsi:nil="true"/>\n'
    return f"<uws:{name}>{timestamp(moment)}</uws:{name}>\n"


def _parameters(job: Job) -> str:
    inner = "".join(
        f"<uws:parameter id={quoteattr(_clean(name))}>{_text(value)}</uws:parameter>\n"
        for name, value in job.parameters.items()
    )
    return f"<uws:parameters>\n{inner}</uws:parameters>\n"


def _results(job: Job, address: str) -> str:
    if job.phase != "COMPLETED" or job.outcome is None:
        return "<uws:results></uws:results>\n"
    href = quoteattr(f"{address}/results/result")
    mime = quoteattr(job.outcome.content_type)
    return f'<uws:results>\n<uws:result id="result" xlink:type="simple" xlink:href={href} mime-type={mime}/>\n</uws:results>\n'


def _text(text: str) -> str:
    return escape(_clean(text))


def _clean(text: str) -> str:
    return "".join(letter for letter in text if letter >= " " or letter in "\t\n\r")
