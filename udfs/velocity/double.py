"""Double lines: two velocities of spectra in which templates at one velocity leave a second star's lines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from becat.udfs.velocity.correlate import Match, correlation, error_of
from becat.udfs.velocity.templates import LAGS_KM_S, Bank

__all__ = ["Double", "double_lines"]

_APART_KM_S = 60.0  # at least, and the rotation more: nearer lines are one line that is as broad
_FASTEST_KM_S = 450.0  # at greater speed are the chance maxima of lines that the templates have too strong or too weak
# Templates that are tried: in cooler stars hundreds of lines are no template's, and in faster ones everything overlaps.
_COOLEST_K, _ROTATION_MAX_KM_S = 5500.0, 100.0
_BROAD_KM_S = 50.0
_ABOUT_AS_HOT = 0.35  # natural logarithm of the temperatures' ratio
# Ratio of the depths, and share of what one template leaves that the second one must take away; of broad lines more.
_RATIO_MIN, _RATIO_BROAD_MIN = 0.35, 0.5
_GAIN_MIN, _GAIN_BROAD_MIN = 0.03, 0.1
_BEST_AT_FIRST = 12.0  # significance of the single match below which no second one is looked for
_TURNS = 8
_REST_MIN = (
    5.5  # of the correlation of what one template leaves, over its scatter; late types have 4 by their own lines
)
_LONGEST_STEP_KM_S = 10.0


@dataclass(frozen=True)
class Double:
    """Two velocities of n spectra, km/s; NaN where one star is all that is seen.

    Attributes
    ----------
    primary_km_s, e_primary_km_s, secondary_km_s, e_secondary_km_s : (n,) float arrays
        Of the star with the deeper lines, and of the other.
    ratio : (n,) float array
        Depth of the secondary's lines over that of the primary's.
    """

    primary_km_s: np.ndarray
    e_primary_km_s: np.ndarray
    secondary_km_s: np.ndarray
    e_secondary_km_s: np.ndarray
    ratio: np.ndarray


def double_lines(depth, weight, bank: Bank, single: Match, significance_min: float) -> Double:
    """Fit the sum of two templates of one kind at two velocities, where it is far better than one of any rotation.

    Parameters
    ----------
    depth, weight : (n, p) float32 arrays
        As of `becat.udfs.velocity.correlate.binned`.
    bank : Bank
    single : Match
        What one template gives.
    significance_min : float
        Standard errors by which the lines of either star must stand out.

    References
    ----------
    Zucker & Mazeh 1994, ApJ 420, 806 (correlation in two dimensions).
    """
    n = len(depth)
    found = Double(*(np.full(n, np.nan) for _ in range(5)))
    rows = np.flatnonzero(np.nan_to_num(single.significance) > _BEST_AT_FIRST)
    rows = rows[bank.teff_k[single.template[rows]] >= _COOLEST_K]
    rows = rows[_second_is_seen(single, weight, bank, rows)] if rows.size else rows
    if not rows.size:
        return found
    template, start = _start(depth[rows], weight[rows], bank, bank.teff_k[single.template[rows]])
    values, errors, strengths, rest = _fit(depth[rows], weight[rows], bank, template, start)
    better = 1 - (rest**2).sum(axis=1) / (single.rest[rows] ** 2).sum(axis=1)
    strong = strengths.argmax(axis=0)
    order = np.stack([strong, 1 - strong])
    values, errors, strengths, significance = (
        np.take_along_axis(x, order, axis=0) for x in (values, errors[0], strengths, strengths / errors[1])
    )
    rotation = bank.v_sin_i_km_s[template]
    broad = rotation > _BROAD_KM_S
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = strengths[1] / strengths[0]
        seen = (
            (better > np.where(broad, _GAIN_BROAD_MIN, _GAIN_MIN))
            & (ratio > np.where(broad, _RATIO_BROAD_MIN, _RATIO_MIN))
            & (significance.min(axis=0) > significance_min)
            & (np.abs(values[0] - values[1]) > _APART_KM_S + rotation)
            & (np.abs(values).max(axis=0) < _FASTEST_KM_S)
        )
    for column, given in (
        (found.primary_km_s, values[0]),
        (found.secondary_km_s, values[1]),
        (found.e_primary_km_s, errors[0]),
        (found.e_secondary_km_s, errors[1]),
        (found.ratio, ratio),
    ):
        column[rows[seen]] = given[seen]
    return found


def _second_is_seen(single, weight, bank, rows):
    """Whether what one template leaves correlates with a sharp one as it would not by chance."""
    sharp = np.flatnonzero((bank.v_sin_i_km_s == 0) & (bank.teff_k >= _COOLEST_K))
    value = correlation(single.rest[rows], weight[rows], bank, sharp)[:, :, np.abs(LAGS_KM_S) < _FASTEST_KM_S].max(
        axis=(1, 2)
    )
    scatter = single.rest[rows].std(axis=1)
    return value > _REST_MIN * scatter / np.sqrt(2)  # of pairs of pixels


def _start(depth, weight, bank, teff_k):
    """Template about as hot as the single one, and the two lags, at which the sum of two takes most away; (n,) int and (2, n) floats."""
    n, n_lags = len(depth), LAGS_KM_S.size
    value = correlation(depth, weight, bank)
    apart = np.abs(LAGS_KM_S[:, None] - LAGS_KM_S) >= _APART_KM_S
    best, template, pair = np.full(n, -1.0), np.zeros(n, int), np.zeros(n, int)
    for k in np.flatnonzero((bank.teff_k >= _COOLEST_K) & (bank.v_sin_i_km_s <= _ROTATION_MAX_KM_S)):
        rows = np.flatnonzero(np.abs(np.log(teff_k / bank.teff_k[k])) < _ABOUT_AS_HOT)
        if not rows.size:
            continue
        overlap = bank.overlap[k]
        with np.errstate(divide="ignore", invalid="ignore"):
            one, other = value[rows, k, :, None], value[rows, k, None, :]
            free = 1 - overlap**2
            first, second = (one - overlap * other) / free, (other - overlap * one) / free
            gain = np.where(apart & (second > 0) & (first >= second), one * first + other * second, -1.0)
        gain = gain.reshape(len(rows), n_lags * n_lags)
        place = gain.argmax(axis=1)
        top = gain[np.arange(len(rows)), place]
        better = top > best[rows]
        best[rows[better]], template[rows[better]], pair[rows[better]] = top[better], k, place[better]
    return template, LAGS_KM_S[np.stack(np.divmod(pair, n_lags))]


def _fit(depth, weight, bank, template, start):
    """Least squares of two depths and two velocities: velocities (2, n), errors of velocities and of depths, depths (2, n), rest."""
    bad, smooth = weight <= 0, bank.smooth
    velocity, rest = start.copy(), depth
    continuum = np.where(bad, 0, depth) @ smooth
    raw, shapes = _shapes(bank, template, velocity)
    depths = _amounts(shapes[:, ::2], depth - (depth @ smooth) @ smooth.T).T
    for _ in range(_TURNS):
        raw, shapes = _shapes(bank, template, velocity)
        model = depths[0][:, None] * raw[0] + depths[1][:, None] * raw[1]
        rest = np.where(bad, 0, depth - continuum @ smooth.T - model)
        change = rest @ smooth
        continuum, rest = continuum + change, rest - change @ smooth.T
        found = _amounts(shapes, rest)
        depths = depths + found[:, ::2].T
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.nan_to_num(found[:, 1::2].T / depths)
        velocity = velocity + np.clip(step, -_LONGEST_STEP_KM_S, _LONGEST_STEP_KM_S)
    # Weights with which the pixels enter the four numbers.
    amounts = np.linalg.pinv(shapes @ shapes.transpose(0, 2, 1)) @ shapes
    errors = np.stack([error_of(amounts[:, i], weight, bank) for i in range(4)])
    with np.errstate(divide="ignore", invalid="ignore"):
        return velocity, (errors[1::2] / np.abs(depths), errors[::2]), depths, rest


def _shapes(bank, template, velocity):
    """Templates at two velocities (2, n, p), and they and their derivatives without what the continuum takes, (n, 4, p)."""
    pairs = [bank.at(template, v) for v in velocity]
    free = [shape - (shape @ bank.smooth) @ bank.smooth.T for pair in pairs for shape in pair]
    return np.stack([value for value, _ in pairs]), np.stack(free, axis=1).astype(float)


def _amounts(shapes, target):
    """(n, k) least-squares amounts of k shapes."""
    inverse = np.linalg.pinv(shapes @ shapes.transpose(0, 2, 1))
    return (inverse @ (shapes @ target[:, :, None].astype(float)))[:, :, 0]
