"""Figure S2: the infrared colours that tell classical Be from Herbig Ae/Be stars."""

from __future__ import annotations

import numpy as np

from becat.publish.report.figures.density import count_cells, draw_cells
from becat.publish.report.figures.figure import Figure
from becat.publish.report.style import BLUE, CROWD, INK, ORANGE, QUIET, RED, TWO_COLUMNS_IN, styled
from becat.schema.parameters import value

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
CROWD_SQL = "select hk0_mag as x, kw10_mag as y from infrared_colour"
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
    edges_x, edges_y, counts = count_cells(connection, CROWD_SQL, (CELL_MAG, CELL_MAG), frame)
    draw_cells(axes, edges_x, edges_y, counts)
    axes.plot([], [], "s", color=CROWD, ls="none", label=f"all {int(np.nansum(counts)):,} stars")
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


def _draw_regions(connection, axes, frame) -> None:
    (left, right), (bottom, top) = frame
    hk, kw1 = value("cbe_hk_max_mag", connection), value("cbe_kw1_max_mag", connection)
    axes.plot([left, hk, hk], [kw1, kw1, bottom], color=BLUE, lw=1.2)
    axes.text(hk - 0.02, kw1 + 0.03, "classical Be", color=BLUE, ha="right", va="bottom")
    hk, kw1 = value("herbig_hk_min_mag", connection), value("herbig_kw1_min_mag", connection)
    axes.plot([hk, hk, right], [top, kw1, kw1], color=RED, lw=1.2, ls="--")
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
