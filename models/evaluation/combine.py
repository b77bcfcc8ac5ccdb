"""How much ResNet-18 and the profile networks count together: weights of their log odds, fitted on spectra that neither was trained on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from scipy.special import expit

from becat.models.classifiers import Both, card_of_both
from becat.models.evaluation.calibration import expected_calibration_error, fit_weights
from becat.models.score import NETWORKS, Scorer
from becat.models.training.training_data import Labelled, simulated
from becat.models.training.warp import warp_profiles

__all__ = ["combine"]

_SEED = [20260101, 97]


def combine(resnet18: str | Path, profile: str | Path, labelled: Labelled | None = None, n: int = 6000) -> Path:
    """Fit the weights and write them into a card beside the model of ResNet-18.

    Parameters
    ----------
    resnet18, profile : path
        Exported models.
    labelled : Labelled, optional
        Real spectra; those that only validate count, all together as much as the simulated ones: there are few, and where the classifiers
        differ on real stars without emission, no simulated spectrum tells which is right.
    n : int
        Simulated spectra, of draws that no training and no evaluation sees, half of them warped.

    Returns
    -------
    pathlib.Path
        The card: weights, hashes of the files that they are for (whatever precision), number of spectra.
    """
    parts = {name: Scorer(path) for name, path in zip(NETWORKS, (resnet18, profile), strict=True)}
    for name, scorer in parts.items():
        if scorer.network != name:
            raise ValueError(f"{scorer.path} is a model of {scorer.network}, not of {name}")
    rng = np.random.default_rng(_SEED)
    flux, label = simulated(n, rng)
    flux[::2] = warp_profiles(flux[::2], rng)
    counts, n_real = np.ones(n), 0
    if labelled is not None:
        kept = labelled.validated_on()
        windows, usable = kept.windows()
        n_real = int(usable.sum())
        flux, label = np.concatenate([flux, windows[usable]]), np.concatenate([label, kept.label[usable]])
        counts = np.concatenate([counts, np.full(n_real, n / n_real)])
    good = np.ones_like(flux)
    told = {name: scorer.log_odds(flux, good) for name, scorer in parts.items()}
    fitted = fit_weights(np.stack(list(told.values()), axis=1), label, counts)
    weight: dict[str, float] = dict(zip(NETWORKS, map(float, fitted), strict=True))
    both = Both(parts, weight)
    odds = both.combine(told)
    card = {
        "network": "both",
        "log_odds_weight": weight,
        "be_probability_min": 0.5,
        "simulated_spectra": n,
        "real_spectra": n_real,
        "real_spectrum_counts_as": round(float(counts[-1]), 1),
        "expected_calibration_error": round(expected_calibration_error(expit(odds[:n]), label[:n]), 4),
        "files": {name: _hashes(scorer.path) for name, scorer in parts.items()},
    }
    path = card_of_both(parts["resnet18"].path)
    path.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return path


def _hashes(path: Path) -> list[str]:
    """SHA-256 of a model and of its other precisions."""
    files = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["files"]
    return list(dict.fromkeys([hashlib.sha256(path.read_bytes()).hexdigest(), *(e["sha256"] for e in files.values())]))
