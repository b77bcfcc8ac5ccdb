"""What the simulator knows of a spectrum beside its class: the profile network learns to tell it too.

A class is one bit; how far a profile is from all stars without a disc, how fast the star turns and how well the spectrum
resolves it say far more of why (multitask learning: Caruana 1997, Machine Learning 28, 41). Nothing of it is exported.
"""

from __future__ import annotations

import numpy as np

from becat.simulate.labels import Profiles

__all__ = ["FACTS", "VELOCITY", "facts_of"]

# Name in `Profiles.truth`, and what brings it near one.
FACTS = {
    "disc_free_significance": lambda sigma: np.arcsinh(sigma / 5),
    "ew_emission_a": np.arcsinh,
    "v_sin_i_km_s": lambda speed: speed / 150,
    "teff_k": lambda temperature: 2 * np.log(temperature / 12_000),
    "logg_dex": lambda logg: logg - 3.5,
    "rv_km_s": lambda velocity: velocity / 60,
    "snr": lambda snr: np.log(snr / 50),
    "resolving_power": lambda power: np.log(power / 6000),
}
# The only one that changes its sign when a profile is mirrored.
VELOCITY = list(FACTS).index("rv_km_s")
_OF_DISCS = ("disc_free_significance", "ew_emission_a")


def facts_of(profiles: Profiles) -> np.ndarray:
    """(n, len(FACTS)) float32, NaN where a fact is not known; those of discs are 0 where there is none."""
    columns = []
    for name, scaled in FACTS.items():
        value = profiles.truth[name]
        if name in _OF_DISCS:
            value = np.where((profiles.label == 0) & np.isnan(value), 0, value)
        columns.append(scaled(value))
    return np.stack(columns, axis=1).astype(np.float32)
