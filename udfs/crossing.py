"""Where a profile crosses a level, between pixels."""

from __future__ import annotations

import numpy as np

__all__ = ["crossing", "limits_around"]


def crossing(flux, wavelength_a, level, inner, outer):
    """Wavelength at which the flux crosses a level between two neighbouring pixels of each spectrum.

    Parameters
    ----------
    flux : (n_spectra, n_pixels) float array
        Flux.
    wavelength_a : (n_pixels,) float array
        Pixel centres, Angstrom.
    level : (n_spectra,) float array
        Level to be crossed.
    inner, outer : (n_spectra,) int array
        The pixels on either side of the crossing.

    Returns
    -------
    (n_spectra,) float64 array
        Wavelength, Angstrom; NaN where the two pixels have the same flux or none.
    """
    rows = np.arange(len(flux))
    at_inner, at_outer = flux[rows, inner], flux[rows, outer]
    with np.errstate(divide="ignore", invalid="ignore"):
        return wavelength_a[inner] + (level - at_inner) / (at_outer - at_inner) * (
            wavelength_a[outer] - wavelength_a[inner]
        )


def limits_around(flux, wavelength_a, core, level):
    """Wavelengths on both sides of a minimum at which the flux first reaches a level.

    Parameters
    ----------
    flux : (n_spectra, n_pixels) float array
        Flux.
    wavelength_a : (n_pixels,) float array
        Pixel centres, Angstrom.
    core : (n_spectra,) int array
        Pixel of the minimum.
    level : (n_spectra,) float array
        Level to be reached.

    Returns
    -------
    (n_spectra,) float64 array, twice
        Limits, Angstrom; NaN where a side never reaches the level.
    """
    index = np.arange(flux.shape[1])
    above = flux >= level[:, None]
    low = np.max(np.where(above & (index < core[:, None]), index, -1), axis=1, initial=-1)
    high = np.min(np.where(above & (index > core[:, None]), index, index.size), axis=1, initial=index.size)
    found = (low >= 0) & (high < index.size)
    low, high = np.clip(low, 0, index.size - 2), np.clip(high, 1, index.size - 1)
    low_a = crossing(flux, wavelength_a, level, low + 1, low)
    high_a = crossing(flux, wavelength_a, level, high - 1, high)
    return np.where(found, low_a, np.nan), np.where(found, high_a, np.nan)
