"""Figure S1: what each step of the selection leaves."""

from __future__ import annotations

import numpy as np

from becat.publish.report.figures.figure import Figure
from becat.publish.report.style import BLUE, INK, RED, TWO_COLUMNS_IN, styled
from becat.schema.selection import LABELS, SELECTION
from becat.schema.words import counted

__all__ = ["FUNNEL"]

STEPS = sorted((*SELECTION.steps, SELECTION.branch), key=lambda step: step.step)
PRINTED = {"classical_be": "classical_be"} | {step.name: step.printed for step in STEPS if step.printed}
FUNNEL_SQL = """
    select funnel.name, spectra, stars, printed_spectra.value, printed_stars.value
    from funnel
    left join (select unnest($names) as name, unnest($printed) as printed) as printed_as on printed_as.name = funnel.name
    left join published_value printed_spectra on printed_spectra.name = 'spectra_' || funnel.name
    left join published_value printed_stars on printed_stars.name = coalesce(printed, 'stars_' || funnel.name)
    order by step"""


@styled
def draw(connection, figure) -> str | None:
    """Bars on a logarithmic scale, from the first step at the top; the paper's counts as marks."""
    printed = {"names": list(PRINTED), "printed": list(PRINTED.values())}
    rows = connection.execute(FUNNEL_SQL, printed).fetchall()
    names, spectra, stars, printed_spectra, printed_stars = zip(*rows, strict=True)
    if spectra[0] == 0:
        return "The catalogue holds no spectra: load some (becat load, becat run)."
    place = np.arange(len(names))
    axes = figure.subplots()
    axes.barh(place, spectra, height=0.8, color="#c9dcea", label="spectra")
    axes.barh(place, stars, height=0.42, color=BLUE, label="stars")
    marks = {"ls": "none", "mew": 0.9, "mfc": "none", "color": RED}
    axes.plot(_numbers(printed_spectra), place - 0.3, "s", ms=3.5, label="spectra, in the paper", **marks)
    axes.plot(_numbers(printed_stars), place, "o", ms=4, label="stars, in the paper", **marks)
    for y, (n_spectra, n_stars) in enumerate(zip(spectra, stars, strict=True)):
        axes.annotate(
            f"{counted(n_spectra, 'spectrum')}, {counted(n_stars, 'star')}",
            (1.01, y),
            xycoords=("axes fraction", "data"),
            va="center",
            color=INK,
        )
    axes.set_yticks(place, [LABELS.get(name, name) for name in names])
    axes.set(
        xscale="log",
        xlabel="number left after the step",
        xlim=(0.8, 1.4 * max(max(spectra), np.nanmax(_numbers(printed_spectra)))),
    )
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0, which="both", right=False)
    axes.yaxis.minorticks_off()
    axes.legend(loc="lower right")
    return None


def _numbers(values) -> np.ndarray:
    return np.array([np.nan if number is None else number for number in values], dtype=float)


FUNNEL = Figure(
    number="S1",
    title="The selection, step by step",
    caption=(
        "Spectra and stars left after each step, on a logarithmic scale; open marks are the counts printed in Wang et "
        "al. 2022, where the paper prints one. After the step emission, the known classical Be stars follow a branch of their own; the last bar adds them to the new ones. The paper describes this in sections 2 to 5 "
        "and has no figure of it."
    ),
    draw=draw,
    width_in=TWO_COLUMNS_IN,
    height_in=3.8,
)
