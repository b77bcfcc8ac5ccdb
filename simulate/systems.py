"""Stars with what surrounds them: drawn once, then rendered on any wavelength grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from becat.schema.lines import LINES, SPEED_OF_LIGHT_KM_S
from becat.simulate.disc import disc_emission, draw_disc, draw_shell, shell_absorption
from becat.simulate.draw import OwnDraws, distributions, draw
from becat.simulate.photosphere import HALPHA_A, draw_star, photosphere
from becat.simulate.velocity import VelocityGrid

__all__ = ["Systems", "absorbed_light", "draw_radial_velocities", "draw_systems", "render"]

_FWHM_OF_SIGMA = 2.3548
# Nebular lines and their strength over [N II] 6585: by atomic physics (6550), or typical (the others).
_NEBULAR = {"nii_6550": 1 / 2.96, "nii_6585": 1.0, "sii_6718": 0.6, "sii_6733": 0.45}
_HELIUM_A = LINES["hei_6680"].wavelength_a
_HELIUM_SHARE = 0.04  # He I 6678 over H-alpha emission, in stars hot enough for it


@dataclass
class Systems:
    """n systems of one kind.

    Attributes
    ----------
    stars : list of (star, share, rv_km_s)
        Parameters of `photosphere.draw_star`, share of the light (n,) and velocity (n,), one entry a component.
    truth : dict of (n,) arrays
        What is known of them, among the names of ``labels.TRUTH``.
    disc, shell, nebula : dict of (n,) arrays, or None
        What surrounds the star.
    """

    stars: list[tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]]
    truth: dict[str, np.ndarray]
    disc: dict[str, np.ndarray] | None = None
    shell: dict[str, np.ndarray] | None = None
    nebula: dict[str, np.ndarray] | None = None

    def take(self, rows: np.ndarray, velocity_factor: np.ndarray) -> Systems:
        """The given systems, each as often as wanted; a second star's velocity from the first is multiplied."""

        def pick(table):
            return None if table is None else {name: values[rows] for name, values in table.items()}

        first_km_s = self.stars[0][2][rows]
        stars = [
            (pick(star) or {}, share[rows], first_km_s + (rv[rows] - first_km_s) * velocity_factor)
            for star, share, rv in self.stars
        ]
        return Systems(stars, pick(self.truth) or {}, pick(self.disc), pick(self.shell), pick(self.nebula))


def draw_radial_velocities(rng: np.random.Generator, n: int) -> np.ndarray:
    """(n,) velocities, km/s: most near zero, some anywhere up to the limit."""
    table = distributions()["velocity"]
    limit = table["rv_limit_km_s"]
    near = np.clip(draw(table["rv_km_s"], rng, n), -limit, limit)
    return np.where(rng.random(n) < table["wide_fraction"], rng.uniform(-limit, limit, n), near)


def draw_systems(kind: str | dict, rng: np.random.Generator, rv_km_s: np.ndarray) -> Systems:
    """Systems of one kind at the given velocities, (n,) km/s: its name in distributions.toml, or a table of that form."""
    table = distributions()["kinds"][kind] if isinstance(kind, str) else kind
    n = len(rv_km_s)
    star = draw_star(table["star"], rng, n)
    systems = Systems([(star, np.ones(n), rv_km_s)], {})
    if "companion" in table:
        _add_companion(systems, table, rng)
    if "ew_a" in table:
        systems.truth["ew_emission_a"] = draw(table["ew_a"], rng, n)
    if "nebular_fwhm_km_s" in table:
        systems.nebula = {name: draw(table[name], rng, n) for name in ("nebular_fwhm_km_s", "nii_ratio")}
    elif "ew_a" in table:
        _add_disc(systems, table, rng)
    if "shell_fwhm_km_s" in table:
        _add_shell(systems, table, rng)
    if "snr" in table:
        systems.truth["snr"] = draw(table["snr"], rng, n)
    systems.truth |= {name: star[name] for name in ("v_sin_i_km_s", "teff_k", "logg_dex")}
    systems.truth["rv_km_s"] = rv_km_s
    return systems


def _add_disc(systems, table, rng):
    """A disc in the equatorial plane of the star, whose v sin i follows from it unless its group sets it."""
    star, _, rv_km_s = systems.stars[0]
    disc = systems.disc = draw_disc(rng, len(rv_km_s), table)
    if table["star"] == "hot":
        projected = disc["orbital_speed_km_s"] * np.sin(np.radians(disc["inclination_deg"]))
        star["v_sin_i_km_s"] = disc["rotation_fraction"] * projected
    systems.truth |= {name: disc[name] for name in ("peak_separation_km_s", "inclination_deg")}


def _add_shell(systems, table, rng):
    """Gas in front of the star."""
    systems.shell = draw_shell(rng, systems.stars[0][2], table)
    systems.truth |= {name: systems.shell[name] for name in ("shell_optical_depth", "shell_fwhm_km_s")}


def _add_companion(systems, table, rng):
    """A second star. Two cores are seen only where both turn slowly; a composite core needs just one slow star."""
    star, _, rv_km_s = systems.stars[0]
    n, companion = len(rv_km_s), table["companion"]
    if companion["both_slow"]:
        star["v_sin_i_km_s"] = draw(companion["v_sin_i_km_s"], rng, n)
    second = draw_star(table["star"], rng, n)
    second["v_sin_i_km_s"] = draw(companion["v_sin_i_km_s"], rng, n)
    apart = draw(table["velocity_difference_km_s"], rng, n) * rng.choice([-1, 1], n)
    share = draw(table["light_fraction"], rng, n)
    systems.stars = [(star, 1 - share, rv_km_s), (second, share, rv_km_s + apart)]


def absorbed_light(systems: Systems, grid: VelocityGrid) -> np.ndarray:
    """(n_components, n, grid.n_pixels) float32: what the lines of each star of a system take from its continuum."""
    stars = [share[:, None].astype(np.float32) * (1 - photosphere(star, rv, grid)) for star, share, rv in systems.stars]
    return np.stack(stars)


def render(systems: Systems, grid: VelocityGrid, rng: np.random.Generator | OwnDraws) -> tuple[np.ndarray, np.ndarray]:
    """Spectra over the continuum, before any instrument.

    Returns
    -------
    (n, grid.n_pixels) float32 array, twice
        The whole spectrum, and the part of it that disc, shell or nebula make (whole minus stars alone).
    """
    alone = 1 - absorbed_light(systems, grid).sum(axis=0)
    whole = alone
    if systems.disc is not None:
        whole = whole + _disc_light(systems, grid, rng)
    if systems.nebula is not None:
        whole = whole + _nebular_light(systems, grid)
    if systems.shell is not None:
        whole = whole * shell_absorption(systems.shell, grid)
    return whole, whole - alone


def _disc_light(systems, grid, rng):
    """Emission of the disc in H-alpha and, where the grid reaches it and the star is hot, He I 6678."""
    ew_a, rv_km_s = systems.truth["ew_emission_a"], systems.truth["rv_km_s"]
    wavelength = grid.wavelength_a
    light = np.zeros((len(ew_a), grid.n_pixels), dtype=np.float32)
    if wavelength[0] < HALPHA_A < wavelength[-1]:
        light += disc_emission(systems.disc, ew_a, rv_km_s, grid, rng)
    if wavelength[0] < _HELIUM_A < wavelength[-1]:
        share = _HELIUM_SHARE * np.clip((systems.truth["teff_k"] - 15000) / 8000, 0, 1)
        light += disc_emission(systems.disc, ew_a * share, rv_km_s, grid, rng, line_a=_HELIUM_A)
    return light


def _nebular_light(systems, grid):
    """Narrow lines of a nebula at the star's velocity."""
    ew_a, rv_km_s = systems.truth["ew_emission_a"], systems.truth["rv_km_s"]
    sigma = (systems.nebula["nebular_fwhm_km_s"] / _FWHM_OF_SIGMA / grid.step_km_s)[:, None]
    place = np.arange(grid.n_pixels)[None, :] - (rv_km_s / grid.step_km_s)[:, None]
    widths = {HALPHA_A: ew_a}
    widths |= {LINES[line].wavelength_a: ew_a * systems.nebula["nii_ratio"] * share for line, share in _NEBULAR.items()}
    light = np.zeros((len(ew_a), grid.n_pixels))
    for line_a, width_a in widths.items():
        shape = np.exp(-0.5 * ((place - grid.pixel(line_a)) / sigma) ** 2)
        pixel_a = line_a * grid.step_km_s / SPEED_OF_LIGHT_KM_S
        light += shape * (width_a[:, None] / (sigma * np.sqrt(2 * np.pi) * pixel_a))
    return light.astype(np.float32)
