"""Measured profile classes against the truth of simulated profiles.

Run:  python -m benchmarks.profile_classes [number of profiles]
"""

from __future__ import annotations

import sys

import numpy as np

from schema.grid import RED
from simulate.profiles import WINDOW, sample_profiles
from udfs import profile_batch

CLASSES = ("absorption", "emission", "emission with shell", "absorption with shell")


def classify(n, seed, generator="a"):
    """Simulated profiles and what is measured on them.

    Parameters
    ----------
    n : int
        Number of profiles.
    seed : int
        Seed of the simulation.
    generator : {"a", "b"}
        Generator of `simulate.profiles`.

    Returns
    -------
    profiles : simulate.profiles.Profiles
    measured : dict of (n,) arrays
        Columns of profile_class.
    """
    profiles = sample_profiles(n, np.random.default_rng(seed), generator)
    flux = np.full((n, RED.n_pixels), np.nan, dtype=np.float32)
    ivar = np.zeros_like(flux)
    flux[:, WINDOW], ivar[:, WINDOW] = profiles.flux, profiles.ivar
    truth = profiles.truth
    velocity = np.where(np.isfinite(truth["rv_km_s"]), truth["rv_km_s"], 0.0)
    return profiles, profile_batch(flux, ivar, truth["snr"], velocity, truth["resolving_power"])


def _print_table(title, kinds, rows):
    print(f"\n{title}\n\n| simulated kind | {' | '.join(CLASSES)} |\n|---|{'---:|' * len(CLASSES)}")
    for kind in kinds:
        if rows[kind].sum():
            print(f"| {kind} | {' | '.join(str(count) for count in rows[kind])} |")


def main(n=4000):
    """Print the confusion matrix, and how separation and V/R of double peaks come back."""
    profiles, measured = classify(n, seed=20)
    found = measured["profile_class"].astype(str)
    kinds = sorted(set(profiles.kind))
    for label, title in ((1, "Be, feature visible"), (0, "not Be"), (-1, "feature too weak to be seen")):
        rows = {
            kind: np.array(
                [np.sum((profiles.kind == kind) & (profiles.label == label) & (found == c)) for c in CLASSES]
            )
            for kind in kinds
        }
        _print_table(title, kinds, rows)
    double = (profiles.kind == "emission") & (profiles.truth["n_peaks"] == 2) & (profiles.label == 1)
    double &= np.isfinite(measured["violet_red_ratio"]) & (profiles.truth["resolving_power"] > 5000)
    print(f"\n{double.sum()} simulated double peaks at R > 5000 with both peaks found:")
    ratio = measured["violet_red_ratio"][double] / profiles.truth["violet_red_ratio"][double]
    print(
        f"V/R measured over true: median {np.median(ratio):.3f}, middle 68 % {np.percentile(ratio, [16, 84]).round(3)}"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
