"""The figures of an evaluation: ROC curves, confusion matrices, reliability, completeness, and pictures of the errors."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from becat.models.evaluation.perturb import centre
from becat.models.evaluation.scored import Scored, wilson_interval
from becat.models.window import window_wavelength_a
from becat.simulate.sample import GENERATORS

__all__ = [
    "draw_completeness",
    "draw_confusion",
    "draw_misses",
    "draw_real_misses",
    "draw_reliability",
    "draw_roc",
]

# Okabe & Ito's colours, which the colour-blind tell apart; the ninth and tenth are greys.
_COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#B8A900",
    "#777777",
    "#BBBBBB",
)
_MISSED, _FALSE = _COLOURS[0], _COLOURS[1]
_DPI = 80
_PICTURES = 24


def draw_roc(path: Path, curves: dict[str, dict[str, dict[str, tuple]]]) -> None:
    """ROC curves, a row a set of spectra, a column each for class, S/N and resolution.

    Parameters
    ----------
    path : pathlib.Path
    curves : dict
        By set, grouping and group: shares of not-Be called Be and of Be found.
    """
    figure = Figure(figsize=(14, 3.9 * len(curves)), layout="constrained")
    axes = figure.subplots(len(curves), 3, squeeze=False)
    for row, (title, groups) in zip(axes, curves.items(), strict=True):
        for axis, (name, group) in zip(row, groups.items(), strict=True):
            for colour, (label, (false, found)) in zip(itertools.cycle(_COLOURS), group.items(), strict=False):
                axis.step(np.maximum(false, 1e-4), found, where="post", color=colour, lw=1.4, label=label)
            axis.set(xscale="log", xlim=(7e-4, 1), ylim=(0.5, 1.005), title=f"{title}: by {name}")
            axis.set(xlabel="share of the others called Be", ylabel="share of Be found")
            axis.grid(alpha=0.3)
            if group:
                axis.legend(fontsize=8, loc="lower right")
    figure.savefig(path, dpi=_DPI)


def draw_confusion(path: Path, result: dict) -> None:
    """Confusion matrices of all spectra, of each S/N bin and of each bin of resolution."""
    sets = {
        f"generator {key}": {"all": result[f"simulated_{key}"]["all"]} | _binned(result[f"simulated_{key}"])
        for key in GENERATORS
    }
    for side, part in result.get("real", {}).items():
        sets[f"real, {side}"] = {"all": part["all"]} | _binned(part)
    columns = list(dict.fromkeys(itertools.chain.from_iterable(sets.values())))
    figure = Figure(figsize=(1.55 * len(columns) + 1, 1.75 * len(sets) + 0.3), layout="constrained")
    axes = figure.subplots(len(sets), len(columns), squeeze=False)
    for row, (title, cells) in zip(axes, sets.items(), strict=True):
        for axis, column in zip(row, columns, strict=True):
            _matrix(axis, cells.get(column))
            if title == next(iter(sets)):
                axis.set_title(column, fontsize=9)
        row[0].set_ylabel(f"{title}\ntruly", fontsize=9)
        row[0].set_yticks([0, 1], ["Be", "not Be"], fontsize=8)
    figure.savefig(path, dpi=_DPI)


def _binned(part) -> dict[str, dict]:
    return {
        f"{sign} {label}": figures
        for name, sign in (("S/N", "S/N"), ("resolution", "R"))
        for label, figures in part["by"][name].items()
    }


def _matrix(axis: Axes, counts) -> None:
    """Counts, shaded by the share of their row."""
    axis.set_xticks([])
    axis.set_yticks([])
    if counts is None:
        axis.set_frame_on(False)
        return
    table = np.array([[counts["be_found"], counts["be_missed"]], [counts["false_be"], counts["not_be"]]])
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1.2)
    for (y, x), count in np.ndenumerate(table):
        axis.text(x, y, str(count), ha="center", va="center", color="white" if share[y, x] > 0.6 else "black")
    axis.set_xticks([0, 1], ["called Be", "not"], fontsize=8)
    axis.tick_params(length=0)


def draw_reliability(path: Path, result: dict) -> None:
    """Share of Be among spectra of like probability, with 95 % intervals."""
    figure = Figure(figsize=(4.5 * len(GENERATORS), 4), layout="constrained")
    for axis, generator in zip(figure.subplots(1, len(GENERATORS)), GENERATORS, strict=True):
        part = result[f"simulated_{generator}"]
        n = np.array(part["reliability"]["n"])
        probability, observed = (np.array(part["reliability"][name], float) for name in ("probability", "observed"))
        some = n > 0
        low, high = wilson_interval(observed[some] * n[some], n[some])
        error = np.clip([observed[some] - low, high - observed[some]], 0, None)
        axis.plot([0, 1], [0, 1], color="0.6", lw=1)
        axis.errorbar(probability[some], observed[some], error, fmt="o", ms=4, color=_COLOURS[0], capsize=2)
        for x, y, count in zip(probability[some], observed[some], n[some], strict=True):
            axis.annotate(str(count), (x, y), (4, -10), textcoords="offset points", fontsize=7, color="0.35")
        axis.set(xlabel="probability of Be", ylabel="observed share of Be", xlim=(-0.02, 1.05), ylim=(-0.02, 1.05))
        axis.set_title(
            f"generator {generator}: calibration error {part['expected_calibration_error']:.3f}", fontsize=10
        )
    figure.savefig(path, dpi=_DPI)


def draw_completeness(path: Path, rows: list[dict]) -> None:
    """Share found of injected emission against its strength; a panel a rotation, a curve a S/N."""
    panels = list(dict.fromkeys((row["host"], row["v_sin_i_km_s"]) for row in rows))
    figure = Figure(figsize=(3.6 * len(panels), 3.6), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for axis, (host, speed) in zip(axes, panels, strict=True):
        for colour, snr in zip(_COLOURS, sorted({row["snr"] for row in rows}), strict=False):
            mine = [r for r in rows if (r["host"], r["v_sin_i_km_s"], r["snr"]) == (host, speed, snr)]
            width = np.array([-r["ew_emission_a"] for r in mine])
            n, found = (np.array([r[name] for r in mine]) for name in ("n_injected", "n_detected"))
            low, high = wilson_interval(found, n)
            share = found / np.maximum(n, 1)
            error = np.clip([share - low, high - share], 0, None)
            axis.errorbar(width, share, error, fmt="o-", ms=3, lw=1, color=colour, capsize=2, label=f"S/N {snr:.0f}")
        turning = "rotation unknown" if speed < 0 else f"v sin i about {speed:g} km/s"
        axis.set(xscale="log", ylim=(-0.02, 1.02), xlabel="emission EW (Å)", title=f"{host} hosts, {turning}")
        axis.title.set_fontsize(9)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("share called Be")
    axes[-1].legend(fontsize=8, loc="lower right")
    figure.savefig(path, dpi=_DPI)


def draw_misses(path: Path, scored: Scored, generator: str, threshold: float) -> None:
    """Pictures of the surest errors on simulated spectra of S/N over 10, with what they are."""
    windows, titles, missed = [], [], []
    for place in scored.wrong(threshold)[:_PICTURES]:
        windows.append(centre(scored.profiles.flux[scored.rows[place]][None])[0])
        missed.append(scored.label[place] == 1)
        significance = scored.visibility[place]
        titles.append(
            f"{scored.kind[place]}, called {'not Be' if missed[-1] else 'Be'} (p {scored.probability[place]:.2f})\n"
            f"S/N {scored.truth('snr')[place]:.0f}, R {scored.truth('resolving_power')[place]:.0f}"
            + (f", feature {significance:.0f} sigma" if missed[-1] else "")
        )
    _gallery(path, windows, titles, missed, f"No error of generator {generator} at S/N >= 10")


def draw_real_misses(path: Path, spectra, windows: np.ndarray, probability: np.ndarray, threshold: float) -> None:
    """Pictures of the real spectra called wrongly; nothing is written where there are none.

    Parameters
    ----------
    path : pathlib.Path
    spectra : becat.models.training.training_data.Labelled
    windows : (n, 481) float array
    probability : (n,) float array
    threshold : float
    """
    wrong = np.flatnonzero((probability >= threshold) != (spectra.label == 1))
    path.unlink(missing_ok=True)
    if len(wrong):
        titles = [
            f"{spectra.name[k]}\np {probability[k]:.2f}, S/N {spectra.snr[k]:.0f}, {'test' if spectra.test[k] else 'validation' if spectra.kept[k] else 'training'}"
            for k in wrong
        ]
        _gallery(path, list(windows[wrong]), titles, list(spectra.label[wrong] == 1), "")


def _gallery(path, windows, titles, missed, nothing) -> None:
    """Profiles in rows of six."""
    n_rows = max(1, -(-len(windows) // 6))
    figure = Figure(figsize=(15, 2.1 * n_rows + (0.5 if windows else 0)), layout="constrained")
    axes = figure.subplots(n_rows, 6, squeeze=False).ravel()
    for axis, window, title, is_missed in itertools.zip_longest(axes, windows, titles, missed):
        if window is None:
            axis.set_axis_off()
            continue
        axis.plot(window_wavelength_a(), window, lw=0.7, color="black")
        axis.set_title(title, fontsize=7, color=_MISSED if is_missed else _FALSE)
        axis.tick_params(labelsize=6)
    if not windows:
        axes[0].text(0, 0.5, nothing)
    figure.savefig(path, dpi=_DPI)
