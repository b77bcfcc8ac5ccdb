"""Velocities of H-alpha from its wings: two Gaussians, and the bisector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from becat.schema.grid import RED
from becat.schema.lines import LINES, SPEED_OF_LIGHT_KM_S
from becat.udfs.bands import repair
from becat.udfs.bartlett import smooth_bartlett

__all__ = ["Wings", "halpha_wings"]

_HALPHA_A = LINES["halpha"].wavelength_a
_STRETCH = slice(*np.searchsorted(RED.wavelength_a, (6538.0, 6591.0)))
_V_KM_S = ((RED.wavelength_a[_STRETCH] / _HALPHA_A - 1) * SPEED_OF_LIGHT_KM_S).astype(np.float32)
_STEP_KM_S = float(_V_KM_S[1] - _V_KM_S[0])
# Within which the line has its highest or lowest point.
_CORE = slice(*np.searchsorted(_V_KM_S, (-600.0, 600.0)))
_PEAKS_KM_S = 600.0  # that peaks of one line are apart at most; [N II] is farther off
_SMOOTH_PX = 12  # 1.5 Angstrom, the same at any S/N, so that a star's profile is always smoothed alike
# Shares of the line's height at which the Gaussians stand, and at which the bisector is read: low in emission, where the fast
# gas near the star is seen; deep in absorption, whose core is steep, while its Stark wings follow each slope of the continuum.
WING_HEIGHT = {"emission": 0.25, "absorption": 0.6}
BISECTOR_HEIGHTS = {"emission": (0.2, 0.25, 0.3, 0.4), "absorption": (0.5, 0.6, 0.7, 0.8)}
_HEIGHT_MIN = 0.04  # of the continuum; what is flatter may be the continuum's own waves
# Sigma of the Gaussians over half of their separation, and its limits, km/s.
_SIGMA_SHARE, _SIGMA_MIN_KM_S, _SIGMA_MAX_KM_S = 0.35, 35.0, 150.0
_SEPARATION_MAX_KM_S = 700.0  # half
_SLOPE_KM_S = 700.0  # half of the band for which the continuum's error holds
_SPIKE_PX, _SPIKE_SHARE = 4, 0.45  # a resolution element of the medium-resolution survey is 9 pixels
_APART_KM_S = 40.0  # of the middles at different heights: a peak or core counts at some of them only
# Standard errors. Of two exposures, one sees the lower side of a level or core, the other the upper, and neither the jump, only if
# their noise differs by six: as rare as what counts as a change of velocity.
_AT_LEVEL, _RIVAL, _RIVAL_MIN = 3.0, 4.2, 4.0
_FAR_SHARE = 0.5  # of half of the line's width: a flank that moves farther belongs to another peak or core
_NOISE_SHARE = 0.12  # of the variance that the smoothing leaves
_TURNS, _CONVERGED_KM_S = 6, 0.1
_FWHM_OF_SIGMA = 2.3548
_MASKED_MAX = 0.15  # of the weight of the Gaussians


@dataclass(frozen=True)
class Wings:
    """Velocities of n H-alpha lines, km/s; NaN where there is none.

    Attributes
    ----------
    is_emission : (n,) bool array
        Whether the line is emission above the continuum, or else absorption.
    separation_km_s : (n,) float array
        Half of the distance of the two Gaussians.
    wing_km_s, e_wing_km_s, bisector_km_s, e_bisector_km_s : (n,) float arrays
    jump_km_s : (n,) float array
        By how much the middle of the wings can jump, where that is more than noise: another exposure of the star may show
        one flank alone, and tell nothing of the jump.
    """

    is_emission: np.ndarray
    separation_km_s: np.ndarray
    wing_km_s: np.ndarray
    e_wing_km_s: np.ndarray
    bisector_km_s: np.ndarray
    e_bisector_km_s: np.ndarray
    jump_km_s: np.ndarray


def halpha_wings(flux, ivar, resolving_power, continuum_error, significance_min=5.0) -> Wings:
    """Velocity of the wings of H-alpha, and of its bisector at several heights.

    Two Gaussians of opposite sign stand on the flanks at `WING_HEIGHT` of the line's height; the velocity is where both take the same
    light of the line. The bisector is the mean of the middles between both flanks at `BISECTOR_HEIGHTS`.

    Parameters
    ----------
    flux, ivar : (n, 4001) float array
        Rectified flux on ``becat.schema.grid.RED`` and its inverse variance.
    resolving_power : (n,) float array
    continuum_error : (n,) float array
        Relative error of the continuum; a slope of it moves a line's wings.
    significance_min : float
        Standard errors by which the line must stand out.

    References
    ----------
    Schneider & Young 1980, ApJ 238, 946; Shafter 1983, ApJ 267, 222 (two Gaussians).
    """
    flux, good = repair(flux[:, _STRETCH], ivar[:, _STRETCH])
    flux = flux.astype(np.float32, copy=False)
    with np.errstate(divide="ignore"):
        variance = np.where(good, 1 / ivar[:, _STRETCH], 0).astype(np.float32)
    smooth = smooth_bartlett(flux, np.full(len(flux), _SMOOTH_PX))
    noise = np.sqrt(_NOISE_SHARE * variance[:, _CORE].mean(axis=1))
    sign, height, top = _line(smooth, noise, significance_min)
    line = sign[:, None] * (smooth - np.float32(1))
    seen = (sign, top, noise)
    level = height * np.where(sign > 0, WING_HEIGHT["emission"], WING_HEIGHT["absorption"])
    ends = np.array(_flanks(line, level, *_outermost(line, level, *seen)))
    with np.errstate(divide="ignore"):
        width = 1 / np.abs(_slope(line, ends))  # by which a flank moves with the level
    half, start = 0.5 * (ends[1] - ends[0]), 0.5 * (ends[1] + ends[0])
    jump = _jump(line, height, level, ends, width, seen, np.hypot(noise, np.nan_to_num(continuum_error)))
    half = np.where((half > 0) & (half < _SEPARATION_MAX_KM_S), half, np.nan)
    least = np.maximum(_SIGMA_MIN_KM_S, SPEED_OF_LIGHT_KM_S / resolving_power / _FWHM_OF_SIGMA)
    sigma = np.clip(_SIGMA_SHARE * half, least, np.maximum(least, _SIGMA_MAX_KM_S))
    slope_error = np.nan_to_num(continuum_error) / _SLOPE_KM_S
    e_half = _error_of_half(width, noise, np.nan_to_num(continuum_error))
    wing, e_wing = _two_gaussians(flux, variance, good, start, half, e_half, sigma, slope_error)
    bisector, e_bisector = _bisector(line, variance, good, height, seen, slope_error)
    e_wing, e_bisector = np.maximum(e_wing, jump), np.maximum(e_bisector, jump)
    separation = np.where(np.isfinite(wing), half, np.nan)
    return Wings(sign > 0, separation, wing, e_wing, bisector, e_bisector, np.where(jump > 0, jump, np.nan))


def _line(smooth, noise, significance_min):
    """Sign of the line (+1: emission), its height (NaN where it does not stand out) and the pixel of its highest point."""
    core = smooth[:, _CORE]
    up, down = core.argmax(axis=1), core.argmin(axis=1)
    rows = np.arange(len(core))
    high, deep = core[rows, up] - 1, 1 - core[rows, down]
    least = np.maximum(_HEIGHT_MIN, significance_min * noise)
    # What is left of a cosmic ray is a spike, which has lost most of its height some pixels off; a line has not.
    beside = np.minimum(smooth[rows, up + _CORE.start - _SPIKE_PX], smooth[rows, up + _CORE.start + _SPIKE_PX]) - 1
    emission = (high > least) & (beside > _SPIKE_SHARE * high)
    height = np.where(emission, high, np.where(deep > least, deep, np.nan))
    return np.where(emission, 1, -1).astype(np.float32), height, np.where(emission, up, down) + _CORE.start


def _outermost(line, level, sign, top, noise):
    """Pixels from which the flanks are followed outwards: the outermost that stand above the level in emission, the core else."""
    left, right = _reach(line, (level + 2.5 * noise)[:, None], top)
    return np.where(sign > 0, left, top), np.where(sign > 0, right, top)


def _reach(line, least, top):
    """Outermost pixels above a height, not far from the highest; this one where there is none."""
    pixel = np.arange(line.shape[1])
    above = (line > least) & (np.abs(pixel - top[:, None]) < _PEAKS_KM_S / _STEP_KM_S)
    left, right = above.argmax(axis=1), line.shape[1] - 1 - above[:, ::-1].argmax(axis=1)
    there = above.any(axis=1)
    return np.where(there, left, top), np.where(there, right, top)


def _far_peak(line, least, top):
    """Pixel of the highest point of the core among those too far from the highest for `_reach`; the highest itself where that is lower than `least`."""
    pixel = np.arange(line.shape[1])
    counts = (np.abs(pixel - top[:, None]) >= _PEAKS_KM_S / _STEP_KM_S) & (pixel >= _CORE.start) & (pixel < _CORE.stop)
    beyond = np.where(counts, line, -np.inf)
    return np.where(beyond.max(axis=1) >= least, beyond.argmax(axis=1), top)


def _flanks(line, level, left, right):
    """Velocities at which the line first falls to a level, outwards from two pixels; NaN where it does not."""
    pixel, last = np.arange(line.shape[1]), line.shape[1] - 1
    below = line < level[:, None]
    rows = np.arange(len(line))
    found = []
    for start, outside, step in ((left, pixel < left[:, None], -1), (right, pixel > right[:, None], 1)):
        there = below & outside
        first = there.argmax(axis=1) if step > 0 else last - there[:, ::-1].argmax(axis=1)
        inner = np.clip(first - step, 0, last)
        drop = line[rows, inner] - line[rows, first]
        with np.errstate(divide="ignore", invalid="ignore"):
            share = (line[rows, inner] - level) / drop
        reached = there[rows, first] & (share >= 0) & (share <= 1) & (start != first)
        found.append(np.where(reached, _V_KM_S[inner] + step * share * _STEP_KM_S, np.nan))
    return found


def _jump(line, height, level, ends, width, seen, error):
    """By how much the middle of both flanks can jump, km/s; 0 where it cannot.

    It jumps where an error moves the level, if a second emission peak only just reaches it; from one core of an absorption to
    the other, if emission or a second star parts them and both are as deep as the error allows; and from one peak or core to another that is as
    high, or deep, but too far off to be followed with it. A flank that moves little farther than its
    slope says has not jumped: noise bends it.
    """
    sign, top, noise = seen
    rival = np.maximum(np.maximum(level, height - _RIVAL * error), _RIVAL_MIN * noise)
    # Emission is followed from its outermost peaks. Both cores of an absorption together have their middle half way to that of the other.
    others = [(level, _reach(line, rival[:, None], top), sign < 0, 2.0)]
    for near in (np.maximum(level - _AT_LEVEL * error, 0.5 * level), level + _AT_LEVEL * error):
        others.append((near, _outermost(line, near, *seen), True, 1.0))
    far_peak = _far_peak(line, rival, top)
    others.append((level, (far_peak, far_peak), far_peak != top, 1.0))
    far = np.fmax(_APART_KM_S, _FAR_SHARE * 0.5 * (ends[1] - ends[0]))
    middle = np.mean(ends, axis=0)
    least, most = middle, middle
    for near, (left, right), asked, share in others:
        there = np.array(_flanks(line, near, left, right))
        beyond = np.abs(there - ends) - width * np.abs(near - level)
        other = middle + share * (np.mean(there, axis=0) - middle)
        jumped = np.where(asked & (beyond > far).any(axis=0), other, np.nan)
        least, most = np.fmin(least, jumped), np.fmax(most, jumped)
    return np.nan_to_num(0.5 * (most - least))


def _slope(line, velocity):
    """(2, n) change of the line per km/s on its flanks, over a resolution element."""
    place = np.nan_to_num((velocity - _V_KM_S[0]) / _STEP_KM_S).astype(int)
    left = np.clip(place, 2, line.shape[1] - 4)
    rows = np.arange(len(line))
    return (line[rows, left + 3] - line[rows, left - 2]) / (5 * _STEP_KM_S)


def _error_of_half(width, noise, continuum_error):
    """Error of half of the distance of the flanks: of their noise, and of the continuum, which moves both."""
    return 0.5 * np.hypot(noise * np.hypot(*width), continuum_error * width.sum(axis=0))


def _two_gaussians(flux, variance, good, start, half, e_half, sigma, slope_error):
    """Velocity at which two Gaussians of opposite sign take the same from the line, and its error."""
    n = len(flux)
    velocity, tried = np.nan_to_num(start), np.isfinite(half)
    half, sigma = np.nan_to_num(half, nan=100.0), np.nan_to_num(sigma, nan=50.0)
    rest = flux - np.float32(1)
    weights = farther = np.zeros((n, flux.shape[1]), np.float32)
    rise = np.ones(n)
    for _ in range(_TURNS):
        weights, slope, farther = _weights(velocity, half, sigma)
        rise = (slope * rest).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.nan_to_num(-(weights * rest).sum(axis=1) / rise)
        limit = 0.5 * sigma
        velocity = velocity + np.clip(step, -limit, limit)
    size = np.abs(weights)
    masked = np.where(good, 0, size).sum(axis=1) / size.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = np.sqrt((weights**2 * variance).sum(axis=1) / (1 - masked)) / np.abs(rise)
        # Gaussians farther apart see gas that is elsewhere, if the line is not symmetric.
        of_half = np.minimum(np.nan_to_num(e_half), half) * (farther * rest).sum(axis=1) / np.abs(rise)
        of_slope = slope_error * (weights * flux * (_V_KM_S - velocity[:, None])).sum(axis=1) / np.abs(rise)
    found = tried & (np.abs(step) < _CONVERGED_KM_S) & (np.abs(velocity - start) < half) & (masked < _MASKED_MAX)
    found &= _inside(good, velocity - half - 2 * sigma, velocity + half + 2 * sigma)
    return np.where(found, velocity, np.nan), np.where(found, np.sqrt(noise**2 + of_half**2 + of_slope**2), np.nan)


def _weights(velocity, half, sigma):
    """(n, p) weights of the two Gaussians on the pixels, and their derivatives by velocity and by half of the separation."""
    x = (_V_KM_S - velocity[:, None]) / sigma[:, None]
    apart = (half / sigma)[:, None]
    violet, red = x + apart, x - apart
    at_violet, at_red = (np.exp(np.float32(-0.5) * (y * y).astype(np.float32)) for y in (violet, red))
    red, violet = red * at_red / sigma[:, None], violet * at_violet / sigma[:, None]
    return at_red - at_violet, red - violet, red + violet


def _inside(good, low, high):
    """Whether a stretch of velocity lies between the outermost good pixels."""
    first, last = good.argmax(axis=1), good.shape[1] - 1 - good[:, ::-1].argmax(axis=1)
    return good.any(axis=1) & (_V_KM_S[first] <= low) & (_V_KM_S[last] >= high)


def _bisector(line, variance, good, height, seen, slope_error):
    """Mean of the middles between both flanks at several heights, and its error."""
    n, last = len(line), line.shape[1] - 1
    rows = np.arange(n)
    middles, of_level, of_slope = [], [], []
    weights = np.zeros(line.shape, np.float32)
    ends = np.zeros((2, n))
    emission = seen[0] > 0
    heights = [np.where(emission, *shares) for shares in zip(*BISECTOR_HEIGHTS.values(), strict=True)]
    for share in heights:
        level = share * height
        found = np.array(_flanks(line, level, *_outermost(line, level, *seen)))
        middles.append(found.mean(axis=0))
        place = np.nan_to_num((found - _V_KM_S[0]) / _STEP_KM_S)
        left = np.clip(place.astype(int), 2, last - 3)
        with np.errstate(divide="ignore", invalid="ignore"):
            push = np.array([[-0.5], [0.5]]) / np.abs(_slope(line, found))  # by which a higher flux moves the middle
        pushed = np.where(np.isfinite(push), push, 0)
        part = place - left
        for side in (0, 1):
            weights[rows, left[side]] += pushed[side] * (1 - part[side]) / len(heights)
            weights[rows, left[side] + 1] += pushed[side] * part[side] / len(heights)
        of_level.append(pushed.sum(axis=0))
        of_slope.append((pushed * found).sum(axis=0))
        ends = found if share is heights[0] else ends
    weights = smooth_bartlett(weights, np.full(n, _SMOOTH_PX))
    masked = np.where(good, 0, np.abs(weights)).sum(axis=1) / np.maximum(np.abs(weights).sum(axis=1), 1e-30)
    with np.errstate(invalid="ignore", divide="ignore"):
        level_error = np.hypot(0.5 * seen[2], _SLOPE_KM_S * slope_error)
        error = np.sqrt(
            (weights**2 * variance).sum(axis=1) / (1 - masked)
            + (level_error * np.mean(of_level, axis=0)) ** 2
            + (slope_error * np.mean(of_slope, axis=0)) ** 2
        )
        middle = np.mean(middles, axis=0)
        apart = np.ptp(middles, axis=0)
        error = np.where(apart > _APART_KM_S, np.maximum(error, 0.5 * apart), error)
        usable = np.isfinite(middle) & (masked < _MASKED_MAX) & _inside(good, ends[0] - 50, ends[1] + 50)
    return np.where(usable, middle, np.nan), np.where(usable, error, np.nan)
