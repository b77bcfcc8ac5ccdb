"""Figure S3: where the stars are."""

from __future__ import annotations

import numpy as np
from astropy import units
from astropy.coordinates import SkyCoord
from matplotlib.colors import LogNorm

from publish.report.figures.figure import Figure
from publish.report.style import BLUE, CROWD, INK, ORANGE, QUIET, RED, TWO_COLUMNS_IN, ra_for_sky, styled

__all__ = ["SKY"]

CELL_DEG = 3
HOURS = np.array([20, 16, 8, 4, 0])  # 12h is the edge of the map
CROWD_SQL = f"""
    select floor(ra_deg / {CELL_DEG})::int as i, floor((dec_deg + 90) / {CELL_DEG})::int as j, count(*) as n
    from star group by 1, 2"""
STARS_SQL = """
    select ra_deg, dec_deg, is_new, star_id in (select star_id from runaway) as is_runaway from classical_be"""


@styled
def draw(connection, figure) -> str | None:
    """All stars as a density in cells of right ascension and declination, the classical Be stars as points."""
    cells = connection.execute(CROWD_SQL).fetchnumpy()
    if len(cells["n"]) == 0:
        return "The catalogue holds no stars: load spectra (becat load, becat run)."
    axes = figure.add_subplot(projection="mollweide")
    _draw_crowd(figure, axes, cells)
    _draw_plane(axes)
    stars = connection.execute(STARS_SQL).fetchnumpy()
    new, runaway = stars["is_new"].astype(bool), stars["is_runaway"].astype(bool)
    x, y = ra_for_sky(stars["ra_deg"]), np.radians(stars["dec_deg"])
    for kind, colour, words in ((~new, INK, "known"), (new, BLUE, "new")):
        label = f"{kind.sum():,} {words} classical Be"
        axes.plot(x[kind], y[kind], "o", ms=2.8, mew=0.2, mec="white", color=colour, ls="none", label=label)
    label = f"{runaway.sum():,} runaways"
    axes.plot(x[runaway], y[runaway], "o", ms=6, mfc="none", mec=RED, mew=0.8, ls="none", label=label)
    axes.set_xticks(ra_for_sky(15.0 * HOURS), [f"{hour}h" for hour in HOURS])
    axes.grid(color=QUIET, alpha=0.35, lw=0.4)
    axes.legend(loc="upper left", bbox_to_anchor=(-0.04, 1.06), borderaxespad=0)
    return None


def _draw_crowd(figure, axes, cells) -> None:
    n_columns, n_rows = 360 // CELL_DEG, 180 // CELL_DEG
    density = np.full((n_rows, n_columns), np.nan)
    # Columns run from the left edge of the map, RA 12h, through 0h in the middle: against the direction of RA.
    column = (n_columns // 2 - 1 - cells["i"]) % n_columns
    density[np.minimum(cells["j"], n_rows - 1), column] = cells["n"]
    edges = np.radians(np.linspace(-180, 180, n_columns + 1)), np.radians(np.linspace(-90, 90, n_rows + 1))
    norm = LogNorm(vmin=0.2, vmax=max(5.0, 2 * cells["n"].max()))
    mesh = axes.pcolormesh(*edges, density, cmap=CROWD, norm=norm, rasterized=True)
    label = f"stars in {CELL_DEG}° × {CELL_DEG}° of RA and Dec"
    bar = figure.colorbar(mesh, ax=axes, label=label, orientation="horizontal", shrink=0.5, pad=0.03, aspect=40)
    bar.ax.set_xlim(0.8, None)


def _draw_plane(axes) -> None:
    """The Galactic plane."""
    plane = SkyCoord(l=np.linspace(0, 360, 721) * units.deg, b=np.zeros(721) * units.deg, frame="galactic").icrs
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
