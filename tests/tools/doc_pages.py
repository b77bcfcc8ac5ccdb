"""Pages of the documentation that are run: their commands, queries and files, and the output that stands below them.

A page is run from its top. A block ``console`` holds commands after ``$`` and what they print; a block ``sql`` is asked of
`catalog.duckdb`, and the block ``text`` below it is the answer; a block ``toml`` or ``csv`` is written to the file that is
named in the line above it; a block ``python`` is executed, with the names of those before it, and the block ``text`` below it is
what it prints, and the value of its last line. What a command says on its error stream (progress) is not shown. Lines of dots stand
for what was left out.

``python -m tests.tools.doc_pages`` runs the pages in an empty directory and writes what they print into them.
"""

from __future__ import annotations

import ast
import contextlib
import io
import re
import shlex
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import duckdb

from becat import cli

__all__ = ["PAGES", "Step", "copy_files", "outline", "run_page"]

DOCS = Path(__file__).resolve().parents[2] / "docs"
# In this order, one after the other in the same directory.
PAGES = [
    DOCS / "tutorial.md",
    DOCS / "howto" / "own_spectra.md",
    DOCS / "howto" / "own_catalogue.md",
    DOCS / "python.md",
]
BLOCK = re.compile(r"^```(console|sql|python|text|toml|csv)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"`([\w./-]+\.(?:toml|csv))`[^\n]*:\n\n\Z")
SHOWN_LINES = 24


@dataclass(frozen=True)
class Step:
    """A command or query, what the page says that it prints, and what it printed."""

    asked: str
    said: str
    printed: str


def run_page(text: str) -> tuple[str, list[Step]]:
    """Run a page in the current directory; return it with the output renewed, and its steps."""
    steps: list[Step] = []
    asked, answer = "", ""
    names: dict = {}

    def renew(block: re.Match) -> str:
        nonlocal asked, answer
        kind, body = block.groups()
        if kind in ("toml", "csv"):
            named = FILE.search(text[: block.start()])
            if named:
                Path(named[1]).write_text(body)
        elif kind == "console":
            body = _console(body, steps)
        elif kind == "python":
            asked, answer = "python", _short(_execute(body, names))
        elif kind == "sql":
            asked, answer = "query", _query(body)
        elif answer:
            steps.append(Step(asked, body, answer))
            body, answer = answer, ""
        return f"```{kind}\n{body}```"

    return BLOCK.sub(renew, text), steps


def _console(body: str, steps: list[Step]) -> str:
    parts = re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]
    renewed = []
    for part in parts:
        command, _, said = part.partition("\n")
        while command.endswith("\\"):
            more, _, said = said.partition("\n")
            command += "\n" + more
        printed = _short(_run(command.replace("\\\n", " ")))
        steps.append(Step(command, said, printed))
        renewed.append(f"$ {command}\n{printed}")
    return "".join(renewed)


def _run(command: str) -> str:
    words = shlex.split(command)
    if words[0] == "cat":
        return Path(words[1]).read_text()
    if words[0] == "cp":
        shutil.copy(words[1], words[2])
        return ""
    assert words[0] == "becat", command
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        cli.becat.main(words[1:], prog_name="becat", standalone_mode=False)
    return printed.getvalue()


def _execute(body: str, names: dict) -> str:
    """What a block of Python prints, and the value of its last line, as a notebook shows it."""
    tree = ast.parse(body)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "page", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "page", "eval"), names)
            if value is not None:
                print(value)
    return printed.getvalue()


def _query(sql: str) -> str:
    """Rows as columns of text; the last statement answers."""
    with duckdb.connect("catalog.duckdb") as connection:
        connection.execute(sql)
        found = connection.fetchall()
        rows = [[column[0] for column in connection.description or []], *([_cell(v) for v in row] for row in found)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    numeric = [all(re.fullmatch(r"[-+.\de]+|–", row[k]) for row in rows[1:]) for k in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.rjust(w) if right else cell.ljust(w) for cell, w, right in zip(row, widths, numeric, strict=True)
        )
        for row in rows
    ]
    return "".join(line.rstrip() + "\n" for line in lines)


def _cell(value) -> str:
    if value is None:
        return "–"
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _short(printed: str) -> str:
    lines = [re.sub(r"(?<!\S)/\S+/(?=[^/\s])", "…/", line.rstrip()) for line in printed.strip("\n").splitlines()]
    if len(lines) > SHOWN_LINES:
        lines = [*lines[: SHOWN_LINES - 4], "…", *lines[-3:]]
    return "".join(line + "\n" for line in lines)


def outline(asked: str, printed: str) -> list[str]:
    """What stays the same in another version: the columns of a query, the first words of a command's last line."""
    lines = printed.strip().splitlines()
    if not lines:
        return []
    return lines[0].split() if asked == "query" else re.sub(r"[\d.,+-]+", "", lines[-1]).split()[:3]


def copy_files(directory: Path) -> None:
    """Put the files that the pages name beside what they make."""
    for path in (DOCS / "howto").glob("*.csv"):
        shutil.copy(path, directory)


def main() -> None:
    """Run every page and write it anew."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        copy_files(Path())
        for page in PAGES:
            renewed, steps = run_page(page.read_text(encoding="utf-8"))
            page.write_text(renewed, encoding="utf-8")
            print(f"{page.name}: {len(steps)} steps", file=sys.stderr)


if __name__ == "__main__":
    main()
