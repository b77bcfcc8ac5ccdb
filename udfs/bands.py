"""Weighted sums of flux over wavelength bands, with partial pixels, masked pixels and errors.

Every measurement that is linear in the flux (an equivalent width, a local continuum) is a set of weights on
the pixels, and is done by the one sum of this file.
"""

from __future__ import annotations

import numpy as np

__all__ = [
    "band_weights",
    "bridgeable",
    "longest_gap_px",
    "moving_window",
    "pixel_edges",
    "pixel_window",
    "repair",
    "weighted_sum",
]

# However short the holes, half of a band must be seen.
_MIN_GOOD_FRACTION = 0.5


def pixel_edges(wavelength_a):
    """Limits of pixels, half way between their centres.

    Parameters
    ----------
    wavelength_a : (n_pixels,) float array
        Pixel centres, Angstrom, ascending.

    Returns
    -------
    (n_pixels + 1,) float array
        Pixel limits, Angstrom.
    """
    wavelength_a = np.asarray(wavelength_a, dtype=float)
    middle = 0.5 * (wavelength_a[1:] + wavelength_a[:-1])
    first = 1.5 * wavelength_a[0] - 0.5 * wavelength_a[1]
    last = 1.5 * wavelength_a[-1] - 0.5 * wavelength_a[-2]
    return np.concatenate([[first], middle, [last]])


def band_weights(edges_a, band_min_a, band_max_a):
    """Length of each pixel that lies inside a band.

    Parameters
    ----------
    edges_a : (n_pixels + 1,) float array
        Pixel limits, Angstrom.
    band_min_a, band_max_a : float or (n_spectra, 1) float array
        Limits of the band, Angstrom.

    Returns
    -------
    (n_pixels,) or (n_spectra, n_pixels) float array
        Length, Angstrom; a pixel cut by a limit counts in part.
    """
    return np.clip(np.minimum(edges_a[1:], band_max_a) - np.maximum(edges_a[:-1], band_min_a), 0.0, None)


def pixel_window(edges_a, minimum_a, maximum_a, margin_px=0):
    """Slice of the pixels that touch a stretch of wavelength.

    Parameters
    ----------
    edges_a : (n_pixels + 1,) float array
        Pixel limits, Angstrom.
    minimum_a, maximum_a : float
        Limits of the stretch, Angstrom.
    margin_px : int
        Pixels to add on either side where there are any.

    Returns
    -------
    slice

    Raises
    ------
    ValueError
        The pixels do not cover the stretch.
    """
    # Pixel limits are sums of floats: a band that ends on the last limit must not fail for a rounding error.
    tolerance_a = 1e-6 * (edges_a[1] - edges_a[0])
    if not (edges_a[0] - tolerance_a <= minimum_a < maximum_a <= edges_a[-1] + tolerance_a):
        raise ValueError(
            f"the wavelengths {edges_a[0]:.2f}-{edges_a[-1]:.2f} A do not cover the band"
            f" {minimum_a:.2f}-{maximum_a:.2f} A: choose a band inside them"
        )
    first = int(np.searchsorted(edges_a, minimum_a, side="right")) - 1
    last = int(np.searchsorted(edges_a, maximum_a, side="left"))
    return slice(max(first - margin_px, 0), min(last + margin_px, len(edges_a) - 1))


def moving_window(edges_a, band_a, low_a, high_a, margin_px):
    """Slice of the pixels that a band touches when it moves from spectrum to spectrum.

    Parameters
    ----------
    edges_a : (n_pixels + 1,) float array
        Pixel limits, Angstrom.
    band_a : (float, float)
        Limits of the band at rest, Angstrom.
    low_a, high_a : (n_spectra,) float array
        Limits of the moved band, Angstrom.
    margin_px : int
        Pixels to add on either side where there are any.

    Returns
    -------
    window : slice
    covered : (n_spectra,) bool array
        False where the moved band leaves the pixels.

    Raises
    ------
    ValueError
        The pixels do not cover the band at rest.
    """
    pixel_window(edges_a, *band_a)
    covered = (low_a >= edges_a[0]) & (high_a <= edges_a[-1])
    lowest, highest = low_a.min(initial=band_a[0], where=covered), high_a.max(initial=band_a[1], where=covered)
    return pixel_window(edges_a, lowest, highest, margin_px), covered


def longest_gap_px(good):
    """Length of the longest run of pixels that are not good, (n_spectra,) int array.

    Parameters
    ----------
    good : (n_spectra, n_pixels) bool array
    """
    index = np.arange(1, good.shape[1] + 1)
    return (index - np.maximum.accumulate(np.where(good, index, 0), axis=1)).max(axis=1, initial=0)


def bridgeable(good, gap_fraction_max, inside=None):
    """Whether a stretch can be measured with straight lines over its bad pixels.

    What counts is the longest gap, since a line can hide in it; isolated holes, however many, hide nothing. Half of the
    pixels must be good in any case.

    Parameters
    ----------
    good : (n_spectra, n_pixels) bool array
    gap_fraction_max : float
        Longest gap, as a part of the stretch.
    inside : (n_spectra, n_pixels) bool array, optional
        Pixels of the stretch; by default all.

    Returns
    -------
    (n_spectra,) bool array
    """
    inside = np.ones_like(good) if inside is None else inside
    fine = (good | ~inside).all(axis=1)
    rows = np.flatnonzero(~fine)
    if rows.size:
        there, bad = inside[rows], inside[rows] & ~good[rows]
        n_pixels = there.sum(axis=1)
        short = longest_gap_px(~bad) <= gap_fraction_max * n_pixels
        fine[rows] = short & (bad.sum(axis=1) <= (1 - _MIN_GOOD_FRACTION) * n_pixels)
    return fine


def _good_neighbours(good):
    """Index of the nearest good pixel to the left and to the right; the other one's where a side has none."""
    n_pixels = good.shape[1]
    index = np.arange(n_pixels)
    left = np.maximum.accumulate(np.where(good, index, -1), axis=1)
    right = np.minimum.accumulate(np.where(good, index, n_pixels)[:, ::-1], axis=1)[:, ::-1]
    left, right = np.where(left < 0, right, left), np.where(right >= n_pixels, left, right)
    return np.clip(left, 0, n_pixels - 1), np.clip(right, 0, n_pixels - 1)


def repair(flux, inverse_variance):
    """Flux with masked pixels interpolated linearly between the nearest good ones.

    Parameters
    ----------
    flux, inverse_variance : (n_spectra, n_pixels) float array
        A pixel is masked where its inverse variance is not above zero or its flux is not finite.

    Returns
    -------
    flux : (n_spectra, n_pixels) float array
        In the precision given. Constant beyond the outermost good pixels; NaN for a spectrum with none.
    good : (n_spectra, n_pixels) bool array
        Pixels that were not masked.
    """
    flux = np.array(flux, dtype=np.result_type(flux, np.float32))
    good = (np.asarray(inverse_variance) > 0) & np.isfinite(flux)
    rows = np.flatnonzero(~good.all(axis=1))
    if rows.size:
        left, right = _good_neighbours(good[rows])
        at_left = np.take_along_axis(flux[rows], left, axis=1)
        at_right = np.take_along_axis(flux[rows], right, axis=1)
        fraction = (np.arange(flux.shape[1]) - left) / np.maximum(right - left, 1)
        with np.errstate(invalid="ignore"):  # a spectrum with no good pixel at all
            filled = at_left + fraction * (at_right - at_left)
        filled[~good[rows].any(axis=1)] = np.nan
        flux[rows] = np.where(good[rows], flux[rows], filled)
    return flux, good


def weighted_sum(flux, inverse_variance, weights):
    """Sum of weight times flux over pixels, with its error and the masked part.

    A masked pixel takes the flux interpolated linearly between its good neighbours, so its weight falls to
    them; their errors then count with the weights they really have.

    Parameters
    ----------
    flux, inverse_variance : (n_spectra, n_pixels) float array
        Flux and its inverse variance; zero or not finite where the pixel is masked.
    weights : (n_pixels,) or (n_spectra, n_pixels) float array
        Weight of each pixel.

    Returns
    -------
    total : (n_spectra,) float64 array
        NaN where no pixel is good.
    variance : (n_spectra,) float64 array
    masked_fraction : (n_spectra,) float64 array
        Absolute weight on masked pixels over all absolute weight.
    """
    flux, inverse_variance = np.asarray(flux), np.asarray(inverse_variance)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if weights.ndim == 1:
            # In the precision of the flux: a product of mixed precision would copy all of it.
            total = (flux @ weights.astype(flux.dtype)).astype(np.float64)
            variance = ((1.0 / inverse_variance) @ (weights * weights).astype(inverse_variance.dtype)).astype(
                np.float64
            )
        else:
            total = np.einsum("np,np->n", flux, weights)
            variance = np.einsum("np,np->n", 1.0 / inverse_variance, weights * weights)
    # A masked pixel has made its sum infinite or NaN, save one of negative inverse variance.
    rows = np.flatnonzero(~np.isfinite(total + variance) | (inverse_variance.min(axis=1, initial=np.inf) <= 0))
    masked_fraction = np.zeros(len(flux))
    if rows.size:
        flux, inverse_variance = flux[rows], inverse_variance[rows]
        weights = np.broadcast_to(weights if weights.ndim == 1 else weights[rows], flux.shape)
        good = (inverse_variance > 0) & np.isfinite(flux)
        total[rows], variance[rows], masked_fraction[rows] = _masked_sum(flux, inverse_variance, good, weights)
    return total, variance, masked_fraction


def _masked_sum(flux, inverse_variance, good, weights):
    """The sum for spectra with masked pixels: the weight of each is handed to its good neighbours."""
    effective = np.where(good, weights, 0.0)
    row, pixel = np.nonzero(~good & (weights != 0))
    left, right = _good_neighbours(good)
    left, right = left[row, pixel], right[row, pixel]
    to_right = (pixel - left) / np.maximum(right - left, 1)
    np.add.at(effective, (row, left), weights[row, pixel] * (1.0 - to_right))
    np.add.at(effective, (row, right), weights[row, pixel] * to_right)
    total = np.where(good, effective * np.where(good, flux, 0.0), 0.0).sum(axis=1)
    variance = (effective**2 / np.where(good, inverse_variance, np.inf)).sum(axis=1)
    masked_fraction = np.abs(np.where(good, 0.0, weights)).sum(axis=1) / np.abs(weights).sum(axis=1)
    nothing = ~good.any(axis=1)
    total[nothing] = variance[nothing] = np.nan
    masked_fraction[nothing] = 1.0
    return total, variance, masked_fraction
