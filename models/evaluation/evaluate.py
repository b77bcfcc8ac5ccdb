"""What the classifier is worth: accuracy by class, noise and resolution, calibration, steadiness, completeness."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from becat.models.classifiers import Both
from becat.models.evaluation import figures
from becat.models.evaluation.calibration import expected_calibration_error, reliability
from becat.models.evaluation.completeness import completeness, write_completeness
from becat.models.evaluation.page import page
from becat.models.evaluation.perturb import MIN_SNR, flips, noisy_twice, sky_line_flips
from becat.models.evaluation.scored import Scored, confusion, roc_area, roc_curve, score_profiles, wilson_interval
from becat.models.score import NETWORKS, Scorer
from becat.models.training.training_data import Labelled
from becat.simulate.sample import GENERATORS, sample_profiles

__all__ = ["evaluate"]

SNR_EDGES = (0, 10, 20, 50, 100, 1000)
RESOLUTION_EDGES = (0, 3000, 6000, 9000, 100_000)
SIGNIFICANCE_EDGES = (5, 6, 7, 8, 10, 20, 100_000)
_WEAK_SIGMA = 8
# What is read off an ROC curve: the share of Be spectra found while so many of the others are called Be.
_FALSE_SHARE = 0.01


def evaluate(
    scorer: Scorer | Both,
    directory: str | Path,
    labelled: Labelled | None = None,
    *,
    n: int = 3000,
    seed: int = 20260101,
    threshold: float | None = None,
    docs: str | Path | None = None,
    beside: Mapping[str, Scorer | Both] | None = None,
) -> dict:
    """Evaluate a model; write its tables and figures.

    Parameters
    ----------
    scorer : Scorer
    directory : path
        Receives ``evaluation.md``, ``evaluation.json``, ``completeness.csv`` and the figures, ``classifier_*.png``.
    labelled : Labelled, optional
        Labelled real spectra; those kept for validation count, the others are shown beside them.
    n : int
        Simulated spectra of each generator; as many again for steadiness and completeness.
    seed : int
        Of all that is drawn; training draws from other seeds.
    threshold : float, optional
        Probability from which a spectrum is called Be; by default the model's own, else 0.5.
    docs : path, optional
        Page of documentation to write too, its figures in the folder ``figures`` beside it. Pictures of real spectra
        stay in `directory`.
    beside : mapping of str to Scorer, optional
        Classifiers, `scorer` among them, that are compared side by side on the same spectra.

    Returns
    -------
    dict
        What ``evaluation.json`` holds.
    """
    threshold = threshold if threshold is not None else scorer.description["be_probability_min"] or 0.5
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    result: dict = {"model_id": scorer.model_id, "provider": scorer.provider, "threshold": threshold, "n": n}
    result["side_by_side"], result["each_for_itself"] = {}, {}
    scored = {}
    for generator in GENERATORS:
        drawn = sample_profiles(n, np.random.default_rng([seed, ord(generator)]), generator)
        scored[generator] = score_profiles(scorer, drawn, f"generator {generator}")
        result[f"simulated_{generator}"] = _accuracy(scored[generator], threshold)
        found = {
            name: scored[generator]
            if other is scorer
            else score_profiles(other, drawn, f"{name}, generator {generator}")
            for name, other in (beside or {}).items()
        }
        if found:
            title = f"simulated, generator {generator}"
            result["side_by_side"][title] = {name: _alone(part, threshold) for name, part in found.items()}
            result["each_for_itself"] |= _each_for_itself(title, found, threshold)
    result["flips"] = {}
    for generator, part in scored.items():
        rng = np.random.default_rng([seed, 3, ord(generator)])
        once, again = noisy_twice(part.profiles, rng)
        result["flips"][f"simulated, generator {generator}"] = flips(scorer, once, again, rng, threshold)
    rows = completeness(scorer, n, np.random.default_rng([seed, 4]), threshold)
    real = None
    if labelled is not None:
        real = labelled.take((labelled.snr > 10) & (labelled.label >= 0))
        windows, usable = real.windows()
        real, windows = real.take(usable), windows[usable]
        probability = scorer.score(windows, np.ones_like(windows))
        result["real"] = _real(real, probability, threshold)
        result["neither"] = _neither(scorer, labelled)
        for name, other in (beside or {}).items():
            for side, found in _real(real, other.score(windows, np.ones_like(windows)), threshold).items():
                row = {key: found["all"][key] for key in _COUNTS} | {"wrong": found["wrong"]}
                result["side_by_side"].setdefault(f"real, {side}", {})[name] = row
        plain = real.take((real.label == 0) & real.kept)
        result["sky_line"] = {
            name: sky_line_flips(other, plain, threshold) for name, other in (beside or {"": scorer}).items()
        }
        steady = real.flux[real.snr >= MIN_SNR]
        result["flips"]["real"] = flips(scorer, steady, None, np.random.default_rng([seed, 3]), threshold)
        hosts = labelled.take(labelled.kept & ~labelled.test).hosts()
        if len(hosts.flux):
            rows += completeness(scorer, n // 2, np.random.default_rng([seed, 5]), threshold, hosts)
        figures.draw_real_misses(directory / "real_misses.png", real, windows, probability, threshold)
    write_completeness(directory / "completeness.csv", rows)
    (directory / "evaluation.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    _draw(directory, scored, result, rows, threshold, None if real is None else (real, probability))
    (directory / "evaluation.md").write_text(page(result, rows, ""), encoding="utf-8")
    if docs is not None:
        _document(Path(docs), directory, result, rows)
    return result


def _document(docs, directory, result, rows):
    """The page and its figures where the documentation is."""
    folder = docs.parent / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    for picture in sorted(directory.glob("classifier_*.png")):
        shutil.copy(picture, folder / picture.name)
    docs.write_text(page(result, rows, "figures/"), encoding="utf-8")


_COUNTS = ("be_found", "be_missed", "false_be", "not_be", "accuracy")


def _alone(scored: Scored, threshold: float) -> dict:
    """Errors of one classifier at S/N of 10 and more, and its expected calibration error."""
    enough = (scored.label >= 0) & (scored.truth("snr") >= 10)
    p, label = scored.probability[enough], scored.label[enough]
    found = _figures(p, label, np.ones(len(p), bool), threshold)
    error = round(expected_calibration_error(p, label), 4)
    weak = (label == 1) & (p < threshold) & (scored.visibility[enough] < _WEAK_SIGMA)
    return {key: found[key] for key in _COUNTS} | {
        "expected_calibration_error": error,
        "missed_under_8_sigma": int(weak.sum()),
    }


def _each_for_itself(title: str, found: Mapping[str, Scored], threshold: float) -> dict[str, dict]:
    """Where one of the two networks errs and the other does not, S/N of 10 and more: how often, and which of them both together follow."""
    if not {*NETWORKS, "both"} <= set(found):
        return {}
    one = found["both"]
    counted = (one.label >= 0) & (one.truth("snr") >= 10)
    wrong = {name: ((part.probability >= threshold) != (part.label == 1))[counted] for name, part in found.items()}
    first, second = (wrong[name] for name in NETWORKS)
    sides = {"right": ~first & ~second, "wrong": first & second}
    sides |= {name: wrong[name] & (first != second) for name in NETWORKS}
    return {
        title: {
            name: {"n": int(side.sum()), "both_wrong": int((side & wrong["both"]).sum())}
            for name, side in sides.items()
        }
    }


def _neither(scorer: Scorer | Both, labelled: Labelled) -> dict[str, float]:
    """Probabilities of real spectra that are counted nowhere: emission, but no Be star."""
    of_neither = labelled.take(labelled.label == -1)
    windows, usable = of_neither.windows()
    found = scorer.score(windows[usable], np.ones_like(windows[usable]))
    return {str(name): round(float(p), 3) for name, p in zip(of_neither.name[usable], found, strict=True)}


def _draw(directory, scored, result, rows, threshold, real):
    figures.draw_roc(directory / "classifier_roc.png", _curves(scored, real))
    figures.draw_confusion(directory / "classifier_confusion.png", result)
    figures.draw_reliability(directory / "classifier_reliability.png", result)
    figures.draw_completeness(directory / "classifier_completeness.png", rows)
    for generator, part in scored.items():
        figures.draw_misses(directory / f"classifier_misses_{generator}.png", part, generator, threshold)


def _groups(kind, snr, resolving_power) -> dict[str, dict[str, np.ndarray]]:
    """Rows of each class, S/N bin and bin of resolution."""
    return {
        "class": {str(name): kind == name for name in np.unique(kind)},
        "S/N": _bins(snr, SNR_EDGES),
        "resolution": _bins(resolving_power, RESOLUTION_EDGES),
    }


def _bins(values, edges) -> dict[str, np.ndarray]:
    return {f"{low:g}-{high:g}": (values >= low) & (values < high) for low, high in itertools.pairwise(edges)}


def _accuracy(scored: Scored, threshold: float) -> dict:
    """Figures of the spectra that belong to a class, whole and by class, S/N, resolution and significance of the feature."""
    known = scored.label >= 0
    p, label, kind = scored.probability[known], scored.label[known], scored.kind[known]
    snr = scored.truth("snr")[known]
    groups = _groups(kind, snr, scored.truth("resolving_power")[known])
    seen = np.where(label == 1, scored.visibility[known], np.nan)
    groups["significance"] = {"of nothing": label == 0} | _bins(seen, SIGNIFICANCE_EDGES)
    enough = snr >= 10
    by = {
        name: {
            key: _figures(p, label, rows, threshold, one_label=name in ("class", "significance"))
            for key, rows in group.items()
            if rows.any()
        }
        for name, group in groups.items()
    }
    return {
        "all": _figures(p, label, np.ones(len(p), bool), threshold),
        "snr_over_10": _figures(p, label, enough, threshold),
        "expected_calibration_error": round(expected_calibration_error(p[enough], label[enough]), 4),
        "reliability": {
            key: np.round(value, 4).tolist() for key, value in reliability(p[enough], label[enough]).items()
        },
        "by": by,
        "misses": [_miss(scored, place) for place in scored.wrong(threshold)],
    }


def _figures(p, label, rows, threshold, one_label: bool = False) -> dict:
    """Confusion, accuracy and ROC of some rows; where these have one label, the ROC is against all rows of the other label."""
    counts = confusion(p[rows], label[rows], threshold)
    right, total = counts["be_found"] + counts["not_be"], int(rows.sum())
    against = rows | (label != label[rows][0]) if one_label else rows
    area = roc_area(p[against], label[against])
    false, found = roc_curve(p[against], label[against])
    low, high = wilson_interval(right, total)
    return {
        **counts,
        "accuracy": round(right / max(1, total), 5),
        "accuracy_low": round(float(low), 5),
        "accuracy_high": round(float(high), 5),
        "roc_area": None if np.isnan(area) else round(area, 5),
        "found_at_1_percent_false": None
        if np.isnan(area)
        else round(float(found[np.searchsorted(false, _FALSE_SHARE, side="right") - 1]), 4),
    }


def _miss(scored: Scored, place: int) -> dict:
    """What is known of a spectrum that was called wrongly."""
    quantities = ("snr", "resolving_power", "ew_emission_a", "v_sin_i_km_s", "teff_k", "shell_fwhm_km_s")
    values = {name: float(scored.truth(name)[place]) for name in quantities}
    values["significance"] = float(scored.visibility[place])
    return {
        "kind": str(scored.kind[place]),
        "label": int(scored.label[place]),
        "probability": round(float(scored.probability[place]), 4),
    } | {name: round(value, 3) for name, value in values.items() if np.isfinite(value)}


def _real(real: Labelled, p: np.ndarray, threshold: float) -> dict:
    """Real spectra of S/N over 10: those on which nothing leaned, those never trained on, and the rest."""
    result = {}
    sides = {"test": real.test, "validation": real.kept & ~real.test, "training": ~real.kept}
    for name, side in sides.items():
        if not side.any():
            continue
        groups = _groups(np.where(real.label == 1, "Be", "not Be"), real.snr, real.resolving_power)
        wrong = side & ((p >= threshold) != (real.label == 1))
        result[name] = {
            "all": _figures(p, real.label, side, threshold),
            "by": {
                key: {
                    label: _figures(p, real.label, side & rows, threshold)
                    for label, rows in group.items()
                    if (side & rows).any()
                }
                for key, group in groups.items()
            },
            "wrong": {str(real.name[k]): round(float(p[k]), 3) for k in np.flatnonzero(wrong)},
        }
    return result


def _curves(scored: dict[str, Scored], real) -> dict[str, dict[str, dict[str, tuple]]]:
    """ROC curves by set and by class, S/N and resolution."""
    sets = {f"simulated, generator {key}": part for key, part in scored.items()}
    curves: dict = {}
    for title, part in sets.items():
        known = part.label >= 0
        p, label = part.probability[known], part.label[known]
        groups = _groups(part.kind[known], part.truth("snr")[known], part.truth("resolving_power")[known])
        groups["class"] = {k: rows | (label == 0) for k, rows in groups["class"].items() if label[rows].all()}
        curves[title] = _curves_of(p, label, groups)
    if real is not None:
        spectra, p = real
        groups = _groups(np.full(len(p), ""), spectra.snr, spectra.resolving_power)
        groups["class"] = {"never trained on": spectra.kept, "all": np.ones(len(p), bool)}
        curves["real"] = _curves_of(p, spectra.label, groups)
    return curves


def _curves_of(p, label, groups):
    """ROC curves of those groups that have both labels."""
    return {
        name: {
            key: roc_curve(p[rows], label[rows])
            for key, rows in group.items()
            if 0 < (label[rows] == 1).sum() < rows.sum()
        }
        for name, group in groups.items()
    }
