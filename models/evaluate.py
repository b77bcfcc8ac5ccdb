"""What the classifier is worth: accuracy by class, noise and resolution, calibration, steadiness, completeness."""

from __future__ import annotations

import csv
import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from models.calibration import expected_calibration_error, reliability
from models.perturb import PERTURBATIONS, centre
from models.score import Scorer
from models.training_data import Labelled, window_of
from simulate.injection import Hosts, sample_injected
from simulate.labels import Profiles
from simulate.profiles import sample_profiles

__all__ = ["completeness", "confusion", "evaluate", "flip_rates", "roc_area", "write_completeness"]

SNR_EDGES = (3, 10, 20, 50, 100, 1000)
RESOLUTION_EDGES = (1000, 3000, 6000, 9000, 20000)
EW_EDGES_A = (0.25, 0.5, 1, 2, 5, 15, 60)
COMPLETENESS_SNR_EDGES = (10, 30, 80, 300)
V_SIN_I_EDGES_KM_S = (0, 100, 250, 400)
ROTATION_UNKNOWN = -1.0
_EMISSION_KINDS = ("emission", "emission_single", "emission_weak")


@dataclass
class Scored:
    """Profiles with their probabilities; those that cannot be scored are left out."""

    profiles: Profiles
    probability: np.ndarray
    rows: np.ndarray  # of the profiles

    @property
    def label(self) -> np.ndarray:
        return self.profiles.label[self.rows]

    @property
    def kind(self) -> np.ndarray:
        return self.profiles.kind[self.rows]

    def truth(self, name: str) -> np.ndarray:
        return self.profiles.truth[name][self.rows]


def _score(scorer: Scorer, profiles: Profiles) -> Scored:
    window, usable = window_of(profiles)
    rows = np.flatnonzero(usable)
    parts = [
        scorer.score(window[rows[k : k + 64]], np.ones_like(window[rows[k : k + 64]]))
        for k in tqdm(range(0, len(rows), 64), desc="scoring", unit=" batches", leave=False, disable=None)
    ]
    return Scored(profiles, np.concatenate(parts), rows)


def confusion(probability: np.ndarray, label: np.ndarray, threshold: float) -> dict[str, int]:
    """Be found and missed, not-Be called Be (``false_be``) and left alone."""
    called, be = np.asarray(probability) >= threshold, np.asarray(label) == 1
    return {
        "be_found": int((called & be).sum()),
        "be_missed": int((~called & be).sum()),
        "false_be": int((called & ~be).sum()),
        "not_be": int((~called & ~be).sum()),
    }


def roc_area(probability: np.ndarray, label: np.ndarray) -> float:
    """Area under the ROC curve: how often a Be spectrum has the higher probability of a pair. NaN with one class only."""
    be = np.asarray(label) == 1
    n_be, n_other = be.sum(), (~be).sum()
    if not n_be or not n_other:
        return float("nan")
    _values, place, count = np.unique(probability, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((rank[be].sum() - n_be * (n_be + 1) / 2) / (n_be * n_other))


def evaluate(
    scorer: Scorer,
    directory: str | Path,
    labelled: Labelled | None = None,
    *,
    n: int = 2000,
    seed: int = 20260101,
    threshold: float | None = None,
) -> dict:
    """Evaluate a model and write the tables.

    Parameters
    ----------
    scorer : Scorer
    directory : path
        Receives ``evaluation.md``, ``evaluation.json``, ``completeness.csv`` and, with matplotlib, ``misses.png``.
    labelled : Labelled, optional
        Labelled real spectra; those kept for validation count, the others are shown beside them.
    n : int
        Simulated spectra of each generator; as many again for steadiness and completeness.
    seed : int
        Of all that is drawn; training draws from other seeds.
    threshold : float, optional
        Probability from which a spectrum is called Be; by default the model's own, else 0.5.

    Returns
    -------
    dict
        What ``evaluation.json`` holds.
    """
    threshold = threshold if threshold is not None else scorer.description["be_probability_min"] or 0.5
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    result: dict = {"model_id": scorer.model_id, "provider": scorer.provider, "threshold": threshold, "n": n}
    scored = {}
    for generator in ("a", "b"):
        rng = np.random.default_rng([seed, ord(generator)])
        scored[generator] = _score(scorer, sample_profiles(n, rng, generator))
        result[f"simulated_{generator}"] = _accuracy(scored[generator], threshold)
    if labelled is not None:
        result["real"] = _real(scorer, labelled, threshold)
    result["flip_rate"] = flip_rates(scorer, n, np.random.default_rng([seed, 3]), threshold)
    rows = completeness(scorer, n, np.random.default_rng([seed, 4]), threshold)
    if labelled is not None:
        hosts = labelled.take(labelled.kept).hosts()
        rows += completeness(scorer, n // 2, np.random.default_rng([seed, 5]), threshold, hosts)
    write_completeness(directory / "completeness.csv", rows)
    (directory / "evaluation.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (directory / "evaluation.md").write_text(_markdown(result, rows), encoding="utf-8")
    draw_misses(directory / "misses.png", scored, threshold)
    return result


def _accuracy(scored: Scored, threshold: float) -> dict:
    """Figures of the spectra that belong to a class, whole and by kind, S/N and resolution."""
    known = scored.label >= 0
    p, label = scored.probability[known], scored.label[known]
    groups: dict[str, dict[str, np.ndarray]] = {
        "kind": {str(name): scored.kind[known] == name for name in np.unique(scored.kind[known])},
        "snr": _bins(scored.truth("snr")[known], SNR_EDGES),
        "resolution": _bins(scored.truth("resolving_power")[known], RESOLUTION_EDGES),
    }
    enough = scored.truth("snr")[known] >= 10
    return {
        "all": _figures(p, label, threshold),
        "snr_over_10": _figures(p[enough], label[enough], threshold),
        "expected_calibration_error": round(expected_calibration_error(p[enough], label[enough]), 4),
        "reliability": {
            key: np.round(value, 4).tolist() for key, value in reliability(p[enough], label[enough]).items()
        },
        "by": {
            name: {key: _figures(p[rows], label[rows], threshold) for key, rows in group.items() if rows.any()}
            for name, group in groups.items()
        },
    }


def _figures(p, label, threshold) -> dict:
    counts = confusion(p, label, threshold)
    right = counts["be_found"] + counts["not_be"]
    return {**counts, "accuracy": round(right / max(1, len(p)), 4), "roc_area": round(roc_area(p, label), 5)}


def _bins(values, edges) -> dict[str, np.ndarray]:
    return {f"{low:g}-{high:g}": (values >= low) & (values < high) for low, high in itertools.pairwise(edges)}


def _real(scorer, labelled, threshold) -> dict:
    """Real spectra of S/N over 10: those never trained on, and the rest."""
    labelled = labelled.take(labelled.snr > 10)
    window, usable = labelled.windows()
    p = scorer.score(window, np.ones_like(window))
    result = {}
    for name, rows in (("validation", labelled.kept & usable), ("training", ~labelled.kept & usable)):
        wrong = rows & ((p >= threshold) != (labelled.label == 1))
        result[name] = _figures(p[rows], labelled.label[rows], threshold) | {
            "wrong": {str(labelled.name[k]): round(float(p[k]), 3) for k in np.flatnonzero(wrong)}
        }
    return result


def flip_rates(scorer: Scorer, n: int, rng: np.random.Generator, threshold: float) -> dict[str, dict[str, float]]:
    """Share of decisions that change when nothing that matters does, for simulated spectra of S/N 20 and more.

    Parameters
    ----------
    scorer : Scorer
    n : int
        Spectra drawn, of which about two thirds have that S/N.
    rng : numpy Generator
    threshold : float

    Returns
    -------
    dict
        By change: ``n`` spectra and ``flip_rate``.
    """
    profiles = sample_profiles(n, rng)
    kept = (profiles.truth["snr"] >= 20) & (profiles.label >= 0) & (profiles.ivar > 0).all(axis=1)
    clean = profiles.flux[kept]
    error = (0.5 / np.sqrt(profiles.ivar[kept])).astype(np.float32)
    # What was drawn stands for the noiseless spectrum; noise of half its error is drawn on top, twice.
    noise = error * rng.standard_normal(clean.shape, dtype=np.float32)
    wide = clean + noise
    before = _decide(scorer, centre(wide), threshold)
    return {
        name: {
            "n": len(wide),
            "flip_rate": round(float(np.mean(_decide(scorer, change(wide, noise, rng), threshold) != before)), 5),
        }
        for name, change in PERTURBATIONS.items()
    }


def _decide(scorer, window, threshold):
    return scorer.score(np.ascontiguousarray(window, np.float32), np.ones_like(window)) >= threshold


def completeness(
    scorer: Scorer, n: int, rng: np.random.Generator, threshold: float, hosts: Hosts | None = None
) -> list[dict]:
    """Detections among injected emission, visible or not.

    Parameters
    ----------
    scorer : Scorer
    n : int
        Spectra to inject emission into.
    rng : numpy Generator
    threshold : float
    hosts : Hosts, optional
        Real absorption spectra; by default simulated ones.

    Returns
    -------
    list of dict
        Rows of table `completeness` without run: one a bin of emission, S/N and rotation, each named by the middle of
        the bin (geometric for emission and S/N). The rotation of real hosts is not known: -1.
    """
    if hosts is None:
        profiles = sample_profiles(n, rng, kinds=list(_EMISSION_KINDS))
    else:
        profiles = sample_injected(n, rng, hosts, _EMISSION_KINDS, be_fraction=1.0)
    scored = _score(scorer, profiles)
    found = scored.probability >= threshold
    strength, snr = _bins(scored.truth("ew_emission_a"), EW_EDGES_A), _bins(scored.truth("snr"), COMPLETENESS_SNR_EDGES)
    turning = (
        _bins(scored.truth("v_sin_i_km_s"), V_SIN_I_EDGES_KM_S) if hosts is None else {"": np.ones(len(found), bool)}
    )
    rows = []
    for ew, in_ew in strength.items():
        for noise, in_snr in snr.items():
            for speed, in_speed in turning.items():
                cell = in_ew & in_snr & in_speed
                if cell.any():
                    rows.append(
                        {
                            "model_id": scorer.model_id,
                            "ew_emission_a": -_middle(ew),
                            "snr": _middle(noise),
                            "v_sin_i_km_s": sum(map(float, speed.split("-"))) / 2 if speed else ROTATION_UNKNOWN,
                            "host": "simulated" if hosts is None else "real",
                            "n_injected": int(cell.sum()),
                            "n_detected": int((cell & found).sum()),
                        }
                    )
    return rows


def _middle(interval: str) -> float:
    low, high = map(float, interval.split("-"))
    return round(float(np.sqrt(low * high)), 3)


def write_completeness(path: str | Path, rows: list[dict]) -> None:
    """Write rows of `completeness` as CSV."""
    with Path(path).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def draw_misses(path: Path, scored: dict[str, Scored], threshold: float, n: int = 24) -> None:
    """Picture of the worst errors on simulated spectra of S/N over 10, by how sure the model was."""
    from matplotlib.figure import Figure

    from models.window import window_wavelength_a

    figure = Figure(figsize=(16, 9))
    axes = figure.subplots(4, n // 4).ravel()
    worst = []
    for generator, part in scored.items():
        wrong = (part.label >= 0) & ((part.probability >= threshold) != (part.label == 1)) & (part.truth("snr") >= 10)
        worst += [(abs(part.probability[k] - threshold), generator, k) for k in np.flatnonzero(wrong)]
    for axis, (_, generator, k) in zip(axes, sorted(worst, reverse=True), strict=False):
        part = scored[generator]
        row = part.rows[k]
        axis.plot(window_wavelength_a(), centre(part.profiles.flux[row : row + 1])[0], lw=0.6, color="k")
        axis.set_title(
            f"{generator} {part.kind[k]} p={part.probability[k]:.2f} S/N {part.truth('snr')[k]:.0f}"
            f" sig {part.truth('feature_significance_marginal')[k]:.0f}",
            fontsize=7,
        )
        axis.tick_params(labelsize=6)
    figure.tight_layout(pad=0.3)
    figure.savefig(path, dpi=60)


def _markdown(result: dict, rows: list[dict]) -> str:
    """The tables as a page; `becat evaluate` writes it, nobody edits it."""
    lines = [
        "# Evaluation of the classifier",
        "",
        f"Written by `becat evaluate`. Model {result['model_id']}, threshold {result['threshold']},"
        f" {result['n']} simulated spectra a table, run by {result['provider']}.",
    ]
    for key, title in (
        ("simulated_a", "Simulated, generator a (new draws)"),
        ("simulated_b", "Simulated, generator b (never trained on)"),
    ):
        part = result[key]
        lines += [
            "",
            f"## {title}",
            "",
            _HEAD,
            _RULE,
            _line("all", part["all"]),
            _line("S/N >= 10", part["snr_over_10"]),
        ]
        for name, group in part["by"].items():
            lines += [_line(f"{name} {label}", figures) for label, figures in group.items()]
        lines += ["", f"Expected calibration error at S/N >= 10: {part['expected_calibration_error']:.4f}.", ""]
        lines += ["| mean probability | observed share | spectra |", "|---|---|---|"]
        table = part["reliability"]
        lines += [
            f"| {p:.3f} | {o:.3f} | {m} |"
            for p, o, m in zip(table["probability"], table["observed"], table["n"], strict=True)
            if m
        ]
    if "real" in result:
        lines += ["", "## Real spectra with S/N over 10", "", _HEAD, _RULE]
        lines += [_line(name, figures) for name, figures in result["real"].items()]
        for name, figures in result["real"].items():
            lines += [
                "",
                f"Wrong ({name}): " + (", ".join(f"{k} ({p})" for k, p in figures["wrong"].items()) or "none"),
            ]
    lines += [
        "",
        "## Changes that mean nothing, S/N >= 20",
        "",
        "| change | spectra | decisions that flip |",
        "|---|---|---|",
    ]
    lines += [f"| {name} | {f['n']} | {100 * f['flip_rate']:.2f} % |" for name, f in result["flip_rate"].items()]
    lines += [
        "",
        "## Completeness",
        "",
        "| host | emission EW (A) | S/N | v sin i (km/s) | injected | found |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['host']} | {r['ew_emission_a']:g} | {r['snr']:g} | {r['v_sin_i_km_s']:g} | {r['n_injected']} |"
        f" {100 * r['n_detected'] / r['n_injected']:.0f} % |"
        for r in rows
    ]
    return "\n".join(lines) + "\n"


_HEAD = "| group | Be found | Be missed | false Be | not Be | accuracy | ROC area |"
_RULE = "|---|---|---|---|---|---|---|"


def _line(name: str, f: dict) -> str:
    return (
        f"| {name} | {f['be_found']} | {f['be_missed']} | {f['false_be']} | {f['not_be']} |"
        f" {100 * f['accuracy']:.2f} % | {f['roc_area']:.4f} |"
    )
