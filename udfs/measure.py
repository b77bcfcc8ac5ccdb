"""Every column of the table line_measurement for a batch of spectra."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from becat.schema.grid import BLUE, RED
from becat.schema.lines import LINES
from becat.schema.parameters import load
from becat.udfs.bartlett import bartlett_peaks, noise_length_a, shared_noise, smooth_bartlett, smoothed_error
from becat.udfs.equivalent_width import equivalent_width
from becat.udfs.nebular import (
    FORBIDDEN_LINES,
    emission_fwhm,
    local_equivalent_width,
    nebular_significance,
    strongest_significance,
)
from becat.udfs.telluric import Water, find_water

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
    water: Water | None = None,
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
    water : Water, optional
        As from `becat.udfs.telluric.find_water`, for the band of EW(H-alpha); None: it is looked for here.
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
    if water is None:
        band_a = (limits["ew_halpha_band_min_a"], limits["ew_halpha_band_max_a"])
        water = find_water(flux_red, ivar_red, power, band_a)
    columns |= _peak_columns(flux_red, ivar_red, snr_r, length_a, limits, shared, continuum_error_red)
    columns["velocity_shift_km_s"] = velocity

    def fwhm(flux, rows):
        return emission_fwhm(
            flux,
            ivar_red[rows],
            snr_r[rows],
            RED.wavelength_a,
            (limits["peak_band_min_a"], limits["peak_band_max_a"]),
            velocity_shift_km_s=velocity[rows],
            significance_min=limits["profile_emission_significance"],
            continuum_error=None if continuum_error_red is None else continuum_error_red[rows],
            noise_length_a=length_a[rows],
        )

    columns["fwhm_halpha_km_s"], columns["e_fwhm_halpha_km_s"] = fwhm(flux_red, slice(None))
    _water_in_peaks(flux_red, water, columns, limits, fwhm)
    arms = {"red": (flux_red, ivar_red, RED), "blue": (flux_blue, ivar_blue, BLUE)}
    columns |= _narrow_line_columns(arms, shared, star_velocity_km_s, limits["nebular_systematic_a"])
    return columns | _water_columns(water, limits, columns)


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
    noise = smoothed_error(ivar[:, PEAK_STRETCH], peaks.width_px)
    noise = noise[np.arange(len(flux)), _in_stretch(peaks.highest_wavelength_a)] * shared_noise(
        peaks.width_px, length_a, RED.step_a
    )
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


def _in_stretch(wavelength_a):
    """Pixels of `PEAK_STRETCH` at wavelengths of the grid; some pixel for NaN."""
    there = np.searchsorted(RED.wavelength_a[PEAK_STRETCH], np.nan_to_num(wavelength_a, nan=RED.start_a) - 1e-6)
    return np.minimum(there, PEAK_STRETCH.stop - PEAK_STRETCH.start - 1)


def _water_in_peaks(flux, water, columns, limits, fwhm):
    """What the water does to the highest peak and to the width at half maximum becomes part of their errors, in place."""
    least = limits["telluric_significance_min"]
    with np.errstate(invalid="ignore"):
        emission = np.isfinite(columns["fwhm_halpha_km_s"]) | (columns["peak_flux"] > 1)
    rows = np.flatnonzero((water.error_width_a(least) != 0) & emission)
    depth = water[rows].depth(least, PEAK_STRETCH)
    dry = np.array(flux[rows])
    dry[:, PEAK_STRETCH] /= 1 - depth
    smooth = smooth_bartlett(depth, np.ma.filled(columns["bartlett_width_px"], 0)[rows])
    there = smooth[np.arange(len(rows)), _in_stretch(columns["peak_wavelength_a"][rows])]
    for name, change in (
        ("fwhm_halpha_km_s", np.nan_to_num(fwhm(dry, rows)[0] - columns["fwhm_halpha_km_s"][rows])),
        ("peak_flux", there * columns["peak_flux"][rows]),
    ):
        columns[f"e_{name}"][rows] = np.hypot(columns[f"e_{name}"][rows], change)


def _water_columns(water, limits, columns):
    """Telluric water, and EW(H-alpha) without it. What the water takes is an error of EW(H-alpha), in place.

    Water that is there but not significant is not subtracted: its best width is an error, up to the spread from night to night.
    """
    least = limits["telluric_significance_min"]
    has_water = np.nan_to_num(water.significance) >= least
    unseen = np.where(has_water, 0.0, water.error_width_a(least))
    width = np.where(has_water, water.width_a, 0.0)
    ew, error = columns["ew_halpha_a"], np.hypot(columns["e_ew_halpha_a"], unseen)
    columns["e_ew_halpha_a"] = np.hypot(error, width)
    return {
        "ew_halpha_dry_a": ew - width,
        "e_ew_halpha_dry_a": np.hypot(error, WATER_ERROR * width),
        "water_strength": water.strength,
        "water_significance": water.significance,
        "has_telluric_water": np.ma.masked_array(has_water, np.isnan(water.significance)),
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
