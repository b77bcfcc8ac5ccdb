"""README and docs stay true: commands exist, links lead somewhere, SQL runs, and the house's own rules hold."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from becat.cli import becat
from becat.etl.catalogue.connection import open_catalogue
from becat.publish import inspection, saliency, site, slowdown
from becat.publish.plugins import headers, vo_formats
from tests.tools import doc_pages
from tests.tools.pipeline_tools import new_catalogue

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "models/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
NOT_RUN = [path for path in sorted((ROOT / "docs" / "howto").glob("*.md")) if path not in doc_pages.PAGES]


@pytest.mark.parametrize("name", list(becat.commands))
def test_every_command_has_help_with_an_example(name):
    done = CliRunner().invoke(becat, [name, "--help"])
    assert done.exit_code == 0 and re.search(rf"Examples?.*\n(.*\n)*?.*becat {name}", done.output)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_in_the_docs_exist(page):
    blocks = re.findall(r"```(?:sh|console|bash)\n(.*?)```", page.read_text(), re.DOTALL)
    for call in re.findall(r"(?:^|[\s/])becat ([a-z][a-z-]*)([^\n|&;#]*)", "\n".join(blocks)):
        name, words = call
        assert name in becat.commands, f"{page.name}: becat {name}"
        command = becat.commands[name]
        if isinstance(command, click.Group) and words.strip():
            command = command.commands[words.split()[0]]
        options = [p for p in command.params if isinstance(p, click.Option)]
        known = {option for p in options for option in (*p.opts, *p.secondary_opts)}
        for option in re.findall(r"(?<=\s)(--?[a-z][a-z-]*)", words):
            assert option in known | {"--help"}, f"{page.name}: becat {name} {option}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_sql_of_the_readme_runs(tmp_path):
    blocks = re.findall(r"```sql\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks
    with open_catalogue(new_catalogue(tmp_path / "c.duckdb")) as connection:
        for statement in re.sub(r"--[^\n]*", "", "\n".join(blocks)).split(";"):
            if statement.strip():
                connection.execute(statement)


def test_sql_of_the_pages_that_are_not_run_is_valid(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with open_catalogue(new_catalogue(tmp_path / "c.duckdb")) as connection:
        shutil.copy(tmp_path / "c.duckdb", "dr7.duckdb")  # which a page attaches
        for page in NOT_RUN:
            for sql in re.findall(r"```sql\n(.*?)```", page.read_text(), re.DOTALL):
                connection.execute(sql)


def test_the_tutorial_and_its_pages_run_and_print_what_they_say(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    doc_pages.copy_files(tmp_path)
    for page in doc_pages.PAGES:
        steps = doc_pages.run_page(page.read_text())[1]
        assert len(steps) >= 4, page
        for step in steps:
            # Another version finds other stars: the columns of a query stay, and what a command says at its end.
            said, printed = (doc_pages.outline(step.asked, text) for text in (step.said, step.printed))
            assert said == printed, f"{page.name}: {step.asked}: mend it, or run python -m tests.tools.doc_pages"


def test_figures_of_the_page_on_security_are_those_of_the_code():
    page = " ".join((ROOT / "docs" / "security.md").read_text().split())
    for words in (
        f"{site.SETTINGS['sql_time_limit_ms']:,} ms and {site.SETTINGS['max_returned_rows']:,} rows a query",
        f"{vo_formats.ROWS_MAX:,} rows, {vo_formats.TIME_LIMIT_MS // 1000} s",
        f"one picture at a time, {saliency.WAITING_MAX} may wait, {saliency.KEPT_MAX:,} are kept",
        f"After {slowdown.FREE_TRIES['account']} of them for one account, or {slowdown.FREE_TRIES['address']} from one",
        f"at most {slowdown.LONGEST_WAIT_S['account']:.0f} s for an account",
        f"at most {slowdown.LONGEST_WAIT_S['address']:.0f} s for an address",
        f"At most {slowdown.KEPT_MAX:,} accounts and addresses are remembered",
        f"(n = {inspection.SCRYPT['n']:,}, r = {inspection.SCRYPT['r']})",
        headers.HEADERS["content-security-policy"],
    ):
        assert words in page, words


def test_ci_runs_the_test_command_of_the_readme():
    script = (ROOT / ".ci" / "run").read_text()
    marker = re.search(r"sed -n '/(.*?)/", script)
    assert marker and marker[1] in (ROOT / "README.md").read_text()


def tracked(*patterns):
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_no_path_of_a_machine_and_no_download_address():
    for path in tracked("*.py", "*.md", "*.toml", "*.txt", "*.sql", "*.sh", ".ci/run"):
        text = path.read_text(encoding="utf-8", errors="replace")
        if path != Path(__file__):
            assert not re.search(r"(?<![\w.])/(?:work|root|opt|home)/\w", text), path
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9._-]+==[\w.!+-]+", line), line


def test_every_dependency_has_its_reason():
    text = (ROOT / "pyproject.toml").read_text()
    listed = re.findall(
        r'^    "[A-Za-z0-9_.-]+(?:\[\w+\])?[^"\n]*",(.*)$', text[: text.index("[project.scripts]")], re.MULTILINE
    )
    assert len(listed) > 20 and all("#" in reason for reason in listed)
