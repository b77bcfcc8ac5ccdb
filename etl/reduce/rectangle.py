"""Spectra of different length and sampling, side by side in one rectangle of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from becat.schema.grid import Grid
from becat.schema.quality import PixelMask

if TYPE_CHECKING:
    from becat.etl.readers import RawArm

__all__ = ["MAX_GAP_A", "Rectangle", "bridge_gaps", "pack"]

MIN_PIXELS = 4
MARGIN_A = 3.0  # native pixels kept beyond the grid, so that its first and last pixel are whole
BESIDE_DEAD = 2  # pixels beside the dead ones at the ends of an arm that cannot be trusted, whatever weight they have
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
        Bits of `becat.schema.quality.PixelMask`.
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
    grid : becat.schema.grid.Grid
        Pixels farther than 3 Angstrom outside it are left out.

    Returns
    -------
    Rectangle
    """
    low, high = grid.edges_a[0] - MARGIN_A, grid.edges_a[-1] + MARGIN_A
    cuts = [slice(*np.searchsorted(arm.wavelength_a, (low, high))) for arm in arms]
    n_native = 1 + max([MIN_PIXELS, *(cut.stop - cut.start for cut in cuts)])
    shape = (len(arms), n_native)
    centre = np.zeros(shape)
    file_flux, ivar = (np.zeros(shape, np.float32) for _ in range(2))
    bad = np.ones(shape, bool)
    n_own = np.array([n if (n := cut.stop - cut.start) >= MIN_PIXELS else 0 for cut in cuts])
    for i, (arm, cut, n) in enumerate(zip(arms, cuts, n_own, strict=True)):
        if n:
            centre[i, :n], file_flux[i, :n] = arm.wavelength_a[cut], arm.flux[cut]
            ivar[i, :n], bad[i, :n] = arm.ivar[cut], arm.bad[cut]
    file_flux[~np.isfinite(file_flux)] = 0
    for i, n in enumerate(n_own):
        if n and not (file_flux[i, 0] and file_flux[i, n - 1]):
            _trim_ends(file_flux[i, :n])
    # LAMOST's dead pixels are exactly zero and carry no flag.
    good = (file_flux != 0) & (ivar > 0) & ~bad
    np.copyto(ivar, 0, where=~good)
    flux = np.where(good, file_flux, np.float32(0))
    mask = np.where(good, np.uint8(0), np.uint8(PixelMask.BAD_IN_FILE))
    edges = np.empty((len(arms), n_native + 1))
    edges[:, 1:-1] = 0.5 * (centre[:, 1:] + centre[:, :-1])
    for i, n in enumerate(n_own):
        mask[i, n:] = PixelMask.NO_DATA
        if n:
            flux[i, n:] = flux[i, n - 1]
            edges[i, 0] = centre[i, 0] - (edges[i, 1] - centre[i, 0])
            last = centre[i, n - 1] + (centre[i, n - 1] - edges[i, n - 1])
            edges[i, n:] = last + grid.step_a * np.arange(n_native + 1 - n)
        else:
            edges[i] = high + np.arange(n_native + 1)
    return Rectangle(edges, flux, ivar, mask, file_flux)


def _trim_ends(flux):
    """Make the pixels beside the zeros at either end zero too, in place: what a resampling left of dead pixels."""
    seen = np.flatnonzero(flux)
    if seen.size:
        if seen[0] > 0:
            flux[seen[0] : seen[0] + BESIDE_DEAD] = 0
        if seen[-1] < len(flux) - 1:
            flux[max(seen[-1] + 1 - BESIDE_DEAD, 0) : seen[-1] + 1] = 0


def bridge_gaps(rectangle: Rectangle) -> None:
    """Interpolate the flux over masked pixels, in place; what is not between good pixels near by gets NO_DATA.

    A gap longer than `MAX_GAP_A`, and everything before the first and after the last good pixel, counts as no data. Its
    flux is that of the nearest good pixel: what joins it must not be drawn towards zero.
    """
    # The padding has its flux already, and what is alone in it needs no more.
    n_pixels = rectangle.mask.shape[1]
    inner = (rectangle.mask & ~np.uint8(PixelMask.NO_DATA) != 0).any(axis=1)
    bad = np.flatnonzero((~rectangle.good & inner[:, None]).ravel())
    row, pixel = bad // n_pixels, bad % n_pixels
    first = np.flatnonzero((np.diff(bad, prepend=-2) > 1) | (pixel == 0))
    length = np.diff(first, append=bad.size)
    before, after = (np.repeat(x, length) for x in (pixel[first] - 1, pixel[first] + length))
    centre, edges = 0.5 * (rectangle.edges_a[:, 1:] + rectangle.edges_a[:, :-1]), rectangle.edges_a
    inside = (before >= 0) & (after < n_pixels)
    nearer_after = (before < 0) | ((after < n_pixels) & (after - pixel < pixel - before))
    before, after = np.maximum(before, 0), np.minimum(after, n_pixels - 1)
    span = centre[row, after] - centre[row, before]
    inside &= edges[row, after] - edges[row, before + 1] <= MAX_GAP_A
    weight = (centre[row, pixel] - centre[row, before]) / np.where(span > 0, span, 1)
    source = rectangle.flux
    bridged = source[row, before] * (1 - weight) + source[row, after] * weight
    nearest = np.where(nearer_after, source[row, after], source[row, before])
    rectangle.flux[row, pixel] = np.where(inside, bridged, nearest)
    rectangle.ivar[row, pixel] = 0
    rectangle.mask[row[~inside], pixel[~inside]] |= np.uint8(PixelMask.NO_DATA)
