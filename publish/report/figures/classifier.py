"""Figure 6: how the classifier does, as far as the catalogue can tell."""

from __future__ import annotations

import numpy as np

from becat.publish.report.figures.figure import Figure, Shown
from becat.publish.report.style import BLUE, GREEN, INK, ORANGE, QUIET, RED, TWO_COLUMNS_IN, note, panel_title, styled
from becat.schema.parameters import value
from becat.schema.words import counted

__all__ = ["CLASSIFIER"]

WHITE_FROM = 0.6  # share from which the blue is too dark for dark words
BINS = 20
CLASSES = ("emission", "emission with shell", "absorption with shell", "absorption")
COLOURS = (BLUE, GREEN, ORANGE, INK, RED)
SCORES_SQL = """
    select least(floor(be_probability * $bins)::int, $bins - 1) as bin, passes_be_probability(be_probability) as is_be,
        coalesce(profile_class, 'none') as profile_class, count(*) as n
    from step_40_q_index
    join current_score using (spectrum_id)
    left join profile_class using (spectrum_id)
    where be_probability is not null
    group by all"""
PEOPLE_SQL = """
    with
    judged as (select star_id, n_be > n_not_be as is_be from inspection_tally where n_be <> n_not_be),
    called as (
        select star_id, max(be_probability) as be_probability
        from step_40_q_index join current_score using (spectrum_id)
        where star_id in (select star_id from judged) and be_probability is not null
        group by star_id
    )
    select judged.is_be, passes_be_probability(called.be_probability), count(*)
    from judged join called using (star_id) group by all"""
COMPLETENESS_SQL = """
    select host, snr, ew_emission_a, sum(n_injected) as n, sum(n_detected) as found
    from completeness join model using (model_id)
    where is_current group by all having sum(n_injected) > 0 order by host, snr, ew_emission_a"""


@styled
def draw(connection, figure) -> str | Shown:
    """Classifier against people and against the measured class; scores; completeness."""
    scores = connection.execute(SCORES_SQL, {"bins": BINS}).fetchall()
    people = connection.execute(PEOPLE_SQL).fetchall()
    completeness = connection.execute(COMPLETENESS_SQL).fetchall()
    if not scores:
        return (
            "No early-type spectrum has a score of the current model: score the spectra first (becat score, becat run)."
        )
    layout = [["classes", "people"] if people else ["classes", "classes"], ["scores", "completeness"]]
    panels = figure.subplot_mosaic(layout, height_ratios=(0.8, 1.4))
    _draw_classes(panels["classes"], scores)
    panel_title(panels["classes"], 0, "class by stated rules, spectra")
    if people:
        _draw_people(panels["people"], people)
    _draw_scores(panels["scores"], scores, value("be_probability_min", connection))
    panel_title(panels["scores"], 2 if people else 1, "scores of early-type spectra")
    _draw_completeness(panels["completeness"], completeness)
    panel_title(panels["completeness"], 3 if people else 2, "injected emission that is found")
    n_judged = sum(n for *_, n in people)
    return Shown(
        f"People have judged {counted(n_judged, 'star')}: (b) compares their majority with the classifier; agreement is not truth."
        if people
        else "Nobody has judged a star of this catalogue by eye yet."
    )


def _draw_matrix(axes, counts, rows, columns) -> None:
    """Counts as a table whose shades are the share of each row."""
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1.4, aspect="auto")
    for (i, j), n in np.ndenumerate(counts):
        axes.text(
            j,
            i,
            f"{n:,} ({100 * share[i, j]:.1f} %)" if counts[i].sum() else "0",
            ha="center",
            va="center",
            color="white" if share[i, j] > WHITE_FROM else INK,
        )
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.minorticks_off()
    axes.tick_params(length=0)


def _draw_classes(axes, scores) -> None:
    """Measured class against the call of the classifier, spectra."""
    counts = np.zeros((len(CLASSES), 2), dtype=int)
    for _, is_be, profile_class, n in scores:
        if profile_class in CLASSES:
            counts[CLASSES.index(profile_class), 0 if is_be else 1] += n
    _draw_matrix(axes, counts, CLASSES, ("called Be", "called not Be"))


def _draw_people(axes, people) -> None:
    """What people said against the call of the classifier, stars."""
    counts = np.zeros((2, 2), dtype=int)
    for is_be, is_called, n in people:
        counts[0 if is_be else 1, 0 if is_called else 1] += n
    _draw_matrix(axes, counts, ("people: Be", "people: not Be"), ("called Be", "called not Be"))
    right = counts.trace() / counts.sum()
    panel_title(axes, 1, f"people's word, stars: {100 * right:.1f} % alike")


def _draw_scores(axes, scores, threshold: float) -> None:
    """Histogram of the scores by measured class."""
    edges, most = np.linspace(0, 1, BINS + 1), 1.0
    for name, colour in zip((*CLASSES, "none"), COLOURS, strict=True):
        counts = np.zeros(BINS)
        for place, _, profile_class, n in scores:
            if profile_class == name:
                counts[place] += n
        most = max(most, counts.max())
        if counts.any():
            axes.stairs(counts, edges, color=colour, lw=1.0, label=name)
    axes.axvline(threshold, color=QUIET, ls="--", lw=1.0)
    axes.set(
        xlabel="probability of Be", ylabel=f"spectra per {1 / BINS:g}", yscale="log", ylim=(0.7, 20 * most), xlim=(0, 1)
    )
    axes.legend(loc="upper center", ncols=2, fontsize=6)


def _draw_completeness(axes, completeness) -> None:
    """Share found against the strength of the emission, for each S/N and host."""
    if not completeness:
        note(axes, "the catalogue holds no\ncompleteness of this model")
        return
    noise = sorted({row[1] for row in completeness})
    for host, style in (("simulated", "-"), ("real", ":")):
        for snr, colour in zip(noise, (ORANGE, GREEN, BLUE, RED, INK) * len(noise), strict=False):
            rows = [row for row in completeness if row[0] == host and row[1] == snr]
            if not rows:
                continue
            strength, n, found = (
                np.array(column, dtype=float) for column in zip(*(row[2:] for row in rows), strict=True)
            )
            low, high = _wilson(found, n)
            share = found / n
            axes.errorbar(
                -strength, 100 * share, 100 * np.array([share - low, high - share]), color=colour, ls=style, lw=1.0,
                marker="o" if host == "simulated" else "s", ms=3, elinewidth=0.5, label=f"S/N {snr:.0f}, {host} hosts",
            )  # fmt: skip
    axes.set(xscale="log", xlabel="EW of the injected emission / Å", ylabel="found / %", ylim=(-4, 104))
    axes.legend(loc="lower right", fontsize=6)


def _wilson(found, n):
    """Limits of a share, one standard error (Wilson 1927, JASA 22, 209)."""
    share, half = found / n, np.sqrt(found * (n - found) / n + 0.25)
    centre = (found + 0.5) / (n + 1)
    low, high = centre - half / (n + 1), centre + half / (n + 1)
    return np.minimum(low, share), np.maximum(high, share)


CLASSIFIER = Figure(
    number="6",
    title="Performance of the classifier",
    caption=(
        "How often the classifier calls a spectrum Be, by the profile class that stated rules measure on the same spectrum. Below, the scores of all spectra of "
        "early type that reach the classifier, by measured class, with the threshold in force; and the fraction of injected emission "
        "that is found, by its strength and the S/N, with errors of one standard deviation, for the current model. "
        "Corresponds to Figure 6 of Wang et al. 2022, a confusion matrix of the validation sample of their model."
    ),
    draw=draw,
    width_in=TWO_COLUMNS_IN,
    height_in=4.4,
)
