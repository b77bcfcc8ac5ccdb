"""The table that every generator of profiles returns, and the rule that labels it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from becat.schema.grid import RED
from becat.simulate.draw import distributions

__all__ = [
    "TRUTH",
    "WINDOW",
    "Profiles",
    "count_peaks",
    "empty_truth",
    "join",
    "label_by_visibility",
    "visibility",
    "window_wavelength_a",
]

# Pixels of the red grid from 6525 to 6595 Angstrom.
WINDOW = slice(round((6525.0 - RED.start_a) / RED.step_a), round((6595.0 - RED.start_a) / RED.step_a) + 1)

TRUTH = (
    "ew_emission_a", "v_sin_i_km_s", "peak_separation_km_s", "violet_red_ratio", "n_peaks", "inclination_deg",
    "shell_fwhm_km_s", "shell_optical_depth", "rv_km_s", "teff_k", "logg_dex", "snr", "resolving_power", "step_a", "noise_correlation",
    "feature_significance", "feature_significance_marginal", "disc_free_significance",
)  # fmt: skip


@dataclass
class Profiles:
    """Simulated profiles of n spectra.

    Attributes
    ----------
    flux, ivar : (n, n_window) float32 arrays
        Rectified flux and its inverse variance (zero: do not use) on ``becat.schema.grid.RED`` pixels ``WINDOW``. The
        inverse variance is scaled by grid step over detector step, so that sums over a band have the right error.
    label : (n,) int8 array
        1 Be, 0 not Be, -1 neither: there is a feature, but it cannot be seen.
    kind : (n,) str array
        Kind of distributions.toml, table ``[kinds]``; ``host`` for an untouched host.
    truth : dict of (n,) arrays
        Names in ``TRUTH``, ``instrument`` and ``host`` (row of the host, -1 without); ew_emission_a is positive for emission, peak_separation_km_s is that of
        the disc's outer rim, noise_correlation is the share of its neighbour's noise that a pixel has beside its own, n_peaks counts the emission peaks of the noiseless feature at the spectrum's resolution.
        NaN where a quantity does not exist.
    """

    flux: np.ndarray
    ivar: np.ndarray
    label: np.ndarray
    kind: np.ndarray
    truth: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.label)


def window_wavelength_a() -> np.ndarray:
    """(n_window,) vacuum wavelengths of the profiles' pixels, Angstrom."""
    return RED.wavelength_a[WINDOW]


def empty_truth(n: int) -> dict[str, np.ndarray]:
    """Truth table of n rows: NaN, no instrument, no host (-1)."""
    return {name: np.full(n, np.nan) for name in TRUTH} | {
        "instrument": np.full(n, "", dtype="U16"),
        "host": np.full(n, -1),
    }


def join(parts: list[Profiles]) -> Profiles:
    """One table of several."""
    return Profiles(
        flux=np.concatenate([part.flux for part in parts]),
        ivar=np.concatenate([part.ivar for part in parts]),
        label=np.concatenate([part.label for part in parts]),
        kind=np.concatenate([part.kind for part in parts]),
        truth={name: np.concatenate([part.truth[name] for part in parts]) for name in parts[0].truth},
    )


def count_peaks(feature: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Emission peaks of noiseless features.

    Parameters
    ----------
    feature : (n, n_pixels) float array
        Spectrum with the feature minus the star alone, over the continuum.

    Returns
    -------
    (n,) float array, twice
        Number of peaks, and height of the bluest over that of the reddest (NaN with fewer than two).
    """
    from scipy.signal import find_peaks  # slow to import, and every server imports this module

    count, ratio = np.zeros(len(feature)), np.full(len(feature), np.nan)
    for row in np.flatnonzero(feature.max(axis=1) > 0):
        profile = feature[row]
        top = float(profile.max())
        peaks, _ = find_peaks(profile, height=0.15 * top, prominence=0.06 * top)
        count[row] = len(peaks)
        if len(peaks) > 1:
            ratio[row] = profile[peaks[0]] / profile[peaks[-1]]
    return count, ratio


def label_by_visibility(kind: np.ndarray, truth: dict[str, np.ndarray], kinds: dict[str, dict]) -> np.ndarray:
    """Labels of profiles: the kind's own where its feature could be seen, else -1.

    Parameters
    ----------
    kind : (n,) str array
    truth : dict of (n,) arrays
        Needs feature_significance_marginal (against the spectrum's own star) and disc_free_significance (against all).
    kinds : dict
        Table ``[kinds]`` of the generator's distributions.

    Returns
    -------
    (n,) int8 array
    """
    rule = distributions()["labels"]
    label = np.array([kinds[name]["label"] for name in kind], dtype=np.int8)
    label[(label == 1) & ~(visibility(truth) >= rule["significance_min"])] = -1
    return label


def visibility(truth: dict[str, np.ndarray]) -> np.ndarray:
    """(n,) significance of features that the label rule asks for: against the spectrum's own star and against all, the less."""
    return np.minimum(truth["feature_significance_marginal"], truth["disc_free_significance"])
