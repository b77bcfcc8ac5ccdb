"""A third generator of profiles, for testing only: stars by radiative transfer, discs of a few rings.

Of the surface of an oblate, gravity-darkened star each patch has its own temperature, gravity, angle and velocity; its spectrum is that of an
Milne-Eddington atmosphere whose line opacity has Stark wings and a Doppler core, in which scattering lowers the source function.
The second generator's errors have been looked at, and the photospheres that train made more various for them. This one was there before any classifier
saw a spectrum of it, and nothing was set on it but what docs/development/classifier_training.md names. The two share the spectrograph and the label rule.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from becat.schema.lines import SPEED_OF_LIGHT_KM_S
from becat.simulate.disc_free import DiscFree, first_stars, of_pairs
from becat.simulate.draw import distributions, draw, interpolate, line_list
from becat.simulate.labels import Profiles
from becat.simulate.photosphere import HALPHA_A
from becat.simulate.testing.photon_counting import FINE_A, STEP_A, on_library_grid, photograph

__all__ = ["KINDS", "photosphere_of", "ring_emission", "sample_chunk"]

_CONFIG = distributions("third_distributions.toml")
KINDS = _CONFIG["kinds"]
_KM_S_TO_A = HALPHA_A / SPEED_OF_LIGHT_KM_S
_SEED, _STARS_A_KIND = 20263, 250
# Patches of the visible disc: distance from the axis of rotation and place along the chord, both of the radius.
_ACROSS, _ALONG = (np.arange(24) + 0.5) / 12 - 1, (np.arange(5) + 0.5) / 2.5 - 1
_AZIMUTHS = (np.arange(48) + 0.5) * (np.pi / 48) - np.pi / 2  # the two halves of a ring have the same velocities
_THERMAL_KM_S = 12.8  # hydrogen at 10,000 K, most probable speed
_RINGS = 3


def sample_chunk(kind: np.ndarray, rng: np.random.Generator) -> Profiles:
    """Profiles of the given kinds.

    Parameters
    ----------
    kind : (n,) str array
        Names of the table ``[kinds]`` of third_distributions.toml.
    rng : numpy Generator

    Returns
    -------
    Profiles
    """
    return photograph(kind, rng, _CONFIG, _model, _DISC_FREE)


def _own_stars():
    """Stars without emission of this generator: what its labels are judged against, beside those of the first."""
    rng = np.random.default_rng(_SEED)
    kinds = [table for table in KINDS.values() if table["label"] == 0]
    own = [of_pairs(_absorbed_light(_draw_star(kind, rng, _STARS_A_KIND), kind, 0.0, rng)) for kind in kinds]
    return on_library_grid(np.concatenate(own, axis=1)).astype(np.float32)


_DISC_FREE = DiscFree(first_stars, _own_stars)


def _model(kind, rv_km_s, rng):
    """Star alone, star with its feature, and truth, on the fine grid."""
    n = len(rv_km_s)
    star = _draw_star(kind, rng, n)
    truth = {name: star[name] for name in ("teff_k", "logg_dex", "inclination_deg")}
    truth["v_sin_i_km_s"] = star["speed_km_s"] * np.sin(np.radians(star["inclination_deg"]))
    alone = 1 - _absorbed_light(star, kind, rv_km_s, rng).sum(axis=0)
    if "ew_a" not in kind:
        return alone, alone, truth
    truth["ew_emission_a"] = draw(kind["ew_a"], rng, n)
    light, truth["peak_separation_km_s"] = ring_emission(
        star["inclination_deg"], truth["ew_emission_a"], rv_km_s, rng, _CONFIG["emission"]
    )
    whole = alone + light
    if "shell_depth" in kind:
        sigma = draw(kind["shell_sigma_km_s"], rng, n)
        offset = (_velocity() - (rv_km_s + rng.normal(0, 6, n))[:, None]) / sigma[:, None]
        whole = whole * np.exp(-draw(kind["shell_depth"], rng, n)[:, None] * np.exp(-0.5 * offset**2))
        truth["shell_fwhm_km_s"] = 2.3548 * sigma
    return alone, whole, truth


def _velocity():
    """(1, n_fine) velocity of the fine grid from H-alpha, km/s."""
    return ((FINE_A - HALPHA_A) / _KM_S_TO_A)[None, :]


def _draw_star(kind, rng, n):
    """Parameters of n stars of a kind."""
    group, table = _CONFIG["stars"][kind["star"]], _CONFIG["photosphere"]
    slow = rng.random(n) < group["slow_fraction"]
    speed = np.where(slow, draw(group["slow_km_s"], rng, n), draw(group["fast_km_s"], rng, n))
    critical = draw(table["critical_speed_km_s"], rng, n)
    return {
        "teff_k": draw(group["teff_k"], rng, n),
        "logg_dex": np.clip(draw(group["logg_dex"], rng, n), 1.5, 4.5),
        "speed_km_s": np.clip(speed, 0, 0.97 * critical),
        "critical_km_s": critical,
        "inclination_deg": draw(kind.get("inclination_deg", {"cosine": [3, 90]}), rng, n),
        "microturbulence_km_s": draw(table["microturbulence_km_s"], rng, n),
        "metals": draw(table["metal_strength"], rng, n),
        "scatter": draw(table["scatter"], rng, 5 * n).reshape(5, n),
    }


def _absorbed_light(star, kind, rv_km_s, rng):
    """(n_components, n, n_fine) what the lines of each star take from the continuum."""
    n = len(star["teff_k"])
    rv_km_s = np.broadcast_to(np.asarray(rv_km_s, float), n)
    alone = 1 - photosphere_of(star, rv_km_s)
    if "velocity_difference_km_s" not in kind:
        return alone[None]
    apart = draw(kind["velocity_difference_km_s"], rng, n) * rng.choice([-1, 1], n)
    share = draw(kind["light_fraction"], rng, n)[:, None]
    return np.stack([(1 - share) * alone, share * (1 - photosphere_of(_draw_star(kind, rng, n), rv_km_s + apart))])


def photosphere_of(star: dict[str, np.ndarray], rv_km_s: np.ndarray) -> np.ndarray:
    """Flux of turning stars over their continuum, summed over the patches of the visible disc.

    Parameters
    ----------
    star : dict of (n,) arrays
        teff_k (at the pole), logg_dex, speed_km_s at the equator and the critical one, inclination_deg, microturbulence_km_s,
        metals, and scatter, (5, n), of the logarithms of the atmosphere's parameters.
    rv_km_s : (n,) float array

    Returns
    -------
    (n, n_fine) float32 array on `becat.simulate.testing.photon_counting.FINE_A`
    """
    table = _CONFIG["photosphere"]
    sine, cosine = np.sin(np.radians(star["inclination_deg"])), np.cos(np.radians(star["inclination_deg"]))
    fraction = star["speed_km_s"] / star["critical_km_s"]
    metals = _metal_opacity(star)
    light = np.zeros((len(rv_km_s), len(FINE_A)), np.float32)
    continuum = np.zeros((len(rv_km_s), 1), np.float32)
    for x in _ACROSS:
        half = np.sqrt(1 - x**2)
        for y in _ALONG * half:
            mu = np.sqrt(1 - x**2 - y**2)
            latitude_sine = y * sine + mu * cosine
            gravity = 1 - 0.9 * fraction**2 * (1 - latitude_sine**2)  # over that at the pole
            teff = star["teff_k"] * gravity ** table["gravity_darkening"]
            velocity = rv_km_s + x * star["speed_km_s"] * sine
            line, whole = _intensity(star, teff, gravity, mu, velocity, metals)
            weight = (half * (teff / star["teff_k"]) ** 1.5)[:, None].astype(np.float32)
            light += weight * line
            continuum += weight * whole
    return light / continuum


def _intensity(star, teff_k, gravity, mu, velocity_km_s, metals):
    """Intensity in the line (n, n_fine) and in the continuum (n, 1) under one angle, of a Milne-Eddington atmosphere.

    The source function is 1 + gradient tau in the continuum (Mihalas 1978, Stellar Atmospheres, chapter 10), less by scattering where the
    core's opacity rules.
    """
    table, scatter = _CONFIG["photosphere"], star["scatter"]
    local = {name: interpolate(teff_k, table, name) for name in ("wing", "stark_a", "core", "gradient", "scattering")}
    for i, (name, power) in enumerate(zip(local, (1, 1, 1, 1 / 3, 1 / 3), strict=True)):
        local[name] = (local[name] * np.exp(power * scatter[i]))[:, None].astype(np.float32)
    hot = np.where(teff_k > 7000, gravity * 10 ** (star["logg_dex"] - 4.0), 1.0)
    stark_a = local["stark_a"] * (hot ** table["gravity_exponent"])[:, None].astype(np.float32)
    doppler = np.hypot(_THERMAL_KM_S * np.sqrt(teff_k / 1e4), star["microturbulence_km_s"]) * _KM_S_TO_A
    offset = np.abs(FINE_A - HALPHA_A - (velocity_km_s * _KM_S_TO_A)[:, None]).astype(np.float32)
    wing = local["wing"] / (1 + (offset / stark_a) ** np.float32(2.5))
    core = local["core"] * np.exp(-((offset / doppler[:, None].astype(np.float32)) ** 2))
    if metals is not None:
        shift = np.rint(velocity_km_s * _KM_S_TO_A / STEP_A).astype(int)
        core_of_all = core + np.take_along_axis(metals, (np.arange(len(FINE_A)) - shift[:, None]) % len(FINE_A), axis=1)
    else:
        core_of_all = core
    opacity = 1 + wing + core_of_all
    source = 1 - local["scattering"] * core / opacity
    return source + local["gradient"] * np.float32(mu) / opacity, 1 + local["gradient"] * np.float32(mu)


def _metal_opacity(star):
    """(n, n_fine) opacity of metal lines of cool stars at rest; None where no star is cool."""
    cool = np.clip((7500 - star["teff_k"]) / 2500, 0, 1) * star["metals"]
    if not cool.any():
        return None
    lines = line_list("stellar_lines.csv")
    lines = lines[(lines["species"] == "metal") & (np.abs(lines["wavelength_a"] - HALPHA_A) < 50)]
    sigma_a = 8.0 * _KM_S_TO_A
    shape = np.exp(-0.5 * ((FINE_A - lines["wavelength_a"][:, None]) / sigma_a) ** 2)
    return (cool[:, None] * (lines["strength"] @ shape)).astype(np.float32)


def ring_emission(
    inclination_deg: np.ndarray, ew_a: np.ndarray, rv_km_s: np.ndarray, rng: np.random.Generator, table: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Emission of rings in circular orbit, seen through turbulence and electron scattering.

    Parameters
    ----------
    inclination_deg, ew_a, rv_km_s : (n,) float arrays
        Inclination, equivalent width (positive for emission, Angstrom) and radial velocity.
    rng : numpy Generator
    table : dict
        Table ``[emission]`` of third_distributions.toml.

    Returns
    -------
    (n, n_fine) float array, (n,) float array
        Light over the continuum on `becat.simulate.testing.photon_counting.FINE_A`, and the peak separation of the outermost ring, km/s.
    """
    n = len(ew_a)
    drawn = {name: draw(spec, rng, n) for name, spec in table.items() if name not in ("radius_factor", "ring_share")}
    armed, offset = np.clip(drawn["one_armed"], -0.8, 0.8), _velocity() - rv_km_s[:, None]
    light, radius = np.zeros((n, len(FINE_A))), drawn["first_radius"]
    speed = np.zeros(n)
    for _ in range(_RINGS):
        speed = drawn["orbital_speed_km_s"] / np.sqrt(radius) * np.sin(np.radians(inclination_deg))
        share = draw(table["ring_share"], rng, n)
        sigma = np.hypot(drawn["turbulence_km_s"], 0.5 * speed * np.pi / len(_AZIMUTHS))[:, None]
        for angle in _AZIMUTHS:
            bright = (share * (1 + armed * np.sin(angle)))[:, None]
            light += bright * np.exp(-0.5 * ((offset - (speed * np.sin(angle))[:, None]) / sigma) ** 2)
        radius = radius * draw(table["radius_factor"], rng, n)
    light /= light.sum(axis=1, keepdims=True)
    wings = np.exp(-np.abs(offset) / drawn["scattering_km_s"][:, None])
    part = drawn["scattered"][:, None]
    shape = (1 - part) * light + part * wings / wings.sum(axis=1, keepdims=True)
    return shape * (ew_a / STEP_A)[:, None], 2 * speed
