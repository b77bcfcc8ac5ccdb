"""Figure 9: peculiar tangential velocities, the Maxwellian, and the runaway limit."""

from __future__ import annotations

import numpy as np

from becat.publish.report.figures.figure import Figure
from becat.publish.report.style import CROWD, INK, QUIET, RED, TWO_COLUMNS_IN, plain, styled
from becat.schema.words import counted

__all__ = ["VELOCITIES"]

FEW_STARS = 200  # below this many, bins are twice as wide
FASTEST_KM_S = 150.0  # stars beyond are counted in the last bin, so that one bad solution does not flatten the rest
VELOCITY_SQL = "select v_tp_km_s, is_runaway from runaway_by_model where is_default and v_tp_km_s is not null"
MODEL_SQL = """
    select kinematic_model.maxwellian_b_km_s, kinematic_model.e_maxwellian_b_km_s, maxwellian_source, runaway_limit.v_limit_km_s
    from kinematic_model join runaway_limit using (kinematic_model) where kinematic_model.is_default"""


@styled
def draw(connection, figure) -> str | None:
    """Histogram, runaways apart, with the Maxwellian of the default model and the limit."""
    stars = connection.execute(VELOCITY_SQL).fetchnumpy()
    v_tp, runaway = np.asarray(stars["v_tp_km_s"], dtype=float), stars["is_runaway"].astype(bool)
    if len(v_tp) == 0:
        return (
            "No classical Be star has a peculiar velocity: the catalogue needs classical Be stars with Gaia astrometry "
            "(becat fetch, becat match)."
        )
    b_km_s, e_b_km_s, source, limit = connection.execute(MODEL_SQL).fetchone()
    width = 1.0 if len(v_tp) >= FEW_STARS else 2.0
    shown = np.minimum(v_tp, FASTEST_KM_S)
    bins = np.arange(0, max(shown.max(), limit) + 2 * width, width)
    axes = figure.subplots()
    kinds = (shown[~runaway], shown[runaway])
    words = (counted(int((~runaway).sum()), "star"), counted(int(runaway.sum()), "runaway"))
    axes.hist(kinds, bins, stacked=True, color=(CROWD, RED), edgecolor="white", lw=0.3, label=words)
    speed = np.linspace(0, bins[-1], 400)
    height = _height(v_tp[~runaway], bins, b_km_s)
    error = "" if e_b_km_s is None else f" ± {e_b_km_s:.3f}"
    axes.plot(
        speed,
        height * _shape(speed, b_km_s),
        color=INK,
        lw=1.2,
        label=f"$a v^2 \\exp(-v^2/b^2)$\n$a$ = {height:.3f}, $b$ = {b_km_s:.3f}{error} km/s\n($b$ {_origin(source)})",
    )
    axes.axvline(limit, color=QUIET, ls="--", lw=1.0, label=f"limit {limit:.3f} km/s")
    axes.set(
        xlabel="peculiar tangential velocity / (km/s)",
        ylabel=f"classical Be stars per {width:g} km/s",
        xlim=(0, bins[-1]),
    )
    axes.yaxis.get_major_locator().set_params(integer=True)
    far = int((v_tp > FASTEST_KM_S).sum())
    axes.set_title(
        f"{counted(len(v_tp), 'classical Be star')}"
        + (f"; {far} above {FASTEST_KM_S:g} km/s in the last bin" if far else "")
    )
    axes.legend(loc="upper right")
    return None


def _shape(speed, b_km_s):
    return speed**2 * np.exp(-((speed / b_km_s) ** 2))


def _height(v_tp, bins, b_km_s) -> float:
    """Height a of the Maxwellian of given b that is nearest to the histogram (least squares); runaways left out."""
    counts, _ = np.histogram(v_tp, bins)
    shape = _shape(0.5 * (bins[1:] + bins[:-1]), b_km_s)
    return float(counts @ shape / (shape @ shape))


def _origin(source: str | None) -> str:
    return "as published" if source in (None, "published") else plain(source)


VELOCITIES = Figure(
    number="9",
    title="Peculiar tangential velocities",
    caption=(
        "Peculiar tangential velocities of the classical Be stars with a good Gaia solution, in the default kinematic model. "
        "The curve is the Maxwellian with the scale b of that model, its height a fitted by least squares to the bins below "
        "the limit; beyond the dashed line, where the curve has fallen to the chosen fraction of its peak, stars count as "
        "runaways. Corresponds to Figure 9 of Wang et al. 2022."
    ),
    draw=draw,
    width_in=TWO_COLUMNS_IN,
    height_in=3.6,
)
