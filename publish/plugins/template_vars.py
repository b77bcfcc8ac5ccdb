"""What every template can use: units, notes on columns, names of the steps."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator

from datasette import hookimpl
from markupsafe import Markup, escape

from becat.publish.reading import rows, snapshot_of
from becat.publish.snapshot.formatting import arranged, format_value, sexagesimal, unit_label
from becat.publish.snapshot.metadata import column_note
from becat.schema.selection import LABELS
from becat.schema.words import counted


@hookimpl
def prepare_jinja2_environment(env, datasette):
    """For all pages, those of errors too."""
    env.globals |= {
        "snapshot": snapshot_of(datasette).name,
        "can_inspect": lambda: bool(getattr(datasette, "becat_labels", None)),  # known after this
        "unit_label": unit_label,
        "column_note": column_note,
        "format_value": format_value,
        "sexagesimal": sexagesimal,
        "step_labels": LABELS,
        "breath": breath,
    }
    env.filters["commands"] = commands
    env.filters["counted"] = counted
    env.filters["laid_out"] = laid_out
    env.filters["arranged"] = lambda cells: arranged(cells, _column)


def _column(cell) -> str:
    """The name of a column, of what Datasette says of one, or of the one in which a cell stands."""
    return cell if isinstance(cell, str) else cell["name"] if "name" in cell else cell["column"]


def laid_out(rows: Iterable[Iterable[dict]], unshown: Container[str]) -> Iterator[list[dict]]:
    """The cells of each row of one table in the order of a page, which is found once for all rows."""
    order: list[int] = []
    for row in rows:
        cells = list(row)
        if not order:
            shown = [(at, cell["column"]) for at, cell in enumerate(cells) if cell["column"] not in unshown]
            order = [at for at, _ in arranged(shown, lambda place: place[1])]
        yield [cells[at] for at in order]


async def breath() -> str:
    """Nothing to see: between the rows of a page others go on."""
    await asyncio.sleep(0)
    return ""


def commands(words: str) -> Markup:
    """Words in which what stands between backticks is shown as a command; all of it is escaped."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(words or ""))))


@hookimpl
def extra_template_vars(datasette, view_name):
    async def variables():
        if view_name not in ("database", "table"):
            return {}
        database = snapshot_of(datasette)
        if not hasattr(datasette, "becat_selection"):
            found = await rows(database, "select * from view_definition order by position")
            datasette.becat_selection = {view["name"]: view for view in found}
        tables = (datasette.metadata("databases") or {}).get(database.name, {}).get("tables", {})
        return {"selection": datasette.becat_selection, "table_notes": defaultdict(dict, tables)}

    return variables
