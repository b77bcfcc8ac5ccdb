"""Pseudo-continuum: a penalised spline, fitted to all spectra of a batch at once with asymmetric clipping."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.interpolate import BSpline
from scipy.linalg.lapack import dpbsv  # pyright: ignore[reportAttributeAccessIssue]  # made by f2py when it is imported
from scipy.stats import norm

from becat.schema.grid import Grid
from becat.schema.lines import LINES

__all__ = ["Continuum", "fit_continuum", "line_free"]

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
N_ITERATIONS = 10
NOISE_FLOOR = 0.002  # of the continuum: flat-field residuals, so that at S/N of hundreds not every bin is clipped
# Cutting a normal distribution at -2 and +3 sigma raises its mean by this much (sigma). It is taken off, so that the
# continuum of a line-free spectrum is right at any S/N.
CLIP_BIAS = float((norm.pdf(CLIP_LOW) - norm.pdf(CLIP_HIGH)) / (norm.cdf(CLIP_HIGH) - norm.cdf(-CLIP_LOW)))
# However deep the lines, the highest quarter of the bins of each 25 Angstrom stays in the fit.
MIN_KEPT = 0.25
# A side of H-alpha with fewer bins than this, outside the wings, borrows them from the wings, not nearer than this.
SHORT_SIDE_BINS, SHORT_SIDE_A = 15, 20.0
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
        third = np.diff(np.eye(self.n_coefficients), 3, axis=0)
        penalty = third.T @ third
        self.penalty = np.array([np.pad(np.diag(penalty, d), (0, d)) for d in range(SPLINE_ORDER + 1)])[:, None]

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
        precision a spectrum would come out differently with its company. The matrices of all spectra stand one after
        the other in the band of a single one, which is solved by one call.
        """
        n_spectra, n_windows = len(weight), self.n_windows
        weight = weight.astype(float)
        products = (weight.reshape(-1, WINDOW_BINS) @ self.products).reshape(n_spectra, n_windows, -1)
        sums = ((weight * values).reshape(-1, WINDOW_BINS) @ self.on_bins).reshape(n_spectra, n_windows, -1)
        band = np.empty((SPLINE_ORDER + 1, n_spectra, self.n_coefficients))
        np.multiply(stiffness[:, None], self.penalty, out=band)
        band[0] += RIDGE
        for k, (i, j) in enumerate(self.pairs):
            band[j - i, :, i : i + n_windows] += products[:, :, k]
        right = np.zeros((n_spectra, self.n_coefficients))
        for i in range(SPLINE_ORDER + 1):
            right[:, i : i + n_windows] += sums[:, :, i]
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


def fit_continuum(flux: np.ndarray, ivar: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Pseudo-continuum of each spectrum.

    Parameters
    ----------
    flux, ivar : (n_spectra, grid.n_pixels) float arrays
        Flux before rectifying and its inverse variance, 0 in pixels that do not count; NaN flux allowed there.
    grid : becat.schema.grid.Grid

    Returns
    -------
    continuum : (n_spectra, grid.n_pixels) float32 array
        In the unit of the flux; NaN where the fit is below 5 % of the median flux.
    doubtful : (n_spectra,) bool array
        True where the continuum should not be trusted.
    """
    spline = basis(grid)
    good = ivar > 0
    n_good = spline.summed(good.view(np.uint8)).astype(np.float32)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = spline.summed(np.where(good, flux, np.float32(0))) / n_good
        variance = spline.summed(np.where(good, 1 / ivar, np.float32(0))) / n_good**2
    whole = n_good >= BIN_PIXELS / 2
    usable = whole & spline.line_free
    short = _give_short_sides(spline, whole, usable)
    values, variance = np.where(usable, values, np.float32(0)), np.where(usable, variance, np.float32(0))
    scale = _row_median(values, usable)
    enough = usable.sum(axis=1) >= 2 * spline.n_coefficients
    unit = np.where(enough & (scale > 0), scale, 1.0)
    relative, sigma = (x.astype(np.float32) for x in (values / unit[:, None], np.sqrt(variance) / unit[:, None]))
    coefficients, kept = _clipped_fit(spline, relative, sigma, usable)
    continuum = spline.curve(unit[:, None] * coefficients, spline.on_pixels)[:, : grid.n_pixels].astype(np.float32)
    too_low = continuum < (MIN_CONTINUUM * unit[:, None]).astype(np.float32)
    doubtful = _doubtful(usable, kept) | short | ~enough | (scale <= 0) | (too_low & good).any(axis=1)
    continuum[too_low] = np.nan
    continuum[~enough | (scale <= 0)] = np.nan
    return continuum, doubtful


def _clipped_fit(spline, values, sigma, usable):
    """Coefficients for spectra of unit level, and the bins that were kept."""
    noise_level = _row_median(sigma, usable)
    stiffness = np.fmax(np.fmin(STIFFNESS_PER_NOISE * noise_level, STIFFNESS_HIGH), STIFFNESS_LOW)
    kept, scatter = usable.copy(), np.zeros(len(values))
    n_upper = np.maximum(np.ceil(MIN_KEPT * spline.in_windows(usable).sum(axis=2)).astype(int), 1)
    coefficients = np.zeros((len(values), spline.n_coefficients))
    active = np.arange(len(values))
    for _ in range(N_ITERATIONS):
        before, seen = kept[active], usable[active]
        coefficients[active] = spline.solve(before, values[active], stiffness[active])
        model = spline.curve(coefficients[active], spline.on_bins)[:, : spline.n_bins].astype(np.float32)
        noise = np.sqrt(sigma[active] ** 2 + (NOISE_FLOOR * model) ** 2)
        kept[active], scatter[active] = _clip(values[active] - model, noise, seen, before, n_upper[active], spline)
        active = active[(kept[active] != before).any(axis=1)]
        if not active.size:
            break
    # Where the file overstates the noise (or the bins of coarse pixels are not independent) little was cut off.
    real = np.minimum(scatter / np.where(noise_level > 0, noise_level, 1), 1)[:, None]
    return coefficients - CLIP_BIAS * real * spline.solve(usable, sigma, stiffness), kept


def _clip(residual, noise, usable, kept, n_upper, spline):
    """The bins to keep, by their residuals and those of the bins kept before, and the scatter of those."""
    # Points above the fit are dropped only where they stand out of the whole scatter: in a spectrum full of lines the
    # highest points are the continuum.
    magnitude = np.abs(residual)
    spread = NORMAL_SIGMA * _row_median(magnitude, usable)
    scatter = NORMAL_SIGMA * _row_median(magnitude, kept)
    ripples = np.float32(RIPPLES[spline.grid.arm]) * scatter
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

    Returns True for the spectra that this happened to, and for those with nothing on one side.
    """
    short = np.zeros(len(whole), bool)
    if spline.grid.arm != "red":
        return short
    halpha = LINES["halpha"].wavelength_a
    for side in (1, -1):  # the red side is the blue one of the reversed arrays
        bins, all_good, in_fit = spline.bin_a[::side], whole[:, ::side], usable[:, ::side]
        beyond = (bins - halpha) * side < -SHORT_SIDE_A
        before = (bins - halpha) * side < 0
        lacking = (in_fit & before).sum(axis=1) < SHORT_SIDE_BINS
        outermost = all_good & beyond & (np.cumsum(all_good, axis=1) <= SHORT_SIDE_BINS)
        in_fit |= outermost & lacking[:, None]
        short |= lacking
    return short


def _doubtful(usable, kept):
    """Few bins kept."""
    return kept.sum(axis=1) < 0.15 * usable.sum(axis=1)
