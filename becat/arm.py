"""One arm of a spectrum: as its file has it, and cleaned, gridded and rectified; and the same smoothed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from becat.etl.load.arms_of_file import on_grid
from becat.etl.readers import RawArm
from becat.schema.grid import ARMS
from becat.schema.quality import DESCRIPTIONS, PixelMask
from becat.schema.words import counted

__all__ = ["Arm", "Smoothed"]

STRETCHES_NAMED = 3


@dataclass(frozen=True, eq=False)
class Arm:
    """One arm of a spectrum: as its file has it, and cleaned, gridded and rectified.

    Attributes
    ----------
    name : {'red', 'blue'}
    flux : (n_pixels,) float32 array
        Rectified flux (continuum = 1) on the grid; interpolated in masked pixels, NaN where there are no data.
    ivar : (n_pixels,) float32 array
        Its inverse variance; 0 in masked pixels.
    mask : (n_pixels,) uint8 array
        Bits of `becat.schema.quality.PixelMask`; 0 in good pixels.
    raw : becat.etl.readers.RawArm or None
        ``wavelength_a`` (vacuum, ascending), ``flux``, ``ivar``, ``bad`` and ``snr`` as read from the file, on the grid and just
        beside it; None where the file of a catalogue's spectrum is not there any more.
    """

    name: str
    flux: np.ndarray
    ivar: np.ndarray
    mask: np.ndarray
    raw: RawArm | None = None

    @property
    def wavelength_a(self) -> np.ndarray:
        """(n_pixels,) float64 vacuum wavelengths of the grid's pixel centres, Angstrom."""
        return ARMS[self.name].wavelength_a

    @cached_property
    def continuum(self) -> np.ndarray | None:
        """(n_pixels,) float64 pseudo-continuum that was divided out, in the flux unit of the file.

        It is what dividing by it did to the inverse variance of each good pixel; straight lines lead over the others, and
        pixels without data are NaN. None without `raw`.
        """
        if self.raw is None:
            return None
        _, ivar = on_grid(self.raw, ARMS[self.name])
        known = (ivar > 0) & (self.ivar > 0)
        if not known.any():
            return np.full(self.flux.shape, np.nan)
        at_known = np.sqrt(self.ivar[known].astype(float) / ivar[known])
        continuum = np.interp(self.wavelength_a, self.wavelength_a[known], at_known)
        return np.where(np.isfinite(self.flux), continuum, np.nan)

    @property
    def gridded_flux(self) -> np.ndarray | None:
        """(n_pixels,) float64 flux on the grid after cleaning, before the continuum was divided out. None without `raw`."""
        return None if self.continuum is None else self.flux * self.continuum

    @property
    def what_was_done(self) -> list[str]:
        """What was done to pixels of the grid, and to how many, in words."""
        return [
            f"{_count(hit)} of the {self.name} arm ({_stretches(self.wavelength_a, hit)}): {DESCRIPTIONS[str(bit.name)]}"
            for bit in PixelMask
            if (hit := (self.mask & bit) != 0).any()
        ]

    def __repr__(self) -> str:
        in_file = "" if self.raw is None else f"{self.raw.flux.size:,} pixels in the file, "
        good = int((self.ivar > 0).sum())
        return f"{self.name} arm: {in_file}{self.flux.size:,} on the grid, {good:,} good"


@dataclass(frozen=True, eq=False)
class Smoothed:
    """The red arm smoothed with the Bartlett window that its S/N asks for, and the extrema that the catalogue counts.

    Attributes
    ----------
    wavelength_a, flux, e_flux : (n_pixels,) float arrays
        Vacuum wavelength in Angstrom, smoothed rectified flux and its standard error.
    width_px : int
        Width of the window, pixels of the grid.
    peak_wavelength_a, peak_flux, valley_wavelength_a, valley_flux : float arrays
        Local maxima and minima in the band of the peaks.
    """

    wavelength_a: np.ndarray
    flux: np.ndarray
    e_flux: np.ndarray
    width_px: int
    peak_wavelength_a: np.ndarray
    peak_flux: np.ndarray
    valley_wavelength_a: np.ndarray
    valley_flux: np.ndarray


def _count(hit: np.ndarray) -> str:
    n = int(hit.sum())
    return counted(n, "pixel")


def _stretches(wavelength_a: np.ndarray, hit: np.ndarray) -> str:
    """Where the pixels lie, as words: the first few stretches."""
    change = np.diff(np.concatenate([[0], hit.astype(np.int8), [0]]))
    runs = list(zip(np.flatnonzero(change == 1), np.flatnonzero(change == -1) - 1, strict=True))
    words = [
        f"{wavelength_a[i]:.1f}" if i == k else f"{wavelength_a[i]:.1f}-{wavelength_a[k]:.1f}"
        for i, k in runs[:STRETCHES_NAMED]
    ]
    more = f" and {len(runs) - STRETCHES_NAMED} more" if len(runs) > STRETCHES_NAMED else ""
    return f"{', '.join(words)} A{more}"
