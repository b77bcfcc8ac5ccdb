"""Cleaning, rectifying and gridding of spectra, a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from becat.etl.reduce.continuum import fit_continuum
from becat.etl.reduce.cosmic import flag_cosmic_rays
from becat.etl.reduce.rectangle import bridge_gaps, pack
from becat.etl.reduce.resample import resample
from becat.etl.reduce.restore import restore_emission
from becat.schema.grid import Grid
from becat.schema.quality import PixelMask, Quality
from becat.udfs.bands import bridgeable

if TYPE_CHECKING:
    from becat.etl.readers import RawArm

__all__ = ["MEASURED_BAND_A", "MIN_GOOD_FRACTION", "Reduced", "reduce_batch"]

# The stretch whose pixels must be good: the classifier's window in the red, the Mg b band in the blue.
MEASURED_BAND_A = {"red": (6530.0, 6590.0), "blue": (5160.0, 5193.0)}
MIN_GOOD_FRACTION = 0.9
LONGEST_HOLE_A = 3.0  # a wider one may hide a line
SPECTRA_AT_ONCE = 64  # enough that calls cost little, few enough for the processor's cache


@dataclass
class Reduced:
    """Rectified spectra on the grid.

    Attributes
    ----------
    flux : (n_spectra, n_pixels) float32 array
        Rectified flux, continuum = 1; NaN where there are no data.
    ivar : (n_spectra, n_pixels) float32 array
        Its inverse variance; 0 in masked pixels.
    mask : (n_spectra, n_pixels) uint8 array
        Bits of `becat.schema.quality.PixelMask`.
    quality : (n_spectra,) int64 array
        Bits of `becat.schema.quality.Quality` that the reduction found.
    good_fraction : (n_spectra,) float array
        Share of good pixels in the band that is measured (red: 6530-6590, blue: 5160-5193 Angstrom).
    continuum_error : (n_spectra,) float array
        Relative error of the continuum's mean over the band whose equivalent width is measured (red: 6548-6578, blue:
        5160-5193 Angstrom); NaN where there is no continuum.
    """

    flux: np.ndarray
    ivar: np.ndarray
    mask: np.ndarray
    quality: np.ndarray
    good_fraction: np.ndarray
    continuum_error: np.ndarray


def reduce_batch(
    arms: Sequence[RawArm],
    grid: Grid,
    resolving_power: float | np.ndarray = 7500.0,
    normalised: bool | np.ndarray = False,
) -> Reduced:
    """Remove cosmic rays, resample to the grid and divide by the pseudo-continuum.

    Parameters
    ----------
    arms : sequence of RawArm
        Arms of one kind, all red or all blue.
    grid : becat.schema.grid.Grid
        Grid of that arm.
    resolving_power : float or (n_spectra,) float array
        Resolving power of each spectrum; NaN where it is not known: 2.4 pixels are then taken for a resolution element.
    normalised : bool or (n_spectra,) bool array
        True where the file says that its flux is normalised: where too little is left beside H-alpha for a better
        continuum, the spectrum keeps its own.

    Returns
    -------
    Reduced
    """
    resolving_power = np.broadcast_to(np.asarray(resolving_power, float), len(arms))
    normalised = np.broadcast_to(np.asarray(normalised, bool), len(arms))
    parts = [slice(i, i + SPECTRA_AT_ONCE) for i in range(0, len(arms), SPECTRA_AT_ONCE)]
    pieces = [_reduce(arms[part], grid, resolving_power[part], normalised[part]) for part in parts]
    columns = zip(*pieces, strict=True) if pieces else _nothing(grid)
    return Reduced(*(np.concatenate(column) for column in columns))


def _reduce(arms, grid, resolving_power, normalised):
    """The columns of `Reduced` for a few arms."""
    rectangle = pack(arms, grid)
    restored = restore_emission(rectangle, resolving_power)
    hit = flag_cosmic_rays(rectangle, resolving_power)
    bridge_gaps(rectangle)
    flux, ivar, mask = resample(rectangle, grid)
    fitted = fit_continuum(flux, ivar, grid, normalised)
    continuum = fitted.continuum
    flux /= continuum
    with np.errstate(over="ignore"):
        ivar *= continuum
        ivar *= continuum
    nothing = np.isnan(flux) | np.isinf(ivar)
    ivar[nothing] = 0
    mask[nothing] |= np.uint8(PixelMask.NO_DATA)
    good_fraction, covered, bridged = _band_coverage(flux, ivar, grid)

    quality = np.zeros(len(arms), np.int64)
    quality[hit] |= Quality.COSMIC_RAYS_REMOVED
    quality[fitted.doubtful] |= Quality.CONTINUUM_DOUBTFUL
    quality[fitted.in_wings] |= Quality.CONTINUUM_IN_WINGS
    quality[fitted.kept_own] |= Quality.OWN_CONTINUUM_KEPT
    quality[np.isnan(fitted.error)] |= Quality.NO_CONTINUUM
    quality[restored] |= Quality.EMISSION_RESTORED
    quality[good_fraction < MIN_GOOD_FRACTION] |= Quality.FEW_GOOD_PIXELS
    quality[(good_fraction < MIN_GOOD_FRACTION) & bridged] |= Quality.HOLES_BRIDGED
    if grid.arm == "red":
        quality[~covered] |= Quality.DOUBTFUL_HALPHA_COVERAGE
    return flux, ivar, mask, quality, good_fraction, fitted.error


def _nothing(grid):
    """Columns of a batch without spectra."""
    shape = (0, grid.n_pixels)
    pixels = [np.zeros(shape, dtype) for dtype in (np.float32, np.float32, np.uint8)]
    return [(column,) for column in (*pixels, np.zeros(0, np.int64), np.zeros(0), np.zeros(0))]


def _band_coverage(flux, ivar, grid):
    """Share of good pixels in the measured band, whether there are data in all of it, and whether its holes are short."""
    low, high = MEASURED_BAND_A[grid.arm]
    inside = (grid.wavelength_a >= low) & (grid.wavelength_a <= high)
    good = ivar[:, inside] > 0
    return good.mean(axis=1), np.isfinite(flux[:, inside]).all(axis=1), bridgeable(good, LONGEST_HOLE_A / (high - low))
