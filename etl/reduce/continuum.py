"""Pseudo-continuum: a penalised spline, fitted to all spectra of a batch at once with asymmetric clipping."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.interpolate import BSpline
from scipy.stats import norm

from schema.grid import Grid
from schema.lines import LINES

__all__ = ["Continuum", "fit_continuum", "line_free"]

BIN_PIXELS = 8  # the fit sees means of 8 grid pixels, 1 Angstrom: less noise to clip in, and an eighth of the work
KNOT_A = 25.0
# Weight of the third-difference penalty against one bin. With 25 bins to a knot interval, 25 halves the response at
# structures some 150 Angstrom long, 4 at 110. What noise allows is used: stiff at S/N 10, more pliant from S/N 60 up.
STIFFNESS_LOW, STIFFNESS_HIGH, STIFFNESS_PER_NOISE = 4.0, 25.0, 700.0
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
WINDOW_BINS, MIN_KEPT = 25, 0.25
# A side of H-alpha with fewer bins than this, outside the wings, borrows them from the wings, not nearer than this.
SHORT_SIDE_BINS, SHORT_SIDE_A = 15, 20.0
MIN_CONTINUUM = 0.05  # of the spectrum's median: below it a division means nothing
# Half widths left out of the fit where the line table's would be too small, Angstrom: the Stark wings of H-alpha reach
# 50 Angstrom in A stars; helium is as wide as the star rotates; the Mg b triplet sits in one common depression.
WIDE_LINES_A = {"halpha": 50.0, "hei_6680": 9.0, "hei_5017": 9.0, "mgb_5169": 9.0, "mgb_5174": 9.0, "mgb_5185": 9.0}


class Continuum:
    """Spline basis of one grid, and the products that the fits share."""

    def __init__(self, grid: Grid):
        self.grid = grid
        self.n_bins = grid.n_pixels // BIN_PIXELS
        n_intervals = int(np.ceil((grid.edges_a[-1] - grid.edges_a[0]) / KNOT_A))
        knots = grid.edges_a[0] + KNOT_A * np.arange(-3, n_intervals + 4)
        self.n_coefficients = n_intervals + 3
        self.on_grid = BSpline.design_matrix(grid.wavelength_a, knots, 3).toarray()
        self.on_bins = self.binned(self.on_grid.T).T
        self.bin_a = self.binned(grid.wavelength_a[None])[0]
        i, j = np.triu_indices(self.n_coefficients)
        near = j - i <= 3  # cubic splines farther apart do not overlap
        i, j = i[near], j[near]
        # One column for each pair of splines that overlap, and a last one of zeros for all that do not.
        self.products = np.pad(self.on_bins[:, i] * self.on_bins[:, j], ((0, 0), (0, 1)))
        self.product_of = np.full((self.n_coefficients, self.n_coefficients), len(i))
        self.product_of[i, j] = self.product_of[j, i] = np.arange(len(i))
        third = np.diff(np.eye(self.n_coefficients), 3, axis=0)
        self.penalty = third.T @ third
        self.ridge = 1e-9 * np.eye(self.n_coefficients)
        self.n_windows = self.n_bins // WINDOW_BINS
        self.window_of = np.minimum(np.arange(self.n_bins) // WINDOW_BINS, self.n_windows - 1)

    def binned(self, values):
        """Means over the bins, (n, n_bins)."""
        used = values[:, : self.n_bins * BIN_PIXELS]
        return used.reshape(len(values), self.n_bins, BIN_PIXELS).mean(axis=2)

    def solve(self, weight, values, stiffness):
        """Coefficients of the penalised least-squares splines, (n, n_coefficients).

        The sums are in double precision: BLAS adds in an order that depends on the number of spectra, and in single
        precision a spectrum would come out differently with its company.
        """
        weight = weight.astype(float)
        normal = stiffness[:, None, None] * self.penalty + self.ridge
        normal += np.take(weight @ self.products, self.product_of, axis=1)
        right = (weight * values) @ self.on_bins
        return np.linalg.solve(normal, right[:, :, None])[:, :, 0]


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
    grid : schema.grid.Grid

    Returns
    -------
    continuum : (n_spectra, grid.n_pixels) float32 array
        In the unit of the flux; NaN where the fit is below 5 % of the median flux.
    doubtful : (n_spectra,) bool array
        True where the continuum should not be trusted.
    """
    spline = basis(grid)
    good = ivar > 0
    n_good = spline.binned(good.astype(np.float32)) * BIN_PIXELS
    with np.errstate(invalid="ignore", divide="ignore"):
        values = spline.binned(np.where(good, flux, 0)) * BIN_PIXELS / n_good
        variance = spline.binned(np.where(good, 1 / ivar, 0)) * BIN_PIXELS / n_good**2
    whole = n_good >= BIN_PIXELS / 2
    usable = whole & line_free(spline.bin_a)
    short = _give_short_sides(spline, whole, usable)
    values, variance = np.where(usable, values, 0), np.where(usable, variance, 0)
    scale = _row_median(values, usable)
    enough = usable.sum(axis=1) >= 2 * spline.n_coefficients
    unit = np.where(enough & (scale > 0), scale, 1.0)
    relative, sigma = (x.astype(np.float32) for x in (values / unit[:, None], np.sqrt(variance) / unit[:, None]))
    coefficients, kept = _clipped_fit(spline, relative, sigma, usable)
    continuum = ((unit[:, None] * coefficients) @ spline.on_grid.T).astype(np.float32)
    too_low = continuum < MIN_CONTINUUM * unit[:, None]
    doubtful = _doubtful(usable, kept) | short | ~enough | (scale <= 0) | (too_low & good).any(axis=1)
    continuum[too_low | ~enough[:, None] | (scale <= 0)[:, None]] = np.nan
    return continuum, doubtful


def _clipped_fit(spline, values, sigma, usable):
    """Coefficients for spectra of unit level, and the bins that were kept."""
    noise_level = _row_median(sigma, usable)
    stiffness = np.clip(STIFFNESS_PER_NOISE * noise_level, STIFFNESS_LOW, STIFFNESS_HIGH)
    kept, scatter = usable.copy(), np.zeros(len(values))
    rank = _quarter_rank(spline, usable)
    coefficients = np.zeros((len(values), spline.n_coefficients))
    active = np.arange(len(values))
    for _ in range(N_ITERATIONS):
        before, seen = kept[active], usable[active]
        coefficients[active] = spline.solve(before, values[active], stiffness[active])
        model = (coefficients[active] @ spline.on_bins.T).astype(np.float32)
        noise = np.hypot(sigma[active], NOISE_FLOOR * model)
        kept[active], scatter[active] = _clip(values[active] - model, noise, seen, before, rank[active], spline)
        active = active[(kept[active] != before).any(axis=1)]
        if not active.size:
            break
    # Where the file overstates the noise (or the bins of coarse pixels are not independent) little was cut off.
    real = np.minimum(scatter / np.where(noise_level > 0, noise_level, 1), 1)[:, None]
    return coefficients - CLIP_BIAS * real * spline.solve(usable, sigma, stiffness), kept


def _clip(residual, noise, usable, kept, rank, spline):
    """The bins to keep, by their residuals and those of the bins kept before, and the scatter of those."""
    # Points above the fit are dropped only where they stand out of the whole scatter: in a spectrum full of lines the
    # highest points are the continuum.
    magnitude = np.abs(residual)
    spread = 1.4826 * _row_median(magnitude, usable)
    scatter = 1.4826 * _row_median(magnitude, kept)
    ripples = RIPPLES[spline.grid.arm] * scatter
    high = CLIP_HIGH * np.maximum(noise, spread[:, None])
    low = np.minimum(-CLIP_LOW * np.maximum(noise, ripples[:, None]), _upper_quarter(spline, residual, usable, rank))
    return usable & (residual >= low) & (residual < high), scatter


def _in_windows(spline, values):
    """Bins by window, (n, n_windows, WINDOW_BINS); those after the last whole window are left out."""
    return values[:, : spline.n_windows * WINDOW_BINS].reshape(len(values), spline.n_windows, WINDOW_BINS)


def _quarter_rank(spline, usable):
    """Rank, in ascending order, of the lowest bin of the highest quarter of each window's usable bins."""
    n_usable = _in_windows(spline, usable).sum(axis=2)
    return WINDOW_BINS - np.maximum(np.ceil(MIN_KEPT * n_usable).astype(int), 1)


def _upper_quarter(spline, residual, usable, rank):
    """For each bin, the residual that a quarter of the usable bins of its window reaches."""
    ordered = np.sort(_in_windows(spline, np.where(usable, residual, -np.inf)), axis=2)
    return np.take_along_axis(ordered, rank[:, :, None], axis=2)[:, spline.window_of, 0]


def _row_median(values, counted):
    """Median of the counted values of each row; 0 where there are none."""
    ordered = np.sort(np.where(counted, values, np.inf), axis=1)
    n = counted.sum(axis=1)
    rows = np.arange(len(values))
    middle = 0.5 * (ordered[rows, np.maximum(n - 1, 0) // 2] + ordered[rows, n // 2 * (n > 0)])
    return np.where(n > 0, middle, 0.0)


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
