"""Figure 8: how often, and over how long, the classical Be stars were observed."""

from __future__ import annotations

import numpy as np

from becat.publish.report.figures.figure import Figure
from becat.publish.report.style import BLUE, INK, TWO_COLUMNS_IN, panel_title, styled

__all__ = ["VISITS"]

MOST_BINS = 40
VISITS_SQL = """
    select n_visits, baseline_d, is_new
    from classical_be join star_visits using (star_id)"""


@styled
def draw(connection, figure) -> str | None:
    """Two histograms: all classical Be stars in outline, the new ones filled."""
    stars = connection.execute(VISITS_SQL).fetchnumpy()
    n_visits, baseline_d = stars["n_visits"], np.ma.filled(stars["baseline_d"], np.nan)
    new = stars["is_new"].astype(bool)
    if len(new) == 0:
        return "No classical Be star in this catalogue: the view classical_be is empty."
    left, right = figure.subplots(1, 2)
    step = -(-int(n_visits.max()) // MOST_BINS)
    _draw_pair(left, n_visits, new, np.arange(0.5, n_visits.max() + step, step))
    left.xaxis.get_major_locator().set_params(integer=True)
    left.xaxis.minorticks_off()
    left.set_xlim(0.3, None)
    left.set(xlabel="nights of observation", ylabel="classical Be stars")
    panel_title(left, 0, f"{(n_visits == 1).sum():,} of {len(new):,} seen on one night")
    known = np.isfinite(baseline_d)
    longest = max(float(baseline_d[known].max(initial=0.0)), 1.0)
    _draw_pair(right, baseline_d[known], new[known], np.linspace(0, longest, 25))
    right.set(xlabel="last minus first MJD / d", ylabel="classical Be stars")
    panel_title(right, 1, "time between first and last spectrum")
    right.legend(loc="upper right")
    return None


def _draw_pair(axes, values, new, bins) -> None:
    axes.hist(values, bins, histtype="step", color=INK, lw=1.0, label=f"all, {len(values):,}")
    axes.hist(values[new], bins, color=BLUE, alpha=0.35, hatch="////", edgecolor=BLUE, label=f"new, {new.sum():,}")
    axes.margins(x=0.02)
    axes.yaxis.get_major_locator().set_params(integer=True)


VISITS = Figure(
    number="8",
    title="Number of observations and time covered",
    caption=(
        "Left: on how many nights each classical Be star was observed. Right: the time between its first and its last "
        "spectrum; stars of a single night fall into the first bin. The outline counts all classical Be stars, the hatched "
        "area those that are new. Corresponds to Figure 8 of Wang et al. 2022."
    ),
    draw=draw,
    width_in=TWO_COLUMNS_IN,
    height_in=2.9,
)
