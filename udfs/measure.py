"""Every column of the table line_measurement for a batch of spectra."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from becat.schema.grid import BLUE, RED
from becat.schema.lines import LINES
from becat.schema.parameters import load
from becat.udfs.bartlett import bartlett_peaks, noise_length_a, shared_noise, smoothed_error
from becat.udfs.equivalent_width import equivalent_width
from becat.udfs.nebular import (
    FORBIDDEN_LINES,
    emission_fwhm,
    local_equivalent_width,
    nebular_significance,
    strongest_significance,
)
from becat.udfs.telluric import water_strength

__all__ = ["MEASURE_PARAMETERS", "measure_batch"]

# Selection parameters that decide what measure_batch returns.
MEASURE_PARAMETERS = (
    "ew_halpha_band_min_a",
    "ew_halpha_band_max_a",
    "ew_mgb_band_min_a",
    "ew_mgb_band_max_a",
    "ew_masked_fraction_max",
    "ew_zero_level_error",
    "peak_band_min_a",
    "peak_band_max_a",
    "profile_emission_significance",
    "nebular_systematic_a",
    "telluric_significance_min",
)

# Where the highest peak may lie, and the reach of the widest smoothing.
PEAK_STRETCH = slice(*np.searchsorted(RED.wavelength_a, (6500.0, 6630.0)))

# Relative error of the width that water takes: nights of a constant star with up to 0.55 Angstrom of it agree to 0.05 without it.
WATER_ERROR = 0.2

# Spread of the width that water takes from night to night, Angstrom: what an exposure in which it is not seen may hide. It is that of strengths
# between 0.02 and 1 of a wet night's, evenly spread in their logarithm, as the simulator draws them.
WATER_SPREAD_A = 0.13

# Lines measured against their local continuum, in the order of the table.
_NARROW_LINES = (*FORBIDDEN_LINES, "hei_6680")


def measure_batch(
    flux_red,
    ivar_red,
    flux_blue,
    ivar_blue,
    snr_r,
    velocity_shift_km_s=None,
    *,
    star_velocity_km_s=None,
    resolving_power=None,
    is_lamost_coadd=None,
    continuum_error_red=None,
    continuum_error_blue=None,
    parameters: Mapping[str, float] | None = None,
) -> dict[str, np.ndarray]:
    """Measure all lines of a batch of rectified spectra.

    Parameters
    ----------
    flux_red, ivar_red : (n_spectra, 4001) float array
        Rectified flux on ``becat.schema.grid.RED`` and its inverse variance (zero where masked).
    flux_blue, ivar_blue : (n_spectra, 3201) float array or None
        The same on ``becat.schema.grid.BLUE``; NaN rows (or None for all) where there is no blue arm.
    snr_r : (n_spectra,) float array
        Signal to noise per pixel of the red arm; without it (NaN) there are no peaks.
    velocity_shift_km_s : (n_spectra,) float array, optional
        Velocity by which the bands of stellar lines are moved, km/s; NaN and None count as zero. The forbidden lines are
        not the star's and do not follow it.
    star_velocity_km_s : (n_spectra,) float array, optional
        Velocity of the star where it is known and trusted, km/s, else NaN: a nebula may move with the star or be at rest, and
        the forbidden lines are taken from the frame in which they are the more significant.
    resolving_power : (n_spectra,) float array, optional
        For the lines of telluric water, where NaN and None count as 7500, and for the noise that pixels share.
    is_lamost_coadd : (n_spectra,) bool array, optional
        For the noise that pixels share; None: there are none.
    continuum_error_red, continuum_error_blue : (n_spectra,) float array, optional
        Relative error of the continuum across the bands, of which NaN counts as zero; it enters the errors of EW(H-alpha)
        and EW(Mg b).
    parameters : mapping, optional
        Values of `MEASURE_PARAMETERS`; those not given are as shipped. An infinite ``telluric_significance_min`` leaves telluric
        water out of widths and errors.

    Returns
    -------
    dict of (n_spectra,) arrays
        The columns of line_measurement from ew_halpha_a to has_telluric_water. A float is NaN and a masked
        integer array is masked where there is no value.

    Raises
    ------
    ValueError
        An array has not the length of its grid.
    """
    flux_red, ivar_red = _checked(flux_red, ivar_red, RED)
    n_spectra = len(flux_red)
    limits = {name: load()[name].value for name in MEASURE_PARAMETERS} | dict(parameters or {})
    velocity = np.zeros(n_spectra) if velocity_shift_km_s is None else np.nan_to_num(velocity_shift_km_s, nan=0.0)
    shared = {"velocity_shift_km_s": velocity, "masked_fraction_max": limits["ew_masked_fraction_max"]}
    columns = _width_columns(flux_red, ivar_red, RED, "halpha", limits, shared, continuum_error_red)
    if flux_blue is None or ivar_blue is None:
        columns |= {name: np.full(n_spectra, np.nan) for name in ("ew_mgb_a", "e_ew_mgb_a")}
    else:
        flux_blue, ivar_blue = _checked(flux_blue, ivar_blue, BLUE)
        columns |= _width_columns(flux_blue, ivar_blue, BLUE, "mgb", limits, shared, continuum_error_blue)
    power = np.full(n_spectra, np.nan) if resolving_power is None else resolving_power
    length_a = noise_length_a(power, LINES["halpha"].wavelength_a, is_lamost_coadd)
    columns |= _peak_columns(flux_red, ivar_red, snr_r, length_a, limits, shared, continuum_error_red)
    columns["velocity_shift_km_s"] = velocity
    columns["fwhm_halpha_km_s"], columns["e_fwhm_halpha_km_s"] = emission_fwhm(
        flux_red,
        ivar_red,
        snr_r,
        RED.wavelength_a,
        (limits["peak_band_min_a"], limits["peak_band_max_a"]),
        velocity_shift_km_s=velocity,
        significance_min=limits["profile_emission_significance"],
        continuum_error=continuum_error_red,
        noise_length_a=length_a,
    )
    arms = {"red": (flux_red, ivar_red, RED), "blue": (flux_blue, ivar_blue, BLUE)}
    columns |= _narrow_line_columns(arms, shared, star_velocity_km_s, limits["nebular_systematic_a"])
    return columns | _water_columns(flux_red, ivar_red, power, limits, columns)


def _checked(flux, ivar, grid):
    """Both arrays as given, once it is sure that they are on the grid."""
    flux, ivar = np.asarray(flux), np.asarray(ivar)
    if flux.ndim != 2 or flux.shape != ivar.shape or flux.shape[1] != grid.n_pixels:
        raise ValueError(
            f"flux {flux.shape} and ivar {ivar.shape} of the {grid.arm} arm: both must be (n_spectra, {grid.n_pixels})"
        )
    return flux, ivar


def _width_columns(flux, ivar, grid, name, limits, shared, continuum_error):
    band_a = (limits[f"ew_{name}_band_min_a"], limits[f"ew_{name}_band_max_a"])
    width, error = equivalent_width(flux, ivar, grid.wavelength_a, band_a, continuum_error=continuum_error, **shared)
    error = np.hypot(error, limits["ew_zero_level_error"] * width)
    return {f"ew_{name}_a": width, f"e_ew_{name}_a": error}


def _peak_columns(flux, ivar, snr, length_a, limits, shared, continuum_error):
    band_a = (limits["peak_band_min_a"], limits["peak_band_max_a"])
    peaks = bartlett_peaks(flux, snr, RED.wavelength_a, band_a, inverse_variance=ivar, **shared)
    unsearched = peaks.n_peaks < 0
    there = np.searchsorted(RED.wavelength_a, np.nan_to_num(peaks.highest_wavelength_a, nan=RED.start_a) - 1e-6)
    noise = smoothed_error(ivar[:, PEAK_STRETCH], peaks.width_px)
    there = np.clip(there - PEAK_STRETCH.start, 0, noise.shape[1] - 1)
    noise = noise[np.arange(len(flux)), there] * shared_noise(peaks.width_px, length_a, RED.step_a)
    of_continuum = 0.0 if continuum_error is None else np.nan_to_num(continuum_error, nan=0.0)
    of_level = np.hypot(
        of_continuum * peaks.highest_flux, limits["ew_zero_level_error"] * (peaks.highest_flux - 1)
    )  # sky and stray light stretch all that stands above the continuum
    e_peak_flux = np.hypot(noise, of_level)
    return {
        "n_peaks": np.ma.masked_array(peaks.n_peaks, unsearched),
        "n_valleys": np.ma.masked_array(peaks.n_valleys, unsearched),
        "bartlett_width_px": np.ma.masked_array(peaks.width_px, unsearched),
        "peak_wavelength_a": peaks.highest_wavelength_a,
        "peak_flux": peaks.highest_flux,
        "e_peak_flux": e_peak_flux,
    }


def _water_columns(flux, ivar, power, limits, columns):
    """Telluric water, and EW(H-alpha) without it. What the water takes is an error of EW(H-alpha), in place.

    Water that is there but not significant is not subtracted: its best width is an error, up to the spread from night to night.
    """
    band_a = (limits["ew_halpha_band_min_a"], limits["ew_halpha_band_max_a"])
    strength, significance, width = water_strength(flux, ivar, power, band_a)
    has_water = np.nan_to_num(significance) >= limits["telluric_significance_min"]
    unseen = np.clip(np.nan_to_num(width, nan=WATER_SPREAD_A), 0.0, WATER_SPREAD_A)
    unseen = np.where(has_water | np.isinf(limits["telluric_significance_min"]), 0.0, unseen)
    width = np.where(has_water, width, 0.0)
    ew, error = columns["ew_halpha_a"], np.hypot(columns["e_ew_halpha_a"], unseen)
    columns["e_ew_halpha_a"] = np.hypot(error, width)
    return {
        "ew_halpha_dry_a": ew - width,
        "e_ew_halpha_dry_a": np.hypot(error, WATER_ERROR * width),
        "water_strength": strength,
        "water_significance": significance,
        "has_telluric_water": np.ma.masked_array(has_water, np.isnan(significance)),
    }


def _narrow_line_columns(arms, shared, star_velocity, systematic_a):
    """Narrow lines, the forbidden ones in the frame, at rest or the star's, in which they are the more significant."""
    columns = _in_frame(arms, shared, None, systematic_a)
    known = np.zeros(0) if star_velocity is None else np.flatnonzero(np.nan_to_num(star_velocity, nan=0.0))
    if known.size:
        part = {
            name: (None if flux is None else flux[known], None if ivar is None else ivar[known], grid)
            for name, (flux, ivar, grid) in arms.items()
        }
        moving = _in_frame(
            part,
            shared | {"velocity_shift_km_s": shared["velocity_shift_km_s"][known]},
            star_velocity[known],  # pyright: ignore[reportOptionalSubscript]
            systematic_a,
        )
        better = moving["nebular_significance"] > np.nan_to_num(columns["nebular_significance"][known], nan=-np.inf)
        for name, values in moving.items():
            columns[name][known[better]] = values[better]
    return columns


def _in_frame(arms, shared, nebular_velocity, systematic_a):
    """Narrow lines, the forbidden ones moved by a velocity."""
    columns = {}
    for name in _NARROW_LINES:
        line = LINES[name]
        flux, ivar, grid = arms[line.arm]
        velocity = nebular_velocity if line.use == "nebular" else shared["velocity_shift_km_s"]
        if flux is None:
            width = error = np.full(len(shared["velocity_shift_km_s"]), np.nan)
        else:
            width, error = local_equivalent_width(
                flux,
                ivar,
                grid.wavelength_a,
                line,
                velocity_shift_km_s=velocity,
                masked_fraction_max=shared["masked_fraction_max"],
            )
        columns |= {f"ew_{name}_a": width, f"e_ew_{name}_a": error}
    widths, errors = (np.array([columns[f"{kind}_{name}_a"] for name in FORBIDDEN_LINES]) for kind in ("ew", "e_ew"))
    columns["nebular_significance"] = nebular_significance(widths, errors, systematic_a)
    columns["forbidden_line_significance"] = strongest_significance(widths, errors, systematic_a)
    return columns
