"""The spectrograph of the test generators: photons counted on pixels of any width, a cubic error of the continuum, the way to the grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from becat.simulate.disc_free import GRID, DiscFree
from becat.simulate.draw import draw
from becat.simulate.instrument import feature_significance, gather
from becat.simulate.labels import Profiles, count_peaks, empty_truth, label_by_visibility, window_wavelength_a
from becat.simulate.photosphere import HALPHA_A

__all__ = ["FINE_A", "STEP_A", "on_library_grid", "photograph"]

STEP_A = 0.1
FINE_A = HALPHA_A + STEP_A * np.arange(-450, 451)


def photograph(
    kind: np.ndarray, rng: np.random.Generator, config: Mapping[str, Any], model: Callable, disc_free: DiscFree
) -> Profiles:
    """Observe stars of the given kinds.

    Parameters
    ----------
    kind : (n,) str array
        Names of the table ``[kinds]``.
    rng : numpy Generator
    config : mapping
        Distributions of the generator: tables ``kinds`` and ``observation``.
    model : callable
        ``(table of a kind, (n,) radial velocities in km/s, rng)`` -> spectra on `FINE_A` of the stars alone and with their features, and
        a dict of truth.
    disc_free : DiscFree
        What the labels are judged against.

    Returns
    -------
    Profiles
    """
    kinds, table = config["kinds"], config["observation"]
    truth = empty_truth(len(kind))
    for name in ("rv_km_s", "resolving_power", "snr"):
        truth[name] = draw(table[name], rng, len(kind))
    truth["step_a"] = HALPHA_A / truth["resolving_power"] / draw(table["pixels_per_resolution_element"], rng, len(kind))
    truth["instrument"][:] = "test"
    truth["noise_correlation"][:] = 0
    star = np.empty((len(kind), len(FINE_A)), dtype=np.float32)
    whole = np.empty_like(star)
    for name in np.unique(kind):
        rows = np.flatnonzero(kind == name)
        star[rows], whole[rows], found = model(kinds[name], truth["rv_km_s"][rows], rng)
        for key, values in found.items():
            truth[key][rows] = values
    star, whole = _blur(star, truth, table, rng), _blur(whole, truth, table, rng)
    truth["n_peaks"], truth["violet_red_ratio"] = count_peaks(whole - star)
    featured = np.array([kinds[name]["label"] == 1 for name in kind])
    known = {name: values[featured] for name, values in truth.items()}
    truth["disc_free_significance"][featured] = disc_free.significance(whole[featured], _pixel, known)
    flux, ivar = _observe(star, whole, truth, table, rng)
    return Profiles(flux, ivar, label_by_visibility(kind, truth, kinds), kind, truth)


def on_library_grid(absorbed: np.ndarray) -> np.ndarray:
    """(components, n, GRID.n_pixels) of what (components, n, n_fine) stars absorb, for a `DiscFree` library."""
    place = _pixel(GRID.wavelength_a)
    return np.stack([gather(stars, place) for stars in absorbed])


def _pixel(wavelength_a):
    """Fractional pixel of the fine grid."""
    return (wavelength_a - FINE_A[0]) / STEP_A


def _blur(spectrum, truth, table, rng):
    """Line-spread function with wings, in Fourier space."""
    wing = draw(table["wing_light"], rng, len(spectrum))[:, None]
    sigma = (HALPHA_A / truth["resolving_power"] / 2.3548)[:, None]
    frequency = 2 * np.pi * np.fft.rfftfreq(len(FINE_A), STEP_A)
    kernel = (1 - wing) * np.exp(-0.5 * (frequency * sigma) ** 2) + wing * np.exp(-0.5 * (2 * frequency * sigma) ** 2)
    return 1 - np.fft.irfft(np.fft.rfft(1 - spectrum, axis=1) * kernel, n=len(FINE_A), axis=1)


def _observe(star, whole, truth, table, rng):
    """Photons on detector pixels, a cubic continuum error, and the way back to the grid; fills significances."""
    window = window_wavelength_a()
    step = truth["step_a"][:, None]
    pixels = int(np.ceil((window[-1] - window[0]) / step.min())) + 4
    native = window[0] - step * (1 + rng.random(step.shape)) + step * np.arange(pixels)
    place = _pixel(native)
    mean = np.maximum(gather(whole, place), 0)
    snr, read = truth["snr"][:, None], draw(table["read_electrons"], rng, len(star))[:, None]
    level = 0.5 * snr**2 + np.sqrt(0.25 * snr**4 + (snr * read) ** 2)  # electrons that give this S/N with read noise
    counts = rng.poisson(mean * level) + read * rng.standard_normal(mean.shape)
    hit = rng.random(len(star)) < table["cosmic_ray_fraction"]
    counts[np.flatnonzero(hit), rng.integers(0, pixels, int(hit.sum()))] *= rng.uniform(1.1, 2.5, int(hit.sum()))
    variance = (mean * level + read**2) / level**2
    x = (native - HALPHA_A) / 35
    factor = 1 + draw(table["scale"], rng, len(star))[:, None]
    for power in (1, 2, 3):
        factor = factor + draw(table["cubic"], rng, len(star))[:, None] * x**power
    back = (window - native[:, :1]) / step
    ivar = gather(1 / (variance * factor**2), back) * ((window[1] - window[0]) / step)
    at_window = _pixel(window)
    alone = gather(star, at_window)
    truth |= feature_significance(alone, gather(whole, at_window) - alone, 1 / ivar, window)
    return gather(counts / level * factor, back).astype(np.float32), ivar.astype(np.float32)
