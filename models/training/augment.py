"""The paper's augmentations: rotation, zoom, perspective and mirror, as one warp of drawn pictures."""

from __future__ import annotations

import torch
from torch.nn import functional

__all__ = ["augment"]

ROTATION_DEG = 10.0
ZOOM = (1.0, 1.5)
PERSPECTIVE = 0.12


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
