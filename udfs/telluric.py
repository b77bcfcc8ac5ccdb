"""Water vapour of our own atmosphere around H-alpha: how strong its lines are in a spectrum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from becat.schema.grid import RED
from becat.schema.lines import LINES, telluric_lines
from becat.udfs.bands import band_weights, bridgeable, pixel_edges, repair
from becat.udfs.equivalent_width import doppler_factor

__all__ = ["WATER_SPREAD_A", "Water", "find_water"]

_HALPHA_A = LINES["halpha"].wavelength_a

# Spread of the width that water takes from night to night, Angstrom: what an exposure in which it is not seen may hide. It is that of strengths
# between 0.02 and 1 of a wet night's, evenly spread in their logarithm, as the simulator draws them.
WATER_SPREAD_A = 0.13

_STRETCH = slice(*np.searchsorted(RED.wavelength_a, (6512.0, 6608.0)))
_WAVELENGTH_A = RED.wavelength_a[_STRETCH]
# Counted where the filter is whole, and not in the core of H-alpha.
_COUNTED = (_WAVELENGTH_A > 6516.0) & (_WAVELENGTH_A < 6603.0) & (np.abs(_WAVELENGTH_A - _HALPHA_A) > 5.0)
# The Earth's motion, which a heliocentric wavelength scale holds, km/s.
_VELOCITIES_KM_S = np.arange(-45.0, 46.0, 5.0)
_LIST_POWER = 10_000.0  # resolving power at which the optical depths of the list hold
_FWHM_OF_SIGMA = 2.3548
_FILTER_A = 4.0  # what is broader is no water line: a running mean is taken off, over three resolution elements or more
_MAX_GAP = 0.1


@dataclass(frozen=True)
class Water:
    """Water in a batch of spectra, as `find_water` returns it.

    Attributes
    ----------
    strength : (n_spectra,) float64 array
        In units of a wet night's (`schema/telluric_lines.csv`). NaN, as the next two, where too much is masked.
    significance : (n_spectra,) float64 array
        Against the scatter of the same stretch, in which lines of a late type count as noise.
    width_a : (n_spectra,) float64 array
        Equivalent width of the lines in the band, Angstrom.
    unit_width_a : (n_spectra,) float64 array
        The same at strength 1.
    unit_opacity : (n_spectra, n_pixels) float32 array
        Of the lines at strength 1 in 6512-6608 A, where they are seen best (at rest where too much is masked) and at the resolving power.
    """

    strength: np.ndarray
    significance: np.ndarray
    width_a: np.ndarray
    unit_width_a: np.ndarray
    unit_opacity: np.ndarray

    def __getitem__(self, rows) -> Water:
        return Water(*(values[rows] for values in vars(self).values()))

    def error_width_a(self, significance_min: float) -> np.ndarray:
        """What an error has to hold, as a width in the band, Angstrom: all of the water if it is significant, else its best value up to the spread.

        An infinite `significance_min` leaves water out.
        """
        if np.isinf(significance_min):
            return np.zeros(len(self.strength))
        unseen = np.clip(np.nan_to_num(self.width_a, nan=WATER_SPREAD_A), 0.0, WATER_SPREAD_A)
        return np.where(np.nan_to_num(self.significance) >= significance_min, self.width_a, unseen)

    def depth(self, significance_min: float, pixels: slice) -> np.ndarray:
        """(n_spectra, n_pixels) part of the flux in a stretch of ``becat.schema.grid.RED`` that water of `error_width_a` takes away."""
        known = self.unit_width_a > 0
        strength = np.divide(
            self.error_width_a(significance_min), self.unit_width_a, where=known, out=np.zeros(len(known))
        )
        depth = np.zeros((len(known), RED.n_pixels), np.float32)
        depth[:, _STRETCH] = -np.expm1(-strength[:, None] * self.unit_opacity)
        return depth[:, pixels]


def find_water(flux, inverse_variance, resolving_power, band_a=(6548.0, 6578.0)) -> Water:
    """Lines of water vapour in 6516-6603 A, by a matched filter, moved by the Earth's motion.

    The lines in the core of H-alpha do not count for it, so that their width in a band there follows from the others. They
    are not divided out: the tabulated strengths do not fit a night's lines well enough (docs/reduction.md).

    Parameters
    ----------
    flux, inverse_variance : (n_spectra, 4001) float array
        Rectified flux on ``becat.schema.grid.RED`` and its inverse variance.
    resolving_power : (n_spectra,) float array
        NaN counts as 7500.
    band_a : (float, float)
        Limits of the band whose width the lines change, Angstrom.

    Returns
    -------
    Water

    References
    ----------
    Moore, Minnaert & Houtgast 1966, NBS Monograph 61 (lines).
    """
    repaired, good = repair(flux[:, _STRETCH], inverse_variance[:, _STRETCH])
    usable = bridgeable(good, _MAX_GAP)
    power = np.nan_to_num(np.asarray(resolving_power, float), nan=7500.0)
    strength, significance, unit_width = np.full((3, len(flux)), np.nan)
    opacity = np.empty((len(flux), _WAVELENGTH_A.size), np.float32)
    weights = band_weights(pixel_edges(_WAVELENGTH_A), *band_a)
    for one in np.unique(power):
        templates = _template(one)
        best = np.full(len(flux), np.flatnonzero(_VELOCITIES_KM_S == 0.0)[0])
        here = power == one
        rows = np.flatnonzero(usable & here)
        strength[rows], significance[rows], best[rows] = _matched(repaired[rows], one, templates)
        unit_width[here], opacity[here] = (-templates @ weights)[best[here]], -templates[best[here]]
    return Water(strength, significance, strength * unit_width, unit_width, opacity)


def _matched(flux, power, templates):
    """Strength and significance of spectra of one resolving power, and which of the templates is the best."""
    from scipy.ndimage import uniform_filter1d  # slow to import, and all commands import this module

    element_px = _HALPHA_A / power / RED.step_a
    size = round(max(_FILTER_A / RED.step_a, 3 * element_px))
    sharp = flux - uniform_filter1d(flux, size, axis=1)
    scatter = 1.4826 * np.median(np.abs(sharp[:, _COUNTED]), axis=1)
    sharp = np.clip(sharp, -4 * scatter[:, None], 4 * scatter[:, None])  # the flanks of H-alpha, cores of metals
    templates = (templates - uniform_filter1d(templates, size, axis=1)) * _COUNTED
    norm = (templates**2).sum(axis=1)
    amplitude = (sharp @ templates.T) / norm
    # Pixels of one resolution element are not independent.
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = amplitude * np.sqrt(norm) / (scatter[:, None] * np.sqrt(max(1.0, 0.6 * element_px)))
    best = np.argmax(np.nan_to_num(ratio, nan=-np.inf), axis=1)
    rows = np.arange(len(flux))
    return amplitude[rows, best], ratio[rows, best], best


def _template(power):
    """(n_velocities, n_pixels) flux taken away by a wet night's lines at a resolving power, one row a velocity."""
    lines = telluric_lines("h2o")
    sigma_a = _HALPHA_A / power / _FWHM_OF_SIGMA
    depth = lines["strength"] * power / _LIST_POWER  # unresolved lines keep their width
    place_a = lines["wavelength_a"] * doppler_factor(_VELOCITIES_KM_S)[:, None]
    shape = np.exp(-0.5 * ((_WAVELENGTH_A - place_a[:, :, None]) / sigma_a) ** 2)
    return -(depth[:, None] * shape).sum(axis=1)
