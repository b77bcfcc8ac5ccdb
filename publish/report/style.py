"""One look for every figure of the report: colours that the colour-blind can tell apart, axes as astronomers draw them."""

from __future__ import annotations

import functools
from collections.abc import Callable

import matplotlib as mpl
import numpy as np

__all__ = [
    "BLUE",
    "CROWD",
    "GREEN",
    "INK",
    "ORANGE",
    "QUIET",
    "RC",
    "RED",
    "SINGLE_COLUMN_IN",
    "TWO_COLUMNS_IN",
    "invert_magnitudes",
    "note",
    "panel_title",
    "plain",
    "ra_for_sky",
    "styled",
]

# Okabe & Ito 2008 (Color Universal Design): told apart by people of every kind of colour vision, and in print.
INK, QUIET = "#22272b", "#7d858c"
BLUE, RED, GREEN, ORANGE = "#0072b2", "#d55e00", "#009e73", "#e69f00"
CROWD = "#b4bbc1"  # the many, in legends and histograms; as a density see figures/density.py

SINGLE_COLUMN_IN, TWO_COLUMNS_IN = 3.5, 7.2  # widths of a journal's columns

RC = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "mathtext.fontset": "dejavusans",
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.facecolor": "white",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "xtick.minor.visible": True,
    "ytick.minor.visible": True,
    "legend.fontsize": 7,
    "legend.frameon": True,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "lines.linewidth": 0.8,
    "hatch.linewidth": 0.6,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "pdf.fonttype": 42,  # letters stay letters in PDF and SVG: they can be searched and edited
    "svg.fonttype": "none",
    "svg.hashsalt": "becat",  # the same figure gives the same file
}


def styled(draw: Callable) -> Callable:
    """The drawing function with this look, and a layout in which no labels overlap."""

    @functools.wraps(draw)
    def with_style(connection, figure, **more):
        with mpl.rc_context(RC):  # pyright: ignore[reportArgumentType]
            figure.set_facecolor("white")
            figure.set_layout_engine("constrained")
            return draw(connection, figure, **more)

    return with_style


def invert_magnitudes(axes) -> None:
    """Bright at the top."""
    low, high = sorted(axes.get_ylim())
    axes.set_ylim(high, low)


def ra_for_sky(ra_deg):
    """Place of right ascensions on a map of the whole sky, radians: 0 h in the middle, increasing to the left."""
    return -np.radians((np.asarray(ra_deg, dtype=float) + 180.0) % 360.0 - 180.0)


def plain(words: str) -> str:
    """Words of the catalogue as they are, on one line: a dollar sign in a name begins no formula."""
    return " ".join(words.split()).replace("$", r"\$")


def panel_title(axes, place: int, words: str) -> None:
    """Title with the letter of the panel, at the left."""
    axes.set_title(f"({'abcdefghijkl'[place]}) {words}")


def note(axes, words: str) -> None:
    """Words in the middle of axes that have nothing to show, without ticks."""
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", color=QUIET, wrap=True)
    sides = ("bottom", "top", "left", "right")
    # The ticks are hidden, not removed: axes that share this one's limits keep theirs.
    axes.tick_params(which="both", **dict.fromkeys(sides, False), **{f"label{side}": False for side in sides})
