"""Templates of rotating stars for cross-correlation, at any velocity."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from becat.schema.grid import BLUE, RED, Grid
from becat.schema.lines import LINES, SPEED_OF_LIGHT_KM_S

__all__ = ["COOL_K", "LAGS_KM_S", "Bank", "blue_bank", "helium_bank"]

LAGS_KM_S = np.arange(-600.0, 601.0, 25.0)
_STEP_KM_S = 4.0  # of the tables: a tenth of a resolution element
_COARSE = 2  # fitted pixels in one of those in which the best lag is looked for
_LIMB_DARKENING = 0.5
_FWHM_OF_SIGMA = 2.3548
# Rotations of the templates, km/s: below about 7000 K a star turns slowly.
COOL_K = 7000.0
_ROTATIONS_COOL_KM_S = (0.0, 30.0, 70.0)
_ROTATIONS_KM_S = (0.0, 50.0, 100.0, 160.0, 240.0, 330.0)
_ROTATIONS_HELIUM_KM_S = (0.0, 40.0, 80.0, 120.0, 170.0, 230.0, 300.0, 380.0)
_HELIUM_STRETCH_A = (6656.0, 6704.0)
_HELIUM_FWHM_KM_S = 25.0
# What is broader than this is the continuum's, Angstrom.
_CONTINUUM_A = {"blue": 40.0, "red": 24.0}


@dataclass(frozen=True)
class Bank:
    """Templates on the pixels of an arm, two and two together.

    Attributes
    ----------
    names : list of str
        What each template is of.
    teff_k, v_sin_i_km_s : (n_templates,) float arrays
        NaN where a template stands for all temperatures.
    grid : becat.schema.grid.Grid
    window : slice
        Pixels of the grid that are used.
    table : (n_templates, n_fine) float32 array
        Depth of the lines (1 - flux) on steps of ln(wavelength).
    resolving_power : float
    """

    names: list[str]
    teff_k: np.ndarray
    v_sin_i_km_s: np.ndarray
    grid: Grid
    window: slice
    table: np.ndarray = field(repr=False)
    resolving_power: float

    @cached_property
    def wavelength_a(self) -> np.ndarray:
        """(p,) float64 array of centres of the binned pixels."""
        return self.grid.wavelength_a[self.window].reshape(-1, 2).mean(axis=1)

    @cached_property
    def fine_a(self) -> np.ndarray:
        """(n_fine,) float64 wavelengths of the tables, Angstrom."""
        return _fine(self.grid, self.window)

    @cached_property
    def place(self) -> np.ndarray:
        """(p,) float32 position of the binned pixels in the table at rest, in steps."""
        place = (np.log(self.wavelength_a) - _first(self.grid, self.window)) * (SPEED_OF_LIGHT_KM_S / _STEP_KM_S)
        return place.astype(np.float32)

    @cached_property
    def smooth(self) -> np.ndarray:
        """(p, k) float32 orthonormal shapes that belong to the continuum: cosines broader than the lines."""
        return _cosines(self.wavelength_a, _CONTINUUM_A[self.grid.arm])

    @cached_property
    def coarse(self) -> np.ndarray:
        """(p // 2, n_templates * n_lags) float32 templates at all lags, without what the continuum takes, of unit length."""
        rows = np.repeat(np.arange(len(self.names)), LAGS_KM_S.size)
        value, _ = self.at(rows, np.tile(LAGS_KM_S, len(self.names)))
        whole = coarser(value - (value @ self.smooth) @ self.smooth.T)
        return np.ascontiguousarray((whole / np.linalg.norm(whole, axis=1, keepdims=True)).T)

    @cached_property
    def overlap(self) -> np.ndarray:
        """(n_templates, n_lags, n_lags) float32 products of each template at one lag with itself at another."""
        shapes = self.coarse.reshape(len(self.coarse), len(self.names), LAGS_KM_S.size).transpose(1, 2, 0)
        return shapes @ shapes.transpose(0, 2, 1)

    def at(self, template: np.ndarray, velocity_km_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Templates moved by velocities.

        Parameters
        ----------
        template : (n,) int array
        velocity_km_s : (n,) float array

        Returns
        -------
        (n, p) float32 array, twice
            Depth of the lines, and its derivative by velocity, per km/s.
        """
        shift = SPEED_OF_LIGHT_KM_S / _STEP_KM_S * np.log1p(np.asarray(velocity_km_s) / SPEED_OF_LIGHT_KM_S)
        place = self.place - shift[:, None].astype(np.float32)
        left = place.astype(np.intp)
        share = place - left.astype(np.float32)
        left += (template * self.table.shape[1])[:, None]
        return tuple(_between(table, left, share) for table in (self.table, self.slope))

    @cached_property
    def slope(self) -> np.ndarray:
        """(n_templates, n_fine) float32 derivative of the table by velocity, per km/s: smooth, so that a fit does not swing about a kink."""
        return (np.gradient(self.table, axis=1) * (-1 / _STEP_KM_S)).astype(np.float32)


def _between(table, left, share):
    """Values of a table between two neighbours."""
    low, high = np.take(table, left), np.take(table, left + 1)
    high -= low
    high *= share
    low += high
    return low


def coarser(values: np.ndarray) -> np.ndarray:
    """(n, p // 2) means of neighbouring pixels."""
    count = values.shape[1] // _COARSE
    return values[:, : count * _COARSE].reshape(len(values), count, _COARSE).mean(axis=2)


@cache
def blue_bank(resolving_power: float) -> Bank:
    """Templates of the blue arm by temperature and rotation, from ``blue_templates.csv``."""
    lines = _read_lines()
    teff = [float(name.split("_")[1]) for name in lines.dtype.names or () if name.startswith("ew_")]
    kinds = [(t, v) for t in teff for v in (_ROTATIONS_COOL_KM_S if t < COOL_K else _ROTATIONS_KM_S)]
    window = slice(0, BLUE.n_pixels // 4 * 4)
    fine = _fine(BLUE, window)
    still = {t: _opacity(lines["wavelength_a"], lines["fwhm_km_s"], lines[f"ew_{t:.0f}_k_a"], fine) for t in teff}
    table = [_broadened(1 - np.exp(-still[t]), v, resolving_power) for t, v in kinds]
    return Bank(
        [f"{t:.0f} K, v sin i {v:.0f} km/s" for t, v in kinds],
        np.array([t for t, _ in kinds]),
        np.array([v for _, v in kinds]),
        BLUE,
        window,
        np.array(table, np.float32),
        resolving_power,
    )


@cache
def helium_bank(resolving_power: float) -> Bank:
    """Templates of He I 6678 by rotation."""
    first, last = np.searchsorted(RED.wavelength_a, _HELIUM_STRETCH_A)
    window = slice(first, last - (last - first) % 4)
    fine = _fine(RED, window)
    line = np.array([LINES["hei_6680"].wavelength_a])
    still = 1 - np.exp(-_opacity(line, np.array([_HELIUM_FWHM_KM_S]), np.array([0.1]), fine))
    table = [_broadened(still, v, resolving_power) for v in _ROTATIONS_HELIUM_KM_S]
    rotation = np.array(_ROTATIONS_HELIUM_KM_S)
    names = [f"v sin i {v:.0f} km/s" for v in rotation]
    no_teff, table = np.full(rotation.size, np.nan), np.array(table, np.float32)
    return Bank(names, no_teff, rotation, RED, window, table, resolving_power)


def _read_lines() -> np.ndarray:
    text = Path(__file__).with_name("blue_templates.csv").read_text(encoding="utf-8").splitlines()
    return np.genfromtxt([row for row in text if not row.startswith("#")], delimiter=",", names=True)


def _first(grid, window):
    """Logarithm of the first wavelength of the tables, with room for all lags."""
    reach = (LAGS_KM_S[-1] + 100) / SPEED_OF_LIGHT_KM_S
    return np.log(grid.wavelength_a[window][0]) - reach


def _fine(grid, window):
    """(n_fine,) wavelengths of the tables, Angstrom."""
    first = _first(grid, window)
    last = np.log(grid.wavelength_a[window][-1]) + (LAGS_KM_S[-1] + 100) / SPEED_OF_LIGHT_KM_S
    return np.exp(np.arange(first, last, _STEP_KM_S / SPEED_OF_LIGHT_KM_S))


def _opacity(wavelength_a, fwhm_km_s, width_a, fine_a):
    """(n_fine,) optical depth of lines with Gaussian profiles."""
    total = np.zeros(fine_a.size)
    for line_a, fwhm, width in zip(wavelength_a, fwhm_km_s, width_a, strict=True):
        sigma_a = line_a * max(fwhm, 2 * _STEP_KM_S) / SPEED_OF_LIGHT_KM_S / _FWHM_OF_SIGMA
        total += width / (sigma_a * np.sqrt(2 * np.pi)) * np.exp(-0.5 * ((fine_a - line_a) / sigma_a) ** 2)
    return total


def _broadened(depth, v_sin_i_km_s, resolving_power):
    """A spectrum with rotation and the instrument's resolution."""
    sigma = SPEED_OF_LIGHT_KM_S / resolving_power / _FWHM_OF_SIGMA
    x = np.arange(-800.0, 801.0, _STEP_KM_S)
    kernel = np.exp(-0.5 * (x / sigma) ** 2)
    if v_sin_i_km_s > 2 * _STEP_KM_S:
        inside = np.clip(1 - (x / v_sin_i_km_s) ** 2, 0, None)
        rotation = 2 * (1 - _LIMB_DARKENING) * np.sqrt(inside) + 0.5 * np.pi * _LIMB_DARKENING * inside
        kernel = np.convolve(kernel, rotation, mode="same")
    return np.convolve(depth, kernel / kernel.sum(), mode="same")


def _cosines(wavelength_a, shortest_a):
    """(p, k) float32 orthonormal cosines with half periods down to a length."""
    n_pixels = wavelength_a.size
    count = 1 + max(1, int((wavelength_a[-1] - wavelength_a[0]) / shortest_a))
    x = (np.arange(n_pixels) + 0.5) / n_pixels
    shapes = np.cos(np.pi * x[:, None] * np.arange(count))
    return (shapes / np.linalg.norm(shapes, axis=0)).astype(np.float32)
