"""Emission of Keplerian discs, and the absorption of their shells."""

from __future__ import annotations

import numpy as np

from becat.simulate.draw import OwnDraws, distributions, draw
from becat.simulate.photosphere import HALPHA_A
from becat.simulate.velocity import VelocityGrid, fourier_gaussian, multiply

__all__ = ["disc_emission", "draw_disc", "draw_shell", "shell_absorption"]

_RINGS, _AZIMUTHS = 32, 64


def draw_disc(rng: np.random.Generator, n: int, kind: dict) -> dict[str, np.ndarray]:
    """Parameters of n discs; a range given in the kind's own table replaces the general one.

    Returns
    -------
    dict of (n,) arrays
        Names as in the table ``[disc]`` of distributions.toml, and peak_separation_km_s, that of the outer rim.
    """
    table = distributions()["disc"]
    disc = {name: draw(kind.get(name, spec), rng, n) for name, spec in table.items()}
    disc["asymmetry"] = np.clip(disc["asymmetry"], -0.9, 0.9)
    projected = disc["orbital_speed_km_s"] * np.sin(np.radians(disc["inclination_deg"]))
    disc["peak_separation_km_s"] = 2 * projected / np.sqrt(disc["outer_radius"])
    return disc


def disc_emission(
    disc: dict[str, np.ndarray],
    ew_a: np.ndarray,
    rv_km_s: np.ndarray,
    grid: VelocityGrid,
    rng: np.random.Generator | OwnDraws,
    line_a: float = HALPHA_A,
) -> np.ndarray:
    """Emission of discs in Keplerian rotation, over the continuum.

    The surface is sampled on rings and azimuths; every sample adds its light at its line-of-sight velocity.
    The star hides what lies behind it; an optically thick disc shines the way its velocity gradient lets it out.

    Parameters
    ----------
    disc : dict of (n,) arrays
        As made by `draw_disc`.
    ew_a : (n,) float array
        Size of the emission, Angstrom of continuum, positive.
    rv_km_s : (n,) float array
        Velocity of the star, km/s.
    grid : VelocityGrid
    rng : numpy Generator or OwnDraws
    line_a : float
        Rest wavelength of the line, vacuum Angstrom.

    Returns
    -------
    (n, grid.n_pixels) float32 array, zero where there is no emission.

    References
    ----------
    Horne & Marsh 1986, MNRAS 218, 761 (anisotropic escape); Smak 1981, AcA 31, 395 (profiles of thin discs).
    """
    n = len(ew_a)
    velocity, weight = _sample_disc(disc, rng)
    profile = _deposit(velocity + np.asarray(rv_km_s)[:, None], weight, grid, line_a)
    spread = fourier_gaussian(grid, disc["turbulence_km_s"])
    wings = fourier_gaussian(grid, disc["scattering_km_s"])
    share = disc["scattered_fraction"][:, None].astype(np.float32)
    profile = multiply(profile, spread * ((1 - share) + share * wings))
    pixel_a = np.gradient(grid.wavelength_a)
    area = np.maximum(profile @ pixel_a, 1e-12)
    return profile * (np.asarray(ew_a) / area).reshape(n, 1).astype(np.float32)


def _sample_disc(disc, rng):
    """(n, samples) line-of-sight velocities in km/s and weights of points of the disc."""
    n = len(disc["inclination_deg"])
    ring = (np.arange(_RINGS)[:, None] + rng.random((n, _RINGS, _AZIMUTHS), dtype=np.float32)) / _RINGS
    turn = (np.arange(_AZIMUTHS) + rng.random((n, _RINGS, _AZIMUTHS), dtype=np.float32)) / _AZIMUTHS * (2 * np.pi)

    def cube(values):
        return np.asarray(values, dtype=np.float32)[:, None, None]

    inclination = np.radians(cube(disc["inclination_deg"]))
    log_radius = ring * np.log(cube(disc["outer_radius"]))
    radius = np.exp(log_radius)
    sine, cosine = np.sin(turn), np.cos(turn)
    velocity = cube(disc["orbital_speed_km_s"]) * np.sin(inclination) * np.exp(-0.5 * log_radius) * sine
    weight = np.exp((2 - cube(disc["emissivity_index"])) * log_radius)  # area of a ring in log r times emissivity
    shear = 2 * np.sin(inclination) * np.tan(inclination) * sine * cosine
    weight *= 1 - cube(disc["thickness"]) + cube(disc["thickness"]) * np.sqrt(1 + shear**2)
    weight *= 1 + cube(disc["asymmetry"]) * sine
    hidden = (cosine < 0) & ((radius * sine) ** 2 + (radius * cosine * np.cos(inclination)) ** 2 < 1)
    weight = np.where(hidden, 0, weight)
    return velocity.reshape(n, -1), weight.reshape(n, -1)


def _deposit(velocity, weight, grid, line_a):
    """(n, n_pixels) weights summed at their velocities from a line, each shared by the two nearest pixels."""
    n, pixels = len(velocity), grid.n_pixels
    place = np.clip(velocity / grid.step_km_s + grid.pixel(line_a), 0, pixels - 1.001)
    left = place.astype(np.int64)
    right_share = place - left
    left += np.arange(n)[:, None] * pixels
    total = np.bincount(left.ravel(), (weight * (1 - right_share)).ravel(), n * pixels)
    total[1:] += np.bincount(left.ravel(), (weight * right_share).ravel(), n * pixels)[:-1]
    return total.reshape(n, pixels)


def draw_shell(rng: np.random.Generator, rv_km_s: np.ndarray, kind: dict) -> dict[str, np.ndarray]:
    """Parameters of the gas in front of n stars at the given velocities, from the kind's own table.

    Returns
    -------
    dict of (n,) arrays
        shell_optical_depth at the centre, shell_fwhm_km_s (width at half that depth), centre_km_s, and skew, the share by
        which the red half is wider than the blue half.
    """
    n = len(rv_km_s)
    shell = {name: draw(kind[name], rng, n) for name in ("shell_optical_depth", "shell_fwhm_km_s")}
    shell["centre_km_s"] = rv_km_s + draw(kind["shell_offset_km_s"], rng, n)
    shell["skew"] = np.clip(draw(kind["shell_skew"], rng, n), -0.7, 0.7)
    return shell


def shell_absorption(shell: dict[str, np.ndarray], grid: VelocityGrid) -> np.ndarray:
    """Share of the light that gas in front of the star lets through at H-alpha.

    Parameters
    ----------
    shell : dict of (n,) arrays
        As made by `draw_shell`.
    grid : VelocityGrid

    Returns
    -------
    (n, grid.n_pixels) float32 array between 0 and 1.
    """
    speed = ((np.arange(grid.n_pixels) - grid.pixel(HALPHA_A)) * grid.step_km_s)[None, :]
    offset = speed - shell["centre_km_s"][:, None]
    half = shell["shell_fwhm_km_s"][:, None] / 2 * (1 + np.sign(offset) * shell["skew"][:, None])
    depth = shell["shell_optical_depth"][:, None] * np.exp(-np.log(2) * (offset / half) ** 2)
    return np.exp(-depth).astype(np.float32)
