"""Many exposures of stars, in memory: for tables that need tens of thousands of them."""

from __future__ import annotations

import numpy as np

from becat.simulate.changing_stars import ChangingStars
from becat.simulate.draw import distributions, draw
from becat.simulate.epochs import respond
from becat.simulate.instrument import telluric_transmission
from becat.simulate.spectra import GRIDS, Exposure, Stars, at_resolution, detect, render_stars, shape_of_counts
from becat.simulate.velocity import VelocityGrid, fourier_shift, multiply

__all__ = ["expose_changing", "expose_moving", "move"]

_RANGES = "epoch_distributions.toml"


def expose_moving(
    stars: ChangingStars, velocity_km_s: np.ndarray, snr: np.ndarray, rng: np.random.Generator
) -> dict[str, Exposure]:
    """Expose stars whose spectra only move, each time at another velocity and in another night: rendered once.

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
    moved = (velocity_km_s - stars.systemic_km_s[:, None]).ravel()
    k = velocity_km_s.shape[1]
    at_rest = stars.still()

    def light(grid, seed):
        return move(np.repeat(_bare(at_rest, grid, seed), k, axis=0), moved, grid)

    return _expose(light, at_rest, snr, rng)


def expose_changing(
    stars: ChangingStars, mjd: np.ndarray, snr: np.ndarray, rng: np.random.Generator
) -> dict[str, Exposure]:
    """Expose stars that change at the given times, (k,) MJD, all of them at the same: rendered each time. Else as `expose_moving`."""

    def light(grid, seed):
        each = np.stack([_bare(stars.at(float(time)), grid, seed) for time in mjd], axis=1)
        return each.reshape(-1, grid.n_pixels)

    return _expose(light, stars.still(), snr, rng)


def _bare(stars, grid, seed):
    """(n, p) noiseless spectra over the continuum; the points of a disc are the same with the same seed."""
    return render_stars(stars, grid, np.random.default_rng(seed))[2]


def _expose(light_of, stars: Stars, snr, rng):
    """Exposures of noiseless spectra, k of each star; the response of a fibre has a part that is the same in all."""
    n, k = snr.shape
    share = np.repeat(draw(distributions()["survey"]["blue_over_red"], rng, n), k)
    error = draw(distributions(_RANGES)["survey"]["exposure_error_km_s"], rng, n * k)
    seed = int(rng.integers(2**62))
    exposures = {}
    for arm in ("blue", "red"):
        grid, wanted = GRIDS[arm], snr.ravel() * (share if arm == "blue" else 1)
        shape = np.repeat(shape_of_counts(stars, grid, arm, np.random.default_rng(seed)), k, axis=0)
        water = at_resolution(telluric_transmission(rng, n * k, grid), grid)
        seen = move(light_of(grid, seed), error, grid) * water
        exposures[arm] = detect(respond(seen, grid, rng) * shape, grid, arm, wanted, rng, True)
    return exposures


def move(flux: np.ndarray, velocity_km_s: np.ndarray, grid: VelocityGrid) -> np.ndarray:
    """(m, p) spectra over the continuum moved by velocities (m,), to the red where these are positive."""
    return 1 - multiply(1 - flux, fourier_shift(grid, velocity_km_s))
