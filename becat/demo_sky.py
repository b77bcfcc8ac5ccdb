"""Where the simulated stars of the demonstration stand: along the real main sequence, behind dust, in a sky of magnitudes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

__all__ = ["MAXWELLIAN_B_KM_S", "Intrinsic", "distances", "intrinsic", "peculiar_velocities", "spectral_types"]

MAXWELLIAN_B_KM_S = 8.701  # of the tangential velocities of Wang et al. 2022, section 6
_SLOWER_THAN_KM_S = 20.0  # so that only the printed runaways run away: the limit is 24.05 km/s
_GIANT_LOGG_DEX, _GIANT_TEFF_K, _GIANT_J_H_MAG = (
    3.5,
    5500,
    0.15,
)  # redder in J-H than dwarfs: Bessell & Brett 1988, PASP 100, 1134
_DWARF_LOGG_DEX = 4.2
_BRIGHTEST_G_MAG, _FAINTEST_G_MAG = 8.5, 15.0  # what the medium-resolution survey takes
_A_V_MAG_KPC, _DUST_HEIGHT_KPC = 1.2, 0.12
_LUMINOSITY = ((3.0, "I"), (3.6, "III"), (4.0, "IV"), (9.9, "V"))  # up to which log g


@dataclass(frozen=True)
class Intrinsic:
    """Colours without reddening, and absolute magnitudes; (n,) arrays of magnitudes."""

    bp_rp: np.ndarray
    j_h: np.ndarray
    h_ks: np.ndarray
    ks_w1: np.ndarray
    abs_g: np.ndarray
    abs_ks: np.ndarray


@cache
def _sequence() -> pd.DataFrame:
    return pd.read_csv(Path(__file__).with_name("main_sequence.csv"), comment="#").sort_values("teff_k")


def intrinsic(teff_k: np.ndarray, logg_dex: np.ndarray) -> Intrinsic:
    """Of stars with these temperatures and gravities.

    Colours are those of dwarfs of the temperature, of late giants redder in J - H. A star of lower gravity than a dwarf is brighter
    by 2.5 magnitudes a dex, as one of the same mass and temperature is.
    """
    table, log_teff = _sequence(), np.log10(teff_k)
    columns = {
        name: np.interp(log_teff, np.log10(table.teff_k), table[f"{name}_mag"])
        for name in ("bp_rp", "j_h", "h_ks", "ks_w1", "abs_g", "abs_ks")
    }
    brighter = 2.5 * np.minimum(logg_dex - _DWARF_LOGG_DEX, 0)
    is_late_giant = (logg_dex < _GIANT_LOGG_DEX) & (teff_k < _GIANT_TEFF_K)
    return Intrinsic(
        **columns
        | {
            "abs_g": columns["abs_g"] + brighter,
            "abs_ks": columns["abs_ks"] + brighter,
            "j_h": columns["j_h"] + _GIANT_J_H_MAG * is_late_giant,
        }
    )


def spectral_types(teff_k: np.ndarray, logg_dex: np.ndarray) -> np.ndarray:
    """(n,) types such as B8V: the nearest in temperature, and the luminosity class of the gravity."""
    table = _sequence()
    nearest = np.abs(np.log10(teff_k)[:, None] - np.log10(table.teff_k.to_numpy())).argmin(1)
    limits, classes = zip(*_LUMINOSITY, strict=True)
    return table.type.to_numpy()[nearest] + np.array(classes)[np.searchsorted(limits, logg_dex)]


def distances(
    abs_g_mag: np.ndarray, galactic_latitude_deg: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Distances (pc) at which stars have magnitudes that the survey takes, and the extinction A_V before them.

    The dust is a disc as thick as the Galaxy's, its density uneven from one line of sight to the next.
    """
    n = len(abs_g_mag)
    wanted = _BRIGHTEST_G_MAG + (_FAINTEST_G_MAG - _BRIGHTEST_G_MAG) * np.sqrt(rng.random(n))  # more faint ones
    density = _A_V_MAG_KPC * np.exp(rng.normal(0, 0.4, n))
    tried_kpc = np.geomspace(0.02, 6.0, 300)
    height = np.maximum(np.abs(np.sin(np.radians(galactic_latitude_deg))), 1e-3)[:, None] / _DUST_HEIGHT_KPC
    a_v = density[:, None] * (1 - np.exp(-tried_kpc * height)) / height
    seen = abs_g_mag[:, None] + 5 * np.log10(tried_kpc * 100) + 0.86 * a_v
    place = np.abs(seen - wanted[:, None]).argmin(1)
    return tried_kpc[place] * 1000, a_v[np.arange(n), place]


def peculiar_velocities(n: int, rng: np.random.Generator) -> np.ndarray:
    """(n, 2) velocities along galactic longitude and latitude, km/s: the paper's Maxwellian up to 20 km/s, in any direction."""
    speed = np.empty(0)
    while len(speed) < n:
        drawn = MAXWELLIAN_B_KM_S / np.sqrt(2) * np.linalg.norm(rng.normal(size=(n, 3)), axis=1)
        speed = np.append(speed, drawn[drawn < _SLOWER_THAN_KM_S])
    direction = rng.uniform(0, 2 * np.pi, n)
    return speed[:n, None] * np.stack([np.cos(direction), np.sin(direction)], axis=-1)
