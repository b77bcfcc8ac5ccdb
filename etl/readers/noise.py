"""Noise of a spectrum from its own pixels."""

from __future__ import annotations

import numpy as np

__all__ = ["der_snr_noise", "inverse_variance", "median", "noise_of_one"]


def median(values: np.ndarray) -> float:
    """What numpy's median gives for one dimension, in a quarter of its time where the values are few.

    Parameters
    ----------
    values : (n,) float array

    Returns
    -------
    float
        NaN where one of them is, or where there are none.
    """
    if not values.size:
        return np.nan
    middle = values.size // 2
    ordered = np.partition(values, (max(middle - 1, 0), middle, -1))
    if np.isnan(ordered[-1]):
        return np.nan
    return float(ordered[middle] if values.size % 2 else (ordered[middle - 1] + ordered[middle]) / 2)


def der_snr_noise(flux: np.ndarray, good: np.ndarray, every: int = 1) -> np.ndarray:
    """Noise of a pixel from second differences two pixels apart, blind to anything smooth.

    Parameters
    ----------
    flux : (n_spectra, n_pixels) float array
    good : (n_spectra, n_pixels) bool array
    every : int
        Take the differences at every so many pixels only, where a rough number will do.

    Returns
    -------
    (n_spectra,) float array
        Standard deviation in the unit of the flux; NaN with fewer than five good pixels in a row.

    References
    ----------
    Stoehr et al. 2008, ASP Conf. 394, 505 (DER_SNR).
    """
    return np.array([noise_of_one(*row, every) for row in zip(flux, good, strict=True)], float)


def noise_of_one(flux: np.ndarray, good: np.ndarray, every: int = 1) -> float:
    """What `der_snr_noise` gives for one spectrum, flux and good being (n_pixels,) arrays."""
    whole = good[2:-2:every] & good[:-4:every] & good[4::every]
    difference = np.abs(2 * flux[2:-2:every] - flux[:-4:every] - flux[4::every])[whole]
    return 1.482602 / np.sqrt(6) * median(difference)


def inverse_variance(error: np.ndarray) -> np.ndarray | None:
    """Inverse variance of errors, 0 where an error is not above zero; None where no error is."""
    error = error.astype(np.float64)
    ivar = np.zeros(error.shape)
    np.divide(1.0, error**2, out=ivar, where=error > 0)
    return ivar if ivar.any() else None
