"""Where a snapshot comes from: program, run, classifier, and the works to cite, as tables of the snapshot itself."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from becat.publish.snapshot.address import address_of
from becat.schema.digest import schema_digest
from becat.schema.version import becat_version

__all__ = ["citations", "facts", "state", "state_of", "write"]

SOURCES = Path(__file__).with_name("sources.bib")


def citations() -> Iterator[tuple[str, str, str, str, str]]:
    """Key, what it is cited for, title, DOI and BibTeX entry of each work in ``sources.bib``."""
    for entry in re.findall(r"^@\w+\{.*?^\}", SOURCES.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE):
        key = re.match(r"@\w+\{(\w+),", entry)
        fields = dict(re.findall(r"(\w+)\s*=\s*\{((?:[^{}]|\{[^{}]*\})*)\}", entry))
        yield key.group(1) if key else "", fields.get("note", ""), fields["title"], fields["doi"], entry


def write(source, target: sqlite3.Connection) -> None:
    """Write the tables ``provenance`` and ``citation``.

    Parameters
    ----------
    source : DuckDB connection
        The catalogue.
    target : sqlite3.Connection
        The snapshot.
    """
    target.execute("create table provenance (name text primary key, value text, description text)")
    target.executemany("insert into provenance values (?, ?, ?)", facts(source))
    target.execute("create table citation (key text primary key, used_for text, title text, doi text, bibtex text)")
    target.executemany("insert into citation values (?, ?, ?, ?, ?)", citations())


def state(source) -> str:
    """Digest of what a snapshot depends on: runs, thresholds, constants and the program that publishes."""
    questions = (
        "select count(*), max(run_id), max(ended_at) from etl_run",
        "select name, value from selection_parameter order by 1",
        "select * from kinematic_model order by 1",
        "select * from literature_catalogue order by 1",
        "select count(*) from inspection",
    )
    facts = [source.execute(sql).fetchall() for sql in questions]
    return hashlib.sha256(repr((becat_version(), schema_digest(), facts)).encode()).hexdigest()


def state_of(snapshot: Path) -> str:
    """The `state` of the catalogue from which a snapshot was made; empty where that cannot be told."""
    try:
        with closing(sqlite3.connect(address_of(snapshot), uri=True)) as connection:
            row = connection.execute("select value from provenance where name = 'catalogue_state'").fetchone()
    except sqlite3.Error:
        return ""
    return row[0] if row else ""


def facts(source) -> list[tuple[str, str | None, str]]:
    """Name, value and description of what made a catalogue's snapshot or report: program, run, classifier, thresholds."""
    run = source.execute(
        "select run_id, command, coalesce(ended_at, started_at), becat_version from etl_run order by run_id desc limit 1"
    ).fetchone()
    model = source.execute("select model_id, name, precision from model join current_model using (model_id)").fetchone()
    changed = source.execute("select count(*) from selection_parameter where value <> default_value").fetchone()[0]
    missing = source.execute(
        "select count(*) from spectrum where file in (select file from input_file where status = 'missing')"
    ).fetchone()[0]
    simulated = source.execute("select count(*) from spectrum where is_simulated").fetchone()[0]
    facts: list[tuple[str, str | None, str]] = [
        ("becat_version", becat_version(), "Version of becat that made this"),
        ("published_at", datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"), "When this was made (UTC)"),
        ("catalogue_state", state(source), "Digest of the catalogue that this was made from"),
        ("thresholds_changed", str(changed), "Thresholds that differ from those shipped: see selection_parameter"),
        ("simulated_spectra", str(simulated), "Spectra here that were simulated; they are marked is_simulated"),
        ("missing_files_spectra", str(missing), "Spectra here whose files were not there any more at the last run"),
    ]
    if run:
        facts += [
            ("run_id", str(run[0]), "Last run of becat that wrote to the catalogue"),
            ("run_command", run[1], "What that run did"),
            ("run_at", f"{run[2]:%Y-%m-%d %H:%M:%S}", "When that run ended (UTC)"),
        ]
    if model:
        facts.append(("model", f"{model[1]} ({model[2]}, id {model[0]})", "Classifier whose scores the views use"))
    return facts
