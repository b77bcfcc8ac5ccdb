"""Writes docs/reference.md, the list of tables, thresholds and views: `python -m becat.schema.reference`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb

from becat.schema import build, parameters
from becat.schema.tables import TABLES, column_info

__all__ = ["PAGE", "reference"]

PAGE = Path("docs/reference.md")  # from the top of the checkout


def _cell(text):
    return str(text).replace("|", "\\|").replace("\n", " ")


def _table(head, rows):
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(_cell(cell) for cell in row) + " |"
    yield ""


def _columns_of(table):
    for column in table.columns:
        info = column_info(table.name, column.name)
        yield column.name + (" (key)" if column.primary_key else ""), info["unit"], info["ucd"], info["description"]


def _known_columns():
    """Description and unit of a column name that means the same in every table that has it."""
    found = {}
    for table in TABLES.values():
        for column in table.columns:
            info = column_info(table.name, column.name)
            found.setdefault(column.name, set()).add((info["unit"], info["description"]))
    return {name: meanings.pop() for name, meanings in found.items() if len(meanings) == 1}


def _view_columns():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.duckdb"
        build.create(path)
        with duckdb.connect(str(path), read_only=True) as connection:
            return {v.name: [r[0] for r in connection.execute(f"describe {v.name}").fetchall()] for v in build.VIEWS}


def _lines():
    yield "# Tables, thresholds and views"
    yield ""
    yield "Generated from `schema/` by `python -m becat.schema.reference`; do not edit. Units are VOUnits, UCDs are UCD1+."
    yield ""
    yield "## Tables"
    for table in TABLES.values():
        yield from ("", f"### {table.name}", "", f"{table.comment}.", "")
        yield from _table(("column", "unit", "UCD", "meaning"), _columns_of(table))
    yield from ("## Thresholds", "", "The rows of `selection_parameter`, as shipped.", "")
    rows = ((p.name, f"{p.value:g}", p.unit, p.description, p.reference) for p in parameters.load().values())
    yield from _table(("name", "value", "unit", "what it decides", "reference"), rows)
    yield from ("## Macros", "", "SQL macros that the views use; anybody can use them in a query.", "")
    rows = ((f"`{name}({', '.join(m.arguments)})`", m.comment) for name, m in build.MACROS.items())
    yield from _table(("macro", "meaning"), rows)
    yield "## Views"
    columns, known = _view_columns(), _known_columns()
    for view in build.VIEWS:
        yield from ("", f"### {view.name}", "", view.comment, "")
        described = ((name, *known.get(name, ("", ""))) for name in columns[view.name])
        yield from _table(("column", "unit", "meaning"), described)
        yield from ("```sql", view.sql, "```")


def reference() -> str:
    """The page as Markdown."""
    return "\n".join(_lines()).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
