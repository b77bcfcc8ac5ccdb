"""Figure S3: where the stars are."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy import units
from astropy.coordinates import SkyCoord

from becat.publish.report.figures.density import count_cells, draw_cells
from becat.publish.report.figures.figure import Figure
from becat.publish.report.style import BLUE, INK, ORANGE, QUIET, RED, TWO_COLUMNS_IN, ra_for_sky, styled
from becat.schema.words import counted

__all__ = ["SKY"]

CELL_DEG = 3
HOURS = np.array([20, 16, 8, 4, 0])  # 12h is the edge of the map
# Degrees from RA 0h, increasing to the left as in style.ra_for_sky.
CROWD_SQL = "select 180 - (ra_deg + 180) % 360 as x, dec_deg as y from star"
STARS_SQL = """
    select ra_deg, dec_deg, is_new, star_id in (select star_id from runaway) as is_runaway from classical_be"""


@styled
def draw(connection, figure) -> str | None:
    """All stars as a density in cells of right ascension and declination, the classical Be stars as points."""
    edges_x, edges_y, counts = count_cells(connection, CROWD_SQL, (CELL_DEG, CELL_DEG), ((-180, 180), (-90, 90)))
    if np.isnan(counts).all():
        return "The catalogue holds no stars: load spectra (becat load, becat run)."
    axes = figure.add_subplot(projection="mollweide")
    mesh = draw_cells(axes, np.radians(edges_x), np.radians(edges_y), counts)
    label = f"stars in {CELL_DEG}° × {CELL_DEG}° of RA and Dec"
    figure.colorbar(mesh, ax=axes, label=label, orientation="horizontal", shrink=0.5, pad=0.03, aspect=40)
    _draw_plane(axes)
    stars = connection.execute(STARS_SQL).fetchnumpy()
    new, runaway = stars["is_new"].astype(bool), stars["is_runaway"].astype(bool)
    x, y = ra_for_sky(stars["ra_deg"]), np.radians(stars["dec_deg"])
    for kind, colour, words in ((~new, INK, "known"), (new, BLUE, "new")):
        label = f"{kind.sum():,} {words} classical Be"
        axes.plot(x[kind], y[kind], "o", ms=2.8, mew=0.2, mec="white", color=colour, ls="none", label=label)
    label = counted(int(runaway.sum()), "runaway")
    axes.plot(x[runaway], y[runaway], "o", ms=6, mfc="none", mec=RED, mew=0.8, ls="none", label=label)
    axes.set_xticks(ra_for_sky(15.0 * HOURS), [f"{hour}h" for hour in HOURS])
    axes.grid(color=QUIET, alpha=0.35, lw=0.4)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.02), ncols=4)
    return None


def _draw_plane(axes) -> None:
    """The Galactic plane."""
    plane: Any = SkyCoord(l=np.linspace(0, 360, 721) * units.deg, b=np.zeros(721) * units.deg, frame="galactic").icrs
    x, y = ra_for_sky(plane.ra.deg), plane.dec.radian
    order = np.argsort(x)
    axes.plot(x[order], y[order], color=ORANGE, lw=0.9, label="Galactic plane", zorder=1)


SKY = Figure(
    number="S3",
    title="The stars on the sky",
    caption=(
        "All stars of the catalogue (grey) and the classical Be stars, in equatorial coordinates (ICRS, Mollweide's projection, "
        "right ascension increasing to the left). Runaways are ringed. The paper has no such figure."
    ),
    draw=draw,
    width_in=TWO_COLUMNS_IN,
    height_in=4.6,
)
