"""From native pixels to the uniform grid, conserving flux and information."""

from __future__ import annotations

import numpy as np

from becat.etl.reduce.rectangle import Rectangle
from becat.schema.grid import Grid
from becat.schema.quality import PixelMask

__all__ = ["resample"]


def resample(rectangle: Rectangle, grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flux, inverse variance and mask on the grid.

    Inside a native pixel the flux is the parabola that keeps the pixel's mean and joins its neighbours at the limits
    (Colella & Woodward 1984, without limiters, so that the result is linear in the flux); a grid pixel is its mean over
    the grid pixel. The integral over any stretch is therefore kept, and coarse pixels do not become stairs.

    Parameters
    ----------
    rectangle : Rectangle
        Native pixels, gaps bridged.
    grid : becat.schema.grid.Grid

    Returns
    -------
    flux, ivar : (n_spectra, grid.n_pixels) float32 arrays
        NaN and 0 where there are no data. The inverse variance keeps the information: it is the native one times grid
        step over native width, so that the variance of a sum over a band comes out right although neighbouring grid
        pixels are correlated.
    mask : (n_spectra, grid.n_pixels) uint8 array
        Mask of the native pixel at the centre of the grid pixel.
    """
    edges_a = rectangle.edges_a
    pixel = _pixel_of_points(edges_a, grid)
    limit, centre = np.ascontiguousarray(pixel[:, ::2]), np.ascontiguousarray(pixel[:, 1::2])
    integral = _integral_at_grid_edges(rectangle, limit, grid)
    flux = np.empty(centre.shape, np.float32)
    np.subtract(integral[:, 1:], integral[:, :-1], out=flux, casting="same_kind")
    flux *= np.float32(1 / grid.step_a)
    ivar = np.take(rectangle.ivar * (grid.step_a / rectangle.width_a).astype(np.float32), centre)
    mask = np.take(rectangle.mask, centre)
    for i in np.flatnonzero((edges_a[:, 0] > grid.wavelength_a[0]) | (edges_a[:, -1] <= grid.wavelength_a[-1])):
        mask[i, (grid.wavelength_a < edges_a[i, 0]) | (grid.wavelength_a >= edges_a[i, -1])] = PixelMask.NO_DATA
    np.copyto(ivar, 0, where=mask != 0)
    np.copyto(flux, np.nan, where=(mask & PixelMask.NO_DATA) != 0)
    return flux, ivar, mask


def _pixel_of_points(edges_a, grid):
    """The native pixel of each limit (even columns) and each centre (odd ones) of the grid's pixels.

    It is an index into the flattened pixels of the batch; of a point outside a spectrum it is that of the nearest pixel.
    """
    n_spectra, n_points = len(edges_a), 2 * grid.n_pixels + 1
    half_steps = (edges_a[:, :-1] - grid.edges_a[0]) * (2 / grid.step_a)
    # The first point of each native pixel, and after the points a place for the pixels that have none.
    first = np.empty(half_steps.shape, np.int64)
    np.ceil(np.clip(half_steps, 0, n_points, out=half_steps), out=first, casting="unsafe")
    first[:, 0] = 0
    first += (n_points + 1) * np.arange(n_spectra)[:, None]
    begun = np.bincount(first.ravel(), minlength=n_spectra * (n_points + 1))
    return (np.cumsum(begun) - 1).reshape(n_spectra, n_points + 1)[:, :-1]


def _integral_at_grid_edges(rectangle, pixel, grid):
    """Integral of the flux from the first native pixel to each limit of the grid, which lies in this native pixel."""
    flux, edges_a, width = rectangle.flux, rectangle.edges_a, rectangle.width_a
    width32 = width.astype(np.float32)
    left = np.empty_like(flux)
    left[:, 1:] = flux[:, :-1] * width32[:, 1:]
    left[:, 1:] += flux[:, 1:] * width32[:, :-1]
    left[:, 1:] /= width32[:, 1:] + width32[:, :-1]
    left[:, 0] = flux[:, 0]
    rise = np.empty_like(flux)
    rise[:, :-1] = left[:, 1:] - left[:, :-1]
    rise[:, -1] = flux[:, -1] - left[:, -1]
    curvature = 6 * (flux - left) - 3 * rise
    # Integral over a stretch x from the pixel's left edge: x (left + b x + c x^2)
    b = 0.5 * (rise + curvature) / width32
    c = curvature / (-3 * width32 * width32)
    whole = np.zeros(flux.shape)
    np.cumsum(flux[:, :-1] * width[:, :-1], axis=1, out=whole[:, 1:])

    # Points outside a spectrum count as its edge.
    points = np.clip(grid.edges_a, edges_a[:, :1], edges_a[:, -1:])
    x = (points - np.take(edges_a[:, :-1], pixel)).astype(np.float32)
    part = np.take(c, pixel)
    for coefficient in (b, left):
        part *= x
        part += np.take(coefficient, pixel)
    part *= x
    integral = np.take(whole, pixel)
    integral += part
    # The first grid pixel of a spectrum that begins within the grid may reach out of it: the first flux goes on there.
    # (At the end the padding does this.)
    late = np.flatnonzero(edges_a[:, 0] > grid.edges_a[0])
    integral[late] += flux[late, :1] * np.minimum(grid.edges_a - edges_a[late, :1], 0)
    return integral
