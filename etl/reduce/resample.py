"""From native pixels to the uniform grid, conserving flux and information."""

from __future__ import annotations

import numpy as np

from etl.quality import PixelMask
from etl.reduce.rectangle import Rectangle
from schema.grid import Grid

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
    grid : schema.grid.Grid

    Returns
    -------
    flux, ivar : (n_spectra, grid.n_pixels) float32 arrays
        NaN and 0 where there are no data. The inverse variance keeps the information: it is the native one times grid
        step over native width, so that the variance of a sum over a band comes out right although neighbouring grid
        pixels are correlated.
    mask : (n_spectra, grid.n_pixels) uint8 array
        Mask of the native pixel at the centre of the grid pixel.
    """
    width = rectangle.width_a
    n_native = width.shape[1]
    pixel = _pixel_below(rectangle.edges_a, grid)
    limit, centre = pixel[:, ::2], pixel[:, 1::2]
    flux = np.diff(_integral_at_grid_edges(rectangle, width, limit, grid), axis=1) / grid.step_a
    outside = (centre < 0) | (centre >= n_native)
    centre = _flat(np.clip(centre, 0, n_native - 1), n_native)
    ivar = np.take(rectangle.ivar * (grid.step_a / width).astype(np.float32), centre)
    mask = np.take(rectangle.mask, centre)
    mask[outside] = PixelMask.NO_DATA
    ivar[mask != 0] = 0
    flux[(mask & PixelMask.NO_DATA) != 0] = np.nan
    return flux.astype(np.float32), ivar, mask


def _pixel_below(edges_a, grid):
    """Index of the native pixel that holds each limit (even columns) and each centre (odd ones) of the grid's pixels.

    It is -1 before all native pixels and n_native beyond them.
    """
    n_spectra, n_points = len(edges_a), 2 * grid.n_pixels + 1
    half_steps = (edges_a - grid.edges_a[0]) / (0.5 * grid.step_a)
    first_point = np.full((n_spectra, edges_a.shape[1] + 2), n_points, np.int32)
    first_point[:, 0] = 0
    np.ceil(np.clip(half_steps, 0, n_points), out=first_point[:, 1:-1], casting="unsafe")
    index = np.broadcast_to(np.arange(-1, edges_a.shape[1], dtype=np.int32), (n_spectra, edges_a.shape[1] + 1))
    return np.repeat(index, np.diff(first_point, axis=1).ravel()).reshape(n_spectra, n_points)


def _flat(index, row_length):
    """Index into the flattened array of an index within each row."""
    return index + row_length * np.arange(len(index))[:, None]


def _integral_at_grid_edges(rectangle, width, pixel, grid):
    """Integral of the flux from the first native pixel to each limit of the grid."""
    flux, width32 = rectangle.flux, width.astype(np.float32)
    n_spectra, n_native = flux.shape
    left = np.empty_like(flux)
    left[:, 1:] = flux[:, :-1] * width32[:, 1:]
    left[:, 1:] += flux[:, 1:] * width32[:, :-1]
    left[:, 1:] /= width32[:, 1:] + width32[:, :-1]
    left[:, 0] = flux[:, 0]
    rise = np.empty_like(flux)
    rise[:, :-1] = left[:, 1:] - left[:, :-1]
    rise[:, -1] = flux[:, -1] - left[:, -1]
    curvature = 6 * (flux - left) - 3 * rise
    # Integral over the fraction t of a pixel: width (a t + b t^2 + c t^3)
    b, c = 0.5 * (rise + curvature), curvature / -3
    whole = np.zeros((n_spectra, n_native + 1))
    np.cumsum(flux * width, axis=1, out=whole[:, 1:])

    pixel = np.clip(pixel, 0, n_native - 1)
    limit = _flat(pixel, n_native + 1)
    pixel = _flat(pixel, n_native)
    step = np.take(width, pixel)
    t = ((grid.edges_a - np.take(rectangle.edges_a, limit)) / step).astype(np.float32)
    np.clip(t, 0, 1, out=t)
    part = np.take(c, pixel)
    for coefficient in (b, left):
        part *= t
        part += np.take(coefficient, pixel)
    integral = np.take(whole, limit) + step * (t * part)
    # The first grid pixel of a spectrum that begins within the grid may reach out of it: the first flux goes on there.
    # (At the end the padding does this.)
    late = np.flatnonzero(rectangle.edges_a[:, 0] > grid.edges_a[0])
    integral[late] += flux[late, :1] * np.minimum(grid.edges_a - rectangle.edges_a[late, :1], 0)
    return integral
