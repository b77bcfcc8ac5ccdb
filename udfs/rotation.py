"""How fast a star turns at least, from lines that are broad only by rotation."""

from __future__ import annotations

from functools import cache

import numpy as np

from becat.schema.grid import RED
from becat.schema.lines import LINES, SPEED_OF_LIGHT_KM_S

__all__ = ["ROTATION_LINES", "rotation_limit"]

# Weak lines of B and early A stars in the red arm, without Stark wings: helium in the hotter, silicon in the cooler ones.
ROTATION_LINES = ("hei_6680", "siii_6349", "siii_6373")
V_SIN_I_KM_S = np.array([15.0, 30.0, 60.0, 90.0, 120.0, 160.0, 200.0, 250.0, 300.0, 350.0, 400.0])
_REACH_KM_S = 600.0
_BIN = 4  # pixels: 23 km/s, finer than the instrument
_LIMB_DARKENING = 0.5
# A continuum fitted to the arm is wrong by as much over the width of a line: a shallower line means nothing.
_CONTINUUM_ERROR = 0.002
_FINE_KM_S = np.arange(-700.0, 701.0, 2.0)


def rotation_limit(flux, ivar, velocity_km_s, significance):
    """The least v sin i that the lines allow.

    Each line is fitted with a straight continuum and the profile of a rotating star for a number of v sin i; a line takes
    away from chi-square as much as its depth over its error, squared. The limit is the least v sin i that is not worse
    than the best by more than the significance squared. Where no line is seen, that is the least of all.

    Parameters
    ----------
    flux, ivar : (n_spectra, 4001) float array
        Rectified flux on ``becat.schema.grid.RED`` and its inverse variance.
    velocity_km_s : (n_spectra,) float array
        Velocity of the star.
    significance : float
        Standard errors by which a lesser rotation must be worse.

    Returns
    -------
    (n_spectra,) float64 array
        km/s, one of `V_SIN_I_KM_S`; the instrument's width is in the model.

    References
    ----------
    Gray 2005, The Observation and Analysis of Stellar Photospheres, equation 18.14 (profile of rotation).
    """
    gain = np.zeros((len(flux), len(V_SIN_I_KM_S)))
    for name in ROTATION_LINES:
        gain += _gain(*_binned(flux, ivar, LINES[name].wavelength_a), velocity_km_s)
    allowed = gain >= gain.max(axis=1, keepdims=True) - significance**2
    return V_SIN_I_KM_S[allowed.argmax(axis=1)]


def _binned(flux, ivar, line_a):
    """Stretch around a line in bins: velocity of the bins, flux and inverse variance, zero where nothing is good."""
    half_a = line_a * (_REACH_KM_S + 400) / SPEED_OF_LIGHT_KM_S
    first, last = np.searchsorted(RED.wavelength_a, [line_a - half_a, line_a + half_a])
    last -= (last - first) % _BIN
    velocity = (RED.wavelength_a[first:last].reshape(-1, _BIN).mean(axis=1) / line_a - 1) * SPEED_OF_LIGHT_KM_S
    part, weight = flux[:, first:last], ivar[:, first:last]
    weight = np.where(np.isfinite(part), weight, 0).astype(np.float64)
    total = weight.reshape(len(flux), -1, _BIN).sum(axis=2)
    moment = (weight * np.nan_to_num(part, nan=1.0)).reshape(len(flux), -1, _BIN).sum(axis=2)
    return velocity, np.where(total > 0, moment / np.maximum(total, 1e-30), 1.0), total


def _gain(velocity, flux, weight, star_km_s):
    """(n, n_rotations) chi-square that the line takes away for each rotation; nothing where it is in emission."""
    x = velocity - star_km_s[:, None]
    weight = np.where(np.abs(x) < _REACH_KM_S, weight, 0)
    slope, rest = x / _REACH_KM_S, flux - 1
    place = np.clip((x - _FINE_KM_S[0]) / (_FINE_KM_S[1] - _FINE_KM_S[0]), 0, _FINE_KM_S.size - 1.001)
    left = place.astype(int)
    share = place - left
    # Sums of a fit with a constant, a slope and the profile; the continuum's part is the same for all rotations.
    s0, s1, s2 = weight.sum(1), (weight * slope).sum(1), (weight * slope**2).sum(1)
    r0, r1 = (weight * rest).sum(1), (weight * slope * rest).sum(1)
    determinant = s0 * s2 - s1**2
    gain = np.zeros((len(flux), len(V_SIN_I_KM_S)))
    for k, table in enumerate(_profiles()):
        shape = table[left] * (1 - share) + table[left + 1] * share
        weighted = weight * shape
        t0, t1, tt = weighted.sum(1), (weighted * slope).sum(1), (weighted * shape).sum(1)
        with np.errstate(divide="ignore", invalid="ignore"):
            a, b = (s2 * t0 - s1 * t1) / determinant, (s0 * t1 - s1 * t0) / determinant
            free = tt - a * t0 - b * t1  # of the profile, what continuum and slope cannot make
            depth = -((weighted * rest).sum(1) - a * r0 - b * r1) / free
            variance = 1 / free + _CONTINUUM_ERROR**2
            found = np.where((depth > 0) & (free > 0), depth**2 / variance, 0.0)
        gain[:, k] = np.nan_to_num(found)
    return gain


@cache
def _profiles():
    """(n_rotations, n_fine) profiles of rotation at the instrument's resolution, depth 1."""
    sigma = SPEED_OF_LIGHT_KM_S / 7500.0 / 2.3548
    kernel = np.exp(-0.5 * (np.arange(-60.0, 61.0, 2.0) / sigma) ** 2)
    tables = []
    for rotation in V_SIN_I_KM_S:
        inside = np.clip(1 - (_FINE_KM_S / rotation) ** 2, 0, None)
        shape = 2 * (1 - _LIMB_DARKENING) * np.sqrt(inside) + 0.5 * np.pi * _LIMB_DARKENING * inside
        blurred = np.convolve(shape, kernel / kernel.sum(), mode="same")
        tables.append(blurred / blurred.max())
    return np.stack(tables)
