"""Equivalent widths of lines against the rectified continuum."""

from __future__ import annotations

import numpy as np

from becat.schema.lines import SPEED_OF_LIGHT_KM_S
from becat.udfs.bands import band_weights, bridgeable, pixel_edges, pixel_window, weighted_sum

__all__ = ["doppler_factor", "equivalent_width", "shifted_band"]

# Good pixels to look for beside the band, from which a masked pixel at its edge is interpolated.
_MARGIN_PX = 8


def doppler_factor(velocity_km_s):
    """Observed over rest wavelength of a source that moves away at `velocity_km_s` (optical convention)."""
    return 1.0 + np.asarray(velocity_km_s, dtype=float) / SPEED_OF_LIGHT_KM_S


def shifted_band(band_a, velocity_shift_km_s, n_spectra):
    """Limits of a band moved by the velocity of each spectrum.

    Parameters
    ----------
    band_a : (float, float)
        Limits in the rest frame, Angstrom.
    velocity_shift_km_s : (n_spectra,) float array or None
        Velocity, km/s; NaN and None count as zero.
    n_spectra : int
        Number of spectra.

    Returns
    -------
    (n_spectra,) float64 array, twice
        Observed limits, Angstrom.
    """
    velocity = np.zeros(n_spectra) if velocity_shift_km_s is None else np.nan_to_num(velocity_shift_km_s, nan=0.0)
    factor = doppler_factor(velocity)
    return band_a[0] * factor, band_a[1] * factor


def equivalent_width(
    flux,
    inverse_variance,
    wavelength_a,
    band_a,
    *,
    velocity_shift_km_s=None,
    masked_fraction_max=0.1,
    continuum_error=None,
):
    """Equivalent width of a line and its error.

    ``EW = integral (1 - F) dlambda`` with partial pixels at the edges of the band. Masked pixels inside the
    band are interpolated linearly, and their neighbours' errors count for them.

    Parameters
    ----------
    flux, inverse_variance : (n_spectra, n_pixels) float array
        Rectified flux (continuum = 1) and its inverse variance; a masked pixel has zero inverse variance.
    wavelength_a : (n_pixels,) float array
        Vacuum wavelength of the pixel centres, Angstrom, ascending.
    band_a : (float, float)
        Limits of the band, Angstrom; pixels cut by a limit count in part.
    velocity_shift_km_s : (n_spectra,) float array, optional
        Velocity of each spectrum, km/s: the band is moved with it and the width is given in the rest frame.
        Zero, NaN or None leaves the band in the observed frame.
    masked_fraction_max : float
        Longest stretch, as a part of the band, that may be masked in one piece; half of the band must be good in any case.
    continuum_error : (n_spectra,) float array, optional
        Relative error of the continuum over the band; NaN and None count as zero, and the error is that of the inverse
        variances alone.

    Returns
    -------
    (n_spectra,) float64 array, twice
        Width and error, Angstrom; positive in absorption. NaN where too long a stretch of the band is masked, or the
        shifted band leaves the grid.

    Raises
    ------
    ValueError
        The grid does not cover the band.

    References
    ----------
    Cohen et al. 1998, ApJ 501, 32 (H-alpha band).
    """
    edges_a = pixel_edges(wavelength_a)
    band_min_a, band_max_a = map(float, band_a)
    window = pixel_window(edges_a, band_min_a, band_max_a, _MARGIN_PX)
    factor = np.ones(1)
    if velocity_shift_km_s is not None:
        factor = doppler_factor(np.nan_to_num(velocity_shift_km_s, nan=0.0))
    if np.all(factor == 1.0):
        weights = band_weights(edges_a[window.start : window.stop + 1], band_min_a, band_max_a)
        factor, covered = 1.0, True
    else:
        low_a, high_a = max(band_min_a * factor.min(), edges_a[0]), min(band_max_a * factor.max(), edges_a[-1])
        window = pixel_window(edges_a, low_a, high_a, _MARGIN_PX)
        weights = band_weights(
            edges_a[window.start : window.stop + 1], band_min_a * factor[:, None], band_max_a * factor[:, None]
        )
        covered = weights.sum(axis=1) > (1 - 1e-6) * (band_max_a - band_min_a) * factor
    total, variance, masked = weighted_sum(flux[:, window], inverse_variance[:, window], weights)
    good = covered & (masked <= masked_fraction_max)  # where so small a share is masked, no gap is longer
    rows = np.flatnonzero(covered & (masked > masked_fraction_max))
    if rows.size:
        part, inside = (
            inverse_variance[rows, window],
            np.broadcast_to(weights, (len(flux), weights.shape[-1]))[rows] > 0,
        )
        good[rows] = bridgeable((part > 0) & np.isfinite(flux[rows, window]), masked_fraction_max, inside)
    width = np.where(good, (weights.sum(axis=-1) - total) / factor, np.nan)
    error = np.sqrt(variance)
    if continuum_error is not None:  # all of the flux in the band is wrong by this part
        error = np.hypot(error, np.nan_to_num(continuum_error, nan=0.0) * total)
    return width, np.where(good, error / factor, np.nan)
