"""Figure 10: the colour-magnitude diagram of the classical Be stars."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import LogNorm

from publish.report.figures.figure import Figure
from publish.report.style import BLUE, CROWD, INK, TWO_COLUMNS_IN, invert_magnitudes, panel_title, styled

__all__ = ["DIAGRAM"]

CELL_MAG = (0.05, 0.15)  # colour and magnitude
AS_OBSERVED, CORRECTED = ("bp_rp_mag", "abs_g_mag"), ("bp_rp0_mag", "abs_g0_mag")
STARS_SQL = """
    select {x} as x, {y} as y, e_abs_g_mag, is_new
    from colour_magnitude join classical_be using (star_id)
    where {x} is not null and {y} is not null"""
CROWD_SQL = """
    select floor({x} / {dx})::int as i, floor({y} / {dy})::int as j, count(*) as n
    from colour_magnitude
    where {x} between {left} and {right} and {y} between {bottom} and {top}
      and star_id not in (select star_id from classical_be)
    group by 1, 2"""


@styled
def draw(connection, figure) -> str | None:
    """The diagram as observed, and corrected for reddening."""
    samples = [_stars(connection, columns) for columns in (AS_OBSERVED, CORRECTED)]
    if len(samples[0]["x"]) == 0:
        return (
            "No classical Be star has Gaia photometry within the limits of the BP/RP excess factor and a parallax: "
            "fetch Gaia data (becat fetch, becat match)."
        )
    shown = [sample for sample in samples if len(sample["x"])]
    frame = _frame(shown)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    words = ("as observed", "corrected for extinction")
    for place, (axes, sample, columns) in enumerate(zip(panels, samples, (AS_OBSERVED, CORRECTED), strict=True)):
        axes.set(xlim=frame[0], ylim=frame[1])
        _draw_crowd(connection, axes, columns, frame)
        _draw_stars(axes, sample)
        panel_title(axes, place, words[place])
    panels[0].set(xlabel="$G_\\mathrm{BP} - G_\\mathrm{RP}$ / mag", ylabel="absolute $M_G$ / mag")
    panels[1].set(xlabel="$(G_\\mathrm{BP} - G_\\mathrm{RP})_0$ / mag")
    invert_magnitudes(panels[0])
    return None


def _stars(connection, columns) -> dict:
    sample = connection.execute(STARS_SQL.format(x=columns[0], y=columns[1])).fetchnumpy()
    return {name: np.ma.filled(column, np.nan) if name == "e_abs_g_mag" else column for name, column in sample.items()}


def _frame(samples) -> list[tuple[float, float]]:
    """Limits that hold the classical Be stars of both panels with room around them."""
    frame = []
    for name, least in (("x", 0.6), ("y", 3.0)):
        low = min(sample[name].min() for sample in samples)
        high = max(sample[name].max() for sample in samples)
        pad = max(0.12 * (high - low), 0.5 * (least - (high - low)))
        frame.append((float(low - pad), float(high + pad)))
    return frame


def _draw_crowd(connection, axes, columns, frame) -> None:
    """All other stars, as a density."""
    (left, right), (bottom, top) = frame
    dx, dy = CELL_MAG
    cells = connection.execute(
        CROWD_SQL.format(x=columns[0], y=columns[1], dx=dx, dy=dy, left=left, right=right, bottom=bottom, top=top)
    ).fetchnumpy()
    if len(cells["n"]) == 0:
        return
    i0, j0 = cells["i"].min(), cells["j"].min()
    density = np.full((cells["j"].max() - j0 + 1, cells["i"].max() - i0 + 1), np.nan)
    density[cells["j"] - j0, cells["i"] - i0] = cells["n"]
    edges_x, edges_y = dx * (i0 + np.arange(density.shape[1] + 1)), dy * (j0 + np.arange(density.shape[0] + 1))
    norm = LogNorm(vmin=0.2, vmax=max(5.0, 3 * cells["n"].max()))
    axes.pcolormesh(edges_x, edges_y, density, cmap=CROWD, norm=norm, rasterized=True, zorder=0)
    axes.plot([], [], "s", color="#c3c9ce", ls="none", label=f"{cells['n'].sum():,} other stars")


def _draw_stars(axes, sample) -> None:
    new = sample["is_new"].astype(bool)
    for kind, colour, marker, words in ((~new, INK, "o", "known"), (new, BLUE, "D", "new")):
        if kind.any():
            axes.errorbar(
                sample["x"][kind], sample["y"][kind], sample["e_abs_g_mag"][kind],
                fmt="none", elinewidth=0.4, ecolor=colour, alpha=0.35, zorder=1,
            )  # fmt: skip
        axes.plot(
            sample["x"][kind], sample["y"][kind], marker, ms=2.6, color=colour, mec="white", mew=0.2, ls="none",
            label=f"{kind.sum():,} {words} classical Be",
        )  # fmt: skip
    axes.legend(loc="lower left")


DIAGRAM = Figure(
    number="10",
    title="Colour-magnitude diagram",
    caption=(
        "Gaia colour and absolute magnitude, from 1/parallax, of the known and the new classical Be stars, with the "
        "error that the parallax gives the magnitude; shades of grey count all other stars of the catalogue. Left as observed, "
        "which corresponds to Figure 10 of Wang et al. 2022; right corrected for the reddening of each star, where it is known."
    ),
    draw=draw,
    width_in=TWO_COLUMNS_IN,
    height_in=4.2,
)
