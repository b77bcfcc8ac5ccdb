"""A second generator of profiles with other physics than the first, for testing only: no model is trained on it.

Photospheres follow the Holtsmark power with Voigt cores and turn by summing strips of the stellar disc; emission is a
composite of Gaussians with Lorentzian feet; metal lines stand at random places; noise is drawn as photons. Only the
label rule and the arithmetic of sampling are shared with the first generator.
"""

from __future__ import annotations

import numpy as np
from scipy.special import voigt_profile

from becat.schema.lines import SPEED_OF_LIGHT_KM_S
from becat.simulate.disc_free import DiscFree, first_stars, of_pairs
from becat.simulate.draw import distributions, draw, interpolate
from becat.simulate.labels import Profiles
from becat.simulate.photosphere import HALPHA_A
from becat.simulate.testing.photon_counting import FINE_A, STEP_A, on_library_grid, photograph

__all__ = ["KINDS", "sample_chunk"]

KINDS = distributions("second_distributions.toml")["kinds"]
_STRIPS = np.linspace(-0.96, 0.96, 25)
_KM_S_TO_A = HALPHA_A / SPEED_OF_LIGHT_KM_S
_SEED, _STARS_A_KIND = 20222, 250


def sample_chunk(kind: np.ndarray, rng: np.random.Generator) -> Profiles:
    """Profiles of the given kinds.

    Parameters
    ----------
    kind : (n,) str array
        Names of the table ``[kinds]`` of second_distributions.toml.
    rng : numpy Generator

    Returns
    -------
    Profiles
    """
    return photograph(kind, rng, distributions("second_distributions.toml"), _model, _DISC_FREE)


def _own_stars():
    """Stars without emission of this generator: what its labels are judged against, beside those of the first."""
    rng = np.random.default_rng(_SEED)
    kinds = [table for table in KINDS.values() if table["label"] == 0]
    own = [of_pairs(_absorbed_light(kind, np.zeros(_STARS_A_KIND), rng)[0]) for kind in kinds]
    return on_library_grid(np.concatenate(own, axis=1)).astype(np.float32)


_DISC_FREE = DiscFree(first_stars, _own_stars)


def _model(kind, rv_km_s, rng):
    """Star alone, star with its feature, and truth, on the fine grid."""
    n = len(rv_km_s)
    absorbed, truth = _absorbed_light(kind, rv_km_s, rng)
    alone = 1 - absorbed.sum(axis=0)
    if "ew_a" not in kind:
        return alone, alone, truth
    truth["ew_emission_a"] = draw(kind["ew_a"], rng, n)
    light, truth["peak_separation_km_s"] = _emission(kind, truth["ew_emission_a"], rv_km_s, rng)
    whole = alone + light
    if "shell_depth" in kind:
        half = draw(kind["shell_hwhm_km_s"], rng, n)
        offset = (FINE_A - HALPHA_A) / _KM_S_TO_A - (rv_km_s + rng.normal(0, 12, n))[:, None]
        whole = whole * (1 - draw(kind["shell_depth"], rng, n)[:, None] / (1 + (offset / half[:, None]) ** 2))
        truth["shell_fwhm_km_s"] = 2 * half
    return alone, whole, truth


def _absorbed_light(kind, rv_km_s, rng):
    """(n_components, n, n_fine) what the lines of each star take from its continuum, and truth of the first star."""
    n = len(rv_km_s)
    star = _draw_star(kind["star"], rng, n)
    truth = {name: star[name] for name in ("teff_k", "v_sin_i_km_s")}
    alone = _photosphere(star, rv_km_s)
    if "velocity_difference_km_s" in kind:
        apart = draw(kind["velocity_difference_km_s"], rng, n) * rng.choice([-1, 1], n)
        share = draw(kind["light_fraction"], rng, n)[:, None]
        second = _photosphere(_draw_star(kind["star"], rng, n), rv_km_s + apart)
        return np.stack([(1 - share) * (1 - alone), share * (1 - second)]), truth
    if kind["star"] == "late":
        alone = alone * _random_lines(rng, n)
    return (1 - alone)[None], truth


def _draw_star(group, rng, n):
    """Temperatures, rotation and line shapes of n stars."""
    config = distributions("second_distributions.toml")
    table = config["photosphere"]
    star = {name: draw(spec, rng, n) for name, spec in config["stars"][group].items()}
    star["v_sin_i_km_s"] = np.clip(np.abs(star["v_sin_i_km_s"]), 5, 390)
    for name in ("opacity", "scale_a", "core"):
        star[name] = interpolate(star["teff_k"], table, name) * np.exp(draw(table["scatter"], rng, n))
    for name in ("exponent", "core_sigma_a", "core_gamma_a", "limb_darkening"):
        star[name] = draw(table[name], rng, n)
    return star


def _photosphere(star, rv_km_s):
    """(n, n_fine) H-alpha of turning stars: strips of the visible disc, each at its own velocity."""
    across = np.sqrt(1 - _STRIPS**2)
    dark = star["limb_darkening"][:, None]
    weight = (1 - dark) * across + dark * np.pi / 4 * across**2
    weight /= weight.sum(axis=1, keepdims=True)
    total = np.zeros((len(rv_km_s), len(FINE_A)))
    for i, strip in enumerate(_STRIPS):
        total += weight[:, i, None] * _line(star, rv_km_s + strip * star["v_sin_i_km_s"])
    return total


def _line(star, velocity_km_s):
    """(n, n_fine) unturned line at its own velocity."""
    offset = FINE_A - HALPHA_A - (velocity_km_s * _KM_S_TO_A)[:, None]
    wing = star["opacity"][:, None] / (1 + np.abs(offset / star["scale_a"][:, None]) ** 2.5)
    sigma, gamma = star["core_sigma_a"][:, None], star["core_gamma_a"][:, None]
    core = star["core"][:, None] * voigt_profile(offset, sigma, gamma) / voigt_profile(0, sigma, gamma)
    return (1 + wing) ** -star["exponent"][:, None] * np.exp(-core)


def _random_lines(rng, n):
    """(n, n_fine) transmission of narrow lines at random places."""
    table = distributions("second_distributions.toml")["observation"]
    count = draw(table["metal_lines"], rng, n).astype(int)
    transmission = np.ones((n, len(FINE_A)))
    for row in range(n):
        place = rng.uniform(FINE_A[0], FINE_A[-1], count[row])
        shape = np.exp(-0.5 * ((FINE_A - place[:, None]) / 0.15) ** 2)
        transmission[row] -= np.minimum(draw(table["metal_depth"], rng, count[row]) @ shape, 0.9)
    return transmission


def _emission(kind, ew_a, rv_km_s, rng):
    """(n, n_fine) composite emission and its peak separation, km/s."""
    table, n = distributions("second_distributions.toml")["emission"], len(ew_a)
    drawn = {name: draw(kind.get(name, spec), rng, n)[:, None] for name, spec in table.items()}
    offset = (FINE_A - HALPHA_A) / _KM_S_TO_A - rv_km_s[:, None]
    half, sigma = drawn["separation_km_s"] / 2, drawn["peak_sigma_km_s"]
    balance = np.exp(drawn["violet_red"] / 2)
    shape = balance * np.exp(-0.5 * ((offset + half) / sigma) ** 2)
    shape += np.exp(-0.5 * ((offset - half) / sigma) ** 2) / balance
    shape += drawn["bridge"] * np.exp(-0.5 * (offset / (0.5 * half + 0.6 * sigma)) ** 2)
    shape += drawn["feet"] / (1 + (offset / drawn["feet_km_s"]) ** 2) ** 1.5
    return shape * (ew_a / (shape.sum(axis=1) * STEP_A))[:, None], drawn["separation_km_s"][:, 0]
