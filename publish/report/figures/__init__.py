"""The figures of the report, one file a figure or a small group, in the order of the paper; those that it lacks come last."""

from __future__ import annotations

from becat.publish.report.figures.classifier import CLASSIFIER
from becat.publish.report.figures.colours import COLOURS
from becat.publish.report.figures.diagram import DIAGRAM
from becat.publish.report.figures.figure import Figure, Shown
from becat.publish.report.figures.funnel import FUNNEL
from becat.publish.report.figures.galleries import GALLERIES
from becat.publish.report.figures.peaks import PEAKS
from becat.publish.report.figures.reduction import ReadArms, reduction
from becat.publish.report.figures.sky import SKY
from becat.publish.report.figures.velocities import VELOCITIES
from becat.publish.report.figures.visits import VISITS
from becat.publish.report.figures.widths import WIDTHS

__all__ = ["Figure", "Shown", "figures"]

_OTHERS_OF_THE_PAPER = (WIDTHS, PEAKS, *GALLERIES, CLASSIFIER, VISITS, VELOCITIES, DIAGRAM)


def _place(figure: Figure) -> tuple[bool, int]:
    """1 to 10, then A1 and A2."""
    return figure.number.startswith("A"), int(figure.number.removeprefix("A"))


def figures(read_arms: ReadArms | None = None) -> tuple[Figure, ...]:
    """All figures of the report.

    Parameters
    ----------
    read_arms : callable, optional
        Reads a spectrum from its file, for Figure 1 (`becat.etl.load.arms_of_file.read_arms`).
    """
    return (*sorted((reduction(read_arms), *_OTHERS_OF_THE_PAPER), key=_place), FUNNEL, COLOURS, SKY)
