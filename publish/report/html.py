"""The report as one page that needs no other file and no network, in the browser and in print."""

from __future__ import annotations

import base64
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from becat.publish.report.content import Content, DrawnFigure, WrittenTable
from becat.publish.report.tables import Column
from becat.publish.snapshot.formatting import UNITS, format_value
from becat.schema.selection import LABELS
from becat.schema.words import counted

__all__ = ["cell_text", "number_text", "ratio_text", "shown", "write"]

HERE = Path(__file__).parent


def write(path: Path, content: Content) -> None:
    """Write the page.

    Parameters
    ----------
    path : Path
        File to write.
    content : Content
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"breakable": breakable, "number": number_text}
    template = environment.get_template("report.html.jinja")
    page = template.stream(
        content=content,
        style=Markup((HERE / "report.css").read_text(encoding="utf-8")),
        cell=cell_text,
        unit=lambda unit: UNITS.get(unit, unit),
        ratio=ratio_text,
        labels=LABELS,
        picture=_picture,
        shown=shown,
        is_number=lambda column: column.kind in ("real", "whole"),
    )
    with path.open("wb") as file:
        page.dump(file, encoding="utf-8")


def breakable(name: str) -> Markup:
    """A name that may be broken after its underscores if it is long."""
    return Markup("_<wbr>").join(escape(part) for part in name.split("_")) if len(name) > 9 else escape(name)


def cell_text(column: Column, value) -> str:
    """A value as it stands in a table."""
    if column.kind == "flag" and value is not None:
        return "yes" if value else "no"
    return format_value(value, column.name)


def number_text(value: float | None) -> str:
    """A count or a constant: all digits of a count, four of another number; a dash for none."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 1000 else f"{value:.4g}"


def ratio_text(published: float, ours: float | None) -> str:
    """Ours over the paper's number."""
    if ours is None or not published:
        return "–"
    ratio = ours / published
    return "< 0.01" if 0 < ratio < 0.005 else f"{ratio:.2f}"


def _picture(figure: DrawnFigure) -> str:
    """The picture of a figure as an address that holds it."""
    assert figure.png
    return "data:image/png;base64," + base64.b64encode(figure.png.read_bytes()).decode("ascii")


def shown(table: WrittenTable) -> str:
    """How much of a table is on the page."""
    rows = counted(table.n_rows, "row")
    return rows if len(table.rows) == table.n_rows else f"The first {len(table.rows)} of {rows}"
