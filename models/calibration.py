"""How far a probability can be believed: reliability, expected calibration error, correction of the log odds."""

from __future__ import annotations

import numpy as np
from scipy.optimize import fmin

__all__ = ["expected_calibration_error", "fit_log_odds", "reliability"]


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


def fit_log_odds(probability: np.ndarray, label: np.ndarray) -> tuple[float, float]:
    """Temperature and offset that make probabilities most likely: log odds become (log odds + offset) / temperature.

    Parameters
    ----------
    probability : (n,) float array
        As scored without correction.
    label : (n,) array of 0 and 1

    Returns
    -------
    temperature, offset : float

    References
    ----------
    Platt 1999; with no offset, Guo et al. 2017, arXiv:1706.04599.
    """
    p = np.clip(np.asarray(probability, float), 1e-7, 1 - 1e-7)
    log_odds = np.log(p / (1 - p))
    sign = np.where(np.asarray(label) == 1, 1, -1)

    def loss(parameters):
        return np.logaddexp(0, -sign * (log_odds + parameters[1]) / np.exp(parameters[0])).mean()

    log_temperature, offset = fmin(loss, [0.0, 0.0], disp=False)
    return float(np.exp(log_temperature)), float(offset)
