"""Every column of the table radial_velocity for a batch of spectra."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

import numpy as np

from becat.schema.grid import BLUE
from becat.schema.lines import SPEED_OF_LIGHT_KM_S
from becat.schema.parameters import load
from becat.udfs.velocity.correlate import binned, match
from becat.udfs.velocity.double import Double, double_lines
from becat.udfs.velocity.templates import COOL_K, LAGS_KM_S, blue_bank, helium_bank
from becat.udfs.velocity.wings import halpha_wings

__all__ = ["VELOCITY_PARAMETERS", "velocity_batch"]

# Selection parameters that decide what velocity_batch returns.
VELOCITY_PARAMETERS = (
    "velocity_significance_min",
    "velocity_calibration_elements",
    "velocity_calibration_elsewhere_elements",
)

_SPECTRA_AT_ONCE = 128  # enough that calls cost little, few enough for the processor's cache
_POWER = 7500.0  # where the file gives none
# Templates are made for these resolving powers; sharper spectra take those of the medium-resolution survey.
_POWERS = np.array([1800.0, 7500.0])
_RESOLVED_POWER = 4000.0


def velocity_batch(
    flux_red,
    ivar_red,
    flux_blue,
    ivar_blue,
    resolving_power=None,
    *,
    is_lamost=None,
    continuum_error_red=None,
    parameters: Mapping[str, float] | None = None,
) -> dict[str, np.ndarray]:
    """Measure the velocities of a batch of rectified spectra.

    Parameters
    ----------
    flux_red, ivar_red, flux_blue, ivar_blue, continuum_error_red
        As `becat.udfs.measure.measure_batch` takes them.
    resolving_power : (n_spectra,) float array, optional
        NaN and None count as 7500.
    is_lamost : (n_spectra,) bool array, optional
        Whether the wavelengths are LAMOST's; None counts as True.
    parameters : mapping, optional
        Values of `VELOCITY_PARAMETERS`; those not given are as shipped.

    Returns
    -------
    dict of (n_spectra,) arrays
        The columns of radial_velocity from rv_halpha_wing_km_s to velocity_note; NaN or None where there is no value.
        Velocities are in the frame of the wavelengths.
    """
    n = len(flux_red)
    limits = {name: load()[name].value for name in VELOCITY_PARAMETERS} | dict(parameters or {})
    power = np.full(n, np.nan) if resolving_power is None else np.asarray(resolving_power, float)
    power = np.where(power > 0, power, _POWER)
    of_continuum = np.zeros(n) if continuum_error_red is None else np.nan_to_num(continuum_error_red, nan=0.0)
    elements = np.full(n, limits["velocity_calibration_elements"])
    if is_lamost is not None:
        elements[~np.asarray(is_lamost, bool)] = limits["velocity_calibration_elsewhere_elements"]
    # Of wavelengths: a part of a resolution element, which no number of photons makes smaller.
    calibration = elements * SPEED_OF_LIGHT_KM_S / power
    least = limits["velocity_significance_min"]
    parts = []
    for start in range(0, max(n, 1), _SPECTRA_AT_ONCE):
        rows = slice(start, start + _SPECTRA_AT_ONCE)
        blue = (None, None) if flux_blue is None or ivar_blue is None else (flux_blue[rows], ivar_blue[rows])
        parts.append(
            _columns(flux_red[rows], ivar_red[rows], *blue, power[rows], of_continuum[rows], calibration[rows], least)
        )
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _columns(flux_red, ivar_red, flux_blue, ivar_blue, power, of_continuum, calibration, significance_min):
    n = len(flux_red)
    wings = halpha_wings(flux_red, ivar_red, power, of_continuum, significance_min)
    columns = _with_error("halpha_wing", wings.wing_km_s, wings.e_wing_km_s, calibration)
    columns["wing_separation_km_s"] = wings.separation_km_s
    columns["wing_jump_km_s"] = wings.jump_km_s
    kind = np.where(wings.is_emission, "emission", "absorption")
    columns["halpha_wing_of"] = _words(kind, np.isfinite(wings.separation_km_s))
    columns |= _with_error("halpha_bisector", wings.bisector_km_s, wings.e_bisector_km_s, calibration)
    if flux_blue is None:
        flux_blue, ivar_blue = np.full((n, BLUE.n_pixels), np.nan, np.float32), np.zeros((n, BLUE.n_pixels), np.float32)
    helium = _correlated(flux_red, ivar_red, helium_bank, power, significance_min)
    blue = _correlated(flux_blue, ivar_blue, blue_bank, power, significance_min, doubles=True)
    is_late = blue["is_cool"] & np.isfinite(blue["velocity"])
    columns |= _with_error("hei_6680", np.where(is_late, np.nan, helium["velocity"]), helium["error"], calibration)
    columns |= _with_error("blue", blue["velocity"], blue["error"], calibration)
    columns["blue_template"] = _words(blue["name"], np.isfinite(blue["velocity"]))
    for name in ("primary", "secondary"):
        columns |= _with_error(name, blue[f"{name}_km_s"], blue[f"e_{name}_km_s"], calibration)
    columns["secondary_strength_ratio"] = blue["ratio"]
    columns["velocity_note"] = _notes(columns, helium, blue, is_late)
    return columns


def _with_error(name, velocity, error, calibration):
    error = np.where(np.isfinite(velocity), np.hypot(error, calibration), np.nan)
    return {f"rv_{name}_km_s": velocity, f"e_rv_{name}_km_s": error}


def _correlated(flux, ivar, bank_of, power, significance_min, doubles=False):
    """Velocity, error, name of the template and why there is no velocity, with templates of each spectrum's resolution."""
    n = len(flux)
    found = {name: np.full(n, np.nan) for name in ("velocity", "error")}
    if doubles:
        found |= {field.name: np.full(n, np.nan) for field in fields(Double)}
    nothing = np.full(n, None, object)
    found |= {"name": nothing, "why": nothing.copy(), "is_cool": np.zeros(n, bool)}
    low = power < _RESOLVED_POWER
    for rows, of_bank in ((np.flatnonzero(low), _POWERS[0]), (np.flatnonzero(~low), _POWERS[1])):
        if not rows.size:
            continue
        bank = bank_of(of_bank)
        # All rows as they stand, without a copy, is the usual case.
        part = slice(None) if rows.size == n else rows
        depth, weight = binned(flux[part], ivar[part], bank)
        best = match(depth, weight, bank)
        if doubles:
            two = double_lines(depth, weight, bank, best, significance_min)
            for field in fields(Double):
                found[field.name][rows] = getattr(two, field.name)
        covered = np.isfinite(best.significance)
        with np.errstate(invalid="ignore"):
            seen = covered & (best.significance >= significance_min) & (np.abs(best.velocity_km_s) < LAGS_KM_S[-1])
        found["velocity"][rows] = np.where(seen, best.velocity_km_s, np.nan)
        found["error"][rows] = np.where(seen, best.e_velocity_km_s, np.nan)
        found["name"][rows] = np.array(bank.names, object)[best.template]
        found["is_cool"][rows] = bank.teff_k[best.template] < COOL_K
        found["why"][rows] = _words(np.where(covered, "no line", "no data"), ~seen)
    return found


def _words(words, there):
    """Text where a condition holds, None elsewhere."""
    found = np.full(there.shape, None, object)
    found[there] = np.broadcast_to(words, there.shape)[there]
    return found


def _notes(columns, helium, blue, is_late):
    """Why there is no velocity, or None where all methods gave one."""
    words = {
        "H-alpha wings": _words("no line or wings cut off", np.isnan(columns["rv_halpha_wing_km_s"])),
        "He I 6678": np.where(is_late, "late type", helium["why"]),
        "blue arm": blue["why"],
    }
    return np.array(
        [
            "; ".join(f"{name}: {why}" for name, why in zip(words, row, strict=True) if why) or None
            for row in zip(*words.values(), strict=True)
        ],
        object,
    )
