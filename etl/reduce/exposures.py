"""Cosmic rays told by the single exposures of a coadd: a hit is in one of them and not in the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import median_filter

from becat.etl.reduce.rectangle import Rectangle
from becat.schema.quality import PixelMask

if TYPE_CHECKING:
    from becat.etl.readers import RawArm

__all__ = ["compare_exposures"]

ONE_ONLY_SIGMA = 6.0  # the highest exposure above the others
IN_COADD_SIGMA = 3.0  # what is left of it in the coadd
POORER = 3.0  # an exposure noisier than the best by this factor says nothing
SCALE_PIXELS = 101  # exposures are brought to the coadd's level by a running median of their ratio


def compare_exposures(rectangle: Rectangle, arms: Sequence[RawArm], sharpest: np.ndarray) -> np.ndarray:
    """Add hits that only one exposure shows to the mask.

    What `flag_cosmic_rays` found stays even where all exposures show it: sharper than the instrument, it is no line.

    Parameters
    ----------
    rectangle : Rectangle
        Native pixels of the coadds, after `flag_cosmic_rays`.
    arms : sequence of RawArm
        The same coadds; those with two or more siblings are looked at.
    sharpest : (n_spectra,) float array
        Width of the sharpest line that the instrument can show, pixels: nothing wider is removed.

    Returns
    -------
    (n_spectra,) bool array
        True where a pixel is flagged now.
    """
    centre = 0.5 * (rectangle.edges_a[:, 1:] + rectangle.edges_a[:, :-1])
    cosmic = np.uint8(PixelMask.COSMIC_RAY)
    for i, arm in enumerate(arms):
        if len(arm.siblings) < 2:
            continue
        own = np.flatnonzero(rectangle.mask[i] != PixelMask.NO_DATA)  # the padding says nothing
        flux, ivar = rectangle.flux[i, own], rectangle.ivar[i, own]
        variance = 1 / np.where(ivar > 0, ivar, np.inf)
        exposures, variances = _on_pixels(arm.siblings, centre[i, own], flux)
        difference, noise, rest = _highest_against_rest(exposures, variances)
        with np.errstate(invalid="ignore"):
            alone = (_significance(difference / noise) > ONE_ONLY_SIGMA) & (
                flux - rest > IN_COADD_SIGMA * np.sqrt(variance)
            )
        good = rectangle.mask[i, own] == 0
        rectangle.mask[i, own[_narrow(alone & good, sharpest[i])]] |= cosmic
    return ((rectangle.mask & cosmic) != 0).any(axis=1)


def _on_pixels(siblings, centre, flux):
    """Flux and variance of the useful exposures at the coadd's pixels and level; NaN where they have nothing."""
    exposures, variances = [], []
    for sibling in siblings:
        seen = ~sibling.bad
        bad = np.interp(centre, sibling.wavelength_a, sibling.bad, left=1, right=1) > 0
        exposure = np.interp(centre, sibling.wavelength_a[seen], sibling.flux[seen])
        variance = np.interp(centre, sibling.wavelength_a[seen], 1 / sibling.ivar[seen])
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.where((exposure > 0) & (flux > 0), flux / exposure, 1.0)
        scale = median_filter(ratio, SCALE_PIXELS, mode="nearest")
        exposures.append(np.where(bad, np.nan, exposure * scale))
        variances.append(np.where(bad, np.nan, variance * scale**2))
    exposures, variances = np.array(exposures), np.array(variances)
    level = np.array([np.median(v[np.isfinite(v)]) if np.isfinite(v).any() else np.inf for v in variances])
    useful = level <= POORER**2 * level.min()
    return exposures[useful], variances[useful]


def _highest_against_rest(exposures, variances):
    """Highest exposure minus the mean of the others, the noise of that, and the mean; NaN with fewer than two."""
    counted = np.isfinite(exposures)
    n_others = np.maximum(counted.sum(axis=0) - 1, 0).astype(float)
    n_others[n_others == 0] = np.nan
    highest = np.argmax(np.where(counted, exposures, -np.inf), axis=0)[None]
    top, top_variance = (np.take_along_axis(x, highest, axis=0)[0] for x in (exposures, variances))
    rest = (np.nansum(exposures, axis=0) - top) / n_others
    rest_variance = (np.nansum(variances, axis=0) - top_variance) / n_others**2
    return top - rest, np.sqrt(top_variance + np.maximum(rest_variance, 0)), rest


def _significance(ratio):
    """Excess over the typical one of the spectrum, in units of its scatter where the files' errors are too small."""
    seen = ratio[np.isfinite(ratio)]
    if not seen.size:
        return np.zeros_like(ratio)
    middle, high = np.percentile(seen, (50, 84))
    return (ratio - middle) / max(1.0, high - middle)


def _narrow(flagged, widest):
    """The flagged pixels in runs narrower than the widest."""
    change = np.diff(np.concatenate([[0], flagged.astype(np.int8), [0]]))
    narrow = np.zeros(flagged.size, bool)
    for first, end in zip(np.flatnonzero(change == 1), np.flatnonzero(change == -1), strict=True):
        narrow[first:end] = end - first < widest
    return narrow
