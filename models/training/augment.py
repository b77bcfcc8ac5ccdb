"""The paper's augmentations: rotation, zoom, perspective and mirror, as one warp of drawn pictures; the like for flux."""

from __future__ import annotations

import numpy as np
import torch
from scipy.fft import dct, idct
from torch.nn import functional

from becat.simulate.instrument import gather

__all__ = ["augment", "warp_profiles"]

ROTATION_DEG = 10.0
ZOOM = (1.0, 1.5)
PERSPECTIVE = 0.12
# Of flux: sigma of the logarithms of stretch and depth, of the scale, of tilt and curvature at the window's ends; largest blur in pixels.
STRETCH, DEPTH, SCALE, TILT, MAX_BLUR_PX = 0.12, 0.12, 0.015, 0.01, 4.0


def augment(image: torch.Tensor, generator: torch.Generator, share: float = 0.5) -> torch.Tensor:
    """Warp pictures at random, each in its own way; a pixel from outside the picture is background.

    Parameters
    ----------
    image : (n, channels, size, size) tensor
    generator : torch.Generator
        Source of the random numbers.
    share : float
        Share of the pictures that are rotated, zoomed and put in perspective, each chosen by itself. Half of all are mirrored.

    Returns
    -------
    tensor like `image`

    References
    ----------
    Wang et al. 2022, ApJS 260, 35, section 4.1.3: rotation within 10 degrees, zoom 1 to 1.5, perspective, mirror.
    """
    n = len(image)

    def uniform(low, high, share_of_all=share):
        values = low + (high - low) * torch.rand(n, generator=generator)
        return torch.where(torch.rand(n, generator=generator) < share_of_all, values, torch.zeros(n))

    angle = torch.deg2rad(uniform(-ROTATION_DEG, ROTATION_DEG))
    shrink = 1 / (1 + uniform(ZOOM[0] - 1, ZOOM[1] - 1))
    mirror = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0)
    tilt_x, tilt_y = uniform(-PERSPECTIVE, PERSPECTIVE), uniform(-PERSPECTIVE, PERSPECTIVE)
    zero = torch.zeros(n)
    matrix = torch.stack(
        [
            torch.stack([mirror * shrink * angle.cos(), -shrink * angle.sin(), zero], 1),
            torch.stack([mirror * shrink * angle.sin(), shrink * angle.cos(), zero], 1),
            torch.stack([tilt_x, tilt_y, torch.ones(n)], 1),
        ],
        1,
    )
    size = image.shape[-1]
    axis = (torch.arange(size) + 0.5) / size * 2 - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    place = torch.stack([x, y, torch.ones_like(x)], -1).reshape(1, -1, 3)
    source = place @ matrix.transpose(1, 2)
    grid = (source[..., :2] / source[..., 2:]).reshape(n, size, size, 2)
    return functional.grid_sample(image, grid.to(image.device), align_corners=False)


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
