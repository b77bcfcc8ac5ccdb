"""What a figure of the report is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import duckdb
import matplotlib.figure

__all__ = ["Figure"]


@dataclass(frozen=True)
class Figure:
    """One figure, drawn from an open catalogue.

    Attributes
    ----------
    number : str
        That of the paper's figure (``"1"`` to ``"10"``, ``"A1"``, ``"A2"``), or ``"S"`` and a number where the paper has none.
    title, caption : str
        What is shown, in plain text.
    draw : callable
        Fills a figure from a connection. Returns None, or a sentence that says why this catalogue cannot show it; the figure
        is then to be thrown away.
    width_in, height_in : float
        Size, inches.
    """

    number: str
    title: str
    caption: str
    draw: Callable[[duckdb.DuckDBPyConnection, matplotlib.figure.Figure], str | None]
    width_in: float
    height_in: float
