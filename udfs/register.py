"""The measurements as functions of SQL, on any DuckDB connection.

>>> import duckdb, udfs
>>> connection = duckdb.connect("catalog.duckdb", read_only=True)
>>> becat.udfs.register(connection)
>>> connection.sql("select spectrum_id, equivalent_width(flux, ivar, 6548, 6578).ew_a from flux_red")

A Python function lives in one connection only: no view may use one. Functions of arrays take an array on the red or
the blue grid or of the window around H-alpha: a temporary macro picks the right one by the array's length.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import duckdb
import numpy as np
import pyarrow as pa

from becat.schema.grid import ARMS, RED, Grid
from becat.schema.lines import LINES
from becat.schema.parameters import in_force
from becat.udfs.arrow import lists, matrix, nullable, struct, vector
from becat.udfs.bands import repair
from becat.udfs.bartlett import bartlett_peaks, bartlett_width, smooth_bartlett
from becat.udfs.colour import q_index
from becat.udfs.equivalent_width import equivalent_width
from becat.udfs.nebular import local_equivalent_width
from becat.udfs.profile_class import PROFILE_PARAMETERS, profile_batch

__all__ = ["FUNCTIONS", "HALPHA", "register"]

# The part of the red grid that H-alpha needs, 6525-6595 A. DuckDB hands arrays over element by element: a table of
# these windows is measured several times as fast as one of whole arms.
HALPHA = Grid("halpha", 6525.0, RED.step_a, 561)
_HALPHA_PIXELS = slice(1800, 2361)
_GRIDS = {**ARMS, "halpha": HALPHA}

_WIDTH = "STRUCT(ew_a FLOAT, e_ew_a FLOAT)"
_PEAKS = (
    "STRUCT(n_peaks INTEGER, n_valleys INTEGER, width_px INTEGER, highest_wavelength_a DOUBLE, highest_flux FLOAT,"
    " peak_wavelength_a DOUBLE[], peak_flux FLOAT[], valley_wavelength_a DOUBLE[], valley_flux FLOAT[])"
)
_PROFILE = {
    "profile_class": ("VARCHAR", pa.string()),
    "profile_type": ("VARCHAR", pa.string()),
    "shell_type": ("INTEGER", pa.int32()),
    "n_emission_peaks": ("INTEGER", pa.int32()),
    "violet_red_ratio": ("FLOAT", pa.float32()),
    "e_violet_red_ratio": ("FLOAT", pa.float32()),
    "peak_separation_km_s": ("FLOAT", pa.float32()),
    "shell_fwhm_km_s": ("FLOAT", pa.float32()),
    "shell_asymmetry": ("FLOAT", pa.float32()),
    "core_flux": ("FLOAT", pa.float32()),
    "e_core_flux": ("FLOAT", pa.float32()),
    "has_two_cores": ("BOOLEAN", pa.bool_()),
    "evidence": ("VARCHAR", pa.string()),
    "profile_class_on_second_look": ("VARCHAR", pa.string()),
    "n_significant_peaks": ("INTEGER", pa.int32()),
}


@dataclass(frozen=True)
class Function:
    """A function of SQL: its arguments and result, and, for functions of arrays, the arms that it serves."""

    name: str
    arguments: tuple[tuple[str, str], ...]
    result: str
    call: Callable
    arms: tuple[str, ...] = ()
    needs_parameters: bool = False

    def types(self, arm=None):
        """Types of the arguments; ``ARRAY`` stands for the flux array of an arm."""
        array = f"FLOAT[{_GRIDS[arm].n_pixels}]" if arm else ""
        return [type_.replace("ARRAY", array) for _, type_ in self.arguments]


def _width_struct(width, error, present):
    # Without an error there is no width: neither says anything by itself.
    known = np.isfinite(width) & np.isfinite(error) & present
    fields = {"ew_a": nullable(width, pa.float32()), "e_ew_a": nullable(error, pa.float32())}
    return struct(fields, known)


def _by_value(values, measure, n_rows):
    """Results of `measure` for each distinct set of constants; nearly always there is one set in a call."""
    width, error = np.full(n_rows, np.nan), np.full(n_rows, np.nan)
    for constants in set(zip(*values, strict=True)):
        rows = np.logical_and.reduce([value == constant for value, constant in zip(values, constants, strict=True)])
        if rows.any():
            rows = slice(None) if rows.all() else np.flatnonzero(rows)
            width[rows], error[rows] = measure(rows, *constants)
    return width, error


def _equivalent_width(parameters, grid: Grid, flux, ivar, band_min_a, band_max_a):
    return _equivalent_width_at(parameters, grid, flux, ivar, band_min_a, band_max_a, None)


def _equivalent_width_at(parameters, grid: Grid, flux, ivar, band_min_a, band_max_a, velocity_km_s):
    flux, has_flux = matrix(flux)
    ivar, has_ivar = matrix(ivar)
    velocity = None if velocity_km_s is None else vector(velocity_km_s)
    limits = vector(band_min_a), vector(band_max_a)

    def measure(rows, low_a, high_a):
        return equivalent_width(
            flux[rows],
            ivar[rows],
            grid.wavelength_a,
            (low_a, high_a),
            velocity_shift_km_s=None if velocity is None else velocity[rows],
            masked_fraction_max=parameters["ew_masked_fraction_max"],
        )

    width, error = _by_value(limits, measure, len(flux))
    return _width_struct(width, error, has_flux & has_ivar)


def _line_width(grid: Grid, flux, ivar, line):
    flux, has_flux = matrix(flux)
    ivar, has_ivar = matrix(ivar)
    names = np.array(line.to_pylist(), dtype=object)
    unknown = set(names) - {None} - set(LINES)
    if unknown:
        raise ValueError(f"no line {sorted(unknown)}: choose one of {', '.join(LINES)}")

    def measure(rows, name):
        if name is None:
            return np.nan, np.nan
        return local_equivalent_width(flux[rows], ivar[rows], grid.wavelength_a, LINES[name])

    width, error = _by_value((names,), measure, len(flux))
    return _width_struct(width, error, has_flux & has_ivar)


def _bartlett_peaks(parameters, grid: Grid, flux, snr):
    flux, present = matrix(flux)
    band_a = parameters["peak_band_min_a"], parameters["peak_band_max_a"]
    peaks = bartlett_peaks(flux, np.where(present, vector(snr), np.nan), grid.wavelength_a, band_a)
    searched = peaks.n_peaks >= 0
    fields = {
        "n_peaks": nullable(peaks.n_peaks, pa.int32()),
        "n_valleys": nullable(peaks.n_valleys, pa.int32()),
        "width_px": nullable(peaks.width_px, pa.int32()),
        "highest_wavelength_a": nullable(peaks.highest_wavelength_a, pa.float64()),
        "highest_flux": nullable(peaks.highest_flux, pa.float32()),
        "peak_wavelength_a": lists(peaks.peak_wavelength_a, peaks.n_peaks, pa.float64()),
        "peak_flux": lists(peaks.peak_flux, peaks.n_peaks, pa.float32()),
        "valley_wavelength_a": lists(peaks.valley_wavelength_a, peaks.n_valleys, pa.float64()),
        "valley_flux": lists(peaks.valley_flux, peaks.n_valleys, pa.float32()),
    }
    return struct(fields, searched)


def _halpha_window(_: Grid, flux):
    flux, present = matrix(flux)
    values = pa.array(flux[:, _HALPHA_PIXELS].ravel())
    mask = None if present.all() else pa.array(~present)
    return pa.FixedSizeListArray.from_arrays(values, HALPHA.n_pixels, mask=mask)


def _smooth_bartlett(grid: Grid, flux, snr):
    flux, present = matrix(flux)
    width_px = np.where(present, bartlett_width(vector(snr), grid.step_a), 0)
    repaired, good = repair(flux, np.isfinite(flux))
    smooth = np.where(good, smooth_bartlett(repaired, width_px), np.nan)
    known = width_px > 0
    values = nullable(smooth.ravel(), pa.float32())
    mask = None if known.all() else pa.array(~known)
    return pa.FixedSizeListArray.from_arrays(values, grid.n_pixels, mask=mask)


def _halpha_profile(parameters, grid: Grid, flux, ivar, snr):
    flux, has_flux = matrix(flux)
    ivar, has_ivar = matrix(ivar)
    known = has_flux & has_ivar
    snr = np.where(known, vector(snr), np.nan)
    columns = profile_batch(flux, ivar, snr, parameters={name: parameters[name] for name in PROFILE_PARAMETERS})
    known &= np.array([name is not None for name in columns["profile_class"]])
    return struct({name: nullable(columns[name], type_) for name, (_, type_) in _PROFILE.items()}, known)


def _q_index(parameters, j_mag, h_mag, k_mag):
    ratio = parameters["q_reddening_ratio"]
    return nullable(q_index(vector(j_mag), vector(h_mag), vector(k_mag), reddening_ratio=ratio)[0], pa.float64())


def _e_q_index(parameters, e_j_mag, e_h_mag, e_k_mag):
    zero, errors = np.zeros(len(e_j_mag)), map(vector, (e_j_mag, e_h_mag, e_k_mag))
    return nullable(
        q_index(zero, zero, zero, *errors, reddening_ratio=parameters["q_reddening_ratio"])[1], pa.float64()
    )


_SPECTRUM = (("flux", "ARRAY"), ("ivar", "ARRAY"))
_BAND = (("band_min_a", "DOUBLE"), ("band_max_a", "DOUBLE"))
_ANY = tuple(_GRIDS)

FUNCTIONS = (
    Function("equivalent_width", (*_SPECTRUM, *_BAND), _WIDTH, _equivalent_width, _ANY, True),
    Function(
        "equivalent_width_at",
        (*_SPECTRUM, *_BAND, ("velocity_km_s", "DOUBLE")),
        _WIDTH,
        _equivalent_width_at,
        _ANY,
        True,
    ),
    Function("line_width", (*_SPECTRUM, ("line", "VARCHAR")), _WIDTH, _line_width, _ANY),
    Function("smooth_bartlett", (("flux", "ARRAY"), ("snr", "DOUBLE")), "ARRAY", _smooth_bartlett, _ANY),
    Function(
        "bartlett_peaks", (("flux", "ARRAY"), ("snr", "DOUBLE")), _PEAKS, _bartlett_peaks, ("red", "halpha"), True
    ),
    Function("halpha_window", (("flux", "ARRAY"),), f"FLOAT[{HALPHA.n_pixels}]", _halpha_window, ("red",)),
    Function(
        "halpha_profile",
        (*_SPECTRUM, ("snr", "DOUBLE")),
        f"STRUCT({', '.join(f'{name} {sql}' for name, (sql, _) in _PROFILE.items())})",
        _halpha_profile,
        ("red",),
        True,
    ),
    Function("q_index", tuple((name, "DOUBLE") for name in ("j_mag", "h_mag", "k_mag")), "DOUBLE", _q_index, (), True),
    Function(
        "e_q_index",
        tuple((name, "DOUBLE") for name in ("e_j_mag", "e_h_mag", "e_k_mag")),
        "DOUBLE",
        _e_q_index,
        (),
        True,
    ),
)


def register(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the measurements callable in SQL on a connection.

    Registering again replaces what was registered. Register on the connection itself, not on a cursor of it, and close
    the connection at the end. A catalogue opened read-only will do: nothing is written.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Any open connection.

    Notes
    -----
    - ``equivalent_width(flux, ivar, band_min_a, band_max_a)`` -> STRUCT(ew_a, e_ew_a)
    - ``equivalent_width_at(flux, ivar, band_min_a, band_max_a, velocity_km_s)``: the same in a moving star's frame
    - ``line_width(flux, ivar, line)``: against the local continuum; lines as in schema/lines.csv
    - ``bartlett_peaks(flux, snr)`` -> STRUCT(n_peaks, n_valleys, width_px, highest_…, lists of peaks and valleys)
    - ``smooth_bartlett(flux, snr)`` -> array like flux
    - ``halpha_window(flux)`` -> FLOAT[561], 6525-6595 A of the red arm; the functions above take such windows too
    - ``halpha_profile(flux, ivar, snr)`` -> STRUCT with the columns of profile_class
    - ``q_index(j_mag, h_mag, k_mag)``, ``e_q_index(e_j_mag, e_h_mag, e_k_mag)`` -> DOUBLE

    NULL in gives NULL out, and what cannot be measured is NULL, never NaN. Thresholds are those of the catalogue at the time
    of the call, of a connection without one those as shipped: register again when you have changed one.
    """
    parameters = in_force(connection)
    for function in FUNCTIONS:
        call = partial(function.call, parameters) if function.needs_parameters else function.call
        if not function.arms:
            _create(connection, function.name, call, function.types(), function.result)
            continue
        for arm in function.arms:
            result = function.result.replace("ARRAY", f"FLOAT[{_GRIDS[arm].n_pixels}]")
            _create(connection, f"{function.name}_{arm}", partial(call, _GRIDS[arm]), function.types(arm), result)
        connection.execute(_macro(function))


def _create(connection, name, call, types, result):
    with suppress(duckdb.InvalidInputException):  # not registered yet
        connection.remove_function(name)
    # Without "special" DuckDB refuses a NULL that is the answer to a spectrum that cannot be measured.
    connection.create_function(name, call, types, result, type="arrow", null_handling="special")


def _macro(function):
    """A temporary macro with the function's own name, one version for each arm."""
    names = [name for name, _ in function.arguments]
    versions = []
    for arm in function.arms:
        # Only the first array decides: of the others an untyped NULL is welcome.
        typed = [f"flux FLOAT[{_GRIDS[arm].n_pixels}]", *names[1:]]
        versions.append(f"({', '.join(typed)}) as {function.name}_{arm}({', '.join(names)})")
    return f"create or replace temp macro {function.name} {', '.join(versions)}"
