"""Many exposures of stars whose spectra only move: rendered once, in memory, for tables that need a hundred thousand of them."""

from __future__ import annotations

import numpy as np

from becat.simulate.changing_stars import ChangingStars
from becat.simulate.draw import distributions, draw
from becat.simulate.epochs import respond
from becat.simulate.instrument import telluric_transmission
from becat.simulate.spectra import GRIDS, Exposure, detect, render_stars, shape_of_counts
from becat.simulate.velocity import VelocityGrid, fourier_shift, multiply

__all__ = ["expose_moving", "move"]


def expose_moving(
    stars: ChangingStars, velocity_km_s: np.ndarray, snr: np.ndarray, rng: np.random.Generator
) -> dict[str, Exposure]:
    """Expose each star several times, each time at another velocity and in another night.

    Parameters
    ----------
    stars : ChangingStars
        n stars; discs at their full strength, and of two stars only the sum of their light.
    velocity_km_s : (n, k) float array
        Heliocentric velocity of each star in each exposure.
    snr : (n, k) float array
        Wanted signal to noise per pixel in the red arm; the blue arm is fainter.
    rng : numpy Generator

    Returns
    -------
    dict of Exposure
        By arm, n k rows, the exposures of a star one after another. The wavelengths of each are wrong by an error of its own
        (``exposure_error_km_s`` of epoch_distributions.toml).
    """
    n, k = velocity_km_s.shape
    at_rest = stars.still()
    share = np.repeat(draw(distributions()["survey"]["blue_over_red"], rng, n), k)
    error = draw(distributions("epoch_distributions.toml")["survey"]["exposure_error_km_s"], rng, n * k)
    moved = velocity_km_s.ravel() - np.repeat(stars.systemic_km_s, k) + error
    seed = int(rng.integers(2**62))
    exposures = {}
    for arm in ("blue", "red"):
        grid, wanted = GRIDS[arm], snr.ravel() * (share if arm == "blue" else 1)
        fixed = np.random.default_rng(seed)
        _, _, light = render_stars(at_rest, grid, fixed)
        shape = shape_of_counts(at_rest, grid, arm, fixed)
        seen = move(np.repeat(light, k, axis=0), moved, grid) * telluric_transmission(rng, n * k, grid)
        exposures[arm] = detect(respond(seen, grid, rng) * np.repeat(shape, k, axis=0), grid, arm, wanted, rng, True)
    return exposures


def move(flux: np.ndarray, velocity_km_s: np.ndarray, grid: VelocityGrid) -> np.ndarray:
    """(m, p) spectra over the continuum moved by velocities (m,), to the red where these are positive."""
    return 1 - multiply(1 - flux, fourier_shift(grid, velocity_km_s))
