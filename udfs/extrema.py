"""The extrema of a spectrum that stand above its noise."""

from __future__ import annotations

import numpy as np

from becat.udfs.bartlett import local_extrema

__all__ = ["significant_extrema"]


def significant_extrema(values, threshold):
    """Alternating maxima and minima that differ from their neighbours by more than a threshold.

    The least pairs of neighbouring extrema are taken away until each step between neighbours is above the threshold:
    what is left are the extrema whose topological persistence is above it, between the two ends of the stretch.

    Parameters
    ----------
    values : (n_spectra, n_pixels) float array
        Smoothed flux.
    threshold : (n_spectra,) float array
        Least step.

    Returns
    -------
    pixel : (n_spectra, n_most) int array
        Pixels of the extrema in order, the two ends of the stretch included; -1 beyond the last. A spectrum without
        structure keeps its two ends only, one with NaN nothing.

    References
    ----------
    Edelsbrunner, Letscher & Zomorodian 2002, Discrete Comput. Geom. 28, 511 (persistence).
    """
    n_spectra, n_pixels = values.shape
    found = local_extrema(values)
    ends = np.arange(n_spectra)
    row = np.concatenate([ends, found.row, ends])
    pixel = np.concatenate([np.zeros(n_spectra, int), found.pixel, np.full(n_spectra, n_pixels - 1)])
    usable = np.isfinite(values).all(axis=1)[row]
    order = np.lexsort((pixel[usable], row[usable]))
    row, pixel = row[usable][order], pixel[usable][order]
    keep = np.zeros(row.size, dtype=bool)
    while row.size and not keep.all():
        keep = _without_least_pairs(values[row, pixel], row, threshold)
        row, pixel = row[keep], pixel[keep]
    count = np.bincount(row, minlength=n_spectra)
    matrix = np.full((n_spectra, max(count.max(initial=0), 2)), -1)
    matrix[row, np.arange(row.size) - np.repeat(np.cumsum(count) - count, count)] = pixel
    return matrix


def _without_least_pairs(value, row, threshold):
    """False for the extrema of each pair whose step is under the threshold and the least of its surroundings.

    `value` and `row` run through all spectra. An end of a stretch is not an extremum: of a pair with an end, the end
    goes and the extremum becomes the new end.
    """
    same = row[1:] == row[:-1]
    step = np.append(np.where(same, np.abs(np.diff(value)), np.inf), np.inf)
    is_first = np.append(True, ~same)
    is_last = np.append(~same, True)
    before = np.append(np.inf, step[:-1])
    after = np.append(step[1:], np.inf)
    least = (step < threshold[row]) & (step < before) & (step <= after)
    least[:-1] &= ~(is_first[:-1] & is_last[1:])  # only the two ends are left
    start = np.flatnonzero(least)
    keep = np.ones(row.size, dtype=bool)
    keep[start[~is_last[start + 1]]] = False
    keep[start[~is_first[start]] + 1] = False
    return keep
