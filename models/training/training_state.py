"""What both trainings need: streams of random numbers, validation sets, saving that an interruption cannot spoil."""

from __future__ import annotations

import hashlib
import multiprocessing
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from becat.models.training.training_data import Labelled, simulated

__all__ = ["count_errors", "is_orphan", "rate", "save", "stream", "validation_sets"]

_BATCH = 32


def stream(seed: int, rank: int, purpose: str, step: int) -> np.random.Generator:
    """Random numbers of a worker, purpose and step, which no other has."""
    word = int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:4], "big")
    return np.random.default_rng([seed, rank, word, step])


def save(path: Path, content) -> None:
    """Write beside and rename, so that an interruption leaves the file before it."""
    beside = path.with_suffix(".new")
    torch.save(content, beside)
    beside.replace(path)


def rate(progress: float, rise: float, floor: float) -> float:
    """Share of the peak learning rate: up in a straight line over the first share `rise`, then down as a cosine to `floor`."""
    return min(progress / rise + 0.05, 0.5 * (1 + np.cos(np.pi * progress)) + floor)


def is_orphan() -> bool:
    """Whether the process that started this one is gone: somebody may start the same training again."""
    parent = multiprocessing.parent_process()
    return parent is not None and not parent.is_alive()


def validation_sets(labelled: Labelled | None, n_simulated: int, seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Flux and label by name; simulated ones of a seed that training never uses."""
    sets = {"simulated": simulated(n_simulated, stream(seed, 0, "validation", 0))}
    if labelled is not None:
        kept = labelled.validated_on()
        windows, usable = kept.windows()
        sets["real"] = (windows[usable], kept.label[usable])
    return sets


@torch.no_grad()
def count_errors(
    probability: Callable[[torch.Tensor], torch.Tensor], flux: np.ndarray, label: np.ndarray, device: torch.device
) -> dict[str, float]:
    """Errors of each kind and cross-entropy.

    Parameters
    ----------
    probability : callable
        (n, 481) flux -> (n,) probabilities.
    flux : (n, 481) float32 array
    label : (n,) array of 0 and 1
    device : torch.device
    """
    parts = [probability(torch.from_numpy(flux[k : k + _BATCH]).to(device)) for k in range(0, len(flux), _BATCH)]
    p = np.concatenate([part.cpu().numpy() for part in parts]) if parts else np.empty(0)
    loss = -np.log(np.clip(np.where(label == 1, p, 1 - p), 1e-7, 1)).mean() if len(p) else np.nan
    return {
        "n": len(p),
        "missed": int(((p < 0.5) & (label == 1)).sum()),
        "false": int(((p >= 0.5) & (label == 0)).sum()),
        "loss": round(float(loss), 4),
    }
