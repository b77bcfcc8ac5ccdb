"""Residual cosmic-ray hits: spikes sharper than any line that the instrument can show."""

from __future__ import annotations

import numpy as np

from becat.etl.readers.noise import der_snr_noise
from becat.etl.reduce.rectangle import Rectangle
from becat.schema.lines import LINES
from becat.schema.quality import PixelMask

__all__ = ["flag_cosmic_rays"]

# A line is never taken for a hit unless it is narrower than this fraction of a resolution element.
SHARPNESS = 0.75
COARSE_SHARPNESS = 0.6  # where a resolution element has fewer than four pixels
THRESHOLD_SIGMA = 5.0
FLANK_SIGMA = 2.5  # a pixel beside a hit goes with it when it is this far above the interpolation
COARSE_PIXELS = 4.0  # a resolution element of fewer pixels looks like a hit: lines are then protected altogether
PROTECTED_A = 20.0
UNKNOWN_PIXELS = 2.4  # where the resolving power is not known
N_ROUNDS = 3


def flag_cosmic_rays(rectangle: Rectangle, resolving_power: np.ndarray) -> np.ndarray:
    """Mark hits in the mask of the rectangle.

    The sharpest thing that the instrument can show is a line one resolution element wide (taken as 0.75 of it, to be
    safe). A pixel d away from the peak of such a line still has the fraction g = exp(-4 ln 2 (d/w)^2) of its height.
    A pixel is a hit where it stands higher, by five times the noise, than the higher of its neighbours at distance d
    allows.

    Parameters
    ----------
    rectangle : Rectangle
        Native pixels; its mask is changed in place.
    resolving_power : (n_spectra,) float array
        Wavelength over the width of a resolution element; NaN where it is not known.

    Returns
    -------
    (n_spectra,) bool array
        True where something was flagged.
    """
    element, sharpest = _resolution_pixels(rectangle, resolving_power)
    distance = np.clip(np.rint(0.5 * sharpest), 1, 4).astype(int)
    reach = np.maximum(4, np.ceil(element)).astype(int)  # one element away a line has fallen to 6 % of its height
    found = np.zeros(len(element), bool)
    # Each spectrum by its own sampling: what is found must not depend on the others of the batch.
    for d, far in sorted(set(zip(distance.tolist(), reach.tolist(), strict=True))):
        rows = np.flatnonzero((distance == d) & (reach == far))
        found[rows] = _flag(rectangle, rows, d, far, element[rows], sharpest[rows])
    return found


def _resolution_pixels(rectangle: Rectangle, resolving_power: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Width of a resolution element, and of the sharpest thing that is taken for a line.

    Parameters
    ----------
    rectangle : Rectangle
    resolving_power : (n_spectra,) float array
        NaN where it is not known: 2.4 pixels are then taken for an element.

    Returns
    -------
    (n_spectra,) float array, twice
        Native pixels in the middle of the arm.
    """
    rows = np.arange(len(rectangle.mask))
    middle = (rectangle.mask != PixelMask.NO_DATA).sum(axis=1) // 2  # of its own pixels, without the padding
    width = rectangle.edges_a[rows, middle + 1] - rectangle.edges_a[rows, middle]
    element = rectangle.edges_a[rows, middle] / resolving_power / width
    element = np.where(np.isfinite(element), element, UNKNOWN_PIXELS)
    return element, element * np.where(element < COARSE_PIXELS, COARSE_SHARPNESS, SHARPNESS)


def _flag(rectangle, rows, d, reach, element, sharpest):
    """Flag the hits of spectra that share the distances d and reach; True for the rows with hits."""
    flux, ivar = rectangle.flux[rows], rectangle.ivar[rows]
    ratio = np.exp(4 * np.log(2) * (d / sharpest) ** 2).astype(np.float32)[:, None]
    with np.errstate(divide="ignore"):
        threshold = THRESHOLD_SIGMA / np.sqrt(ivar)  # infinite in bad pixels
    suspect = np.flatnonzero((_excess(flux, ratio, d, reach) > threshold).any(axis=1))
    if not suspect.size:
        return np.zeros(len(rows), bool)
    # Few spectra have suspects: only for them is the noise looked at more closely.
    flux, ratio, threshold, element = flux[suspect], ratio[suspect], threshold[suspect], element[suspect]
    good, own = rectangle.good[rows[suspect]], rectangle.mask[rows[suspect]] != PixelMask.NO_DATA
    excess = _excess(flux, ratio, d, reach)
    scatter = np.fmax(der_snr_noise(flux, good), _upper_spread(excess, good))
    threshold = np.maximum(threshold, THRESHOLD_SIGMA * scatter[:, None])
    edges_a = rectangle.edges_a[rows[suspect]]
    allowed = good & _unprotected(0.5 * (edges_a[:, 1:] + edges_a[:, :-1]), element)
    hits = np.zeros_like(good)
    for _ in range(N_ROUNDS):
        new = allowed & ~hits & (excess > threshold)
        if not new.any():
            break
        hits |= _with_flanks(flux, new, threshold * (FLANK_SIGMA / THRESHOLD_SIGMA), d, allowed, own)
        flux = _without(flux, hits, d, own)
        excess = _excess(flux, ratio, d, reach)
    rectangle.mask[rows[suspect]] |= np.where(hits, PixelMask.COSMIC_RAY, 0).astype(np.uint8)
    found = np.zeros(len(rows), bool)
    found[suspect] = hits.any(axis=1)
    return found


def _excess(flux, ratio, d, reach):
    """How much higher each pixel stands than the higher of its neighbours at distance d allows."""
    neighbour = np.maximum(_shifted(flux, d), _shifted(flux, -d))
    base = np.minimum(_lowest_near(flux, reach), neighbour)
    return flux - base - ratio * (neighbour - base)


def _unprotected(centre, element):
    """True where a hit may be removed: everywhere, except near lines where pixels are coarse."""
    free = np.ones(centre.shape, bool)
    coarse = element < COARSE_PIXELS
    if coarse.any():
        for line in LINES.values():
            near = np.abs(centre[coarse] - line.wavelength_a) < max(PROTECTED_A, line.half_width_a)
            free[coarse] &= ~near
    return free


def _upper_spread(values, good):
    """Distance of the 84th percentile from the median of each row: the scatter of smoothed or ragged spectra."""
    spread = np.zeros(len(values))
    for i in np.flatnonzero(good.any(axis=1)):
        ordered = np.sort(values[i, good[i]])
        spread[i] = ordered[int(0.84 * len(ordered))] - ordered[len(ordered) // 2]
    return spread


def _shifted(values, by):
    """Values of the pixel `by` to the left; the edge repeats."""
    shifted = np.empty_like(values)
    if by > 0:
        shifted[:, by:] = values[:, :-by]
        shifted[:, :by] = values[:, :1]
    else:
        shifted[:, :by] = values[:, -by:]
        shifted[:, by:] = values[:, -1:]
    return shifted


def _lowest_near(flux, reach):
    """Lowest three-pixel median here and one and two reaches away: below the foot of a line, also among others."""
    left, right = _shifted(flux, 1), _shifted(flux, -1)
    smooth = np.maximum(np.minimum(left, right), np.minimum(np.maximum(left, right), flux))
    lowest = smooth
    for by in (reach, -reach, 2 * reach, -2 * reach):
        lowest = np.minimum(lowest, _shifted(smooth, by))
    return lowest


def _with_flanks(flux, hits, limit, d, allowed, own):
    """The hits and those of their neighbours, nearer than d + 1, that stand this far above the line between the far sides."""
    bridge = _without(flux, hits, d, own)
    grown = hits.copy()
    for by in range(1, d + 1):
        near = _shifted(hits, by) | _shifted(hits, -by)
        grown |= near & allowed & (flux - bridge > limit)
    return grown


def _without(flux, hits, d, own):
    """Flux with each hit and d pixels on both sides of it interpolated between the spectrum's own pixels."""
    near = hits.copy()
    for by in range(1, d + 1):
        near |= _shifted(hits, by) | _shifted(hits, -by)
    result = flux.copy()
    pixel = np.arange(flux.shape[1])
    for row in np.flatnonzero(near.any(axis=1) & (own & ~near).any(axis=1)):
        away = own[row] & ~near[row]
        result[row, ~away] = np.interp(pixel[~away], pixel[away], flux[row, away])
    return result
