"""Profile classes of H-alpha, measured: the classes that Wang et al. 2022 gave by eye, from stated rules.

The rules, in the order in which they are applied to the smoothed profile:

1.  Extrema count only if they stand out of the noise (`becat.udfs.extrema`), by `profile_emission_significance` standard
    errors of a difference and by at least `profile_height_min` of the continuum.
2.  A maximum is an **emission peak** if it rises above the continuum, or if it lies inside *one* broad absorption.
    The ridge between two absorption cores (a double-lined binary, neighbouring metal lines) is not emission: of two
    lines, each is lower on the inner side than as far away on the outer side. So a ridge counts only if, outside both
    minima, the flux takes longer to reach the ridge's height than inside (`ridge_ratio_min`).
3.  Two or more emission peaks enclose a **shell line** if the core between them is lower than the profile on both
    outer sides of the peaks, or lower than the peaks by the factor `shell_peak_to_core_min` (Hanuschik 1996).
    Either way the core must be narrow beside the distance of the peaks (`shell_width_ratio_max`), since the dip between
    the peaks of a disc is broad, or very deep (`shell_broad_depth_min`). A still narrower core (`shell_cusp_width_max`) needs to reach down only
    `shell_cusp_depth_min` of the lower peak's height.
    A single emission peak has a shell line beside it if the core on one side is narrow in the same sense, lower than the
    profile on the peak's other side, and deeper below it than the peak is high (`shell_side_depth_min`): of the two
    shoulders of such a star often only one is seen, and it is no emission in the middle of an absorption.
    A core without emission peaks is a shell line only if it is far narrower (`shell_rotation_ratio_max`) than the
    rotation that He I 6678 and Si II 6347, 6371 show (`becat.udfs.rotation`); a narrow core by itself is what every slowly
    rotating A or late-B star has.
4.  With a shell line the class is *emission with shell* where the equivalent width is negative, else *absorption
    with shell*. Without: *emission* where there is an emission peak, else *absorption*.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from becat.schema.grid import RED
from becat.schema.lines import LINES, SPEED_OF_LIGHT_KM_S
from becat.schema.parameters import load
from becat.udfs.bands import bridgeable, repair
from becat.udfs.bartlett import (
    COARSE_POWER,
    bartlett_width,
    noise_length_a,
    shared_noise,
    smooth_bartlett,
    smoothed_error,
)
from becat.udfs.crossing import limits_around
from becat.udfs.equivalent_width import doppler_factor, equivalent_width
from becat.udfs.extrema import significant_extrema
from becat.udfs.rotation import V_SIN_I_KM_S, rotation_limit
from becat.udfs.telluric import Water, find_water

__all__ = ["PROFILE_PARAMETERS", "profile_batch"]

# Selection parameters that decide what profile_batch returns.
PROFILE_PARAMETERS = (
    "ew_halpha_band_min_a",
    "ew_halpha_band_max_a",
    "ew_masked_fraction_max",
    "peak_band_min_a",
    "peak_band_max_a",
    "profile_emission_significance",
    "profile_height_min",
    "profile_asymmetry_max",
    "peak_height_ratio_min",
    "ridge_ratio_min",
    "ridge_velocity_max_km_s",
    "ridge_lines_max",
    "shell_peak_to_core_min",
    "shell_width_ratio_max",
    "shell_broad_depth_min",
    "shell_cusp_depth_min",
    "shell_cusp_width_max",
    "shell_asymmetry_max",
    "shell_narrow_max_km_s",
    "shell_rotation_ratio_max",
    "shell_side_depth_min",
    "weak_emission_significance",
    "weak_ridge_ratio_min",
    "telluric_significance_min",
)

# The stretch whose extrema are looked at: the peak band and the wings that tell one broad absorption from two lines.
_STRETCH = slice(*np.searchsorted(RED.wavelength_a, [6535.0, 6594.0]))
# Nearest the ends of the stretch: where the level of the continuum is read.
_EDGE_PX = 60
# Below this v sin i, km/s, hardly a core is narrower than the rotation makes it.
_ROTATION_MIN_KM_S = 90.0
# Errors by which the step of a minimum outside of the peaks may lie above or below what counts, where noise decides whether it does.
_UNSURE = 2.0
# Pixels of instruments of low resolution, in parts of the resolution element: those of LAMOST have 69 km/s.
_COARSE_PIXEL = 0.4
# Errors of noise by which the flux falls at the ends of the stretch from which the error of a peak's place is taken, and that error where noise
# can make any place in the stretch the highest, in parts of it (python -m benchmarks.epoch_errors).
_DROP, _ANYWHERE = 4.0, 0.85
# Resolving power at which a narrow core is seen as one.
_SHARP = 5000.0


@dataclass(frozen=True)
class _Smoothed:
    """Smoothed stretch of a batch, its error everywhere and (the median) in the middle of the line, the level of its continuum and
    its error, over what length neighbours share their noise, and the pixels of the instrument where these are coarse, else those of the grid."""

    wavelength_a: np.ndarray
    flux: np.ndarray
    noise: np.ndarray
    error: np.ndarray
    continuum: np.ndarray
    e_continuum: np.ndarray
    usable: np.ndarray
    window_a: np.ndarray
    pixel_a: np.ndarray


def profile_batch(
    flux_red,
    ivar_red,
    snr_r,
    velocity_shift_km_s=None,
    resolving_power=None,
    *,
    star_velocity_km_s=None,
    is_lamost_coadd=None,
    continuum_error_red=None,
    water: Water | None = None,
    parameters: Mapping[str, float] | None = None,
) -> dict[str, np.ndarray]:
    """Classify the H-alpha profiles of a batch of rectified spectra.

    Parameters
    ----------
    flux_red, ivar_red, velocity_shift_km_s
        As `becat.udfs.measure.measure_batch` takes them.
    snr_r : (n_spectra,) float array
        Signal to noise per pixel of the red arm; without it (NaN) there is no class.
    resolving_power : (n_spectra,) float array, optional
        Below 5,000 no core without emission beside it is a shell line; NaN and None count as 7500.
    star_velocity_km_s : (n_spectra,) float array, optional
        Velocity of the star, km/s, where it is known and trusted, else NaN: peaks are looked for in its frame, wherever the
        bands lie, so that [N II] of a receding star is none of them.
    is_lamost_coadd : (n_spectra,) bool array, optional
        For the noise that pixels share; None: there are none.
    continuum_error_red : (n_spectra,) float array, optional
        Relative error of the continuum, of which NaN counts as zero: it enters the error of V/R.
    water : Water, optional
        As from `becat.udfs.telluric.find_water`, for the band of EW(H-alpha); None: it is looked for here.
    parameters : mapping, optional
        Values of `PROFILE_PARAMETERS`; those not given are as shipped. An infinite ``telluric_significance_min`` leaves telluric
        water out of the errors.

    Returns
    -------
    dict of (n_spectra,) arrays
        The columns of profile_class from profile_class to n_significant_peaks: texts as objects (None where there is none),
        integers as masked arrays, floats with NaN.

    References
    ----------
    Wang et al. 2022, section 4.2 and appendix A; Hanuschik 1996, A&A 308, 170 (shell criterion).
    """
    limits = {name: load()[name].value for name in PROFILE_PARAMETERS} | dict(parameters or {})
    flux_red, ivar_red = np.asarray(flux_red), np.asarray(ivar_red)
    velocity = np.zeros(len(flux_red)) if velocity_shift_km_s is None else np.nan_to_num(velocity_shift_km_s, nan=0.0)
    of_star = velocity
    if star_velocity_km_s is not None:
        of_star = np.where(np.isfinite(star_velocity_km_s), star_velocity_km_s, velocity)
    power = np.full(len(flux_red), 7500.0) if resolving_power is None else np.nan_to_num(resolving_power, nan=7500.0)
    snr = np.asarray(snr_r, dtype=float)
    smooth = _smooth(flux_red, ivar_red, snr, power, is_lamost_coadd, continuum_error_red, limits)
    peaks, refused, n_significant = _emission_peaks(smooth, doppler_factor(of_star), limits)
    measured = _measure_pair(smooth, peaks, limits)
    band_a = (limits["ew_halpha_band_min_a"], limits["ew_halpha_band_max_a"])
    width_a, _ = equivalent_width(flux_red, ivar_red, RED.wavelength_a, band_a, velocity_shift_km_s=velocity)
    core = _Core(*_narrow_core(smooth))
    turning_km_s = _rotation(
        flux_red, ivar_red, core, (np.bincount(peaks.row, minlength=len(flux_red)) == 0) & (power >= _SHARP), limits
    )
    columns = _classes(smooth, peaks, refused, measured, core, width_a, turning_km_s, limits)
    if water is None:
        water = find_water(flux_red, ivar_red, power, band_a)
    _water_in_errors(columns, smooth, peaks, measured, water, bartlett_width(snr, RED.step_a), limits)
    columns["profile_class_on_second_look"] = _second_look(
        smooth, columns["profile_class"], doppler_factor(of_star), width_a, limits
    )
    return columns | {"n_significant_peaks": np.ma.masked_array(n_significant, ~smooth.usable)}  # pyright: ignore[reportReturnType]


def _water_in_errors(columns, smooth, peaks, pair, water, width_px, limits):
    """What the water does to the pair of peaks and to the core becomes part of their errors, in place; classes and types stand."""
    depth = smooth_bartlett(water.depth(limits["telluric_significance_min"], _STRETCH), width_px)
    dry = replace(smooth, flux=smooth.flux / (1 - depth))
    dry_pair = _measure_pair(dry, _same_peaks(dry, peaks), limits)
    dry_core = np.where(np.isfinite(pair.core_flux), dry_pair.core_flux, np.min(dry.flux, axis=1))
    for name, change in (
        ("e_violet_red_ratio", dry_pair.violet_red_ratio - pair.violet_red_ratio),
        ("e_peak_separation_km_s", dry_pair.separation_km_s - pair.separation_km_s),
        ("e_core_flux", dry_core - columns["core_flux"]),
    ):
        columns[name] = np.hypot(columns[name], change)


def _same_peaks(smooth, peaks):
    """The peaks at the places where they are highest between the minima on either side."""
    index = np.arange(smooth.flux.shape[1])
    after = np.where(peaks.minimum_after < 0, index.size, peaks.minimum_after)
    between = (index > peaks.minimum_before[:, None]) & (index < after[:, None])
    return replace(peaks, pixel=np.argmax(np.where(between, smooth.flux[peaks.row], -np.inf), axis=1))


def _second_look(smooth, first, factor, width_a, limits):
    """The classes; those of absorption by lower thresholds, where something else is called weak."""
    rows = np.flatnonzero(first == "absorption")
    lower = {
        "profile_emission_significance": limits["weak_emission_significance"],
        "ridge_ratio_min": limits["weak_ridge_ratio_min"],
    }
    few = _Smoothed(smooth.wavelength_a, *(x[rows] for name, x in vars(smooth).items() if name != "wavelength_a"))
    peaks, refused, _ = _emission_peaks(few, factor[rows], limits | lower)
    core, unknown = _Core(*_narrow_core(few)), np.full(len(rows), np.nan)
    pair = _measure_pair(few, peaks, limits | lower)
    second = first.copy()
    found = _classes(few, peaks, refused, pair, core, width_a[rows], unknown, limits | lower)
    second[rows] = [name if name == "absorption" else f"weak {name}" for name in found["profile_class"]]
    return second


def _smooth(flux, ivar, snr, power, is_lamost_coadd, continuum_error, limits):
    flux, ivar = flux[:, _STRETCH], ivar[:, _STRETCH]
    width_px = bartlett_width(snr, RED.step_a)
    length_a = noise_length_a(power, LINES["halpha"].wavelength_a, is_lamost_coadd)
    repaired, good = repair(flux, ivar)
    smooth = smooth_bartlett(repaired, width_px)
    with np.errstate(invalid="ignore"):
        noise = smoothed_error(ivar, width_px)
        error = np.median(noise, axis=1)
        noise *= shared_noise(width_px, length_a, RED.step_a)[:, None]
        blue, red = np.median(smooth[:, :_EDGE_PX], axis=1), np.median(smooth[:, -_EDGE_PX:], axis=1)
    usable = (width_px > 0) & np.isfinite(error) & bridgeable(good, limits["ew_masked_fraction_max"])
    # A continuum set too low on both sides must not turn it into emission; one set too high is left as it is.
    continuum = np.maximum(np.minimum(blue, red), 1.0)
    flux = np.where(usable[:, None], smooth, np.nan)
    window_a = np.hypot(width_px * RED.step_a, length_a)
    pixel_a = np.where(power < COARSE_POWER, _COARSE_PIXEL * LINES["halpha"].wavelength_a / power, RED.step_a)
    e_continuum = np.zeros(len(flux)) if continuum_error is None else np.nan_to_num(continuum_error, nan=0.0)
    return _Smoothed(RED.wavelength_a[_STRETCH], flux, noise, error, continuum, e_continuum, usable, window_a, pixel_a)


@dataclass(frozen=True)
class _Peaks:
    """Emission peaks, one entry each, in order of spectra and wavelength; the minimum on either side of it."""

    row: np.ndarray
    pixel: np.ndarray
    minimum_before: np.ndarray
    minimum_after: np.ndarray
    above_continuum: np.ndarray


def _least_height(smooth, limits):
    """Step of flux that counts: of the noise, and of the profile itself where that is high above the continuum."""
    noise = limits["profile_emission_significance"] * np.sqrt(2.0) * smooth.error
    with np.errstate(invalid="ignore"):
        highest = np.maximum(smooth.flux.max(axis=1), 1.0)
    return np.maximum(noise, limits["profile_height_min"] * highest)


def _emission_peaks(smooth, factor, limits):
    """Emission peaks (rule 2); for each spectrum, whether a ridge between two cores was refused, and all significant maxima."""
    least = _least_height(smooth, limits)
    extrema = significant_extrema(smooth.flux, np.nan_to_num(least, nan=np.inf))
    n_extrema = (extrema >= 0).sum(axis=1)
    value = np.where(extrema >= 0, np.take_along_axis(smooth.flux, np.maximum(extrema, 0), axis=1), np.nan)
    is_peak = (value[:, 1:-1] > value[:, :-2]) & (value[:, 1:-1] > value[:, 2:])
    row, place = np.nonzero(is_peak)
    before, pixel, after = extrema[row, place], extrema[row, place + 1], extrema[row, place + 2]
    # The two ends of the stretch are not minima: a peak there has the continuum beside it.
    before = np.where(place == 0, -1, before)
    after = np.where(place + 3 == n_extrema[row], -1, after)
    rest_a = smooth.wavelength_a[pixel] / factor[row]
    inside = (rest_a >= limits["peak_band_min_a"]) & (rest_a <= limits["peak_band_max_a"])
    row, pixel, before, after, rest_a = (x[inside] for x in (row, pixel, before, after, rest_a))
    above = smooth.flux[row, pixel] > smooth.continuum[row] + least[row]
    possible = np.abs(_velocity(rest_a)) < limits["ridge_velocity_max_km_s"]
    possible &= _lines_beside(smooth, extrema, value, factor, limits)[row] <= limits["ridge_lines_max"]
    ridge = possible & _ridge_of_one_absorption(smooth, row, pixel, before, after, above, limits["ridge_ratio_min"])
    is_emission = above | ridge
    refused = np.bincount(row[~is_emission & (before >= 0) & (after >= 0)], minlength=len(smooth.flux)) > 0
    peaks = _Peaks(*(x[is_emission] for x in (row, pixel, before, after, above)))
    n_significant = np.bincount(row, minlength=len(smooth.flux))
    return _without_minor(smooth, peaks, limits["peak_height_ratio_min"]), refused, n_significant


def _velocity(rest_a):
    """Distance from H-alpha, km/s."""
    return (rest_a / LINES["halpha"].wavelength_a - 1.0) * SPEED_OF_LIGHT_KM_S


def _lines_beside(smooth, extrema, value, factor, limits):
    """Number of absorption lines on either side of H-alpha: of metals in late types, of water in noise-free spectra."""
    place_a = smooth.wavelength_a[np.maximum(extrema[:, 1:-1], 0)] / factor[:, None]
    is_minimum = (value[:, 1:-1] < value[:, :-2]) & (value[:, 1:-1] < value[:, 2:])
    return (is_minimum & (np.abs(_velocity(place_a)) > limits["ridge_velocity_max_km_s"])).sum(axis=1)


def _without_minor(smooth, peaks, ratio_min):
    """Without the peaks that are minor beside the highest of their spectrum: telluric ripples on emission wings."""
    if not peaks.row.size:
        return peaks
    base = np.minimum(
        _side_level(smooth, peaks.row, peaks.minimum_before), _side_level(smooth, peaks.row, peaks.minimum_after)
    )
    height = smooth.flux[peaks.row, peaks.pixel] - base
    highest = np.zeros(len(smooth.flux))
    np.maximum.at(highest, peaks.row, height)
    major = height >= ratio_min * highest[peaks.row]
    return _Peaks(*(x[major] for x in vars(peaks).values()))


def _ridge_of_one_absorption(smooth, row, pixel, before, after, above, ratio_min):
    """Whether the flux rises more slowly outside of both minima than inside, towards the ridge.

    Where two ridges share a minimum, that one is the core between two peaks: then the outer minima decide alone, and by
    half the ratio, since a double-lined binary has one ridge only.
    """
    index = np.arange(smooth.flux.shape[1])
    reached = smooth.flux[row] >= smooth.flux[row, pixel][:, None]
    left = np.max(np.where(reached & (index < before[:, None]), index, -1), axis=1, initial=-1)
    right = np.min(np.where(reached & (index > after[:, None]), index, index.size), axis=1, initial=index.size)
    with np.errstate(divide="ignore"):
        ratio_left = np.where(above, np.inf, np.where(before >= 0, (before - left) / (pixel - before), 0.0))
        ratio_right = np.where(above, np.inf, np.where(after >= 0, (right - after) / (after - pixel), 0.0))
    shared = (row[1:] == row[:-1]) & (after[:-1] == before[1:])
    pair = shared & (np.minimum(ratio_left[:-1], ratio_right[1:]) > 0.5 * ratio_min)
    ridge = np.minimum(ratio_left, ratio_right) > ratio_min
    ridge[:-1] |= pair
    ridge[1:] |= pair
    return ridge


@dataclass(frozen=True)
class _Pair:
    """Outer peaks of the spectra that have two or more, and the core between them; NaN and False elsewhere."""

    violet_red_ratio: np.ndarray
    e_violet_red_ratio: np.ndarray
    separation_km_s: np.ndarray
    e_separation_km_s: np.ndarray
    span_km_s: np.ndarray  # the separation on the grid, whatever the pixels of the instrument: that of the rules
    peak_flux: np.ndarray
    core_flux: np.ndarray
    e_core_flux: np.ndarray
    outer_flux: np.ndarray
    core_fwhm_km_s: np.ndarray
    core_asymmetry: np.ndarray
    dip: np.ndarray  # of the lower peak's height, the part that the core takes away


def _measure_pair(smooth, peaks, limits):
    """V/R, separation and core of the double-peaked profiles."""
    n_spectra = len(smooth.flux)
    count = np.bincount(peaks.row, minlength=n_spectra)
    rows = np.flatnonzero(count >= 2)
    first = np.searchsorted(peaks.row, rows)
    last = first + count[rows] - 1
    violet, red = peaks.pixel[first], peaks.pixel[last]
    flux, wavelength_a = smooth.flux[rows], smooth.wavelength_a
    index = np.arange(flux.shape[1])
    between = (index > violet[:, None]) & (index < red[:, None])
    core = np.argmin(np.where(between, flux, np.inf), axis=1)
    line = np.arange(rows.size)
    core_flux, violet_flux, red_flux = flux[line, core], flux[line, violet], flux[line, red]
    noise = smooth.noise[rows]
    outer, e_outer, lowest, highest = _outer_level(
        smooth, rows, (violet, red), (peaks.minimum_before[first], peaks.minimum_after[last]), limits
    )
    violet_height, red_height = violet_flux - outer, red_flux - outer
    ratio = violet_height / red_height
    e_ratio = np.abs(ratio) * np.sqrt(
        (noise[line, violet] / violet_height) ** 2
        + (noise[line, red] / red_height) ** 2
        + (e_outer * (violet_height - red_height) / (violet_height * red_height)) ** 2
    )
    by_lowest, by_highest = ((violet_flux - level) / (red_flux - level) for level in (lowest, highest))
    e_ratio = np.hypot(e_ratio, 0.5 * np.abs(by_highest - by_lowest))
    (violet_a, e_violet_a), (red_a, e_red_a) = (
        _place(flux, noise, wavelength_a, peak, smooth.window_a[rows], smooth.pixel_a[rows]) for peak in (violet, red)
    )
    on_grid = np.ones_like(violet)
    span_a = _top(flux, wavelength_a, red, on_grid)[0] - _top(flux, wavelength_a, violet, on_grid)[0]
    half = 0.5 * (core_flux + np.minimum(violet_flux, red_flux))
    low_a, high_a = limits_around(flux, wavelength_a, core, half)
    to_velocity = SPEED_OF_LIGHT_KM_S / LINES["halpha"].wavelength_a
    blue_half, red_half = wavelength_a[core] - low_a, high_a - wavelength_a[core]
    values = (
        ratio,
        e_ratio,
        (red_a - violet_a) * to_velocity,
        np.hypot(e_violet_a, e_red_a) * to_velocity,
        span_a * to_velocity,
        0.5 * (violet_flux + red_flux),
        core_flux,
        noise[line, core],
        outer,
        (high_a - low_a) * to_velocity,
        (red_half - blue_half) / (red_half + blue_half),
        (np.minimum(violet_flux, red_flux) - core_flux) / np.minimum(violet_height, red_height),
    )
    spread = np.full((len(values), n_spectra), np.nan)
    spread[:, rows] = values
    return _Pair(*spread)


def _outer_level(smooth, rows, outer_peaks, minima, limits):
    """Level from which both peaks are counted: the lower of those outside of them.

    Returns
    -------
    (n_rows,) arrays, four times
        The level, its error, and the lowest and the highest level that there may be: on a side where the step of the lowest flux is within
        `_UNSURE` errors of what counts as a minimum, noise decides between this flux and the continuum. (A peak under the
        continuum is none without its minima.)
    """
    flux, continuum, line = smooth.flux[rows], smooth.continuum[rows], np.arange(rows.size)
    least, index = _least_height(smooth, limits)[rows], np.arange(flux.shape[1])
    margin = _UNSURE * np.hypot(np.sqrt(2.0) * smooth.noise[rows, outer_peaks[0]], smooth.e_continuum[rows])
    lower_peak = np.minimum(*(flux[line, peak] for peak in outer_peaks))
    levels, errors, low, high = [], [], [], []
    for peak, minimum, sign in zip(outer_peaks, minima, (1, -1), strict=True):
        outside = (index - peak[:, None]) * sign < 0
        bottom = np.where(minimum >= 0, minimum, np.argmin(np.where(outside, flux, np.inf), axis=1))
        beyond = np.max(np.where((index - bottom[:, None]) * sign <= 0, flux, -np.inf), axis=1)
        at_bottom = np.minimum(flux[line, bottom], continuum)
        unsure = (np.abs(beyond - at_bottom - least) < margin) & (continuum < lower_peak)
        level = np.where(minimum >= 0, at_bottom, continuum)
        levels.append(level)
        errors.append(np.where(level < continuum, smooth.noise[rows, bottom], smooth.e_continuum[rows]))
        low.append(np.where(unsure, at_bottom, level))
        high.append(np.where(unsure, continuum, level))
    lower = np.argmin(levels, axis=0)
    return *(np.choose(lower, each) for each in (levels, errors)), np.minimum(*low), np.minimum(*high)


def _place(flux, noise, wavelength_a, peak, window_a, pixel_a):
    """Place of a peak of each spectrum between pixels, by a parabola through three of the instrument's, and its error, Angstrom.

    Where these are those of the grid, the error follows from the stretch around the peak over which the flux falls by the noise: over one that is
    short beside the window the noise tilts the peak as a whole, over a longer one any place in it may be the highest. Coarse pixels
    have noise of their own each, and the error is that of the parabola.
    """
    line, apart = np.arange(len(flux)), np.rint(pixel_a / RED.step_a).astype(int)
    at_peak, top = noise[line, peak], flux[line, peak]
    place_a, of_unit_noise_a = _top(flux, wavelength_a, peak, apart)
    low_a, high_a = limits_around(-flux, wavelength_a, peak, _DROP * at_peak - top)
    reach_a = 0.5 * (high_a - low_a)
    tilted_a, anywhere_a = np.sqrt(3.0) * reach_a**2 / (_DROP * window_a), _ANYWHERE * reach_a
    return place_a, np.where(apart > 1, of_unit_noise_a * at_peak, 1.0 / (1.0 / tilted_a + 1.0 / anywhere_a))


def _top(flux, wavelength_a, peak, apart):
    """Top of the parabola through the flux at a pixel and at `apart` pixels on either side, Angstrom, and its error where that of the flux is 1."""
    line, step_a = np.arange(len(flux)), wavelength_a[1] - wavelength_a[0]
    before, top, after = (flux[line, np.clip(peak + k * apart, 0, flux.shape[1] - 1)] for k in (-1, 0, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        tilt, bend = before - after, before - 2.0 * top + after
        offset = np.clip(np.nan_to_num(0.5 * tilt / bend), -0.5, 0.5)
        error_a = 0.5 * apart * step_a / np.abs(bend) * np.sqrt(2.0 + 6.0 * (tilt / bend) ** 2)
    return wavelength_a[peak] + offset * apart * step_a, error_a


def _side_level(smooth, rows, minimum):
    """Flux outside of a peak: of the minimum there, or of the continuum where there is none below it."""
    there = smooth.flux[rows, np.maximum(minimum, 0)]
    return np.where(minimum >= 0, np.minimum(there, smooth.continuum[rows]), smooth.continuum[rows])


@dataclass(frozen=True)
class _Side:
    """The core beside the only emission peak of a spectrum, on the side where the profile is lower; NaN elsewhere."""

    outer_flux: np.ndarray  # on the other side of the peak
    peak_flux: np.ndarray
    core_flux: np.ndarray
    core_fwhm_km_s: np.ndarray
    core_asymmetry: np.ndarray
    distance_km_s: np.ndarray  # from the core to the peak


def _measure_side(smooth, peaks):
    """The core beside single peaks."""
    n_spectra = len(smooth.flux)
    lowest = np.where(
        _side_level(smooth, peaks.row, peaks.minimum_before) < _side_level(smooth, peaks.row, peaks.minimum_after),
        peaks.minimum_before,
        peaks.minimum_after,
    )
    other = np.where(lowest == peaks.minimum_before, peaks.minimum_after, peaks.minimum_before)
    single = (np.bincount(peaks.row, minlength=n_spectra)[peaks.row] == 1) & (lowest >= 0)
    rows, peak, core, other = (x[single] for x in (peaks.row, peaks.pixel, lowest, other))
    line, flux, wavelength_a = np.arange(rows.size), smooth.flux[rows], smooth.wavelength_a
    core_flux, peak_flux = flux[line, core], flux[line, peak]
    half = 0.5 * (core_flux + np.minimum(peak_flux, smooth.continuum[rows]))
    low_a, high_a = limits_around(flux, wavelength_a, core, half)
    blue_half, red_half = wavelength_a[core] - low_a, high_a - wavelength_a[core]
    to_velocity = SPEED_OF_LIGHT_KM_S / LINES["halpha"].wavelength_a
    values = (
        _side_level(smooth, rows, other),
        peak_flux,
        core_flux,
        (high_a - low_a) * to_velocity,
        (red_half - blue_half) / (red_half + blue_half),
        np.abs(wavelength_a[peak] - wavelength_a[core]) * to_velocity,
    )
    spread = np.full((len(values), n_spectra), np.nan)
    spread[:, rows] = values
    return _Side(*spread)


@dataclass(frozen=True)
class _Core:
    """The deepest core of each spectrum: width at a quarter of its depth from the bottom, asymmetry, depth, flux, error, velocity."""

    quarter_km_s: np.ndarray
    asymmetry: np.ndarray
    depth: np.ndarray
    flux: np.ndarray
    e_flux: np.ndarray
    velocity_km_s: np.ndarray


def _narrow_core(smooth):
    filled = np.where(smooth.usable[:, None], smooth.flux, 1.0)
    core = np.argmin(filled, axis=1)
    bottom, error = filled[np.arange(len(filled)), core], smooth.noise[np.arange(len(filled)), core]
    low_a, high_a = limits_around(filled, smooth.wavelength_a, core, bottom + 0.25 * (smooth.continuum - bottom))
    place_a = smooth.wavelength_a[core]
    with np.errstate(divide="ignore", invalid="ignore"):
        asymmetry = ((high_a - place_a) - (place_a - low_a)) / (high_a - low_a)
    width_km_s = (high_a - low_a) / place_a * SPEED_OF_LIGHT_KM_S
    return width_km_s, asymmetry, smooth.continuum - bottom, bottom, error, _velocity(place_a)


def _rotation(flux, ivar, core, wanted, limits):
    """Least v sin i of the spectra whose core is narrow enough for it to matter, km/s; NaN for the others."""
    with np.errstate(invalid="ignore"):
        wanted &= core.quarter_km_s < limits["shell_rotation_ratio_max"] * V_SIN_I_KM_S[-1]
        wanted &= np.abs(core.velocity_km_s) < limits["ridge_velocity_max_km_s"]
    rows = np.flatnonzero(wanted)
    found = np.full(len(flux), np.nan)
    if rows.size:
        significance = limits["profile_emission_significance"]
        found[rows] = rotation_limit(flux[rows], ivar[rows], core.velocity_km_s[rows], significance)
    return found


def _classes(smooth, peaks, refused, pair, core, width_a, turning_km_s, limits):
    """Rules 3 and 4, and the columns of the table."""
    n_spectra = len(smooth.flux)
    n_peaks = np.bincount(peaks.row, minlength=n_spectra)
    any_above = np.bincount(peaks.row[peaks.above_continuum], minlength=n_spectra) > 0
    least = _least_height(smooth, limits)
    with np.errstate(invalid="ignore"):
        width_ratio = pair.core_fwhm_km_s / pair.span_km_s
        between = (width_ratio < limits["shell_width_ratio_max"]) | (pair.dip > limits["shell_broad_depth_min"])
        deep = between & (pair.core_flux < pair.outer_flux - least)
        contrast = between & (pair.peak_flux >= limits["shell_peak_to_core_min"] * pair.core_flux)
        cusp = (width_ratio < limits["shell_cusp_width_max"]) & (pair.dip > limits["shell_cusp_depth_min"])
        side = _measure_side(smooth, peaks)
        one_sided = side.core_flux < side.outer_flux - least
        one_sided &= side.core_fwhm_km_s < 2 * limits["shell_width_ratio_max"] * side.distance_km_s
        one_sided &= side.outer_flux - side.core_flux > limits["shell_side_depth_min"] * (
            side.peak_flux - side.outer_flux
        )
        shoulders = deep | contrast | cusp | one_sided
        narrow = (n_peaks == 0) & (core.depth > least) & (turning_km_s >= _ROTATION_MIN_KM_S)
        narrow &= core.quarter_km_s < limits["shell_rotation_ratio_max"] * turning_km_s
        on_emission = shoulders & (width_a < 0)
        asymmetric = np.abs(pair.violet_red_ratio - 1) > np.maximum(
            limits["profile_asymmetry_max"], 2.0 * pair.e_violet_red_ratio
        )
    beside_fwhm = np.where(one_sided, side.core_fwhm_km_s, pair.core_fwhm_km_s)
    beside_asymmetry = np.where(one_sided, side.core_asymmetry, pair.core_asymmetry)
    shell_fwhm = np.where(narrow, core.quarter_km_s, np.where(shoulders, beside_fwhm, np.nan))
    shell_asymmetry = np.where(narrow, core.asymmetry, np.where(shoulders, beside_asymmetry, np.nan))
    names = np.select(
        [~smooth.usable, on_emission, shoulders | narrow, n_peaks > 0],
        ["", "emission with shell", "absorption with shell", "emission"],
        "absorption",
    )
    is_shell, has_pair = shoulders | narrow, np.isfinite(pair.core_flux)
    columns = {
        "profile_class": _text(names),
        "profile_type": _text(
            np.where(is_shell | ~smooth.usable, "", _types(smooth, peaks, n_peaks, asymmetric, least))
        ),
        "shell_type": np.ma.masked_array(
            _shell_types(on_emission, narrow, any_above, shell_fwhm, shell_asymmetry, limits), ~is_shell
        ),
        "n_emission_peaks": np.ma.masked_array(n_peaks, ~smooth.usable),
        "violet_red_ratio": pair.violet_red_ratio,
        "e_violet_red_ratio": pair.e_violet_red_ratio,
        "peak_separation_km_s": pair.separation_km_s,
        "e_peak_separation_km_s": pair.e_separation_km_s,
        "shell_fwhm_km_s": shell_fwhm,
        "shell_asymmetry": shell_asymmetry,
        "core_flux": np.where(smooth.usable, np.where(has_pair, pair.core_flux, core.flux), np.nan),
        "e_core_flux": np.where(smooth.usable, np.where(has_pair, pair.e_core_flux, core.e_flux), np.nan),
    }
    two_cores = refused & (n_peaks == 0)
    return columns | {
        "has_two_cores": np.ma.masked_array(two_cores, ~smooth.usable),
        "evidence": _evidence(deep, contrast, cusp, one_sided, narrow, two_cores, core, turning_km_s),
    }


def _text(names):
    """Texts as objects, None for the empty ones."""
    return np.where(names == "", None, names.astype(object))


def _types(smooth, peaks, n_peaks, asymmetric, least):
    """Type of the profiles in emission without a shell line."""
    # A single peak inside an absorption has a minimum under the continuum on both sides; between it and another line,
    # as [N II], a minimum lies on the continuum.
    enclosed = ~peaks.above_continuum
    below = smooth.continuum - least
    both = np.flatnonzero((peaks.minimum_before >= 0) & (peaks.minimum_after >= 0) & peaks.above_continuum)
    row = peaks.row[both]
    enclosed[both] = (
        np.maximum(smooth.flux[row, peaks.minimum_before[both]], smooth.flux[row, peaks.minimum_after[both]])
        < below[row]
    )
    in_absorption = np.bincount(peaks.row[enclosed], minlength=len(smooth.flux)) > 0
    return np.select(
        [n_peaks == 0, (n_peaks == 1) & in_absorption, n_peaks == 1, asymmetric],
        ["", "narrow emission in absorption", "single peak", "double asymmetric"],
        "double symmetric",
    )


def _shell_types(on_emission, narrow, any_above, fwhm_km_s, asymmetry, limits):
    """Types 1 to 3 of Wang et al. 2022, appendix A."""
    with np.errstate(invalid="ignore"):
        skewed = np.abs(asymmetry) > limits["shell_asymmetry_max"]
        thin = fwhm_km_s <= limits["shell_narrow_max_km_s"]
    return np.select([on_emission & skewed, on_emission & thin, on_emission, narrow, any_above], [3, 1, 2, 3, 1], 2)


def _evidence(deep, contrast, cusp, one_sided, narrow, refused, core, turning_km_s):
    """One line of words for each spectrum that needs one."""
    words = np.full(len(deep), None, dtype=object)
    words[refused] = "a ridge between two absorption cores, not emission"
    words[one_sided] = "an emission peak beside a narrow core that is deeper than the peak is high"
    words[cusp] = "emission peaks beside a core too narrow for the dip of a disc"
    words[contrast] = "emission peaks beside a core lower by the shell factor"
    words[deep] = "emission peaks beside a core lower than the profile outside of them"
    for row in np.flatnonzero(narrow):
        words[row] = (
            f"core {core.quarter_km_s[row]:.0f} km/s wide; v sin i of He I 6678 and Si II 6347, 6371 is"
            f" {turning_km_s[row]:.0f} km/s at least"
        )
    return words
