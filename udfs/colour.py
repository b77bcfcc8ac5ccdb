"""Reddening-free colours."""

from __future__ import annotations

import numpy as np

__all__ = ["Q_REDDENING_RATIO", "q_index"]

# E(J-H) / E(H-Ks) of the interstellar extinction law, as in Wang et al. 2022, section 3.
Q_REDDENING_RATIO = 1.70


def q_index(j_mag, h_mag, k_mag, e_j_mag=None, e_h_mag=None, e_k_mag=None):
    """Reddening-free index ``Q = (J - H) - 1.70 (H - Ks)``.

    Early types have Q about 0, K and M stars 0.4 to 0.5.

    Parameters
    ----------
    j_mag, h_mag, k_mag : (n_stars,) float array
        2MASS magnitudes; NaN where missing.
    e_j_mag, e_h_mag, e_k_mag : (n_stars,) float array, optional
        Their errors.

    Returns
    -------
    (n_stars,) float64 array, twice
        Q and its error, magnitudes; NaN where a magnitude is missing; the error is NaN where an error is.

    References
    ----------
    Wang et al. 2022, section 3; Comeron & Pasquali 2005, A&A 430, 541 (the index).
    """
    j_mag, h_mag, k_mag = (np.asarray(x, dtype=float) for x in (j_mag, h_mag, k_mag))
    q_mag = (j_mag - h_mag) - Q_REDDENING_RATIO * (h_mag - k_mag)
    if e_j_mag is None or e_h_mag is None or e_k_mag is None:
        return q_mag, np.full(q_mag.shape, np.nan)
    e_j_mag, e_h_mag, e_k_mag = (np.asarray(x, dtype=float) for x in (e_j_mag, e_h_mag, e_k_mag))
    # H enters both colours: its weight is 1 + 1.70.
    e_q_mag = np.sqrt(e_j_mag**2 + ((1 + Q_REDDENING_RATIO) * e_h_mag) ** 2 + (Q_REDDENING_RATIO * e_k_mag) ** 2)
    return q_mag, np.where(np.isfinite(q_mag), e_q_mag, np.nan)
