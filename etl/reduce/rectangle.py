"""Spectra of different length and sampling, side by side in one rectangle of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from etl.quality import PixelMask
from schema.grid import Grid

if TYPE_CHECKING:
    from etl.readers import RawArm

__all__ = ["MAX_GAP_A", "Rectangle", "bridge_gaps", "der_snr_noise", "pack"]

MIN_PIXELS = 4
MARGIN_A = 3.0  # native pixels kept beyond the grid, so that its first and last pixel are whole
MAX_GAP_A = 5.0  # a longer stretch without good pixels is not interpolated: several resolution elements are missing


@dataclass
class Rectangle:
    """Native pixels of a batch.

    Attributes
    ----------
    edges_a : (n_spectra, n_native + 1) float64 array
        Limits of the pixels, Angstrom in vacuum, ascending; the padding goes on in steps of the grid.
    flux, ivar : (n_spectra, n_native) float32 array
        Flux of the file and its inverse variance; 0 where the mask is set. The padding repeats the last flux, so that
        a spectrum looks the same at its end whether it is the longest of the batch or not.
    file_flux : (n_spectra, n_native) float32 array
        Flux of the file, also in pixels that it marks as bad.
    mask : (n_spectra, n_native) uint8 array
        Bits of `etl.quality.PixelMask`.
    """

    edges_a: np.ndarray
    flux: np.ndarray
    ivar: np.ndarray
    mask: np.ndarray
    file_flux: np.ndarray

    @property
    def width_a(self) -> np.ndarray:
        """(n_spectra, n_native) float64 array of pixel widths, Angstrom."""
        return np.diff(self.edges_a, axis=1)

    @property
    def good(self) -> np.ndarray:
        """(n_spectra, n_native) bool array, True where no bit of the mask is set."""
        return self.mask == 0


def pack(arms: Sequence[RawArm], grid: Grid) -> Rectangle:
    """Put the pixels of each arm that lie on the grid into one rectangle, padded at the end by one pixel or more.

    Parameters
    ----------
    arms : sequence of RawArm
        Arms of one kind (all red or all blue); wavelengths in vacuum, ascending.
    grid : schema.grid.Grid
        Pixels farther than 3 Angstrom outside it are left out.

    Returns
    -------
    Rectangle
    """
    low, high = grid.edges_a[0] - MARGIN_A, grid.edges_a[-1] + MARGIN_A
    cuts = [slice(*np.searchsorted(arm.wavelength_a, (low, high))) for arm in arms]
    n_native = 1 + max([MIN_PIXELS, *(cut.stop - cut.start for cut in cuts)])
    shape = (len(arms), n_native)
    edges = np.empty((len(arms), n_native + 1))
    flux, file_flux, ivar = (np.zeros(shape, np.float32) for _ in range(3))
    mask = np.full(shape, PixelMask.NO_DATA, np.uint8)
    for i, (arm, cut) in enumerate(zip(arms, cuts, strict=True)):
        n = cut.stop - cut.start
        if n < MIN_PIXELS:
            edges[i] = high + np.arange(n_native + 1)
            continue
        edges[i] = _edges(arm.wavelength_a[cut], n_native, grid.step_a)
        # LAMOST's dead pixels are exactly zero and carry no flag.
        good = np.isfinite(arm.flux[cut]) & (arm.flux[cut] != 0) & (arm.ivar[cut] > 0) & ~arm.bad[cut]
        file_flux[i, :n] = np.where(np.isfinite(arm.flux[cut]), arm.flux[cut], 0)
        ivar[i, :n] = np.where(good, arm.ivar[cut], 0)
        mask[i, :n] = np.where(good, 0, PixelMask.BAD_IN_FILE)
        flux[i, :n] = np.where(good, file_flux[i, :n], 0)
        flux[i, n:] = flux[i, n - 1]
    return Rectangle(edges, flux, ivar, mask, file_flux)


def _edges(wavelength_a, n_native, step_a):
    """Pixel limits halfway between the centres, continued in steps of the grid to fill the rectangle."""
    middle = 0.5 * (wavelength_a[1:] + wavelength_a[:-1])
    first = wavelength_a[0] - (middle[0] - wavelength_a[0])
    last = wavelength_a[-1] + (wavelength_a[-1] - middle[-1])
    tail = last + step_a * np.arange(n_native - len(wavelength_a) + 1)
    return np.concatenate([[first], middle, tail])


def der_snr_noise(flux: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Noise of a pixel from second differences two pixels apart, blind to anything smooth.

    Parameters
    ----------
    flux : (n_spectra, n_pixels) float array
    good : (n_spectra, n_pixels) bool array

    Returns
    -------
    (n_spectra,) float array
        Standard deviation in the unit of the flux; NaN with fewer than five good pixels in a row.

    References
    ----------
    Stoehr et al. 2008, ASP Conf. 394, 505 (DER_SNR).
    """
    whole = good[:, 2:-2] & good[:, :-4] & good[:, 4:]
    difference = np.abs(2 * flux[:, 2:-2] - flux[:, :-4] - flux[:, 4:])
    noise = np.full(len(flux), np.nan)
    for i in np.flatnonzero(whole.any(axis=1)):
        noise[i] = 1.482602 / np.sqrt(6) * np.median(difference[i, whole[i]])
    return noise


def bridge_gaps(rectangle: Rectangle) -> None:
    """Interpolate the flux over masked pixels, in place; what is not between good pixels near by gets NO_DATA.

    A gap longer than `MAX_GAP_A`, and everything before the first and after the last good pixel, counts as no data. Its
    flux is that of the nearest good pixel: what joins it must not be drawn towards zero.
    """
    # The padding has its flux already.
    rows = np.flatnonzero((rectangle.mask & ~np.uint8(PixelMask.NO_DATA) != 0).any(axis=1))
    good, edges = rectangle.good[rows], rectangle.edges_a[rows]
    centre = 0.5 * (edges[:, 1:] + edges[:, :-1])
    n_pixels = good.shape[1]
    index = np.arange(n_pixels)
    left = np.maximum.accumulate(np.where(good, index, -1), axis=1)
    right = np.minimum.accumulate(np.where(good, index, n_pixels)[:, ::-1], axis=1)[:, ::-1]
    row, pixel = np.nonzero(~good)
    before, after = left[row, pixel], right[row, pixel]
    inside = (before >= 0) & (after < n_pixels)
    nearer_after = (before < 0) | ((after < n_pixels) & (after - pixel < pixel - before))
    before, after = np.maximum(before, 0), np.minimum(after, n_pixels - 1)
    span = centre[row, after] - centre[row, before]
    inside &= edges[row, after] - edges[row, before + 1] <= MAX_GAP_A
    weight = (centre[row, pixel] - centre[row, before]) / np.where(span > 0, span, 1)
    source = rectangle.flux[rows]
    bridged = source[row, before] * (1 - weight) + source[row, after] * weight
    nearest = np.where(nearer_after, source[row, after], source[row, before])
    rectangle.flux[rows[row], pixel] = np.where(inside, bridged, nearest)
    rectangle.ivar[rows[row], pixel] = 0
    rectangle.mask[rows[row[~inside]], pixel[~inside]] |= np.uint8(PixelMask.NO_DATA)
