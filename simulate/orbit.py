"""Orbits of two stars: Kepler's equation, radial velocities, and orbits drawn at random."""

from __future__ import annotations

import numpy as np

from becat.simulate.draw import distributions, draw

__all__ = ["draw_orbits", "eccentric_anomaly", "orbital_phase", "orbital_velocity_km_s", "semi_amplitude_km_s"]

RANGES = "epoch_distributions.toml"
# K1 of a solar mass with a companion of equal mass in a circular orbit of one day seen from the side, times 2^(2/3):
# (2 pi G M_sun / day)^(1/3), with the nominal solar mass parameter of IAU 2015 resolution B3.
_SPEED_KM_S = (2 * np.pi * 1.3271244e11 / 86400) ** (1 / 3)
_TURNS, _CLOSE_RAD = 50, 1e-13


def eccentric_anomaly(mean_anomaly_rad: np.ndarray, eccentricity: np.ndarray) -> np.ndarray:
    """Solution E of Kepler's equation E - e sin E = M, by Newton's method.

    Parameters
    ----------
    mean_anomaly_rad : float array
        Any number of turns.
    eccentricity : float array
        From 0 to below 1; broadcast with the anomaly.

    Returns
    -------
    float64 array
        Radian, between -pi and pi.

    Raises
    ------
    ValueError
        An eccentricity is not that of an ellipse.
    """
    mean, e = np.broadcast_arrays(np.asarray(mean_anomaly_rad, float), np.asarray(eccentricity, float))
    if np.any((e < 0) | (e >= 1)):
        raise ValueError("eccentricity must be from 0 to below 1")
    mean = np.mod(mean + np.pi, 2 * np.pi) - np.pi
    # From pi on its side, Newton's method comes down without overshooting; below, a nearer start.
    found = np.where(e > 0.8, np.copysign(np.pi, mean), mean + e * np.sin(mean))
    for _ in range(_TURNS):
        change = (found - e * np.sin(found) - mean) / (1 - e * np.cos(found))
        found = found - change
        if np.all(np.abs(change) < _CLOSE_RAD):
            break
    return found


def orbital_velocity_km_s(mjd: np.ndarray | float, orbit: dict[str, np.ndarray]) -> np.ndarray:
    """Radial velocity of the primary from the centre of mass: K1 (cos(nu + omega) + e cos omega).

    Parameters
    ----------
    mjd : float array
        Times; broadcast with the elements.
    orbit : dict of float arrays
        period_d, k1_km_s, eccentricity, omega_deg (longitude of the primary's periastron) and periastron_mjd.

    Returns
    -------
    float array
        Positive when it recedes. The secondary's is this times -K2/K1.

    References
    ----------
    Hilditch 2001, An Introduction to Close Binary Stars, eq. 2.45.
    """
    e, omega = orbit["eccentricity"], np.radians(orbit["omega_deg"])
    mean = 2 * np.pi * orbital_phase(mjd, orbit)
    half = eccentric_anomaly(mean, e) / 2
    true = 2 * np.arctan2(np.sqrt(1 + e) * np.sin(half), np.sqrt(1 - e) * np.cos(half))
    return orbit["k1_km_s"] * (np.cos(true + omega) + e * np.cos(omega))


def orbital_phase(mjd: np.ndarray | float, orbit: dict[str, np.ndarray]) -> np.ndarray:
    """Phase from periastron, between 0 and 1."""
    return np.mod((np.asarray(mjd, float) - orbit["periastron_mjd"]) / orbit["period_d"], 1.0)


def semi_amplitude_km_s(
    mass_msun: np.ndarray,
    mass_ratio: np.ndarray,
    period_d: np.ndarray,
    eccentricity: np.ndarray,
    inclination_deg: np.ndarray,
) -> np.ndarray:
    """K1 of a primary of the given mass whose companion has ``mass_ratio`` of it; K2 is K1 over that ratio.

    References
    ----------
    Hilditch 2001, An Introduction to Close Binary Stars, eq. 2.53.
    """
    shape = mass_ratio * (1 + mass_ratio) ** (-2 / 3) * np.sin(np.radians(inclination_deg))
    return _SPEED_KM_S * (mass_msun / period_d) ** (1 / 3) * shape / np.sqrt(1 - eccentricity**2)


def draw_eccentricities(rng: np.random.Generator, period_d: np.ndarray) -> np.ndarray:
    """Eccentricities of orbits of the given periods: any up to the largest that leaves the stars apart.

    References
    ----------
    Moe & Di Stefano 2017, ApJS 230, 15, eq. 3.
    """
    table = distributions(RANGES)["orbit"]
    highest = 1 - (period_d / table["circular_below_d"]) ** (-2 / 3)
    return np.clip(highest, 0, table["eccentricity_max"]) * rng.random(np.shape(period_d))


def draw_orbits(rng: np.random.Generator, teff_k: np.ndarray, mass_ratio: np.ndarray) -> dict[str, np.ndarray]:
    """Orbits of primaries of the given temperatures with companions of the given share of their mass.

    Parameters
    ----------
    rng : numpy Generator
    teff_k, mass_ratio : (n,) float arrays

    Returns
    -------
    dict of (n,) arrays
        period_d, eccentricity, omega_deg, periastron_mjd, orbit_inclination_deg, k1_km_s, k2_km_s and mass_ratio.
    """
    table, n = distributions(RANGES)["orbit"], len(teff_k)
    orbit = {name: draw(table[name], rng, n) for name in ("period_d", "omega_deg", "orbit_inclination_deg")}
    orbit["periastron_mjd"] = distributions(RANGES)["survey"]["first_mjd"] + orbit["period_d"] * rng.random(n)
    orbit["eccentricity"] = draw_eccentricities(rng, orbit["period_d"])
    mass = np.exp(np.interp(np.log(teff_k), np.log(table["teff_k"]), np.log(table["mass_msun"])))
    orbit["k1_km_s"] = semi_amplitude_km_s(
        mass, mass_ratio, orbit["period_d"], orbit["eccentricity"], orbit["orbit_inclination_deg"]
    )
    return orbit | {"k2_km_s": orbit["k1_km_s"] / mass_ratio, "mass_ratio": np.asarray(mass_ratio, float)}
