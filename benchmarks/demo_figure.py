"""The figure of the README from the catalogue of `becat demo`: the funnel, and four H-alpha profiles.

python -m benchmarks.demo_figure demo/catalog.duckdb docs/figures/demo.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb
import matplotlib as mpl
import numpy as np

from becat.schema.grid import RED

mpl.use("Agg")
from matplotlib import pyplot as plt  # the backend must be chosen first

WINDOW_A = (6530, 6600)
INK, QUIET, ACCENT = "#22303c", "#8a97a3", "#b5382a"
# Designation of a star, and of which of its spectra: the MJD of the night, or None for the one that stands for it.
PROFILES = (
    ("J192814.09+435531.0", 58643, "real: double-lined binary"),
    ("J230311.44+321335.5", None, "real: late type"),
    ("J000124.69+633015.7", None, "simulated: known Be star of Table 6"),
    ("J000025.64+623946.1", None, "simulated: shell star of Table A1"),
)


def main(catalogue: Path, picture: Path) -> None:
    """Draw the figure.

    Parameters
    ----------
    catalogue : Path
        `catalog.duckdb` of a demonstration.
    picture : Path
        PNG file to write.
    """
    plt.rcParams.update({"font.size": 9, "axes.edgecolor": QUIET, "text.color": INK, "axes.labelcolor": INK})
    with duckdb.connect(str(catalogue), read_only=True) as connection:
        figure = plt.figure(figsize=(11, 4.2), layout="constrained")
        left, right = figure.subfigures(1, 2, width_ratios=(1, 1.25))
        _draw_funnel(left.subplots(), connection)
        for axes, (designation, night, words) in zip(right.subplots(2, 2, sharex=True).flat, PROFILES, strict=True):
            _draw_profile(axes, connection, designation, night, words)
        right.supxlabel("vacuum wavelength / Å", fontsize=9)
        right.supylabel("rectified flux", fontsize=9)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110)


def _draw_funnel(axes, connection) -> None:
    rows = connection.execute("select name, spectra, stars from funnel order by step desc").fetchall()
    names = [row[0].replace("_", " ") for row in rows]
    spectra, stars = (np.array([row[i] for row in rows]) for i in (1, 2))
    axes.barh(names, spectra, color="#c9d6df", label="spectra")
    axes.barh(names, stars, color="#3f6e8c", height=0.45, label="stars")
    for place, n in enumerate(stars):
        axes.annotate(f"{n:,}", (spectra[place], place), (4, 0), textcoords="offset points", va="center", color=INK)
    axes.set_title("stars left after each step", loc="left", fontsize=10)
    axes.spines[["top", "right", "bottom", "left"]].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xticks([])
    axes.legend(frameon=False, loc="lower right")


def _draw_profile(axes, connection, designation: str, night: int | None, words: str) -> None:
    flux, probability, width = connection.execute(
        """
        select flux, be_probability, ew_halpha_a
        from star_alias
        join spectrum_verdict v using (star_id)
        join flux_red using (spectrum_id)
        where star_alias.designation = $name and case when $night is null then rank_in_star = 1 else floor(mjd) = $night end
        """,
        {"name": designation, "night": night},
    ).fetchall()[0]
    wavelength_a = RED.wavelength_a
    inside = (wavelength_a > WINDOW_A[0]) & (wavelength_a < WINDOW_A[1])
    colour = ACCENT if probability >= 0.5 else INK
    axes.plot(wavelength_a[inside], np.array(flux)[inside], color=colour, lw=0.8)
    axes.axhline(1, color=QUIET, lw=0.5, zorder=0)
    axes.set_title(f"{words}\np(Be) = {probability:.3f}, EW(Hα) = {width:.1f} Å", loc="left", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
