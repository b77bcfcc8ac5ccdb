"""Velocities by cross-correlation with templates: best template and lag first, then a fit of line depth and velocity."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from becat.udfs.velocity.templates import LAGS_KM_S, Bank, coarser

__all__ = ["Match", "binned", "correlation", "error_of", "fit", "match"]

_TURNS = 3  # of the fit: each takes away all but some percent of what is left
_LONGEST_STEP_KM_S = 15.0
_MIN_GOOD = 0.7  # of the pixels
# Errors of the fitted continuum: waves of this size, of which stretches of this length are independent.
_WAVE, _WAVE_A = {"blue": 0.002, "red": 0.0013}, 4.0
_LAG_KM_S = LAGS_KM_S[1] - LAGS_KM_S[0]
_HEIGHT_MIN = (
    0.6  # of the highest maximum: in lines of 5 errors chi-square is then larger by 16, and noise does not choose it
)
_SURE = 5.0  # standard errors, beyond which noise does not choose
_NOT_NOISE = 3.0  # standard errors by which chi-square is too large for noise alone
_FLANK_MIN = 0.02  # of a maximum, so that its flanks have logarithms
_BROADEST_KM_S = 400.0
_SPIKE_MIN = 8.0  # height over the scatter about the continuum: of cosmic rays that were left, and of emission lines


@dataclass(frozen=True)
class Match:
    """What the templates found in n spectra; NaN where too much is masked.

    Attributes
    ----------
    template : (n,) int array
    velocity_km_s, e_velocity_km_s : (n,) float arrays
    strength : (n,) float array
        Depth of the lines in units of the template's; negative where they are in emission.
    significance : (n,) float array
        Strength over its error.
    rest : (n, p) float32 array
        What the fit leaves, 0 in masked pixels.
    """

    template: np.ndarray
    velocity_km_s: np.ndarray
    e_velocity_km_s: np.ndarray
    strength: np.ndarray
    significance: np.ndarray
    rest: np.ndarray


def binned(flux: np.ndarray, ivar: np.ndarray, bank: Bank) -> tuple[np.ndarray, np.ndarray]:
    """Depth (1 - flux) and inverse variance on the pixels of a bank; both 0 where no pixel is good or a spike stands.

    Parameters
    ----------
    flux, ivar : (n, grid.n_pixels) float arrays
        Rectified flux and inverse variance on the grid of the bank.
    """
    first, second = (slice(bank.window.start + k, bank.window.stop, 2) for k in (0, 1))
    weights = [ivar[:, part].astype(np.float32) for part in (first, second)]
    good = [part > 0 for part in weights]
    depths = [
        np.where(here, np.float32(1) - flux[:, part], np.float32(0))
        for here, part in zip(good, (first, second), strict=True)
    ]
    depth = depths[0] + depths[1]
    depth[good[0] & good[1]] *= np.float32(0.5)  # else the good one of two stands for both
    weight = weights[0] + weights[1]
    _cut_spikes(depth, weight, bank)
    return depth, weight


def _cut_spikes(depth, weight, bank):
    """Make depth and weight 0, in place, where a pixel stands far above the continuum, and within a resolution element of it."""
    deep = depth * np.sqrt(weight)
    limit = -_SPIKE_MIN * np.sqrt(0.5 * np.pi) * np.abs(deep).mean(axis=1)
    rows = np.flatnonzero(deep.min(axis=1) < limit)
    if not rows.size:
        return
    reach = int(np.ceil(bank.wavelength_a.mean() / bank.resolving_power / (2 * bank.grid.step_a)))
    is_spike = np.pad(deep[rows] < limit[rows, None], ((0, 0), (reach, reach)))
    near = sliding_window_view(is_spike, 2 * reach + 1, axis=1).any(axis=2)
    for pixels in (depth, weight):
        pixels[rows] = np.where(near, 0, pixels[rows])


def match(depth: np.ndarray, weight: np.ndarray, bank: Bank, templates: np.ndarray | None = None) -> Match:
    """The template and the velocity that take most away from chi-square.

    Parameters
    ----------
    depth, weight : (n, p) float32 arrays
        As of `binned`.
    bank : Bank
    templates : (k,) int array, optional
        Templates that are tried; by default all.
    """
    maxima = _maxima(correlation(depth, weight, bank, templates))
    if templates is not None:
        maxima = replace(maxima, template=templates[maxima.template])
    best = maxima.best
    found = fit(depth, weight, bank, maxima.template[best], maxima.velocity_km_s[best])
    spread, broader = _by_choice(maxima, found.significance, _misfit(found.rest, weight), bank)
    return replace(found, e_velocity_km_s=np.hypot(broader * found.e_velocity_km_s, spread))


@dataclass(frozen=True)
class _Maxima:
    """The maxima of the correlation of n spectra, m in all, those of a spectrum one after another.

    Attributes
    ----------
    row, template : (m,) int arrays
    velocity_km_s, height : (m,) float arrays
    width_km_s : (m,) float array
        Standard deviation of a Gaussian that is as sharp.
    best : (n,) int array
        The highest of each spectrum.
    """

    row: np.ndarray
    template: np.ndarray
    velocity_km_s: np.ndarray
    height: np.ndarray
    width_km_s: np.ndarray
    best: np.ndarray


def _maxima(value):
    """All maxima of a correlation, (n, n_templates, n_lags), that are at least `_HEIGHT_MIN` of the highest of their spectrum.

    Between the lags a maximum is a Gaussian, as that of Gaussian lines is.
    """
    n, n_templates, n_lags = value.shape
    flat, rows = value.reshape(n, n_templates * n_lags), np.arange(n)
    highest = flat.argmax(axis=1)
    is_top = value >= (np.float32(_HEIGHT_MIN) * flat[rows, highest])[:, None, None]
    is_top[:, :, 1:] &= value[:, :, 1:] >= value[:, :, :-1]
    is_top[:, :, :-1] &= value[:, :, :-1] > value[:, :, 1:]
    is_top.reshape(flat.shape)[rows, highest] = True  # also in a spectrum without data
    row, template, lag = np.nonzero(is_top)
    middle = value[row, template, lag].astype(float)
    beside = [value[row, template, np.clip(lag + d, 0, n_lags - 1)] for d in (-1, 1)]
    with np.errstate(divide="ignore", invalid="ignore"):
        left, right = (np.nan_to_num(np.log(np.maximum(x / middle, _FLANK_MIN))) for x in beside)
    curvature = np.maximum(-left - right, (_LAG_KM_S / _BROADEST_KM_S) ** 2)
    place = np.clip(0.5 * (right - left) / curvature, -0.5, 0.5)
    height = middle * np.exp(0.25 * (right - left) * place)
    velocity = LAGS_KM_S[lag] + _LAG_KM_S * place
    order = np.lexsort((height, row))
    best = order[np.searchsorted(row, rows, side="right") - 1]
    return _Maxima(row, template, velocity, height, _LAG_KM_S / np.sqrt(curvature), best)


def _misfit(rest, weight):
    """(n,) by how much chi-square of a fit is larger than noise alone explains, with `_NOT_NOISE` standard errors to spare; 0 where it is not."""
    pixels = np.count_nonzero(weight, axis=1)
    return np.maximum(_dot(rest * rest, weight) - pixels - _NOT_NOISE * np.sqrt(2 * pixels), 0)


def _by_choice(maxima, significance, misfit, bank):
    """What noise adds to the error by its choice of the best maximum.

    With noise of a given size chi-square falls by the square of the correlation: by that of the significance at the best maximum, and
    at others in proportion. All templates and velocities are as probable beforehand. This holds if one of the templates is the star. If
    none is, the star may lie half way between two of them, and noise chooses (`_chance`).

    Parameters
    ----------
    maxima : _Maxima
    significance : (n,) float array
        Of the best maximum.
    misfit : (n,) float array
        Of the best maximum, chi-square.
    bank : Bank

    Returns
    -------
    spread_km_s : (n,) float array
        Scatter of the maxima about the best one, each as probable as said above.
    broader : (n,) float array
        Error within a maximum, quadratic mean over all, over that within the best.
    """
    n, row, best = len(significance), maxima.row, maxima.best[maxima.row]
    significance = np.nan_to_num(significance)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        height = maxima.height / maxima.height[best]
        error = maxima.width_km_s / maxima.width_km_s[best] / height  # within a maximum, over that in the best
        by_fit = np.exp(0.5 * significance[row] ** 2 * (height**2 - 1))
        probability = error * np.maximum(by_fit, _chance(maxima, height, significance, misfit, bank))
        off = maxima.velocity_km_s - maxima.velocity_km_s[best]
        whole, spread, broader = (np.bincount(row, probability * x, n) for x in (np.ones(len(row)), off**2, error**2))
        return np.sqrt(spread / whole), np.sqrt(broader / whole)


def _chance(maxima, height, significance, misfit, bank):
    """(m,) probability that noise alone makes a maximum as much lower than the best, both sides counted.

    It is 0 where the star cannot lie half way between both templates: the best fits so well that it leaves less than a quarter of the
    square of their difference.

    Parameters
    ----------
    maxima : _Maxima
    height : (m,) float array
        Over that of the best.
    significance, misfit : (n,) float arrays
        As of `_by_choice`.
    bank : Bank
    """
    from scipy.special import ndtr  # slow to import, and all commands import this module

    lower = significance[maxima.row] * (1 - height)  # in standard errors; the difference of two has at most twice that
    near = np.flatnonzero((misfit[maxima.row] > 0) & (lower < 2 * _SURE))
    place = maxima.template * LAGS_KM_S.size + np.abs(maxima.velocity_km_s[:, None] - LAGS_KM_S).argmin(axis=1)
    row = maxima.row[near]
    alike = np.einsum("pm,pm->m", bank.coarse[:, place[near]], bank.coarse[:, place[maxima.best[row]]])
    apart = np.maximum(2 - 2 * alike, 1e-6)  # square of the difference of both, of unit length
    chance = np.zeros(len(height))
    may_be_between = misfit[row] >= 0.25 * significance[row] ** 2 * apart
    chance[near] = np.where(may_be_between, 2 * ndtr(-lower[near] / np.sqrt(apart)), 0)
    return chance


def correlation(depth, weight, bank, templates=None):
    """(n, n_templates, n_lags) correlation of spectra with templates of unit length, continuum taken off."""
    rest = depth - (depth @ bank.smooth) @ bank.smooth.T
    rest[weight <= 0] = 0
    matrix, n_templates = bank.coarse, len(bank.names)
    if templates is not None:
        matrix, n_templates = matrix.reshape(len(matrix), -1, LAGS_KM_S.size)[:, templates], len(templates)
    return (coarser(rest) @ matrix.reshape(len(matrix), -1)).reshape(len(depth), n_templates, LAGS_KM_S.size)


def fit(depth: np.ndarray, weight: np.ndarray, bank: Bank, template: np.ndarray, start_km_s: np.ndarray) -> Match:
    """Least squares for continuum, depth and velocity of one template a spectrum.

    All good pixels count the same; masked ones follow the fit. The error of the velocity is that of a linear function of
    the flux, with the variances that the pixels have.

    References
    ----------
    Zucker 2003, MNRAS 342, 1291 (what the maximum of the correlation is, and its error).
    """
    bad, smooth = weight <= 0, bank.smooth
    rows, columns = np.nonzero(bad)
    velocity = start_km_s.astype(float)
    continuum = depth @ smooth
    strength, rest = None, depth
    shape = slope = depth
    for _ in range(_TURNS):
        value, rise = bank.at(template, velocity)
        shape, slope = (x - (x @ smooth) @ smooth.T for x in (value, rise))
        if strength is None:
            strength = _dot(shape, depth) / _dot(shape, shape)
            continuum = continuum - strength[:, None] * (value @ smooth)
        rest = depth - continuum @ smooth.T - strength[:, None] * value
        rest[rows, columns] = 0
        change = rest @ smooth
        continuum = continuum + change
        rest -= change @ smooth.T
        deeper, moved = _solve(shape, slope, rest)
        # The continuum gives back what the lines now take.
        continuum = continuum - deeper[:, None] * (value @ smooth)
        strength = strength + deeper
        with np.errstate(divide="ignore", invalid="ignore"):
            step = moved / strength
        velocity = velocity + np.clip(np.nan_to_num(step), -_LONGEST_STEP_KM_S, _LONGEST_STEP_KM_S)
    return _with_errors(weight, bank, template, velocity, strength, shape, slope, rest)


def _dot(one, other):
    return np.einsum("np,np->n", one, other)


def _solve(shape, slope, rest):
    """Least squares of two shapes: (n,) amounts of either."""
    aa, ab, bb = _dot(shape, shape), _dot(shape, slope), _dot(slope, slope)
    ar, br = _dot(shape, rest), _dot(slope, rest)
    determinant = aa * bb - ab * ab
    with np.errstate(divide="ignore", invalid="ignore"):
        return (bb * ar - ab * br) / determinant, (aa * br - ab * ar) / determinant


def error_of(amounts: np.ndarray, weight: np.ndarray, bank: Bank) -> np.ndarray:
    """Standard error of a sum of pixels by given amounts: of noise, and of waves of the continuum; masked pixels count as others.

    Parameters
    ----------
    amounts, weight : (n, p) float arrays
        What each pixel counts, and its inverse variance.
    bank : Bank
    """
    good = weight > 0
    variance = np.where(good, 1 / np.maximum(weight, 1e-30), 0)
    share = np.maximum(good.mean(axis=1), 1e-3)
    stretch = max(1, round(_WAVE_A / (2 * bank.grid.step_a)))
    count = amounts.shape[1] // stretch
    whole = amounts[:, : count * stretch].reshape(len(amounts), count, stretch).sum(axis=2)
    return np.sqrt(_dot(amounts * amounts, variance) / share + _WAVE[bank.grid.arm] ** 2 * _dot(whole, whole))


def _with_errors(weight, bank, template, velocity, strength, shape, slope, rest):
    share = (weight > 0).mean(axis=1)
    aa, ab, bb = _dot(shape, shape), _dot(shape, slope), _dot(slope, slope)
    determinant = aa * bb - ab * ab
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # The weights with which pixels enter strength and velocity, and so their errors.
        of_velocity = (aa[:, None] * slope - ab[:, None] * shape) / (determinant * strength)[:, None]
        of_strength = (bb[:, None] * shape - ab[:, None] * slope) / determinant[:, None]
        e_velocity = error_of(of_velocity, weight, bank)
        significance = strength / error_of(of_strength, weight, bank)
    seen = share >= _MIN_GOOD
    velocity, e_velocity, strength, significance = (
        np.where(seen, column, np.nan) for column in (velocity, e_velocity, strength, significance)
    )
    return Match(template, velocity, e_velocity, strength, significance, rest)
