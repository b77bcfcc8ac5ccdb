"""Simulated profiles with the probabilities that a model gives them, and figures of merit of such pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from becat.models.classifiers import Both
from becat.models.score import Scorer
from becat.models.training.training_data import window_of
from becat.simulate.labels import Profiles, visibility

__all__ = ["Scored", "confusion", "roc_area", "roc_curve", "score_profiles", "wilson_interval"]

_BATCH = 64


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
        """(m,) values of one quantity of `becat.simulate.labels.TRUTH`."""
        return self.profiles.truth[name][self.rows]

    @property
    def visibility(self) -> np.ndarray:
        """(m,) significance of the features by the label rule; NaN without one."""
        return visibility(self.profiles.truth)[self.rows]

    def wrong(self, threshold: float, snr_min: float = 10.0) -> np.ndarray:
        """Places of the errors among spectra that belong to a class, the surest error first."""
        error = (self.label >= 0) & ((self.probability >= threshold) != (self.label == 1))
        places = np.flatnonzero(error & (self.truth("snr") >= snr_min))
        return places[np.argsort(-np.abs(self.probability[places] - threshold), kind="stable")]


def score_profiles(scorer: Scorer | Both, profiles: Profiles, description: str = "scoring") -> Scored:
    """Score those profiles that have enough good pixels."""
    window, usable = window_of(profiles)
    rows = np.flatnonzero(usable)
    parts = [np.empty(0, np.float32)]
    for start in tqdm(range(0, len(rows), _BATCH), desc=description, unit=" batches", leave=False, disable=None):
        part = window[rows[start : start + _BATCH]]
        parts.append(scorer.score(part, np.ones_like(part)))
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


def roc_curve(probability: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the not-Be called Be and of the Be found, for every threshold from the highest down, from (0, 0)."""
    probability, be = np.asarray(probability), np.asarray(label) == 1
    order = np.argsort(-probability, kind="stable")
    last = np.append(np.flatnonzero(np.diff(probability[order])), len(order) - 1)  # equal ones are called together
    found, false = np.cumsum(be[order])[last], np.cumsum(~be[order])[last]
    return np.append(0, false) / max(1, (~be).sum()), np.append(0, found) / max(1, be.sum())


def wilson_interval(n_right, n, z: float = 1.96) -> tuple[np.ndarray, np.ndarray]:
    """Limits between which the true share lies in 95 of 100 cases.

    References
    ----------
    Wilson 1927, JASA 22, 209.
    """
    n_right, n = np.asarray(n_right, float), np.maximum(np.asarray(n, float), 1)
    share = n_right / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)
