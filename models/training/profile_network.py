"""A small network over the pixels of the profile, beside the one that looks at its drawing."""

from __future__ import annotations

import itertools

import torch
from torch import nn

from becat.models.training.facts import FACTS
from becat.models.training.render import asinh

__all__ = ["ProfileNetwork", "scales"]

_NOISE_FLOOR = 0.002


class ProfileNetwork(nn.Module):
    """Rectified flux in, log odds of a Be profile out.

    A drawing of 128 rows shows a feature of a hundredth of the continuum as less than a row; here every pixel keeps its flux.
    The flux is given on three scales: linear, asinh((flux - 1) / 0.1), and asinh of flux - 1 over five times the scatter
    from pixel to pixel. One-dimensional residual blocks (He et al. 2016, arXiv:1512.03385) halve the length five times.

    Parameters
    ----------
    widths : sequence of int
        Channels after the first convolution and after each residual block.
    """

    def __init__(self, widths: tuple[int, ...] = (48, 48, 64, 96, 128)):
        super().__init__()
        first, last, bins = widths[0], widths[-1], 4
        blocks = [_Residual(before, after) for before, after in itertools.pairwise(widths)]
        # Where in the window something is matters: four stretches are averaged by themselves.
        pooled = [nn.AvgPool2d((1, bins)), nn.Flatten(), nn.Dropout(0.2)]
        self.features = nn.Sequential(*_convolution(3, first, 9, 2), nn.ReLU(), *blocks, *pooled)
        self.log_odds = nn.Linear(bins * last, 1)
        self.facts = nn.Linear(bins * last, len(FACTS))

    def forward(self, flux: torch.Tensor) -> torch.Tensor:
        """(n, 481) flux -> (n,) log odds."""
        return self.with_facts(flux)[0]

    def with_facts(self, flux: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(n, 481) flux -> (n,) log odds and (n, k) facts as `becat.models.training.facts` has them."""
        features = self.look(flux)
        return self.log_odds(features)[:, 0], self.facts(features)

    def look(self, flux: torch.Tensor) -> torch.Tensor:
        """(n, 481) flux -> (n, 512) features before the last layers."""
        # A row of one pixel's height: runtimes have faster convolutions in two dimensions than in one.
        return self.features(scales(flux)[:, :, None])


class _Residual(nn.Module):
    def __init__(self, before, after):
        super().__init__()
        self.change = nn.Sequential(*_convolution(before, after, 7, 2), nn.ReLU(), *_convolution(after, after, 5, 1))
        self.shortcut = nn.Sequential(*_convolution(before, after, 1, 2))

    def forward(self, x):
        return torch.relu(self.change(x) + self.shortcut(x))


def _convolution(before, after, width, stride):
    """Convolution along the profile and its batch normalisation."""
    convolution = nn.Conv2d(before, after, (1, width), (1, stride), (0, width // 2), bias=False)
    return convolution, nn.BatchNorm2d(after)


def scales(flux):
    """(n, 481) flux -> (n, 3, 481): flux - 1 times three within +-1, asinh, and asinh of flux - 1 over the scatter."""
    height = flux - 1
    steps = (flux[:, 1:] - flux[:, :-1]).abs()
    half = steps.shape[1] // 2
    scatter = torch.topk(steps, half, dim=1, largest=False).values[:, -1:]  # the median
    return torch.stack(
        [height.clamp(-1, 1) * 3, asinh(height / 0.1), asinh(height / (5 * (scatter + _NOISE_FLOOR)))], dim=1
    )
