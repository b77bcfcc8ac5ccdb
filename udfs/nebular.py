"""Narrow lines against their local continuum, and the test for contamination by an H II region."""

from __future__ import annotations

import numpy as np

from becat.schema.lines import LINES, SPEED_OF_LIGHT_KM_S
from becat.udfs.bands import band_weights, moving_window, pixel_edges, repair, weighted_sum
from becat.udfs.bartlett import bartlett_width, shared_noise, smooth_bartlett, smoothed_error
from becat.udfs.crossing import crossing
from becat.udfs.equivalent_width import doppler_factor, shifted_band

__all__ = [
    "FORBIDDEN_LINES",
    "emission_fwhm",
    "local_equivalent_width",
    "nebular_significance",
    "strongest_significance",
]

FORBIDDEN_LINES = tuple(name for name, line in LINES.items() if line.use == "nebular")

# Width of each of the two side bands that carry the local continuum: three resolution elements at R = 7500.
_SIDE_A = 3.0
# Errors by which half the height may lie above or below where it is found.
_REACH = 2.0


def _local_weights(edges_a, line):
    """Weights of a line's flux deficit and of its mean local continuum on the pixels around it.

    The continuum is a parabola through both side bands: [N II] lies on the curved wings of H-alpha, where a
    straight line would leave a false line.
    """
    low_a, high_a = line.wavelength_a - line.half_width_a, line.wavelength_a + line.half_width_a
    centre_a = 0.5 * (edges_a[1:] + edges_a[:-1])
    inside = band_weights(edges_a, low_a, high_a)
    beside = (inside == 0) & (centre_a > low_a - _SIDE_A) & (centre_a < high_a + _SIDE_A)
    powers = ((centre_a - line.wavelength_a) / line.half_width_a)[:, None] ** np.arange(3)
    continuum = np.zeros(len(centre_a))
    continuum[beside] = np.linalg.pinv(powers[beside]).T @ (inside @ powers)
    return continuum - inside, continuum / inside.sum()


def local_equivalent_width(
    flux, inverse_variance, wavelength_a, line, *, velocity_shift_km_s=None, masked_fraction_max=0.1
):
    """Equivalent width of a narrow line against the continuum beside it.

    Parameters
    ----------
    flux, inverse_variance : (n_spectra, n_pixels) float array
        Flux and its inverse variance; a masked pixel has zero inverse variance.
    wavelength_a : (n_pixels,) float array
        Vacuum wavelength of the pixel centres, Angstrom, uniform.
    line : becat.schema.lines.Line
        The line: its band is its wavelength plus and minus its half width; the side bands are 3 A wide each.
    velocity_shift_km_s : (n_spectra,) float array, optional
        Velocity by which the bands are moved, to the nearest pixel; NaN counts as zero.
    masked_fraction_max : float
        Largest part of band and side bands, by weight, that may be masked.

    Returns
    -------
    (n_spectra,) float64 array, twice
        Width and error (of line and continuum), Angstrom; positive in absorption. NaN where it cannot be measured.

    Raises
    ------
    ValueError
        The grid does not cover the line and its side bands.
    """
    edges_a = pixel_edges(wavelength_a)
    step_a = wavelength_a[1] - wavelength_a[0]
    reach_a = line.half_width_a + _SIDE_A
    first = int(np.floor((line.wavelength_a - reach_a - edges_a[0]) / step_a))
    n_window = int(np.ceil(2 * reach_a / step_a)) + 1
    if first < 0 or first + n_window > len(wavelength_a):
        raise ValueError(f"the wavelengths do not cover {line.label} at {line.wavelength_a:.2f} A and its side bands")
    deficit, continuum = _local_weights(edges_a[first : first + n_window + 1], line)
    part, part_ivar, covered = _follow(
        flux, inverse_variance, first, n_window, _pixel_shift(line, velocity_shift_km_s, step_a)
    )
    missing, _, masked = weighted_sum(part, part_ivar, deficit)
    level, _, _ = weighted_sum(part, part_ivar, continuum)
    with np.errstate(divide="ignore", invalid="ignore"):
        width = missing / level
        # The error of a ratio to first order is that of  (deficit - width * continuum) / level.
        _, variance, _ = weighted_sum(part, part_ivar, deficit - np.nan_to_num(width)[:, None] * continuum)
        good = covered & (masked <= masked_fraction_max) & (level > 0)
        return np.where(good, width, np.nan), np.where(good, np.sqrt(variance) / level, np.nan)


def _pixel_shift(line, velocity_shift_km_s, step_a):
    """Whole pixels by which the line is moved, or None if none is."""
    if velocity_shift_km_s is None:
        return None
    move_a = line.wavelength_a * (doppler_factor(np.nan_to_num(velocity_shift_km_s, nan=0.0)) - 1.0)
    shift = np.rint(move_a / step_a).astype(int)
    return shift if shift.any() else None


def _follow(flux, inverse_variance, first, n_window, shift):
    """The window of each spectrum, moved by its shift; False where it would leave the grid."""
    if shift is None:
        window = slice(first, first + n_window)
        return flux[:, window], inverse_variance[:, window], np.ones(len(flux), dtype=bool)
    start = first + shift
    covered = (start >= 0) & (start + n_window <= flux.shape[1])
    pixel = np.where(covered, start, first)[:, None] + np.arange(n_window)
    return np.take_along_axis(flux, pixel, 1), np.take_along_axis(inverse_variance, pixel, 1), covered


def nebular_significance(width_a, e_width_a, systematic_a):
    """Combined significance of forbidden lines in emission.

    Parameters
    ----------
    width_a, e_width_a : (n_lines, n_spectra) float array
        Equivalent widths (negative in emission) and errors, Angstrom; NaN for a line that was not measured.
    systematic_a : float
        Error of a width that does not shrink with the noise (continuum, telluric lines), added in quadrature.

    Returns
    -------
    (n_spectra,) float64 array
        Sum of the single significances over the square root of their number (Stouffer): about normal with unit width
        where there are no lines, large and positive for emission. NaN where no line was measured.
    """
    single = -np.asarray(width_a) / np.hypot(e_width_a, systematic_a)
    measured = np.isfinite(single)
    n_lines = measured.sum(axis=0)
    total = np.where(measured, single, 0.0).sum(axis=0)
    return np.where(n_lines > 0, total / np.sqrt(np.maximum(n_lines, 1)), np.nan)


def strongest_significance(width_a, e_width_a, systematic_a):
    """Significance of the forbidden line that stands out most, which a mean over six lines would hide.

    Parameters
    ----------
    width_a, e_width_a : (n_lines, n_spectra) float array
        Equivalent widths (negative in emission) and errors, Angstrom; NaN for a line that was not measured.
    systematic_a : float
        Error of a width that does not shrink with the noise, added in quadrature.

    Returns
    -------
    (n_spectra,) float64 array
        Positive in emission, negative in absorption (a nebula in the sky fibres, subtracted here). NaN where no line
        was measured.
    """
    single = -np.asarray(width_a) / np.hypot(e_width_a, systematic_a)
    size = np.where(np.isfinite(single), np.abs(single), -1.0)
    strongest = np.take_along_axis(single, size.argmax(axis=0)[None], axis=0)[0]
    return np.where(size.max(axis=0) >= 0, strongest, np.nan)


def emission_fwhm(
    flux,
    inverse_variance,
    snr,
    wavelength_a,
    band_a,
    *,
    velocity_shift_km_s=None,
    significance_min=5.0,
    continuum_error=None,
    noise_length_a=None,
):
    """Full width at half maximum of an emission line above the continuum.

    The width is the distance between the outermost crossings of half the height of the highest point, so that a
    double-peaked line is one line. It is the observed width: the instrument's is not taken out.

    Parameters
    ----------
    flux, inverse_variance : (n_spectra, n_pixels) float array
        Rectified flux (continuum = 1) and its inverse variance; a masked pixel has zero inverse variance.
    snr : (n_spectra,) float array
        Signal to noise per pixel: decides the Bartlett smoothing.
    wavelength_a : (n_pixels,) float array
        Vacuum wavelength of the pixel centres, Angstrom, uniform.
    band_a : (float, float)
        Stretch in which the line lies, Angstrom.
    velocity_shift_km_s : (n_spectra,) float array, optional
        Velocity by which the stretch is moved, km/s; NaN counts as zero.
    significance_min : float
        Standard errors by which the highest point must stand above the continuum.
    continuum_error : (n_spectra,) float array, optional
        Relative error of the continuum; NaN and None count as zero.
    noise_length_a : (n_spectra,) float array, optional
        Over which pixels share their noise, as from `becat.udfs.bartlett.noise_length_a`; None: each has its own.

    Returns
    -------
    (n_spectra,) float64 array, twice
        Width and its error, km/s; NaN where there is no emission above the continuum or it reaches beyond the stretch.
    """
    step_a = wavelength_a[1] - wavelength_a[0]
    low_a, high_a = shifted_band(band_a, velocity_shift_km_s, len(flux))
    width_px = bartlett_width(snr, step_a)
    window, covered = moving_window(pixel_edges(wavelength_a), band_a, low_a, high_a, int(width_px.max(initial=3)))
    here_a, flux, inverse_variance = wavelength_a[window], flux[:, window], inverse_variance[:, window]
    inside = (here_a >= low_a[:, None]) & (here_a <= high_a[:, None])
    repaired, good = repair(flux, inverse_variance)
    smooth = smooth_bartlett(repaired, width_px)
    rows = np.arange(len(flux))
    top = np.argmax(np.where(inside & np.isfinite(smooth), smooth, -np.inf), axis=1)
    height = smooth[rows, top] - 1.0
    level = 1.0 + 0.5 * height
    noise = smoothed_error(inverse_variance, width_px)
    seen = height > significance_min * noise[rows, top]
    width_a, first, last, closed = _outermost(smooth, here_a, level, inside)
    # The level is half way between the continuum and the highest point, and moves with the errors of both; then both
    # crossings move outwards, or both inwards.
    of_continuum = 0.0 if continuum_error is None else np.nan_to_num(continuum_error, nan=0.0)
    if noise_length_a is not None:
        noise *= shared_noise(width_px, noise_length_a, step_a)[:, None]
    at_top = noise[rows, top]
    of_level = 0.5 * np.hypot(at_top, of_continuum)
    left, right = (1 / _slope(smooth, pixel, step_a) for pixel in (first, last))
    error_a = np.hypot(np.hypot(noise[rows, first] * left, noise[rows, last] * right), of_level * (left + right))
    # Where a second peak is about half as high, noise decides whether it counts, and the width jumps: between the levels that there may be it
    # changes by more than twice what the slopes of the flanks say.
    reach = _REACH * np.hypot(at_top, of_level)
    widest, narrowest = (_outermost(smooth, here_a, level + sign * reach, inside)[0] for sign in (-1, 1))
    smoothly_a = 2 * reach * (left + right)
    jump_a = widest - narrowest - smoothly_a
    error_a = np.hypot(error_a, np.where(jump_a > smoothly_a, 0.5 * jump_a, 0.0))
    to_velocity = SPEED_OF_LIGHT_KM_S / (0.5 * (low_a + high_a))
    known = covered & closed & seen & good.any(axis=1)
    return np.where(known, width_a * to_velocity, np.nan), np.where(known, error_a * to_velocity, np.nan)


def _outermost(smooth, wavelength_a, level, inside):
    """Distance of the outermost crossings of a level, Angstrom, the pixels just above it, and whether both lie inside."""
    rows, n_pixels = np.arange(len(smooth)), len(wavelength_a)
    above = inside & (smooth > level[:, None])
    first = np.argmax(above, axis=1)
    last = n_pixels - 1 - np.argmax(above[:, ::-1], axis=1)
    before, after = np.maximum(first - 1, 0), np.minimum(last + 1, n_pixels - 1)
    width_a = crossing(smooth, wavelength_a, level, last, after) - crossing(smooth, wavelength_a, level, first, before)
    return width_a, first, last, inside[rows, before] & inside[rows, after]


def _slope(flux, pixel, step_a):
    """Steepness of the flux at a pixel of each spectrum over five pixels, per Angstrom."""
    rows = np.arange(len(flux))
    low, high = np.maximum(pixel - 2, 0), np.minimum(pixel + 2, flux.shape[1] - 1)
    with np.errstate(invalid="ignore"):
        return np.maximum(np.abs(flux[rows, high] - flux[rows, low]) / ((high - low) * step_a), 1e-6)
