"""What a figure of the report is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import duckdb
import matplotlib.figure

__all__ = ["Figure", "Shown"]


@dataclass(frozen=True)
class Shown:
    """Which stars a figure shows, in sentences that go before its caption."""

    words: str


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
        Fills a figure from a connection. Returns None; or what of this catalogue it shows; or a sentence (str) that says why
        this catalogue cannot show it, and the figure is then to be thrown away.
    width_in, height_in : float
        Size, inches.
    """

    number: str
    title: str
    caption: str
    draw: Callable[[duckdb.DuckDBPyConnection, matplotlib.figure.Figure], str | Shown | None]
    width_in: float
    height_in: float
