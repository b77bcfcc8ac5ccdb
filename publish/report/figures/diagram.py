"""Figure 10: the colour-magnitude diagram of the classical Be stars."""

from __future__ import annotations

import numpy as np

from becat.publish.report.figures.density import count_cells, draw_cells
from becat.publish.report.figures.figure import Figure
from becat.publish.report.style import BLUE, CROWD, INK, TWO_COLUMNS_IN, invert_magnitudes, panel_title, styled

__all__ = ["DIAGRAM"]

CELL_MAG = (0.05, 0.15)  # colour and magnitude
COLOURS, MAGNITUDES = ("bp_rp_mag", "bp_rp0_mag"), ("abs_g_mag", "abs_g0_mag")  # as observed, corrected
STARS_SQL = """
    select bp_rp_mag, abs_g_mag, bp_rp0_mag, abs_g0_mag, e_abs_g_mag, is_new
    from colour_magnitude join classical_be using (star_id)"""


@styled
def draw(connection, figure) -> str | None:
    """The diagram as observed, and corrected for reddening."""
    stars = {name: np.ma.filled(column, np.nan) for name, column in connection.execute(STARS_SQL).fetchnumpy().items()}
    if len(stars["is_new"]) == 0:
        return (
            "No classical Be star has Gaia photometry within the limits of the BP/RP excess factor and a parallax: "
            "fetch Gaia data (becat fetch, becat match)."
        )
    frame = [_limits(stars, names, least) for names, least in ((COLOURS, 0.6), (MAGNITUDES, 3.0))]
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    words = ("as observed", "corrected for extinction")
    for place, (axes, colour, magnitude) in enumerate(zip(panels, COLOURS, MAGNITUDES, strict=True)):
        axes.set(xlim=frame[0], ylim=frame[1])
        crowd_sql = f"select {colour} as x, {magnitude} as y from colour_magnitude"
        edges_x, edges_y, counts = count_cells(connection, crowd_sql, CELL_MAG, frame)
        draw_cells(axes, edges_x, edges_y, counts)
        axes.plot([], [], "s", color=CROWD, ls="none", label=f"{int(np.nansum(counts)):,} stars in the frame")
        _draw_stars(axes, stars[colour], stars[magnitude], stars["e_abs_g_mag"], stars["is_new"].astype(bool))
        panel_title(axes, place, words[place])
    panels[0].set(xlabel="$G_\\mathrm{BP} - G_\\mathrm{RP}$ / mag", ylabel="absolute $M_G$ / mag")
    panels[1].set(xlabel="$(G_\\mathrm{BP} - G_\\mathrm{RP})_0$ / mag")
    invert_magnitudes(panels[0])
    return None


def _limits(stars, names, least: float) -> tuple[float, float]:
    """Limits that hold the classical Be stars of both panels with room around them."""
    low, high = (float(find([find(stars[name]) for name in names])) for find in (np.nanmin, np.nanmax))
    pad = max(0.12 * (high - low), 0.5 * (least - (high - low)))
    return low - pad, high + pad


def _draw_stars(axes, colour_mag, magnitude, e_magnitude, new) -> None:
    known = np.isfinite(colour_mag) & np.isfinite(magnitude)
    for kind, colour, marker, words in ((known & ~new, INK, "o", "known"), (known & new, BLUE, "D", "new")):
        x, y = colour_mag[kind], magnitude[kind]
        if kind.any():
            axes.errorbar(x, y, e_magnitude[kind], fmt="none", elinewidth=0.4, ecolor=colour, alpha=0.35, zorder=1)
        label = f"{kind.sum():,} {words} classical Be"
        axes.plot(x, y, marker, ms=2.6, color=colour, mec="white", mew=0.2, ls="none", label=label)
    axes.legend(loc="lower left")


DIAGRAM = Figure(
    number="10",
    title="Colour-magnitude diagram",
    caption=(
        "Gaia colour and absolute magnitude, from 1/parallax, of the known and the new classical Be stars, with the "
        "error that the parallax gives the magnitude; shades of grey count all stars of the catalogue. Left as observed, "
        "which corresponds to Figure 10 of Wang et al. 2022; right corrected for the reddening of each star, where it is known."
    ),
    draw=draw,
    width_in=TWO_COLUMNS_IN,
    height_in=4.2,
)
