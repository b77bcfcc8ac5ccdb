"""The stretch of the red arm that the classifier sees, cut out of the catalogue's grid and its bad pixels bridged."""

from __future__ import annotations

import numpy as np

from becat.schema.grid import RED
from becat.udfs.bands import bridgeable

__all__ = ["GAP_FRACTION_MAX", "PIXELS", "WINDOW_A", "cut_window", "window_wavelength_a"]

# Wang et al. 2022, section 4.1.2.
WINDOW_A = (6530.0, 6590.0)
PIXELS = slice(round((WINDOW_A[0] - RED.start_a) / RED.step_a), round((WINDOW_A[1] - RED.start_a) / RED.step_a) + 1)
# H-alpha itself, +-10 Angstrom, must be seen: a bridge over it would be a drawing of nothing.
_CORE = slice(round((6554.6 - WINDOW_A[0]) / RED.step_a), round((6574.6 - WINDOW_A[0]) / RED.step_a) + 1)
# Longest gap that is bridged: this part of the window, and of the 20 Angstrom around H-alpha.
GAP_FRACTION_MAX = 0.2


def window_wavelength_a() -> np.ndarray:
    """(481,) vacuum wavelengths of the window's pixels, Angstrom."""
    return RED.wavelength_a[PIXELS]


def cut_window(flux: np.ndarray, ivar: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flux of the classifier's window with bad pixels bridged by straight lines.

    Parameters
    ----------
    flux, ivar : (n_spectra, 4001) float arrays
        Rectified red-arm flux (continuum = 1) and its inverse variance on `becat.schema.grid.RED`; a pixel with zero inverse
        variance or a flux that is not finite is bad. Arrays of 481 pixels are taken to be the window itself.

    Returns
    -------
    window : (n_spectra, 481) float32 array
        Finite everywhere; 1 where a spectrum has no good pixel at all.
    usable : (n_spectra,) bool array
        No gap is longer than `GAP_FRACTION_MAX` of the window, nor within 10 Angstrom of H-alpha than that part of this
        stretch, and half of either is good.

    Raises
    ------
    ValueError
        The arrays are neither on the red grid nor on the window.
    """
    flux, ivar = _window_pixels(flux, ivar)
    good = np.isfinite(flux) & (ivar > 0)
    usable = bridgeable(good, GAP_FRACTION_MAX) & bridgeable(good[:, _CORE], GAP_FRACTION_MAX)
    window = np.where(good, flux, 1).astype(np.float32)
    return bridge(window, good), np.asarray(usable)


def _window_pixels(flux, ivar):
    """The pixels of the window, of arrays on the red grid or on the window itself."""
    n_window = PIXELS.stop - PIXELS.start
    if flux.shape != ivar.shape or flux.ndim != 2 or flux.shape[1] not in (RED.n_pixels, n_window):
        raise ValueError(f"flux and ivar must both be (n, {RED.n_pixels}), not {flux.shape} and {ivar.shape}")
    return (flux[:, PIXELS], ivar[:, PIXELS]) if flux.shape[1] == RED.n_pixels else (flux, ivar)


def bridge(window: np.ndarray, good: np.ndarray) -> np.ndarray:
    """(n, p) flux with pixels that are not good on the straight line between their good neighbours."""
    rows = np.flatnonzero(~good.all(axis=1) & good.any(axis=1))
    if not len(rows):
        return window
    flux, fine = window[rows], good[rows]
    pixel = np.arange(flux.shape[1])
    last = flux.shape[1] - 1
    left = np.maximum.accumulate(np.where(fine, pixel, -1), axis=1)
    right = np.minimum.accumulate(np.where(fine, pixel, last + 1)[:, ::-1], axis=1)[:, ::-1]
    left_end, right_end = np.where(left < 0, right, left), np.where(right > last, left, right)
    share = (pixel - left_end) / np.maximum(right_end - left_end, 1)
    index = np.arange(len(rows))[:, None]
    window[rows] = (1 - share) * flux[index, left_end] + share * flux[index, right_end]
    return window
