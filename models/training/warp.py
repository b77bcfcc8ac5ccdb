"""Profiles changed as their drawings are in the paper's augmentations."""

from __future__ import annotations

import numpy as np
from scipy.fft import dct, idct

from becat.simulate.instrument import gather

__all__ = ["warp_profiles"]

# Sigma of the logarithms of stretch and depth, of the scale, of tilt and curvature at the window's ends; largest blur in pixels.
STRETCH, DEPTH, SCALE, TILT, MAX_BLUR_PX = 0.12, 0.12, 0.015, 0.01, 4.0


def warp_profiles(flux: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What the warps of pictures are for profiles: lines wider and deeper or not, blurred, on a bent and scaled continuum.

    Simulated photospheres know the shapes of lines better than anybody does; a network that has seen them only as they are takes
    a real star that is not quite so for one with a disc.

    Parameters
    ----------
    flux : (n, p) float32 array
        Rectified.
    rng : numpy Generator

    Returns
    -------
    (n, p) float32 array
    """
    n, pixels = flux.shape
    stretch, depth = np.exp(rng.normal(0, [[STRETCH], [DEPTH]], (2, n)))[:, :, None]
    scale, tilt, bend = rng.normal(0, [[SCALE], [TILT], [TILT]], (3, n))[:, :, None]
    x = np.linspace(-1, 1, pixels)
    warped = 1 + (gather(flux, (x / stretch + 1) / 2 * (pixels - 1)) - 1) * depth
    # A Gaussian blur is a product of cosine transforms; the profile goes on mirrored beyond the ends.
    blur_px = rng.uniform(0, MAX_BLUR_PX, n) * (rng.random(n) < 0.5)
    frequency = np.pi * np.arange(pixels) / pixels
    warped = idct(dct(warped) * np.exp(-0.5 * (frequency * blur_px[:, None]) ** 2))
    return (warped * (1 + scale + tilt * x + bend * x**2)).astype(np.float32)
