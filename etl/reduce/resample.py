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
    flux, ivar : (n_spectra, grid.n_pixels) float64 arrays
        NaN and 0 where there are no data. The inverse variance keeps the information: it is the native one times grid
        step over native width, so that the variance of a sum over a band comes out right although neighbouring grid
        pixels are correlated.
    mask : (n_spectra, grid.n_pixels) uint8 array
        Mask of the native pixel at the centre of the grid pixel.
    """
    width = rectangle.width_a
    integral = _integral_at_grid_edges(rectangle, width, grid)
    flux = np.diff(integral, axis=1) / grid.step_a

    centre = _pixel_below(rectangle.edges_a, grid.wavelength_a[0], grid)[:, : grid.n_pixels]
    n_native = width.shape[1]
    outside = (centre < 0) | (centre >= n_native)
    centre = np.clip(centre, 0, n_native - 1)
    ivar = np.take_along_axis(rectangle.ivar * (grid.step_a / width), centre, axis=1)
    mask = np.take_along_axis(rectangle.mask, centre, axis=1)
    mask[outside] = PixelMask.NO_DATA
    ivar[mask != 0] = 0
    flux[(mask & PixelMask.NO_DATA) != 0] = np.nan
    return flux, ivar, mask


def _pixel_below(edges_a, start_a, grid):
    """Index of the native pixel that holds start_a + step i, for i in 0 ... n_pixels; -1 before the first."""
    n_spectra, n_points = len(edges_a), grid.n_pixels + 1
    first_point = np.ceil((edges_a - start_a) / grid.step_a)
    first_point = np.clip(first_point, 0, n_points).astype(np.intp)
    first_point += np.arange(n_spectra)[:, None] * (n_points + 1)
    begun = np.bincount(first_point.ravel(), minlength=n_spectra * (n_points + 1))
    return np.cumsum(begun.reshape(n_spectra, n_points + 1)[:, :-1], axis=1) - 1


def _integral_at_grid_edges(rectangle, width, grid):
    """Integral of the flux from the first native pixel to each limit of the grid."""
    flux = rectangle.flux
    left = np.empty_like(flux)
    left[:, 1:] = (flux[:, :-1] * width[:, 1:] + flux[:, 1:] * width[:, :-1]) / (width[:, 1:] + width[:, :-1])
    left[:, 0] = flux[:, 0]
    right = np.concatenate([left[:, 1:], flux[:, -1:]], axis=1)
    curvature = 6 * flux - 3 * (left + right)
    # Integral over the fraction t of a pixel: width (a t + b t^2 + c t^3)
    b, c = 0.5 * (right - left + curvature), -curvature / 3
    whole = np.zeros((len(flux), flux.shape[1] + 1))
    np.cumsum(flux * width, axis=1, out=whole[:, 1:])

    edges = grid.edges_a
    pixel = np.clip(_pixel_below(rectangle.edges_a, edges[0], grid), 0, flux.shape[1] - 1)

    def at(values):
        return np.take_along_axis(values, pixel, axis=1)

    t = np.clip((edges - at(rectangle.edges_a)) / at(width), 0, 1)
    return at(whole) + t * (at(left * width) + t * (at(b * width) + t * at(c * width)))
