"""Scoring on a CPU: the shipped int8 model against PyTorch, the drawing included in both.

    python -m benchmarks.scoring --spectra 2000 --weights WEIGHTS

WEIGHTS is the ``weights.pt`` of the training that the model was exported from (`becat train`); without it only the int8
model is timed, and the line for PyTorch is left out. Both run in this process, on the same spectra, one after the other,
on as many threads as the process may use. Memory is the peak of the process after a tenth and after all of the spectra.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np

from models.score import DEFAULT_MODEL, Scorer
from models.training_data import simulated


def main() -> None:
    """Print spectra per second, the peak of the memory and the share of decisions that differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spectra", type=int, default=2000)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    options = parser.parse_args()
    flux, _ = simulated(options.spectra, np.random.default_rng(8))
    ivar = np.ones_like(flux)
    scorer = Scorer(options.model)
    scorer.score(flux[:32], ivar[:32])
    early = scorer.score(flux[: len(flux) // 10], ivar[: len(flux) // 10])
    peak = _peak_mb()
    start = time.perf_counter()
    int8 = scorer.score(flux, ivar)
    rate = len(flux) / (time.perf_counter() - start)
    print(f"{scorer.path.name} on {scorer.provider}: {rate:.1f} spectra/s, {len(flux)} spectra")
    print(f"peak memory: {peak:.0f} MB after {len(early)} spectra, {_peak_mb():.0f} MB after {len(flux)}")
    if options.weights:
        torch_rate, single = _pytorch(options.weights, flux)
        print(f"PyTorch eager fp32: {torch_rate:.1f} spectra/s; int8 is {rate / torch_rate:.1f} times as fast")
        print(f"decisions that differ: {np.mean((int8 >= 0.5) != (single >= 0.5)):.2%}")


def _pytorch(weights, flux):
    """Spectra per second of the network before export, and its probabilities."""
    import torch

    from models.network import Classifier

    model = Classifier()
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    model.eval()
    with torch.inference_mode():
        model(torch.from_numpy(flux[:32]))
        start = time.perf_counter()
        parts = [model(torch.from_numpy(flux[k : k + 32]))[0].numpy() for k in range(0, len(flux), 32)]
    return len(flux) / (time.perf_counter() - start), np.concatenate(parts)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
