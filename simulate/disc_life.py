"""Discs in time: how they build up and decay, one-armed waves that go round, shells that come and go."""

from __future__ import annotations

import numpy as np

from becat.simulate.draw import distributions, draw

__all__ = ["disc_at", "disc_strength", "draw_life", "shell_depth_at"]

RANGES = "epoch_distributions.toml"
_SMALLEST_RADIUS = 1.3  # of a disc that has just begun, stellar radii


def draw_life(table: dict, rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    """What changes around n stars of one scenario; NaN where it does not.

    Parameters
    ----------
    table : dict
        A table ``[scenarios]`` of epoch_distributions.toml.
    rng : numpy Generator
    n : int

    Returns
    -------
    dict of (n,) arrays
        begins_mjd and ends_mjd of the feeding, build_up_d and decay_d (e-folding times); cycle_d, cycle_amplitude and
        cycle_mjd of the one-armed wave; shell_period_d and shell_mjd.
    """
    first, times = distributions(RANGES)["survey"]["first_mjd"], distributions(RANGES)["life"]
    names = ("begins_mjd", "ends_mjd", "build_up_d", "decay_d", "cycle_d", "cycle_amplitude", "cycle_mjd")
    life = {name: np.full(n, np.nan) for name in (*names, "shell_period_d", "shell_mjd")}
    if "life" in table:
        life["begins_mjd"] = first + draw(table["life"]["begins_d"], rng, n)
        life["ends_mjd"] = life["begins_mjd"] + draw(table["life"]["fed_d"], rng, n)
        life["build_up_d"] = draw(times["build_up_d"], rng, n)
        life["decay_d"] = life["build_up_d"] * draw(times["decay_ratio"], rng, n)
    for group, period, start in (("cycle", "cycle_d", "cycle_mjd"), ("shell_phase", "shell_period_d", "shell_mjd")):
        if group in table:
            life |= {name: draw(spec, rng, n) for name, spec in table[group].items()}
            life[start] = first + life[period] * rng.random(n)
    return life


def disc_strength(mjd: float, life: dict[str, np.ndarray]) -> np.ndarray:
    """Share of its full emission that a disc has: nothing before it is fed, then towards 1, and down again; 1 where it is steady.

    Parameters
    ----------
    mjd : float
    life : dict of (n,) arrays
        As made by `draw_life`.

    Returns
    -------
    (n,) float array between 0 and 1
    """
    fed = np.clip(mjd - life["begins_mjd"], 0, life["ends_mjd"] - life["begins_mjd"])
    since = np.maximum(mjd - life["ends_mjd"], 0)
    strength = (1 - np.exp(-fed / life["build_up_d"])) * np.exp(-since / life["decay_d"])
    return np.where(np.isnan(life["begins_mjd"]), 1.0, strength)


def disc_at(
    mjd: float, disc: dict[str, np.ndarray], life: dict[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """A disc at one time.

    Parameters
    ----------
    mjd : float
    disc : dict of (n,) arrays
        At full strength, as made by `disc.draw_disc`.
    life : dict of (n,) arrays
        As made by `draw_life`.

    Returns
    -------
    dict of (n,) arrays, (n,) float array
        The disc, with the radius and peak separation of its outer rim then, and its strength. Emission goes as the area,
        so the radius goes as its root.

    References
    ----------
    Grundstrom & Gies 2006, ApJ 651, L53 (radius and equivalent width).
    """
    strength = disc_strength(mjd, life)
    radius = np.minimum(np.maximum(disc["outer_radius"] * np.sqrt(strength), _SMALLEST_RADIUS), disc["outer_radius"])
    turn = 2 * np.pi * (mjd - life["cycle_mjd"]) / life["cycle_d"]
    wave = np.where(np.isnan(life["cycle_d"]), disc["asymmetry"], life["cycle_amplitude"] * np.sin(turn))
    separation = disc["peak_separation_km_s"] * np.sqrt(disc["outer_radius"] / radius)
    return disc | {"outer_radius": radius, "asymmetry": wave, "peak_separation_km_s": separation}, strength


def shell_depth_at(
    mjd: float, shell: dict[str, np.ndarray], life: dict[str, np.ndarray], strength: np.ndarray
) -> np.ndarray:
    """(n,) optical depth of shells at one time: as the disc, and, where it has a period, from nothing to full and back."""
    turn = 2 * np.pi * (mjd - life["shell_mjd"]) / life["shell_period_d"]
    share = np.where(np.isnan(life["shell_period_d"]), 1.0, 0.5 - 0.5 * np.cos(turn))
    return shell["shell_optical_depth"] * share * strength
