"""Pseudo-continuum: a penalised spline, fitted to all spectra of a batch at once with asymmetric clipping."""

from __future__ import annotations

import warnings
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from scipy.interpolate import BSpline
from scipy.linalg.lapack import dpbsv  # pyright: ignore[reportAttributeAccessIssue]  # made by f2py when it is imported

from becat.schema.grid import Grid
from becat.schema.lines import LINES

__all__ = ["Continuum", "Fitted", "fit_continuum", "line_free"]

HALVINGS = 3
BIN_PIXELS = (
    2**HALVINGS
)  # the fit sees means of 8 grid pixels, 1 Angstrom: less noise to clip in, and an eighth of the work
WINDOW_BINS = 25  # between two knots
WINDOW_PIXELS = WINDOW_BINS * BIN_PIXELS
SPLINE_ORDER = 3
RIDGE = 1e-9  # so that a spectrum without bins has a solution, too
# Weight of the third-difference penalty against one bin. With 25 bins to a knot interval, 25 halves the response at
# structures some 150 Angstrom long, 4 at 110. What noise allows is used: stiff at S/N 10, more pliant from S/N 60 up.
STIFFNESS_LOW, STIFFNESS_HIGH, STIFFNESS_PER_NOISE = 4.0, 25.0, 700.0
NORMAL_SIGMA = np.float32(1.4826)  # standard deviation of normal noise over the median of its size
CLIP_LOW, CLIP_HIGH = 2.0, 3.0  # in units of the noise of a bin; lines go down more often than up
# Ripples that stay in the fit, in units of the scatter of the bins kept so far. What is left between the lines of the
# red arm is continuum; in the blue of a late type it is mostly weak lines, and its highest points are wanted.
RIPPLES = {"red": 1.0, "blue": 0.5}
# A blue arm whose bins, some way apart, differ by no more than the first of these, in units of the noise, has no weak lines: what is
# slow in it is the response, whose troughs must not be taken for lines. The curve may then bend this much more easily. From
# the second on it is full of lines; between them all goes over steadily, so that no noise decides between two curves.
LINELESS, LINELESS_STIFFNESS = (1.25, 2.25), 0.15
BETWEEN = 0.4  # half way between the two, this part of the lines' scatter is the error of the level
APART_BINS = 5  # 5 Angstrom: lines of the low-resolution survey are smooth over less
N_ITERATIONS = 10
# Weak lines that stay in the fit. Which of them do is another matter at each visit, and the curve goes up or down with them:
# this part of their scatter counts as noise in the error of the curve. In the blue the limit lies among the lines: there noise
# decides, and this part of the smaller of noise and lines counts, too. Beside a line of which little more is covered there are few
# lines, and they stand for those of the whole arm badly.
RIPPLES_CHANGE, IN_NARROW, NOISE_DECIDES = 0.35, 0.8, {"red": 0.0, "blue": 0.6}
NOISE_FLOOR = 0.002  # of the continuum: flat-field residuals, so that at S/N of hundreds not every bin is clipped
# Cutting a normal distribution at -2 and +3 sigma raises its mean by this much (sigma). It is taken off, so that the
# continuum of a line-free spectrum is right at any S/N.
NORMAL = NormalDist()
CLIP_BIAS = (NORMAL.pdf(CLIP_LOW) - NORMAL.pdf(CLIP_HIGH)) / (NORMAL.cdf(CLIP_HIGH) - NORMAL.cdf(-CLIP_LOW))
# However deep the lines, the highest quarter of the bins of each 25 Angstrom stays in the fit.
MIN_KEPT = 0.25
# A side of H-alpha with fewer bins than this, outside the wings, borrows them from the wings, not nearer than this.
SHORT_SIDE_BINS, SHORT_SIDE_A = 15, 20.0
MIN_SIDE_BINS = 4  # with fewer on either side of H-alpha there is nothing to lay a continuum through
# Where the bins of the fit span less than this, their curvature does not reach across the line by itself: a bend of half
# a per cent between knots is then expected, and no more.
NARROW_SPAN_A, BEND = 250.0, 0.005
# What is known of real responses beforehand: third and second differences between knots, by chance; a curvature (second
# difference) of one sign over all knots, as of a blaze; and the error of the level that remains however good the data (docs/reduction.md says on which data they were set).
BENDS, CURVATURE, LEVEL_ERROR = (0.0035, 0.005), 0.006, 0.0018
WIDTH_BAND_A = {"red": (6548.0, 6578.0), "blue": (5160.0, 5193.0)}
# Relative error where the continuum is laid through the wings, against the distance of the nearest bin: from real spectra
# of all types, cut to narrower and narrower windows (docs/reduction.md).
WING, WING_SCALE_A = 0.075, 25.0
NORMALISED_WITHIN = 0.1  # of 1 must the level beside the line be for a header's word that the spectrum is normalised
MIN_CONTINUUM = 0.05  # of the spectrum's median: below it a division means nothing
# Half widths left out of the fit where the line table's would be too small, Angstrom: the Stark wings of H-alpha reach
# 50 Angstrom in A stars; helium is as wide as the star rotates; the Mg b triplet sits in one common depression.
WIDE_LINES_A = {"halpha": 50.0, "hei_6680": 9.0, "hei_5017": 9.0, "mgb_5169": 9.0, "mgb_5174": 9.0, "mgb_5185": 9.0}


class Continuum:
    """Cubic splines on one grid.

    A window of bins is as long as the knots are apart, so that all windows look alike: in window k the same four
    curves stand, pieces of the splines k to k + 3. All products are made window by window.
    """

    def __init__(self, grid: Grid):
        self.grid = grid
        self.n_windows = grid.n_pixels // WINDOW_PIXELS
        self.n_bins = self.n_windows * WINDOW_BINS
        self.bin_a = self.summed(grid.wavelength_a[None])[0] / BIN_PIXELS
        self.line_free = line_free(self.bin_a)
        self.n_intervals = -(-grid.n_pixels // WINDOW_PIXELS)
        self.n_coefficients = self.n_intervals + SPLINE_ORDER
        knots = WINDOW_PIXELS * np.arange(-SPLINE_ORDER, SPLINE_ORDER + 2)
        centres = np.arange(WINDOW_PIXELS) + 0.5
        self.on_pixels = BSpline.design_matrix(centres, knots, SPLINE_ORDER).toarray()
        self.on_bins = self.on_pixels.reshape(WINDOW_BINS, BIN_PIXELS, -1).mean(axis=1)
        i, j = np.triu_indices(SPLINE_ORDER + 1)
        self.pairs = list(zip(i.tolist(), j.tolist(), strict=True))
        self.products = self.on_bins[:, i] * self.on_bins[:, j]
        self.penalty, self.bend_penalty = self._penalty(3), self._penalty(2)
        low_a, high_a = WIDTH_BAND_A[grid.arm]
        self.across = np.zeros(self.n_coefficients)  # mean of the curve over the band is `coefficients @ across`
        for i in np.flatnonzero((self.bin_a > low_a) & (self.bin_a < high_a)):
            self.across[i // WINDOW_BINS : i // WINDOW_BINS + SPLINE_ORDER + 1] += self.on_bins[i % WINDOW_BINS]
        self.across /= self.across.sum()

    def _penalty(self, order):
        """Diagonals of the penalty on differences of an order, (SPLINE_ORDER + 1, 1, n_coefficients)."""
        differences = np.diff(np.eye(self.n_coefficients), order, axis=0)
        penalty = differences.T @ differences
        return np.array([np.pad(np.diag(penalty, d), (0, d)) for d in range(SPLINE_ORDER + 1)])[:, None]

    def summed(self, values):
        """Sums over the bins, (n_spectra, n_bins); pixels after the last whole window are left out."""
        values = values[:, : self.n_bins * BIN_PIXELS]
        for _ in range(HALVINGS):
            values = values[:, ::2] + values[:, 1::2]
        return values

    def in_windows(self, values):
        """Bins by window, (n_spectra, n_windows, WINDOW_BINS)."""
        return values.reshape(len(values), self.n_windows, WINDOW_BINS)

    def curve(self, coefficients, pieces):
        """The splines' sum at the points of `pieces`, in each interval, (n_spectra, n_intervals * n_points)."""
        four = np.lib.stride_tricks.sliding_window_view(coefficients, SPLINE_ORDER + 1, axis=1)
        return (four.reshape(-1, SPLINE_ORDER + 1) @ pieces.T).reshape(len(coefficients), -1)

    def solve(self, weight, values, stiffness):
        """Coefficients of the penalised least-squares splines, (n_spectra, n_coefficients).

        The sums are in double precision: BLAS adds in an order that depends on the number of spectra, and in single
        precision a spectrum would come out differently with its company.
        """
        weight = weight.astype(float)
        sums = ((weight * values).reshape(-1, WINDOW_BINS) @ self.on_bins).reshape(len(weight), self.n_windows, -1)
        right = np.zeros((len(weight), self.n_coefficients))
        for i in range(SPLINE_ORDER + 1):
            right[:, i : i + self.n_windows] += sums[:, :, i]
        return self._solved(weight, stiffness, right)

    def variance_across(self, weight, stiffness, noise):
        """Variance of the curve's mean over the band whose width is measured, (n_spectra,).

        It has two parts: the noise of the bins, and the bends of the true curve that the penalties take away, which are
        expected to be of the sizes `BENDS` and `CURVATURE`.
        """
        right = np.repeat(self.across[None], len(weight), axis=0)
        answer = self._solved(weight.astype(float), stiffness, right)
        third, second = ((np.diff(answer, order, axis=1) ** 2).sum(axis=1) for order in (3, 2))
        of_noise = noise**2 * (answer @ self.across - stiffness.third * third - stiffness.second * second)
        of_bends = (BENDS[0] * stiffness.third) ** 2 * third + (BENDS[1] * stiffness.second) ** 2 * second
        of_blaze = (CURVATURE * stiffness.second * np.diff(answer, 2, axis=1).sum(axis=1)) ** 2
        return np.maximum(of_noise, 0) + of_bends + of_blaze

    def _solved(self, weight, stiffness, right):
        """Solutions of the normal equations, (n_spectra, n_coefficients).

        The matrices of all spectra stand one after the other in the band of a single one, which is solved by one call.
        """
        n_spectra, n_windows = len(weight), self.n_windows
        products = (weight.reshape(-1, WINDOW_BINS) @ self.products).reshape(n_spectra, n_windows, -1)
        band = stiffness.third[:, None] * self.penalty
        if stiffness.second.any():
            band += stiffness.second[:, None] * self.bend_penalty
        band[0] += RIDGE
        for k, (i, j) in enumerate(self.pairs):
            band[j - i, :, i : i + n_windows] += products[:, :, k]
        # One spectrum without sense must not reach the others.
        finite = np.isfinite(right).all(axis=1)
        right[~finite] = 0
        _, solved, _ = dpbsv(band.reshape(len(band), -1), right.reshape(-1), lower=1)
        solved = solved.reshape(right.shape)
        solved[~finite] = np.nan
        return solved


@lru_cache(maxsize=4)
def basis(grid: Grid) -> Continuum:
    """The basis of a grid, made once."""
    return Continuum(grid)


def line_free(wavelength_a: np.ndarray) -> np.ndarray:
    """True where no line of the line table, with its wings, stands.

    Parameters
    ----------
    wavelength_a : (n,) float array
        Vacuum wavelength, Angstrom.

    Returns
    -------
    (n,) bool array
    """
    free = np.ones(len(wavelength_a), bool)
    for line in LINES.values():
        half_width = WIDE_LINES_A.get(line.name, line.half_width_a)
        free &= np.abs(wavelength_a - line.wavelength_a) > half_width
    return free


class Fitted(NamedTuple):
    """Pseudo-continua of a batch.

    Attributes
    ----------
    continuum : (n_spectra, grid.n_pixels) float32 array
        In the unit of the flux; NaN where the fit is below 5 % of the median flux, and for a spectrum without one.
    error : (n_spectra,) float64 array
        Relative error of its mean over the band whose width is measured (6548-6578, 5160-5193 Angstrom); NaN without one.
    doubtful : (n_spectra,) bool array
        True where the continuum should not be trusted.
    in_wings : (n_spectra,) bool array
        True where it is laid through the wings of H-alpha, since the data end there.
    kept_own : (n_spectra,) bool array
        True where the spectrum was normalised when it came, and is left as it is.
    """

    continuum: np.ndarray
    error: np.ndarray
    doubtful: np.ndarray
    in_wings: np.ndarray
    kept_own: np.ndarray


class _Stiffness(NamedTuple):
    """Weights, of each spectrum, of the penalties on third and on second differences against one bin."""

    third: np.ndarray
    second: np.ndarray


def fit_continuum(flux: np.ndarray, ivar: np.ndarray, grid: Grid, normalised: np.ndarray | None = None) -> Fitted:
    """Pseudo-continuum of each spectrum.

    Parameters
    ----------
    flux, ivar : (n_spectra, grid.n_pixels) float arrays
        Flux before rectifying and its inverse variance, 0 in pixels that do not count; NaN flux allowed there.
    grid : becat.schema.grid.Grid
    normalised : (n_spectra,) bool array, optional
        True for spectra that came normalised: they keep their own continuum where too little is left beside H-alpha for a
        better one, and the level there is 1.

    Returns
    -------
    Fitted
    """
    spline = basis(grid)
    good = ivar > 0
    n_good = spline.summed(good.view(np.uint8)).astype(np.float32)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = spline.summed(np.where(good, flux, np.float32(0))) / n_good
        variance = spline.summed(np.where(good, 1 / ivar, np.float32(0))) / n_good**2
    whole = n_good >= BIN_PIXELS / 2
    usable = whole & spline.line_free
    borrowed, nearest_a = _give_short_sides(spline, whole, usable)
    values, variance = np.where(usable, values, np.float32(0)), np.where(usable, variance, np.float32(0))
    scale = _row_median(values, usable)
    enough = _enough(spline, usable)
    unit = np.where(enough & (scale > 0), scale, 1.0)
    relative, sigma = (x.astype(np.float32) for x in (values / unit[:, None], np.sqrt(variance) / unit[:, None]))
    coefficients, kept, error = _clipped_fit(spline, relative, sigma, usable)
    continuum = spline.curve(unit[:, None] * coefficients, spline.on_pixels)[:, : grid.n_pixels].astype(np.float32)
    too_low = continuum < (MIN_CONTINUUM * unit[:, None]).astype(np.float32)
    doubtful = _doubtful(usable, kept) | borrowed | ~enough | (scale <= 0) | (too_low & good).any(axis=1)
    continuum[too_low] = np.nan
    nothing = ~enough | (scale <= 0)
    continuum[nothing] = np.nan
    kept_own = borrowed & (np.abs(scale - 1) < NORMALISED_WITHIN) & (False if normalised is None else normalised)
    continuum[kept_own] = 1
    error = np.hypot(error, np.where(borrowed, WING * np.exp(-nearest_a / WING_SCALE_A), 0))
    error[nothing & ~kept_own] = np.nan
    return Fitted(continuum, error, doubtful, borrowed & np.isfinite(nearest_a) & ~kept_own, kept_own)


def _enough(spline, usable):
    """Bins on both sides of the band whose width is measured, or so many on one that the curve can be carried on."""
    before = spline.bin_a < sum(WIDTH_BAND_A[spline.grid.arm]) / 2
    sides = [(usable & side).sum(axis=1) for side in (before, ~before)]
    return (np.minimum(*sides) >= MIN_SIDE_BINS) | (np.maximum(*sides) >= 2 * spline.n_coefficients)


def _clipped_fit(spline, values, sigma, usable):
    """Coefficients for spectra of unit level, the bins that were kept, and the error of the curve's mean over the band."""
    noise_level = _row_median(sigma, usable)
    lined = _lined(spline, values, usable, noise_level)
    stiffness = _stiffness(spline, usable, noise_level, lined)
    ripples = (1 - lined * (1 - RIPPLES[spline.grid.arm])).astype(np.float32)
    kept, scatter = usable.copy(), np.zeros(len(values))
    n_upper = np.maximum(np.ceil(MIN_KEPT * spline.in_windows(usable).sum(axis=2)).astype(int), 1)
    coefficients = np.zeros((len(values), spline.n_coefficients))
    active = np.arange(len(values))
    for _ in range(N_ITERATIONS):
        before, seen = kept[active], usable[active]
        coefficients[active] = spline.solve(before, values[active], _Stiffness(*(x[active] for x in stiffness)))
        model = spline.curve(coefficients[active], spline.on_bins)[:, : spline.n_bins].astype(np.float32)
        noise = np.sqrt(sigma[active] ** 2 + (NOISE_FLOOR * model) ** 2)
        limits = n_upper[active], ripples[active]
        kept[active], scatter[active] = _clip(values[active] - model, noise, seen, before, *limits, spline)
        active = active[(kept[active] != before).any(axis=1)]
        if not active.size:
            break
    # Where the file overstates the noise (or the bins of coarse pixels are not independent) little was cut off.
    real = np.minimum(scatter / np.where(noise_level > 0, noise_level, 1), 1)[:, None]
    of_lines = np.sqrt(np.maximum(scatter**2 - noise_level**2, 0))
    decided = NOISE_DECIDES[spline.grid.arm] * np.minimum(of_lines, noise_level)
    changing = np.where(stiffness.second > 0, IN_NARROW, RIPPLES_CHANGE) * of_lines
    noise = np.sqrt(noise_level**2 + changing**2 + decided**2)
    between = 2 * np.sqrt(lined * (1 - lined)) * BETWEEN * of_lines
    error = np.sqrt(spline.variance_across(kept, stiffness, noise) + between**2 + LEVEL_ERROR**2)
    return coefficients - CLIP_BIAS * real * spline.solve(usable, sigma, stiffness), kept, error


def _lined(spline, values, usable, noise_level):
    """How full of weak lines an arm is taken to be, from 0 to 1: 0 where its bins differ by noise and response alone."""
    if spline.grid.arm == "red":
        return np.ones(len(values))
    n = APART_BINS
    bends = np.abs(
        values[:, 2 * n :] - 2 * values[:, n:-n] + values[:, : -2 * n]
    )  # of noise alone, larger by the root of 6
    there = usable[:, 2 * n :] & usable[:, n:-n] & usable[:, : -2 * n]
    scatter = NORMAL_SIGMA / np.sqrt(6) * _row_median(bends, there) / np.hypot(noise_level, NOISE_FLOOR)
    return np.clip((scatter - LINELESS[0]) / (LINELESS[1] - LINELESS[0]), 0, 1)


def _stiffness(spline, usable, noise_level, lined):
    """How much each curve may bend: less where there is more noise, or less to tell it from."""
    third = np.fmax(np.fmin(STIFFNESS_PER_NOISE * noise_level, STIFFNESS_HIGH), STIFFNESS_LOW)
    third = third * LINELESS_STIFFNESS ** (1 - lined)
    where_a = np.where(usable, spline.bin_a, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a spectrum without any bin
        narrow = np.nanmax(where_a, axis=1) - np.nanmin(where_a, axis=1) < NARROW_SPAN_A
    second = np.where(narrow, (np.hypot(noise_level, NOISE_FLOOR) / BEND) ** 2, 0)
    return _Stiffness(third, second)


def _clip(residual, noise, usable, kept, n_upper, ripples, spline):
    """The bins to keep, by their residuals and those of the bins kept before, and the scatter of those."""
    # Points above the fit are dropped only where they stand out of the whole scatter: in a spectrum full of lines the
    # highest points are the continuum.
    magnitude = np.abs(residual)
    spread = NORMAL_SIGMA * _row_median(magnitude, usable)
    scatter = NORMAL_SIGMA * _row_median(magnitude, kept)
    ripples = ripples * scatter
    high = CLIP_HIGH * np.maximum(noise, spread[:, None])
    low = -CLIP_LOW * np.maximum(noise, ripples[:, None])
    _keep_upper(spline, low, residual, usable, n_upper)
    return usable & (residual >= low) & (residual < high), scatter


def _keep_upper(spline, low, residual, usable, n_upper):
    """Take down limits, in place, that would cut into the highest quarter of the usable bins of their window."""
    above = usable & (residual >= low.max(axis=1, keepdims=True))
    # In most windows so many bins stand above all limits: the others alone are sorted.
    row, window = np.nonzero(spline.in_windows(above).sum(axis=2) < n_upper)
    ordered = np.where(spline.in_windows(usable)[row, window], spline.in_windows(residual)[row, window], -np.inf)
    ordered.sort(axis=1)
    reached = ordered[np.arange(row.size), WINDOW_BINS - n_upper[row, window]]
    limits = spline.in_windows(low)
    limits[row, window] = np.minimum(limits[row, window], reached[:, None])


def _row_median(values, counted):
    """Median of the counted values of each row; 0 where there are none."""
    ordered = np.sort(np.where(counted, values, np.float32(np.inf)), axis=1)
    n = np.count_nonzero(counted, axis=1)
    first = np.arange(0, ordered.size, ordered.shape[1])
    ordered = ordered.ravel()
    middle = 0.5 * (ordered[first + np.maximum(n - 1, 0) // 2] + ordered[first + n // 2 * (n > 0)])
    return np.where(n > 0, middle, np.float32(0))


def _give_short_sides(spline, whole, usable):
    """Where the data end within the wings of H-alpha, take the outermost bins of that side into the fit, in place.

    Returns True for the spectra that this happened to, and for those with nothing on one side; and how near to the line
    the nearest bin that was taken lies on average of those sides, Angstrom.
    """
    borrowed = np.zeros(len(whole), bool)
    nearest_a = np.full(len(whole), np.inf)
    if spline.grid.arm != "red":
        return borrowed, nearest_a
    halpha = LINES["halpha"].wavelength_a
    for side in (1, -1):  # the red side is the blue one of the reversed arrays
        bins, all_good, in_fit = spline.bin_a[::side], whole[:, ::side], usable[:, ::side]
        beyond = (bins - halpha) * side < -SHORT_SIDE_A
        before = (bins - halpha) * side < 0
        lacking = (in_fit & before).sum(axis=1) < SHORT_SIDE_BINS
        outermost = all_good & beyond & (np.cumsum(all_good, axis=1) <= SHORT_SIDE_BINS)
        in_fit |= outermost & lacking[:, None]
        taken_a = np.where(in_fit & before, np.abs(bins - halpha), np.inf).min(axis=1)
        nearest_a = np.minimum(nearest_a, np.where(lacking, taken_a, np.inf))
        borrowed |= lacking
    return borrowed, nearest_a


def _doubtful(usable, kept):
    """Few bins kept."""
    return kept.sum(axis=1) < 0.15 * usable.sum(axis=1)
