"""Reddening-free colours."""

from __future__ import annotations

import numpy as np

from becat.schema.parameters import value

__all__ = ["q_index"]


def q_index(j_mag, h_mag, k_mag, e_j_mag=None, e_h_mag=None, e_k_mag=None, *, reddening_ratio: float | None = None):
    """Reddening-free index ``Q = (J - H) - r (H - Ks)``.

    Early types have Q about 0, K and M stars 0.4 to 0.5.

    Parameters
    ----------
    j_mag, h_mag, k_mag : (n_stars,) float array
        2MASS magnitudes; NaN where missing.
    e_j_mag, e_h_mag, e_k_mag : (n_stars,) float array, optional
        Their errors.
    reddening_ratio : float, optional
        r = E(J - H) / E(H - Ks); by default ``q_reddening_ratio`` as shipped, 1.70.

    Returns
    -------
    (n_stars,) float64 array, twice
        Q and its error, magnitudes; NaN where a magnitude is missing; the error is NaN where an error is.

    References
    ----------
    Wang et al. 2022, section 3; Comeron & Pasquali 2005, A&A 430, 541 (the index).
    """
    r = value("q_reddening_ratio") if reddening_ratio is None else reddening_ratio
    j_mag, h_mag, k_mag = (np.asarray(x, dtype=float) for x in (j_mag, h_mag, k_mag))
    q_mag = (j_mag - h_mag) - r * (h_mag - k_mag)
    if e_j_mag is None or e_h_mag is None or e_k_mag is None:
        return q_mag, np.full(q_mag.shape, np.nan)
    e_j_mag, e_h_mag, e_k_mag = (np.asarray(x, dtype=float) for x in (e_j_mag, e_h_mag, e_k_mag))
    # H enters both colours: its weight is 1 + r.
    e_q_mag = np.sqrt(e_j_mag**2 + ((1 + r) * e_h_mag) ** 2 + (r * e_k_mag) ** 2)
    return q_mag, np.where(np.isfinite(q_mag), e_q_mag, np.nan)
