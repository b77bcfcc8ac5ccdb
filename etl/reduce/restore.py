"""H-alpha emission that a survey's own cosmic-ray rejection threw out."""

from __future__ import annotations

import numpy as np

from becat.etl.reduce.rectangle import Rectangle
from becat.schema.lines import LINES
from becat.schema.quality import PixelMask

__all__ = ["restore_emission"]

REACH_A = 30.0  # emission of Be stars stays within 1400 km/s
MIN_ELEMENTS = 3.0  # no cosmic ray is three resolution elements wide
NEIGHBOURHOOD_A = 60.0
MIN_RISE = 0.1  # of the flux beside the line: what does not rise is no emission
MAX_JUMP = 0.35  # of that rise, from the last good pixel to the first rejected one: a line has flanks


def restore_emission(rectangle: Rectangle, resolving_power: np.ndarray) -> np.ndarray:
    """Take back strong H-alpha lines whose pixels the file gives no inverse variance.

    LAMOST's low-resolution pipeline treats the strong narrow emission of Be stars as cosmic rays: across the whole line
    the inverse variance is zero although the flux is there and joins its surroundings. A stretch of bad pixels at
    H-alpha that is wider than any cosmic ray, rises above both sides and has flanks, gets the inverse variance of
    its neighbourhood, scaled by photon noise.

    Parameters
    ----------
    rectangle : Rectangle
        Native pixels; changed in place.
    resolving_power : (n_spectra,) float array

    Returns
    -------
    (n_spectra,) bool array
        True where a line was taken back.
    """
    halpha = LINES["halpha"].wavelength_a
    bad = rectangle.mask == PixelMask.BAD_IN_FILE
    restored = np.zeros(len(bad), bool)
    for i in np.flatnonzero(bad.any(axis=1)):
        edges_a = rectangle.edges_a[i]
        first, last = np.searchsorted(edges_a, (halpha - REACH_A, halpha + REACH_A))
        if not bad[i, first:last].any():
            continue
        centre = 0.5 * (edges_a[1:] + edges_a[:-1])
        near = np.abs(centre - halpha) < REACH_A
        min_width_a = MIN_ELEMENTS * halpha / resolving_power[i]
        if not np.diff(edges_a)[bad[i] & near].sum() >= min_width_a:  # also where the resolving power is not known
            continue
        own_flux = rectangle.file_flux[i, rectangle.mask[i] != PixelMask.NO_DATA]  # without the padding
        for first, end in _runs(bad[i]):
            wide = edges_a[end] - edges_a[first] >= min_width_a
            if near[first] and near[end - 1] and wide and _is_emission(own_flux, first, end):
                _take_back(rectangle, i, first, end, centre)
                restored[i] = True
    return restored


def _runs(bad):
    """First pixel and end of each stretch of bad pixels."""
    change = np.diff(np.concatenate([[0], bad.astype(np.int8), [0]]))
    return zip(np.flatnonzero(change == 1), np.flatnonzero(change == -1), strict=True)


def _is_emission(flux, first, end):
    """True where the flux rises above both sides, from flanks, and is finite and positive."""
    if first == 0 or end >= len(flux):
        return False
    line, left, right = flux[first:end], flux[first - 1], flux[end]
    side = max(left, right)
    rise = line.max() - side
    jump = max(abs(line[0] - left), abs(line[-1] - right))
    return bool((line > 0).all() and side > 0 and rise > MIN_RISE * side and jump < MAX_JUMP * rise)


def _take_back(rectangle, i, first, end, centre):
    near = rectangle.good[i] & (np.abs(centre - centre[(first + end) // 2]) < NEIGHBOURHOOD_A)
    flux = rectangle.file_flux[i, first:end]
    noise_per_photon = np.median(rectangle.ivar[i, near]) * np.median(rectangle.flux[i, near])
    rectangle.flux[i, first:end] = flux
    rectangle.ivar[i, first:end] = noise_per_photon / flux
    rectangle.mask[i, first:end] = 0
