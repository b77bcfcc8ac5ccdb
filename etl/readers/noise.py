"""Noise of a spectrum from its own pixels."""

from __future__ import annotations

import numpy as np

__all__ = ["der_snr_noise", "inverse_variance"]


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
    here, before, after = (slice(2, -2, every), slice(None, -4, every), slice(4, None, every))
    whole = good[:, here] & good[:, before] & good[:, after]
    difference = np.abs(2 * flux[:, here] - flux[:, before] - flux[:, after])
    noise = np.full(len(flux), np.nan)
    for i in np.flatnonzero(whole.any(axis=1)):
        noise[i] = 1.482602 / np.sqrt(6) * np.median(difference[i, whole[i]])
    return noise


def inverse_variance(error: np.ndarray) -> np.ndarray | None:
    """Inverse variance of errors, 0 where an error is not above zero; None where no error is."""
    error = error.astype(np.float64)
    ivar = np.zeros(error.shape)
    np.divide(1.0, error**2, out=ivar, where=error > 0)
    return ivar if ivar.any() else None
