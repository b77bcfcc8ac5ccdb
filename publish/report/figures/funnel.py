"""Figure S1: what each step of the selection leaves."""

from __future__ import annotations

import numpy as np

from becat.publish.report.figures.figure import Figure
from becat.publish.report.style import BLUE, INK, RED, TWO_COLUMNS_IN, styled

__all__ = ["FUNNEL"]

WORDS = {
    "spectra": "all spectra",
    "good_snr": "S/N in both arms",
    "teff": "not late by LASP $T_\\mathrm{eff}$",
    "early_by_lines": "small EW(Hα) and EW(Mg b)",
    "q_index": "not K, M by Q",
    "be_probability": "called Be by the classifier",
    "inspection": "not refused by people",
    "emission": "Hα in emission",
    "contaminant": "in no list, no contaminant",
    "spectral_type": "spectral type passes",
    "infrared": "infrared colours pass: new Be stars",
}
FUNNEL_SQL = """
    select funnel.name, spectra, stars, printed_spectra.value, printed_stars.value
    from funnel
    left join published_value printed_spectra on printed_spectra.name = 'spectra_' || funnel.name
    left join published_value printed_stars
        on printed_stars.name = case funnel.name
            when 'inspection' then 'be_candidate'
            when 'emission' then 'class_emission'
            when 'contaminant' then 'new_candidate'
            when 'spectral_type' then 'typed_candidate'
            when 'infrared' then 'new_cbe'
            else 'stars_' || funnel.name
        end
    order by step"""


@styled
def draw(connection, figure) -> str | None:
    """Bars on a logarithmic scale, from the first step at the top; the paper's counts as marks."""
    names, spectra, stars, printed_spectra, printed_stars = zip(*connection.execute(FUNNEL_SQL).fetchall(), strict=True)
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
            f"{n_spectra:,} spectra, {n_stars:,} stars",
            (1.01, y),
            xycoords=("axes fraction", "data"),
            va="center",
            color=INK,
        )
    axes.set_yticks(place, [WORDS.get(name, name.replace("_", " ")) for name in names])
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
        "Spectra and stars that are left after each step, on a logarithmic scale; open marks are the counts printed in Wang et "
        "al. 2022, where it prints one. The last step leaves the new classical Be stars. The paper tells this in sections 2 to 5 "
        "and has no figure of it."
    ),
    draw=draw,
    width_in=TWO_COLUMNS_IN,
    height_in=3.8,
)
