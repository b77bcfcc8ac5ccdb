"""Primary headers of LAMOST's files, from the templates in simulate/headers."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from becat.simulate.fits_bytes import Card

__all__ = ["primary_cards"]

_FOLDER = Path(__file__).parent / "headers"


@cache
def _template(layout: str) -> list[Card]:
    """Cards of a layout; a value that is filled for each spectrum is kept as text with the name in braces."""
    cards = []
    for line in (_FOLDER / f"{layout}.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            keyword, value, comment = line.split("\t")
            fixed = keyword != "COMMENT" and "{" not in value
            cards.append((keyword, ast.literal_eval(value) if fixed else value, comment))
    return cards


def primary_cards(layout: str, meta: dict) -> list[Card]:
    """Primary header of a simulated file, in the order and with the keywords of the survey's own.

    Parameters
    ----------
    layout : str
        Name of a template: mrs_rows, mrs_vector, lrs_old, lrs_image or lrs_table.
    meta : dict
        Values of the names in braces.

    Returns
    -------
    list of Card
        Without the mandatory keywords, which the writer adds.
    """
    return [(keyword, _fill(value, meta), comment) for keyword, value, comment in _template(layout)]


def _fill(value, meta):
    """A value alone in braces keeps its type."""
    if not isinstance(value, str) or "{" not in value:
        return value
    alone = value.startswith("{") and value.endswith("}")
    return meta[value[1:-1]] if alone else value.format(**meta)
