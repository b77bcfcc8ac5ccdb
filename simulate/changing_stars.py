"""Stars that change: what each is, and what it looks like at any time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from becat.simulate.disc_life import disc_at, draw_life, shell_depth_at
from becat.simulate.draw import distributions, draw
from becat.simulate.labels import empty_truth
from becat.simulate.orbit import draw_orbits, orbital_phase, orbital_velocity_km_s
from becat.simulate.spectra import Stars
from becat.simulate.systems import Systems, draw_systems

__all__ = ["LIFE", "ORBIT", "ChangingStars", "draw_changing_stars", "scenario_names"]

RANGES = "epoch_distributions.toml"
ORBIT = (
    "period_d", "eccentricity", "omega_deg", "periastron_mjd", "orbit_inclination_deg", "k1_km_s", "k2_km_s", "mass_ratio",
)  # fmt: skip
LIFE = (
    "begins_mjd", "ends_mjd", "build_up_d", "decay_d", "cycle_d", "cycle_amplitude", "cycle_mjd", "shell_period_d", "shell_mjd",
)  # fmt: skip


@dataclass
class ChangingStars:
    """n stars of several scenarios.

    Attributes
    ----------
    scenario : (n,) str array
    groups : list of (rows, Systems)
        The systems of each scenario, discs at their full strength, both stars of a binary at its systemic velocity.
    orbit, life : dict of (n,) arrays
        Names of `ORBIT` and `LIFE`; NaN where a star has none.
    systemic_km_s, reddening_mag, slope : (n,) float arrays
    """

    scenario: np.ndarray
    groups: list[tuple[np.ndarray, Systems]]
    orbit: dict[str, np.ndarray]
    life: dict[str, np.ndarray]
    systemic_km_s: np.ndarray
    reddening_mag: np.ndarray
    slope: np.ndarray

    def still(self) -> Stars:
        """The stars at their systemic velocities, discs at their full strength."""
        return Stars(self.scenario, self.groups, self.reddening_mag, self.slope)

    def at(self, mjd: float) -> Stars:
        """The stars at one time, to be rendered; their truth has what is true then."""
        primary, secondary = self.velocities_km_s(mjd)
        groups = []
        for rows, systems in self.groups:
            life = {name: values[rows] for name, values in self.life.items()}
            groups.append((rows, _system_at(mjd, systems, life, primary[rows], secondary[rows])))
        return Stars(self.scenario, groups, self.reddening_mag, self.slope)

    def velocities_km_s(self, mjd: float) -> tuple[np.ndarray, np.ndarray]:
        """(n,) heliocentric velocities of the primaries and of the secondaries; for a single star both are its own."""
        single = np.isnan(self.orbit["period_d"])
        moved = np.where(single, 0.0, orbital_velocity_km_s(mjd, _circular_where(single, self.orbit)))
        second = np.where(single, 0.0, -moved / np.where(single, 1.0, self.orbit["mass_ratio"]))
        return self.systemic_km_s + moved, self.systemic_km_s + second

    def take(self, rows: np.ndarray) -> ChangingStars:
        """Some of the stars, in the given order."""
        groups = []
        for where, systems in self.groups:
            order = {star: i for i, star in enumerate(where)}
            wanted = np.flatnonzero(np.isin(rows, where))
            if len(wanted):
                picked = np.array([order[star] for star in rows[wanted]])
                groups.append((wanted, systems.take(picked, np.ones(len(wanted)))))
        orbit, life = ({name: values[rows] for name, values in table.items()} for table in (self.orbit, self.life))
        return ChangingStars(
            self.scenario[rows],
            groups,
            orbit,
            life,
            self.systemic_km_s[rows],
            self.reddening_mag[rows],
            self.slope[rows],
        )

    def phase(self, mjd: float) -> np.ndarray:
        """(n,) phase of the orbit from periastron; NaN for single stars."""
        return orbital_phase(mjd, self.orbit)

    def truth(self) -> dict[str, np.ndarray]:
        """(n,) columns of what is true of each star at all times; NaN where a quantity does not exist."""
        table = empty_truth(len(self.scenario))
        for rows, systems in self.groups:
            for name, values in systems.truth.items():
                table[name][rows] = values
        kept = ("teff_k", "logg_dex", "v_sin_i_km_s", "inclination_deg")
        full = {
            "full_ew_emission_a": table["ew_emission_a"],
            "full_peak_separation_km_s": table["peak_separation_km_s"],
        }
        light = {"secondary_light_fraction": self._secondary_light()}
        return (
            {"scenario": self.scenario, "systemic_km_s": self.systemic_km_s}
            | {name: table[name] for name in kept}
            | full
            | self.orbit
            | light
            | self.life
        )

    def _secondary_light(self):
        """(n,) share of the light that a visible companion has."""
        share = np.full(len(self.scenario), np.nan)
        for rows, systems in self.groups:
            if len(systems.stars) > 1:
                share[rows] = systems.stars[1][1]
        return share


def scenario_names() -> list[str]:
    """Scenarios of epoch_distributions.toml."""
    return list(distributions(RANGES)["scenarios"])


def draw_changing_stars(scenario: np.ndarray, rng: np.random.Generator) -> ChangingStars:
    """Stars of the given scenarios, (n,) names of epoch_distributions.toml.

    Raises
    ------
    ValueError
        A scenario is not known.
    """
    scenario, table = np.asarray(scenario), distributions(RANGES)
    n = len(scenario)
    unknown = sorted(set(scenario.tolist()) - set(table["scenarios"]))
    if unknown:
        raise ValueError(f"unknown scenarios {unknown}: use {scenario_names()}")
    systemic = draw(table["velocity"]["systemic_km_s"], rng, n)
    orbit = {name: np.full(n, np.nan) for name in ORBIT}
    life = {name: np.full(n, np.nan) for name in LIFE}
    groups = []
    for name in np.unique(scenario):
        rows, spec = np.flatnonzero(scenario == name), table["scenarios"][str(name)]
        systems = draw_systems(spec, rng, systemic[rows])
        groups.append((rows, systems))
        for key, values in draw_life(spec, rng, len(rows)).items():
            life[key][rows] = values
        ratio = _mass_ratio(spec, systems, rng)
        if ratio is not None:
            for key, values in draw_orbits(rng, systems.truth["teff_k"], ratio).items():
                orbit[key][rows] = values
    survey = distributions()["survey"]
    late = scenario == "constant_late"
    reddening = np.where(late, 0.3, 1.0) * draw(survey["reddening_mag"], rng, n)
    return ChangingStars(
        scenario, groups, orbit, life, systemic, reddening, draw(survey["slope"], rng, n) - 0.25 * late
    )


def _mass_ratio(spec, systems, rng):
    """(n,) companion's mass over the primary's, or None for single stars; that of two stars that are seen follows from their light."""
    if "companion_mass_ratio" in spec:
        return draw(spec["companion_mass_ratio"], rng, len(systems.truth["teff_k"]))
    if len(systems.stars) > 1:
        share = systems.stars[1][1]
        return (share / (1 - share)) ** (1 / distributions(RANGES)["light"]["luminosity_exponent"])
    return None


def _circular_where(single, orbit):
    """Elements with harmless numbers for the single stars."""
    harmless = {"period_d": 1.0, "eccentricity": 0.0, "omega_deg": 0.0, "periastron_mjd": 0.0, "k1_km_s": 0.0}
    return {name: np.where(single, value, orbit[name]) for name, value in harmless.items()}


def _system_at(mjd, systems: Systems, life, primary_km_s, secondary_km_s) -> Systems:
    """The systems of one scenario at one time."""
    stars = [
        (star, share, velocity)
        for (star, share, _), velocity in zip(systems.stars, (primary_km_s, secondary_km_s), strict=False)
    ]
    truth = systems.truth | {"rv_km_s": primary_km_s}
    disc, strength = systems.disc, np.ones(len(primary_km_s))
    if systems.disc is not None:
        disc, strength = disc_at(mjd, systems.disc, life)
        truth |= {"ew_emission_a": systems.truth["ew_emission_a"] * strength}
        truth |= {"peak_separation_km_s": disc["peak_separation_km_s"]}
    shell = systems.shell
    if shell is not None:
        depth = shell_depth_at(mjd, shell, life, strength)
        moved = primary_km_s - systems.truth["rv_km_s"]
        shell = shell | {"shell_optical_depth": depth, "centre_km_s": shell["centre_km_s"] + moved}
        truth |= {"shell_optical_depth": depth}
    return replace(systems, stars=stars, truth=truth, disc=disc, shell=shell)
