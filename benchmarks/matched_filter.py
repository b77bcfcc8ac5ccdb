"""How many errors an observer makes who knows what no classifier is told: is there anything left to be found?

    python -m benchmarks.matched_filter --spectra 5000 --features 2500

The observer is a bank of matched filters. It is told the velocity, the resolving power, the noise of each spectrum and how neighbouring
pixels share it, and has the library of stars without a disc (`simulate/disc_free.py`) and a bank of simulated discs and shells; its
statistic is how much better the nearest star with the best of these features explains the spectrum than the nearest without (a generalised
likelihood ratio). Its threshold is the one that makes the fewest errors on these very spectra. The classifier sees the flux alone, with its
usual threshold. Left out are late types, which the library holds without the scatter of their metal lines, nebulae and P Cygni profiles,
spectra of noise, and defects (cosmic rays, dead and masked pixels), which no filter of the bank knows. *Both* is a logistic fit to log
odds and statistic, each half of the spectra judged by the fit to the other: what of either the other does not know.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from tqdm import tqdm

from becat.models.score import DEFAULT_MODEL, Scorer
from becat.models.training.training_data import window_of
from becat.simulate import instrument
from becat.simulate.disc_free import FIRST, GRID, REST_A
from becat.simulate.draw import distributions
from becat.simulate.instrument import gather, resolution_sigma_km_s
from becat.simulate.labels import visibility, window_wavelength_a
from becat.simulate.sample import kind_names, sample_profiles
from becat.simulate.systems import draw_systems, render
from becat.simulate.velocity import fourier_gaussian, multiply

_SEED = 79
_LEFT_OUT = ("late", "noise", "nebular", "p_cygni", "emission_clear")
_CHUNK = 256
_EDGES = (5, 6, 7, 8, 10, 20, np.inf)


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spectra", type=int, default=5000)
    parser.add_argument("--features", type=int, default=2500, help="in the bank")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    options = parser.parse_args()
    instrument._defects = lambda rng, flux, ivar: (flux, ivar)
    kinds = [name for name in kind_names() if name not in _LEFT_OUT]
    profiles = sample_profiles(options.spectra, np.random.default_rng([_SEED, 1]), "a", kinds)
    window, usable = window_of(profiles)
    rows = np.flatnonzero(usable & (profiles.label >= 0))
    label, sigma = profiles.label[rows] == 1, visibility(profiles.truth)[rows]
    truth = {name: values[rows] for name, values in profiles.truth.items()}
    ratio = _likelihood_ratio(profiles.flux[rows], truth, _features(kinds, options.features))
    log_odds = Scorer(options.model).log_odds(window[rows], np.ones_like(window[rows]))
    limits = np.unique(ratio[~label])
    best = limits[np.argmin([((ratio > limit) != label).sum() for limit in limits])]
    called = {
        "matched filters": ratio > best,
        "classifier": log_odds >= 0,
        "both": _both(np.stack([log_odds, np.log1p(ratio), np.minimum(ratio, 60) / 10, np.ones(len(ratio))], 1), label),
    }
    print(f"| missed of {label.sum()}, false of {(~label).sum()} | " + " | ".join(called) + " |\n" + "|---" * 4 + "|")
    for low, high in itertools.pairwise(_EDGES):
        inside = label & (sigma >= low) & (sigma < high)
        counts = [f"{(~be & inside).sum()} of {inside.sum()}" for be in called.values()]
        print(f"| missed, {low} to {high} sigma | " + " | ".join(counts) + " |")
    print("| missed | " + " | ".join(f"{(~be & label).sum()}" for be in called.values()) + " |")
    print("| false | " + " | ".join(f"{(be & ~label).sum()}" for be in called.values()) + " |")
    print("| right | " + " | ".join(f"{(be == label).mean():.2%}" for be in called.values()) + " |")


def _features(kinds, n):
    """(n, GRID.n_pixels) what discs and shells of the kinds that are Be add to the light of their stars, at rest."""
    rng = np.random.default_rng([_SEED, 2])
    weight = {
        name: distributions()["kinds"][name]["weight"] for name in kinds if distributions()["kinds"][name]["label"]
    }
    share = np.array(list(weight.values())) / sum(weight.values())
    return np.concatenate(
        [
            render(draw_systems(name, rng, np.zeros(k)), GRID, rng)[1]
            for name, k in zip(weight, rng.multinomial(n, share), strict=True)
        ]
    )


def _likelihood_ratio(flux, truth, features):
    """(n,) twice the logarithm of the ratio of likelihoods of the best star with a feature and the best without."""
    first, second = window_wavelength_a()[:2]
    ratio = np.empty(len(flux))
    with tqdm(total=len(flux), desc="matched filters", unit=" spectra") as bar:
        for start in range(0, len(flux), _CHUNK):
            known = {name: values[start : start + _CHUNK] for name, values in truth.items()}
            part = flux[start : start + _CHUNK]
            for rows, power, comparisons in FIRST.comparisons(part, lambda a: (a - first) / (second - first), known):
                filters = _filters(features, power)
                without, best = np.full((2, len(rows)), np.inf)
                for comparison in comparisons:
                    without = np.minimum(without, comparison[-1])
                    best = np.minimum(best, comparison[-1] - _explained(filters, *comparison[:-1]))
                ratio[start + rows] = without - best
                bar.update(len(rows))
    return ratio


def _filters(features, resolving_power):
    """(n, m) features at a resolving power, of unit length."""
    blurred = multiply(features, fourier_gaussian(GRID, resolution_sigma_km_s(np.array([resolving_power]))))
    found = gather(blurred, GRID.pixel(REST_A))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def _explained(filters, weight, rest, shapes):
    """(n,) what the best of the filters, of any positive strength, explains of the rest that the shapes leave."""
    weight, rest, shapes = (each.astype(np.float32) for each in (weight, rest, shapes))
    inverse = np.linalg.inv(shapes @ shapes.transpose(0, 2, 1) + np.eye(shapes.shape[1])).astype(np.float32)
    found = np.empty(len(rest))
    for k in range(len(rest)):  # filters times spectra times shapes would not fit into memory
        weighted = filters * weight[k]
        along = weighted @ shapes[k].T
        strength = weighted @ rest[k] - along @ (inverse[k] @ (shapes[k] @ rest[k]))
        length = np.einsum("km,km->k", weighted, weighted) - np.einsum("kj,kj->k", along @ inverse[k], along)
        found[k] = (np.maximum(strength, 0) ** 2 / np.maximum(length, 1e-9)).max()
    return found


def _both(columns, label):
    """(n,) decisions of a logistic fit, each half by the fit to the other."""
    sign, called = np.where(label, 1, -1), np.empty(len(label), bool)
    for half in (slice(0, None, 2), slice(1, None, 2)):
        other = slice(1 - half.start, None, 2)

        def loss(w, rows=other):
            return np.logaddexp(0, -sign[rows] * (columns[rows] @ w)).mean() + 1e-4 * w @ w

        called[half] = columns[half] @ minimize(loss, np.zeros(columns.shape[1])).x > 0
    return called


if __name__ == "__main__":
    main()
