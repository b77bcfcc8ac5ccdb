"""README and docs stay true: commands exist, links lead somewhere, SQL runs, and the house's own rules hold."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from etl.catalogue import open_catalogue
from etl.cli import becat
from tests.pipeline_tools import new_catalogue

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "models" / "README.md"]


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
        known = {option for p in becat.commands[name].params if isinstance(p, click.Option) for option in p.opts}
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
