"""Broadening on a grid that is uniform in velocity, where rotation, resolution and shifts are convolutions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from becat.schema.lines import SPEED_OF_LIGHT_KM_S

__all__ = ["VelocityGrid", "fourier_gaussian", "fourier_rotation", "fourier_shift", "multiply"]


@dataclass(frozen=True)
class VelocityGrid:
    """Wavelengths ``start_a * exp(i * step_km_s / c)``, vacuum Angstrom; treated as periodic, so give it margins."""

    start_a: float
    n_pixels: int
    step_km_s: float = 5.0

    @property
    def wavelength_a(self) -> np.ndarray:
        """(n_pixels,) float64 array of pixel centres, Angstrom."""
        return self.start_a * np.exp(np.arange(self.n_pixels) * (self.step_km_s / SPEED_OF_LIGHT_KM_S))

    def pixel(self, wavelength_a) -> np.ndarray:
        """Fractional pixel of each wavelength."""
        return np.log(np.asarray(wavelength_a) / self.start_a) * (SPEED_OF_LIGHT_KM_S / self.step_km_s)

    @property
    def frequency(self) -> np.ndarray:
        """(n_pixels // 2 + 1,) angular frequencies of the real Fourier transform, radian per (km/s)."""
        return 2 * np.pi * np.fft.rfftfreq(self.n_pixels, self.step_km_s)


def fourier_gaussian(grid: VelocityGrid, sigma_km_s: np.ndarray) -> np.ndarray:
    """(n, n_frequency) transform of unit-area Gaussians of the given sigma."""
    return np.exp(-0.5 * (grid.frequency * np.asarray(sigma_km_s)[:, None]) ** 2).astype(np.float32)


def fourier_shift(grid: VelocityGrid, velocity_km_s: np.ndarray) -> np.ndarray:
    """(n, n_frequency) complex factors that move a spectrum by a velocity (positive: to the red)."""
    return np.exp(-1j * grid.frequency * np.asarray(velocity_km_s)[:, None]).astype(np.complex64)


def fourier_rotation(grid: VelocityGrid, v_sin_i_km_s: np.ndarray, limb_darkening: np.ndarray) -> np.ndarray:
    """Transform of the rotational broadening function of a linearly limb-darkened, rigidly rotating sphere.

    Parameters
    ----------
    grid : VelocityGrid
    v_sin_i_km_s, limb_darkening : (n,) float arrays
        Projected equatorial speed, km/s, and the linear coefficient.

    Returns
    -------
    (n, n_frequency) complex array of transforms, 1 at zero frequency.

    References
    ----------
    Gray 2005, The Observation and Analysis of Stellar Photospheres, 3rd ed., eq. 18.14.
    """
    limit = np.maximum(np.asarray(v_sin_i_km_s), 1e-3)[:, None]
    # Beyond the speed of the fastest star there is nothing: most pixels of a grid.
    reach = min(int(limit.max(initial=0) / grid.step_km_s) + 1, (grid.n_pixels - 1) // 2)
    # The mean over a pixel, from the integral of the kernel: a kernel narrower than a pixel keeps its area.
    edge = np.clip((np.arange(-reach, reach + 2) - 0.5) * grid.step_km_s / limit, -1, 1)
    dark = np.asarray(limb_darkening)[:, None]
    circle = np.arcsin(edge) + edge * np.sqrt(1 - edge**2)
    parabola = edge - edge**3 / 3
    integral = ((1 - dark) * circle + dark * np.pi / 2 * parabola) / (np.pi * (1 - dark / 3))
    kernel = np.zeros((len(limit), grid.n_pixels), np.float32)
    kernel[:, np.arange(-reach, reach + 1)] = np.diff(integral, axis=1)
    return np.fft.rfft(kernel, axis=1).astype(np.complex64)


def multiply(flux: np.ndarray, *transforms: np.ndarray) -> np.ndarray:
    """(n, n_pixels) spectra convolved with kernels given by their transforms."""
    spectrum = np.fft.rfft(flux, axis=1)
    for transform in transforms:
        spectrum *= transform
    return np.fft.irfft(spectrum, n=flux.shape[1], axis=1).astype(np.float32)
