"""How far a probability can be believed: reliability, expected calibration error, weights of log odds."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

__all__ = ["expected_calibration_error", "fit_weights", "reliability"]


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


def fit_weights(log_odds: np.ndarray, label: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
    """Weights with which the sum of several log odds is most likely; of a single one, one over its temperature.

    Parameters
    ----------
    log_odds : (n, k) float array
    label : (n,) array of 0 and 1
    counts : (n,) float array, optional
        As how many spectra each one counts; by default as one.

    Returns
    -------
    (k,) float64 array, none negative

    References
    ----------
    Guo et al. 2017, arXiv:1706.04599, for one; Wolpert 1992, Neural Networks 5, 241, for several.
    """
    signed = np.asarray(log_odds, float) * np.where(np.asarray(label) == 1, 1, -1)[:, None]

    share = np.full(len(signed), 1 / len(signed)) if counts is None else counts / np.sum(counts)

    def loss_and_slope(weight):
        margin = signed @ weight
        return share @ np.logaddexp(0, -margin), -(share * expit(-margin)) @ signed

    n = signed.shape[1]
    return minimize(loss_and_slope, np.full(n, 1 / n), jac=True, method="L-BFGS-B", bounds=[(0, None)] * n).x
