"""Figure S2: the infrared colours that tell classical Be from Herbig Ae/Be stars."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.patches import Rectangle

from publish.report.figures.figure import Figure
from publish.report.style import BLUE, CROWD, INK, ORANGE, QUIET, RED, TWO_COLUMNS_IN, styled
from schema.parameters import value

__all__ = ["COLOURS"]

CELL_MAG = 0.02
FRAME_MAG = (
    (-0.5, 1.6),
    (-0.7, 2.2),
)  # holds main-sequence stars and Herbig stars; widened where a Be star lies outside
EMISSION_SQL = """
    select hk0_mag as x, kw10_mag as y,
        case
            when star_id in (select star_id from known_be) then 'known classical Be'
            when star_id in (select star_id from new_cbe) then 'new classical Be'
            when star_id in (select star_id from herbig_aebe) then 'Herbig Ae/Be'
            else 'other emission stars'
        end as kind
    from emission_star
    where hk0_mag is not null and kw10_mag is not null"""
CROWD_SQL = f"""
    select floor(hk0_mag / {CELL_MAG})::int as i, floor(kw10_mag / {CELL_MAG})::int as j, count(*) as n
    from infrared_colour
    where hk0_mag between $left and $right and kw10_mag between $bottom and $top
    group by 1, 2"""
KINDS = (
    ("other emission stars", QUIET, "x"),
    ("known classical Be", INK, "o"),
    ("new classical Be", BLUE, "D"),
    ("Herbig Ae/Be", ORANGE, "s"),
)


@styled
def draw(connection, figure) -> str | None:
    """Emission stars over all stars, with the two regions."""
    stars = connection.execute(EMISSION_SQL).fetchnumpy()
    if len(stars["x"]) == 0:
        return "No emission star has H, K, W1 and a reddening: fetch 2MASS, AllWISE and a dust map (becat fetch, becat match)."
    frame = [
        (min(low, float(column.min()) - 0.1), max(high, float(column.max()) + 0.1))
        for (low, high), column in zip(FRAME_MAG, (stars["x"], stars["y"]), strict=True)
    ]
    axes = figure.subplots()
    axes.set(xlim=frame[0], ylim=frame[1])
    _draw_crowd(connection, axes, frame)
    for kind, colour, marker in KINDS:
        of_kind = stars["kind"] == kind
        if of_kind.any():
            axes.plot(
                stars["x"][of_kind], stars["y"][of_kind], marker, ms=3, mew=0.6 if marker == "x" else 0.2,
                color=colour, mec=colour if marker == "x" else "white", ls="none", label=f"{of_kind.sum():,} {kind}",
            )  # fmt: skip
    _draw_regions(connection, axes, frame)
    axes.set(xlabel="$(H - K)_0$ / mag", ylabel="$(K - W1)_0$ / mag", aspect="equal")
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
    return None


def _draw_crowd(connection, axes, frame) -> None:
    limits = dict(zip(("left", "right", "bottom", "top"), (*frame[0], *frame[1]), strict=True))
    cells = connection.execute(CROWD_SQL, limits).fetchnumpy()
    i0, j0 = cells["i"].min(), cells["j"].min()
    density = np.full((cells["j"].max() - j0 + 1, cells["i"].max() - i0 + 1), np.nan)
    density[cells["j"] - j0, cells["i"] - i0] = cells["n"]
    edges = [CELL_MAG * (first + np.arange(n + 1)) for first, n in ((i0, density.shape[1]), (j0, density.shape[0]))]
    norm = LogNorm(vmin=0.2, vmax=max(5.0, 3 * cells["n"].max()))
    axes.pcolormesh(*edges, density, cmap=CROWD, norm=norm, rasterized=True, zorder=0)
    axes.plot([], [], "s", color="#c3c9ce", ls="none", label=f"all {cells['n'].sum():,} stars")


def _draw_regions(connection, axes, frame) -> None:
    (left, right), (bottom, top) = frame
    hk, kw1 = value("cbe_hk_max_mag", connection), value("cbe_kw1_max_mag", connection)
    axes.add_patch(Rectangle((left, bottom), hk - left, kw1 - bottom, fill=False, ec=BLUE, lw=1.2))
    axes.text(hk - 0.02, kw1 + 0.03, "classical Be", color=BLUE, ha="right", va="bottom")
    hk, kw1 = value("herbig_hk_min_mag", connection), value("herbig_kw1_min_mag", connection)
    axes.add_patch(Rectangle((hk, kw1), right - hk, top - kw1, fill=False, ec=RED, lw=1.2, ls="--"))
    axes.text(hk + 0.03, kw1 - 0.03, "Herbig Ae/Be", color=RED, ha="left", va="top")


COLOURS = Figure(
    number="S2",
    title="Infrared colours",
    caption=(
        "Infrared colours of the emission stars, corrected for extinction, over those of all stars with photometry and reddening "
        "(grey). The lines are the limits in force of classical Be and of Herbig Ae/Be stars. A known classical Be star is one "
        "by the published lists, whatever its colours. The paper applies this test in section 5.3 and has no figure of it."
    ),
    draw=draw,
    width_in=TWO_COLUMNS_IN,
    height_in=4.6,
)
