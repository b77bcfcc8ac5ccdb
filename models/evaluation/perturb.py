"""Changes to a spectrum that mean nothing: a decision that flips under them is worth little."""

from __future__ import annotations

import numpy as np

from becat.models.classifiers import Both
from becat.models.score import Scorer
from becat.models.training.training_data import Labelled
from becat.models.window import PIXELS, bridge
from becat.schema.grid import RED
from becat.schema.lines import LINES, SPEED_OF_LIGHT_KM_S, telluric_lines
from becat.simulate.draw import distributions
from becat.simulate.instrument import add_noise_on_grid
from becat.simulate.labels import WINDOW as WIDE
from becat.simulate.labels import Profiles, visibility

__all__ = ["NOISE_REDRAWN", "PERTURBATIONS", "centre", "flips", "noisy_twice", "sky_line_flips"]

NOISE_REDRAWN = "noise redrawn"
MIN_SNR = 20.0
_FWHM_OF_SIGMA = 2.3548
_FIRST = PIXELS.start - WIDE.start
_N_WINDOW = PIXELS.stop - PIXELS.start
_PIXEL_KM_S = RED.step_a / LINES["halpha"].wavelength_a * SPEED_OF_LIGHT_KM_S


def centre(wide: np.ndarray) -> np.ndarray:
    """(n, 481) window of spectra given on 6525-6595 Angstrom."""
    return wide[:, _FIRST : _FIRST + _N_WINDOW]


def _scaled(wide, rng):
    return centre(wide) * rng.choice([0.98, 1.02], (len(wide), 1)).astype(np.float32)


def _moved(wide, rng):
    """By a velocity within 100 km/s."""
    shift = np.rint(rng.uniform(-100, 100, len(wide)) / _PIXEL_KM_S).astype(int)
    return np.take_along_axis(wide, (_FIRST - shift)[:, None] + np.arange(_N_WINDOW), axis=1)


def _resampled(wide, rng):
    """To pixels half a step off, and seen there by linear interpolation."""
    half = (wide[:, :-1] + wide[:, 1:]) / 2
    return half[:, _FIRST : _FIRST + _N_WINDOW]


# Each takes spectra on 6525-6595 Angstrom and a generator, and gives windows.
PERTURBATIONS = {
    "continuum scaled by 2 %": _scaled,
    "moved within 100 km/s": _moved,
    "resampled by half a pixel": _resampled,
}


def noisy_twice(profiles: Profiles, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two noisy versions of each spectrum, with noise as large as it had before added to each: two observations.

    Kept are the spectra that have a S/N of 20 and more afterwards, and of those with a feature the ones whose feature
    could still be seen by the rule of the labels.

    Parameters
    ----------
    profiles : Profiles
    rng : numpy Generator

    Returns
    -------
    (m, 561) float32 array, twice
    """
    truth = profiles.truth
    good = profiles.ivar > 0
    visible = visibility(truth) >= np.sqrt(2) * distributions()["labels"]["significance_min"]
    kept = np.flatnonzero(
        (truth["snr"] >= np.sqrt(2) * MIN_SNR)
        & ((profiles.label == 0) | ((profiles.label == 1) & visible))
        & (good.mean(axis=1) > 0.9)
    )
    flux = bridge(np.where(good, profiles.flux, 1).astype(np.float32)[kept], good[kept])
    error = np.sqrt(np.clip(flux, 0.02, None))  # photons: less noise in a deep core, more on a peak
    sigma, step_a = 1 / truth["snr"][kept], truth["step_a"][kept]

    def observed():
        noise = add_noise_on_grid(rng, sigma, step_a, RED.step_a, flux.shape[1])
        return (flux + error * noise).astype(np.float32)

    return observed(), observed()


def flips(
    scorer: Scorer | Both, wide: np.ndarray, again: np.ndarray | None, rng: np.random.Generator, threshold: float
) -> dict[str, dict[str, float]]:
    """Decisions that change when nothing that matters does.

    Parameters
    ----------
    scorer : Scorer
    wide : (n, 561) float32 array
        Spectra on 6525-6595 Angstrom.
    again : (n, 561) float32 array, optional
        The same with other noise.
    rng : numpy Generator
    threshold : float

    Returns
    -------
    dict
        By change: ``n`` spectra, ``n_flipped``, ``flip_rate`` and the median change of the probability.
    """
    changed = {name: change(wide, rng) for name, change in PERTURBATIONS.items()}
    if again is not None:
        changed[NOISE_REDRAWN] = centre(again)
    before = _probability(scorer, centre(wide))
    table = {}
    for name, windows in changed.items():
        after = _probability(scorer, windows)
        flipped = (after >= threshold) != (before >= threshold)
        table[name] = {
            "n": len(wide),
            "n_flipped": int(flipped.sum()),
            "flip_rate": round(float(flipped.mean()), 5) if len(wide) else float("nan"),
            "median_change": round(float(np.median(np.abs(after - before))), 5) if len(wide) else float("nan"),
        }
    return table


def sky_line_flips(scorer: Scorer | Both, real: Labelled, threshold: float) -> dict[str, dict[str, float]]:
    """Decisions that change when the strongest sky line beside H-alpha, OH 6555.43 A, is hidden or put in.

    Parameters
    ----------
    scorer : Scorer
    real : Labelled
        Plain spectra.
    threshold : float

    Returns
    -------
    dict
        By change: ``n`` spectra, ``n_flipped``, ``n_to_be`` (called Be afterwards only) and ``flip_rate``.
    """
    wavelength = RED.wavelength_a[PIXELS]
    line_a = float(telluric_lines("sky")["wavelength_a"][np.argmax(telluric_lines("sky")["strength"])])
    window, usable = real.windows()
    window, real = window[usable], real.take(usable)
    sigma_a = line_a / real.resolving_power[:, None] / _FWHM_OF_SIGMA
    line = np.exp(-0.5 * ((wavelength - line_a) / sigma_a) ** 2) / np.maximum(real.snr, 1)[:, None]
    hidden = np.stack(
        [_without(row, wavelength, line_a, 3 * float(s)) for row, s in zip(window, sigma_a[:, 0], strict=True)]
    )
    changed = {"hidden": hidden} | {f"{k:+d} times the noise": window + k * line for k in (-5, -3, 3, 5)}
    before = _probability(scorer, window) >= threshold
    table = {}
    for name, windows in changed.items():
        after = _probability(scorer, windows) >= threshold
        flipped = after != before
        table[name] = {
            "n": len(window),
            "n_flipped": int(flipped.sum()),
            "n_to_be": int((after & flipped).sum()),
            "flip_rate": round(float(flipped.mean()), 5) if len(window) else float("nan"),
        }
    return table


def _without(flux, wavelength_a, line_a, half_width_a):
    """A straight line instead of what lies around a wavelength."""
    inside = np.abs(wavelength_a - line_a) < half_width_a
    return np.where(inside, np.interp(wavelength_a, wavelength_a[~inside], flux[~inside]), flux)


def _probability(scorer, window):
    return scorer.score(np.ascontiguousarray(window, np.float32), np.ones_like(window, np.float32))
