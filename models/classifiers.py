"""The classifiers that come with becat, together: ResNet-18, the profile networks, and both as one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit

from becat.models.score import NETWORKS, RESTORE, Scorer, own_model
from becat.schema.errors import BecatError

__all__ = ["Both", "Classifiers", "card_of_both", "decides", "hashes", "load"]


class Both:
    """ResNet-18 and the profile networks as one classifier: the sum of their log odds, each times its weight.

    It is asked as a `becat.models.score.Scorer` is.

    Parameters
    ----------
    parts : dict of str to Scorer
        By network.
    weight : mapping of str to float
        Of the calibrated log odds of each, fitted on spectra that neither saw.
    threshold : float
        Probability from which a spectrum is called Be.
    """

    network = "both"

    def __init__(self, parts: Mapping[str, Scorer], weight: Mapping[str, float], threshold: float = 0.5):
        self.parts, self.weight = dict(parts), {name: float(weight[name]) for name in parts}
        self.sha256 = _sha256({name: scorer.sha256 for name, scorer in self.parts.items()}, self.weight)
        self.model_id = self.sha256[:12]
        self.outputs = {"probability", "log_odds", "features"}
        words = [f"{self.weight[name]:.3g} times that of {scorer.path.name}" for name, scorer in self.parts.items()]
        self.description = {
            "network": self.network,
            "model_id": self.model_id,
            "name": " + ".join(scorer.path.name for scorer in self.parts.values()),
            "sha256": self.sha256,
            "architecture": f"log odds: {' and '.join(words)}",
            "precision": " + ".join(str(scorer.description["precision"]) for scorer in self.parts.values()),
            "training_data": "weights fitted on simulated and real spectra that neither was trained on",
            "be_probability_min": threshold,
        }

    @property
    def provider(self) -> str:
        """Execution providers that run the parts."""
        return ", ".join(sorted({scorer.provider for scorer in self.parts.values()}))

    def combine(self, log_odds: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n,) float32 log odds of both from those of each, by network; NaN where one has none."""
        return sum(self.weight[name] * log_odds[name] for name in self.parts)  # pyright: ignore[reportReturnType]

    def log_odds(self, flux: np.ndarray, ivar: np.ndarray) -> np.ndarray:
        """(n,) float32; as `Scorer.log_odds`."""
        return self.combine({name: scorer.log_odds(flux, ivar) for name, scorer in self.parts.items()})

    def score(self, flux: np.ndarray, ivar: np.ndarray) -> np.ndarray:
        """(n,) float32 probabilities; as `Scorer.score`."""
        return expit(self.log_odds(flux, ivar))

    def features(self, flux: np.ndarray, ivar: np.ndarray) -> np.ndarray:
        """(n, k) float32; as `Scorer.features`, those of the profile networks, which see more of a profile."""
        return self.parts["profile"].features(flux, ivar)


Classifiers = dict[str, Scorer | Both]


def load(model: str | Path | None = None) -> Classifiers:
    """Classifiers by name: becat's own ``resnet18``, ``profile`` and ``both``, or only the given model.

    Raises
    ------
    BecatError
        A file is missing or damaged, or the weights of both are those of other files.
    """
    if model is not None:
        scorer = Scorer(model)
        return {scorer.network: scorer}
    parts = {network: Scorer(network=network) for network in NETWORKS}
    return {**parts, "both": both_of(parts)}


def both_of(parts: Mapping[str, Scorer]) -> Both:
    """Two classifiers as one, as the card beside them weighs them.

    Raises
    ------
    BecatError
        There is no such card, or it is that of other files.
    """
    card = card_of_both(next(iter(parts.values())).path)
    told: dict[str, Any] = json.loads(card.read_text(encoding="utf-8")) if card.is_file() else {"files": {}}
    for name, scorer in parts.items():
        if scorer.sha256 not in told["files"].get(name, []):
            raise BecatError(
                f"{card} does not weigh {scorer.path.name}: {RESTORE}, or fit them anew with `becat export both`"
            )
    return Both(parts, told["log_odds_weight"], told["be_probability_min"])


def card_of_both(resnet18: Path) -> Path:
    """Where the weights of both stand: beside the model of ResNet-18."""
    return resnet18.with_name(resnet18.stem.removesuffix("_fp16").removesuffix("_resnet18") + "_both.json")


def hashes() -> dict[str, str]:
    """Which of becat's own classifiers a SHA-256 is, in whatever precision, and of both as one: read from their cards."""
    cards = {network: own_model(network).with_suffix(".json") for network in NETWORKS}
    of = {name: json.loads(card.read_text(encoding="utf-8"))["files"] for name, card in cards.items()}
    alone = {entry["sha256"]: name for name, files in of.items() for entry in files.values()}
    told = json.loads(card_of_both(own_model("resnet18")).read_text(encoding="utf-8"))
    pairs = product(*(told["files"][name] for name in NETWORKS))
    together = (_sha256(dict(zip(NETWORKS, pair, strict=True)), told["log_odds_weight"]) for pair in pairs)
    return {**alone, **dict.fromkeys(together, "both")}


def _sha256(parts: Mapping[str, str], weight: Mapping[str, float]) -> str:
    """The identity of both: of their files, and of how they are weighed."""
    told = [f"{name} {parts[name]} {float(weight[name])!r}" for name in NETWORKS]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


def decides(classifiers: Classifiers, wanted: str) -> Scorer | Both:
    """The one that decides where `wanted` is asked for: itself, or, where it is not there, the only one that is."""
    if wanted in classifiers:
        return classifiers[wanted]
    (only,) = classifiers.values()
    return only
