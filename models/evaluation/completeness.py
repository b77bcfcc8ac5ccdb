"""How much emission the classifier finds, by its strength, the noise and the star's rotation."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path

import numpy as np

from becat.models.classifiers import Both
from becat.models.evaluation.scored import score_profiles
from becat.models.score import Scorer
from becat.simulate.injection import Hosts, sample_injected
from becat.simulate.sample import sample_profiles

__all__ = ["completeness", "write_completeness"]

EW_EDGES_A = (0.25, 0.5, 1, 2, 5, 15, 60)
SNR_EDGES = (10, 30, 80, 300)
V_SIN_I_EDGES_KM_S = (0, 100, 250, 400)
ROTATION_UNKNOWN = -1.0
_EMISSION_KINDS = ("emission", "emission_single", "emission_weak")


def completeness(
    scorer: Scorer | Both, n: int, rng: np.random.Generator, threshold: float, hosts: Hosts | None = None
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
    scored = score_profiles(scorer, profiles, "completeness")
    found = scored.probability >= threshold
    strength, snr, turning = scored.truth("ew_emission_a"), scored.truth("snr"), scored.truth("v_sin_i_km_s")
    speeds = list(itertools.pairwise(V_SIN_I_EDGES_KM_S)) if hosts is None else [None]
    rows = []
    for ew, noise, speed in itertools.product(itertools.pairwise(EW_EDGES_A), itertools.pairwise(SNR_EDGES), speeds):
        cell = _between(strength, ew) & _between(snr, noise)
        cell &= _between(turning, speed) if speed else True
        if cell.any():
            rows.append(
                {
                    "model_id": scorer.model_id,
                    "ew_emission_a": -_middle(ew),
                    "snr": _middle(noise),
                    "v_sin_i_km_s": sum(speed) / 2 if speed else ROTATION_UNKNOWN,
                    "host": "simulated" if hosts is None else "real",
                    "n_injected": int(cell.sum()),
                    "n_detected": int((cell & found).sum()),
                }
            )
    return rows


def _between(values, limits):
    return (values >= limits[0]) & (values < limits[1])


def _middle(limits) -> float:
    return round(float(np.sqrt(limits[0] * limits[1])), 3)


def write_completeness(path: str | Path, rows: list[dict]) -> None:
    """Write rows of `completeness` as CSV."""
    with Path(path).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
