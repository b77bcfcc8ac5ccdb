"""Places on the sky: which of them are of one star, as the catalogue takes it, and positions that are of several."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from becat.schema import parameters

__all__ = ["draw_apart", "star_of_place"]

IDENTITY = ("star_radius_arcsec", "star_radius_other_arcsec")


def star_of_place(ra_deg: np.ndarray, dec_deg: np.ndarray, radius_arcsec: float | None = None) -> np.ndarray:
    """Number the stars of some places: a chain of places, each within the radius of the next, is one star.

    Parameters
    ----------
    ra_deg, dec_deg : (n,) float array
    radius_arcsec : float, optional
        Default: that within which LAMOST's spectra are of one star.

    Returns
    -------
    (n,) int array
        From 0, in the order in which the stars come first.
    """
    radius_arcsec = parameters.value(IDENTITY[0]) if radius_arcsec is None else radius_arcsec
    ra, dec = np.radians(np.asarray(ra_deg, float)), np.radians(np.asarray(dec_deg, float))
    if not len(ra):
        return np.zeros(0, int)
    place = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)
    pairs = KDTree(place).query_pairs(2 * np.sin(np.radians(radius_arcsec / 3600) / 2), output_type="ndarray")
    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(len(ra), len(ra)))
    _, group = connected_components(graph, directed=False)
    _, first, number = np.unique(group, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[number]


def draw_apart(
    draw: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    n: int,
    taken: tuple[np.ndarray, np.ndarray] = (np.empty(0), np.empty(0)),
) -> tuple[np.ndarray, np.ndarray]:
    """Positions that are each of a star of its own, whichever survey sees it: those too near to an earlier one are drawn again.

    Parameters
    ----------
    draw : function
        Gives the right ascensions and declinations, degrees, of some of the n stars, by their numbers.
    n : int
    taken : (ra_deg, dec_deg), optional
        Positions of other stars.

    Returns
    -------
    ra_deg, dec_deg : (n,) float array
    """
    radius_arcsec = max(map(parameters.value, IDENTITY))
    ra_deg, dec_deg = draw(np.arange(n))
    while True:
        star = star_of_place(np.append(taken[0], ra_deg), np.append(taken[1], dec_deg), radius_arcsec)
        _, first = np.unique(star, return_index=True)
        again = np.setdiff1d(np.arange(n), first - len(taken[0]))
        if not len(again):
            return ra_deg, dec_deg
        ra_deg[again], dec_deg[again] = draw(again)
