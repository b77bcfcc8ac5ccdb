"""Changes to a spectrum that mean nothing: a decision that flips under them is worth little."""

from __future__ import annotations

import numpy as np

from models.window import PIXELS
from schema.grid import RED
from schema.lines import LINES, SPEED_OF_LIGHT_KM_S
from simulate.labels import WINDOW as WIDE

__all__ = ["PERTURBATIONS", "centre"]

_FIRST = PIXELS.start - WIDE.start
_N_WINDOW = PIXELS.stop - PIXELS.start
_PIXEL_KM_S = RED.step_a / LINES["halpha"].wavelength_a * SPEED_OF_LIGHT_KM_S


def centre(wide: np.ndarray) -> np.ndarray:
    """(n, 481) window of spectra given on 6525-6595 Angstrom."""
    return wide[:, _FIRST : _FIRST + _N_WINDOW]


def _scaled(wide, noise, rng):
    return centre(wide) * rng.choice([0.98, 1.02], (len(wide), 1)).astype(np.float32)


def _moved(wide, noise, rng):
    """By a velocity within 100 km/s."""
    shift = np.rint(rng.uniform(-100, 100, len(wide)) / _PIXEL_KM_S).astype(int)
    return np.take_along_axis(wide, (_FIRST - shift)[:, None] + np.arange(_N_WINDOW), axis=1)


def _resampled(wide, noise, rng):
    """To pixels half a step off, and seen there by linear interpolation."""
    half = (wide[:, :-1] + wide[:, 1:]) / 2
    return half[:, _FIRST : _FIRST + _N_WINDOW]


def _more_noise(wide, noise, rng):
    """Another draw of noise in place of the first: both are the noiseless spectrum and one draw."""
    return centre(wide - noise + rng.permuted(noise, axis=1))


# Each takes spectra on 6525-6595 Angstrom, their noise and a generator, and gives windows.
PERTURBATIONS = {
    "continuum scaled by 2 %": _scaled,
    "moved within 100 km/s": _moved,
    "resampled by half a pixel": _resampled,
    "noise redrawn": _more_noise,
}
