"""How far a probability can be believed: reliability, expected calibration error, temperature."""

from __future__ import annotations

import numpy as np
from scipy.optimize import fminbound

__all__ = ["expected_calibration_error", "fit_temperature", "reliability"]


def reliability(probability: np.ndarray, label: np.ndarray, n_bins: int = 10) -> dict[str, np.ndarray]:
    """Share of Be spectra among those of like probability.

    Parameters
    ----------
    probability : (n,) float array
    label : (n,) array of 0 and 1
    n_bins : int
        Bins of equal width in probability.

    Returns
    -------
    dict of (n_bins,) arrays
        ``n`` spectra, mean ``probability`` and ``observed`` share of Be; NaN in empty bins.
    """
    place = np.clip((np.asarray(probability) * n_bins).astype(int), 0, n_bins - 1)
    n = np.bincount(place, minlength=n_bins)
    with np.errstate(invalid="ignore"):
        return {
            "n": n,
            "probability": np.bincount(place, probability, n_bins) / n,
            "observed": np.bincount(place, label, n_bins) / n,
        }


def expected_calibration_error(probability: np.ndarray, label: np.ndarray, n_bins: int = 10) -> float:
    """Mean distance between probability and observed share, weighted by the spectra of each bin.

    References
    ----------
    Naeini et al. 2015, AAAI 29, 2901.
    """
    table = reliability(probability, label, n_bins)
    return float(np.nansum(table["n"] * np.abs(table["probability"] - table["observed"])) / max(1, table["n"].sum()))


def fit_temperature(probability: np.ndarray, label: np.ndarray) -> float:
    """Number by which the log odds must be divided to be most likely.

    Parameters
    ----------
    probability : (n,) float array
        As scored at temperature 1.
    label : (n,) array of 0 and 1

    References
    ----------
    Guo et al. 2017, arXiv:1706.04599.
    """
    p = np.clip(np.asarray(probability, float), 1e-7, 1 - 1e-7)
    log_odds = np.log(p / (1 - p))
    sign = np.where(np.asarray(label) == 1, 1, -1)

    def loss(log_temperature):
        return np.logaddexp(0, -sign * log_odds / np.exp(log_temperature)).mean()

    return float(np.exp(fminbound(loss, -1.5, 1.5)))
