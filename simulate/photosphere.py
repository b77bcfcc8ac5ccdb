"""Photospheric spectra: Stark-broadened H-alpha with its core, the other lines of both arms, rotation."""

from __future__ import annotations

from functools import cache

import numpy as np

from becat.schema.lines import LINES, SPEED_OF_LIGHT_KM_S
from becat.simulate.draw import distributions, draw, interpolate, line_list
from becat.simulate.velocity import VelocityGrid, fourier_gaussian, fourier_rotation, fourier_shift, multiply

__all__ = ["HALPHA_A", "draw_star", "irregular_shapes", "photosphere"]

HALPHA_A = LINES["halpha"].wavelength_a
_LINE_FWHM_KM_S = 12.0  # thermal and turbulent width of metal lines
_DAMPED_FWHM_KM_S = 90.0
_FWHM_OF_SIGMA = 2.3548
_DEEPEST, _INNERMOST_A = 0.97, 0.05  # no line is deeper; nearer to the centre a line's depth is that at the centre
_SCATTER = {"metal": "cool_line_scatter", "magnesium": "cool_line_scatter"}
_DRAWN = (
    "wing_power", "core_power", "core_damping", "macroturbulence_km_s", "limb_darkening", "polar_light", "metallicity_dex",
)  # fmt: skip


def draw_star(group: str, rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    """Parameters of n stars of one group of distributions.toml.

    Returns
    -------
    dict of (n,) arrays
        teff_k, logg_dex, v_sin_i_km_s, limb_darkening, polar_light, macroturbulence_km_s, metallicity_dex, and the H-alpha
        shape: wing_depth, wing_hwhm_a, wing_power, core_depth, core_fwhm_a, core_power, core_damping; and as (n, k) arrays
        irregularity, of the depth of H-alpha at k distances from its centre, and line_scatter, of the strengths of the k other lines, both
        natural logarithms.
    """
    ranges, table = distributions()["stars"][group], distributions()["photosphere"]
    star = {name: draw(spec, rng, n) for name, spec in ranges.items()}
    teff, logg = star["teff_k"], star["logg_dex"]
    for name in _DRAWN:
        star[name] = draw(table[name], rng, n)
    gravity = 10 ** (table["gravity_exponent"] * np.minimum(logg - 4.0, 0.3))
    gravity = np.where(teff > 7000, gravity, 1.0)  # cooler lines do not feel the pressure that way
    depth = interpolate(teff, table, "wing_depth") * draw(table["scatter_depth"], rng, n)
    star["wing_depth"] = np.clip(depth, 0.0, 0.6)
    star["wing_hwhm_a"] = (
        interpolate(teff, table, "wing_hwhm_a") * gravity * np.exp(draw(table["scatter_width"], rng, n))
    )
    core = interpolate(teff, table, "core_depth") * draw(table["scatter_core_depth"], rng, n)
    star["core_depth"] = np.clip(core, 0.05, 0.8)
    star["core_fwhm_a"] = interpolate(teff, table, "core_fwhm_a") * np.exp(draw(table["scatter_width"], rng, n))
    k = len(table["irregular_at_a"])
    star["irregularity"] = draw(table["irregularity"], rng, n * k).reshape(n, k).astype(np.float32)
    star["line_scatter"] = np.stack(
        [
            draw(table[_SCATTER.get(str(name), "hot_line_scatter")], rng, n)
            for name in line_list("stellar_lines.csv")["species"]
        ],
        axis=1,
    ).astype(np.float32)
    return star


def photosphere(star: dict[str, np.ndarray], rv_km_s: np.ndarray, grid: VelocityGrid) -> np.ndarray:
    """Spectra of rotating stars over their continuum.

    Parameters
    ----------
    star : dict of (n,) arrays
        As made by `draw_star`.
    rv_km_s : (n,) float array
        Radial velocities, km/s.
    grid : VelocityGrid

    Returns
    -------
    (n, grid.n_pixels) float32 array, continuum = 1; no instrument in it.
    """
    still = _halpha(star, grid) * np.exp(-_line_opacity(star, grid)) * (1 - _titanium_oxide(star, grid))
    turbulence = fourier_gaussian(grid, star["macroturbulence_km_s"])
    moved = [fourier_shift(grid, rv_km_s)] if np.any(rv_km_s) else []
    return 1 - multiply(1 - still, _rotation(star, grid), turbulence, *moved)


def _rotation(star, grid):
    """Transform of the rotation of a star whose pole is brighter than its equator."""
    speed, dark = star["v_sin_i_km_s"], star["limb_darkening"]
    polar = np.clip(star["polar_light"] * speed / 400, 0, 1)[:, None].astype(np.float32)
    return (1 - polar) * fourier_rotation(grid, speed, dark) + polar * fourier_rotation(grid, speed / 2, dark)


def _halpha(star, grid):
    """(n, n_pixels) H-alpha of resting stars: wings that fall as a power, and a narrower non-LTE core on them."""
    distance = np.abs(grid.wavelength_a - HALPHA_A).astype(np.float32)[None, :]

    def column(name):
        return np.asarray(star[name], dtype=np.float32)[:, None]

    wing = column("wing_depth") / (1 + (distance / column("wing_hwhm_a")) ** column("wing_power"))
    width, damped = 2 * distance / column("core_fwhm_a"), column("core_damping")
    core = (1 - damped) * np.exp(-np.log(2) * width ** column("core_power")) + damped / (1 + width**2)
    depth = 1 - (1 - wing) * (1 - column("core_depth") * core)
    return 1 - np.minimum(depth * np.exp(star["irregularity"] @ irregular_shapes(distance[0])), _DEEPEST)


def irregular_shapes(distance_a: np.ndarray) -> np.ndarray:
    """(k, p) how each irregularity of a line's depth goes with distance from its centre, (p,) Angstrom: bumps in its logarithm."""
    table = distributions()["photosphere"]
    apart = np.log(distance_a + _INNERMOST_A) - np.log(np.array(table["irregular_at_a"]) + _INNERMOST_A)[:, None]
    return np.exp(-0.5 * (apart / table["irregular_width"]) ** 2).astype(np.float32)


def _line_opacity(star, grid):
    """(n, n_pixels) optical depth of every other line, as a product of strengths and one Gaussian a line."""
    inside, shape = _line_shapes(grid)
    widths = _line_widths(star, line_list("stellar_lines.csv")[inside]) * np.exp(star["line_scatter"][:, inside])
    return widths.astype(np.float32) @ shape


@cache
def _line_shapes(grid):
    """Numbers of the lines that the grid covers, and their (n_lines, n_pixels) profiles of unit area."""
    lines, wavelength = line_list("stellar_lines.csv"), grid.wavelength_a
    inside = np.flatnonzero((lines["wavelength_a"] > wavelength[0]) & (lines["wavelength_a"] < wavelength[-1]))
    lines = lines[inside]
    sigma = lines["wavelength_a"] * _line_fwhm_km_s(lines, grid) / SPEED_OF_LIGHT_KM_S / _FWHM_OF_SIGMA
    shape = np.exp(-0.5 * ((wavelength - lines["wavelength_a"][:, None]) / sigma[:, None]) ** 2)
    return inside, (shape / (sigma[:, None] * np.sqrt(2 * np.pi))).astype(np.float32)


def _line_fwhm_km_s(lines, grid):
    """Widths of the lines; the magnesium triplet has damping wings, and no line is narrower than two pixels."""
    own = np.where(lines["species"] == "magnesium", _DAMPED_FWHM_KM_S, _LINE_FWHM_KM_S)
    return np.hypot(own, 2 * grid.step_km_s)


def _line_widths(star, lines):
    """(n, n_lines) equivalent widths, Angstrom, of the listed lines in each star."""
    species = distributions()["species"]
    widths = {name: interpolate(star["teff_k"], table, "ew_a") for name, table in species.items()}
    metals = 10 ** (0.5 * star["metallicity_dex"])  # a saturated line grows slower than its abundance
    giant = 1 + 0.15 * np.clip(4.0 - star["logg_dex"], -0.5, 2.5)
    per_line = np.stack([widths[str(name)] for name in lines["species"]], axis=1)
    return per_line * lines["strength"] * (metals * giant)[:, None]


def _titanium_oxide(star, grid):
    """(n, n_pixels) depth of the TiO bands of M stars; zero for hotter ones."""
    table = distributions()["titanium_oxide"]
    depth = interpolate(star["teff_k"], table, "depth")
    shape = np.zeros(grid.n_pixels)
    for head, strength, scale in zip(table["heads_a"], table["strength"], table["scale_a"], strict=True):
        behind = grid.wavelength_a - head
        shape = np.maximum(shape, np.where(behind > 0, strength * np.exp(-behind / scale), 0))
    return (depth[:, None] * shape).astype(np.float32)
