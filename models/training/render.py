"""Drawing a rectified profile as a 256 x 256 picture with tensor operations, in training and inside the ONNX graph."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from becat.models.window import PIXELS

__all__ = ["ALL_SCALES", "SCALES", "LineImage", "asinh"]

SCALES = ("fixed", "zoomed", "detail")
_SAMPLES_PER_COLUMN = 4
# What is smoother than so many pixels, 9 Angstrom, is taken out of the detail, and what is finer than so many, half an Angstrom, too.
_BROAD_PX, _FINE_PX = 73, 5
_NOISE_FLOOR = 0.001


class LineImage(nn.Module):
    """Rectified flux in, picture of its curve out: one channel a flux scale.

    The curve is sampled four times a column. A pixel's value is the share of its height that lies within half a line
    width of the stretch that the curve covers in and around its column, so that flat and steep parts are equally thick
    and edges are smooth. The background is 0, which is also what the network's convolutions pad with.

    Flux scales
    -----------
    fixed
        0 to 2: the same depth always looks the same.
    zoomed
        from the lowest to the highest flux of the spectrum (of a 5-pixel mean, so that a single bad pixel does not
        set it), with a margin: weak features fill the picture.
    compressed
        asinh((flux - 1) / 0.15), -0.6 to 15 in flux: peaks of any height stay inside.
    detail
        asinh of the difference of two running means over the scatter from pixel to pixel: what is a few times the noise
        is as large in the picture as that, in whatever line.

    Parameters
    ----------
    size : int
        Rows and columns.
    line_width : float
        Thickness of the drawn line, pixels.
    scales : sequence of str
        One channel each; a network with three input channels wants three.
    """

    def __init__(self, size: int = 256, line_width: float = 2.5, scales: Sequence[str] = SCALES):
        super().__init__()
        unknown = set(scales) - set(ALL_SCALES)
        if unknown:
            raise ValueError(f"unknown flux scales {sorted(unknown)}: choose among {ALL_SCALES}")
        if line_width < 1:
            raise ValueError(f"a line width of {line_width} pixels cannot be drawn: at least 1")
        self.size, self.line_width, self.scales = size, line_width, tuple(scales)
        n_pixels = PIXELS.stop - PIXELS.start
        place = (torch.arange(size * _SAMPLES_PER_COLUMN) + 0.5) / (size * _SAMPLES_PER_COLUMN) * (n_pixels - 1)
        left = place.floor().long().clamp(0, n_pixels - 2)
        self.register_buffer("left", left, persistent=False)
        self.register_buffer("share", (place - left).float(), persistent=False)
        self.register_buffer("row", torch.arange(size).reshape(1, 1, size, 1) + 0.5, persistent=False)

    def forward(self, flux: torch.Tensor) -> torch.Tensor:
        """(n, 481) float32 rectified flux -> (n, scales, size, size) float32 between 0 and 1; the top row is high flux."""
        height = torch.stack([_SCALE[name](flux) for name in self.scales], dim=1).clamp(0, 1)
        curve = height[:, :, self.left] * (1 - self.share) + height[:, :, self.left + 1] * self.share
        depth = (1 - curve) * (self.size - 1) + 0.5
        low, high = self._reach(depth), -self._reach(-depth)
        middle, half = (low + high) / 2, (low - high) / 2 + self.line_width / 2
        # Overlap of a pixel, one high, with a stretch at least as long: one subtraction, one absolute value, one clip.
        inside = (half + 0.5).unsqueeze(2) - (self.row - middle.unsqueeze(2)).abs()
        return inside.clamp(0, 1)

    def _reach(self, depth):
        """Greatest depth of the curve in each column and half of its neighbours, pixels from the top."""
        margin = _SAMPLES_PER_COLUMN // 2
        return functional.max_pool1d(depth, 2 * _SAMPLES_PER_COLUMN, _SAMPLES_PER_COLUMN, margin)


def _fixed(flux):
    return flux / 2


def _zoomed(flux):
    smooth = functional.avg_pool1d(flux.unsqueeze(1), 5, 1, 0).squeeze(1)
    low = smooth.amin(dim=1, keepdim=True).clamp(max=0.95)
    high = smooth.amax(dim=1, keepdim=True).clamp(min=1.05)
    return 0.1 + 0.8 * (flux - low) / (high - low)


def asinh(value):
    """Inverse hyperbolic sine, written out: onnxruntime has none that every provider runs."""
    return torch.sign(value) * torch.log(value.abs() + torch.sqrt(value * value + 1))


def _compressed(flux):
    low, high = (float(asinh(torch.tensor(limit / 0.15))) for limit in (-0.6, 15.0))
    return (asinh((flux - 1) / 0.15) - low) / (high - low)


def _detail(flux):
    fine, broad = (_running_mean(flux, pixels) for pixels in (_FINE_PX, _BROAD_PX))
    steps = (flux[:, 5:] - flux[:, :-5]).abs()  # pixels so far from each other share no noise but in LRS
    scatter = torch.topk(steps, steps.shape[1] // 2, dim=1, largest=False).values[:, -1:]
    return 0.5 + asinh((fine - broad) / (scatter + _NOISE_FLOOR)) / 10


def _running_mean(flux, pixels):
    wide = functional.pad(flux.unsqueeze(1), (pixels // 2, pixels // 2), mode="replicate")
    return functional.avg_pool1d(wide, pixels, 1, 0).squeeze(1)


_SCALE = {"fixed": _fixed, "zoomed": _zoomed, "compressed": _compressed, "detail": _detail}
ALL_SCALES = tuple(_SCALE)
