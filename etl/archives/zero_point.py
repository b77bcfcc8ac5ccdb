"""The zero point of Gaia's parallaxes, star by star: Lindegren et al. 2021, A&A 649, A4, by the authors' package."""

from __future__ import annotations

import numpy as np
from zero_point.zpt import get_zpt, load_tables

__all__ = ["parallax_zero_points"]

OBLIQUITY_DEG = 84381.411 / 3600  # of the ecliptic in the ICRS, as Gaia takes it
FIVE_AND_SIX = (31, 95)  # astrometric_params_solved of solutions with as many parameters


def parallax_zero_points(ra_deg, dec_deg, g_mag, nu_eff_per_um, pseudocolour_per_um, astrometric_params_solved):
    """Zero points of parallaxes, to be taken off them.

    Parameters
    ----------
    ra_deg, dec_deg : (n,) float array
        ICRS, degrees: the ecliptic latitude follows from them.
    g_mag : (n,) float array
        G.
    nu_eff_per_um : (n,) float array
        Effective wavenumber that a solution of five parameters used, 1/um; NaN for others.
    pseudocolour_per_um : (n,) float array
        Wavenumber that a solution of six parameters found, 1/um; NaN for others.
    astrometric_params_solved : (n,) float array
        31 for five parameters, 95 for six; NaN where it is not known.

    Returns
    -------
    (n,) float array
        mas. NaN where anything is missing, for solutions of two parameters, and outside of 6 < G < 21, 1.1 < nu_eff < 1.9 and
        1.24 < pseudocolour < 1.72, where the calibration does not hold.
    """
    load_tables()
    ra, dec, obliquity = np.radians(ra_deg), np.radians(dec_deg), np.radians(OBLIQUITY_DEG)
    sine = np.sin(dec) * np.cos(obliquity) - np.cos(dec) * np.sin(obliquity) * np.sin(ra)
    latitude_deg = np.degrees(np.arcsin(np.clip(sine, -1, 1)))
    solved = np.asarray(astrometric_params_solved, float)
    found, known = np.full(len(ra), np.nan), np.isin(solved, FIVE_AND_SIX)  # the package refuses all others
    if known.any():
        columns = (
            np.asarray(x, float)[known] for x in (g_mag, nu_eff_per_um, pseudocolour_per_um, latitude_deg, solved)
        )
        found[known] = get_zpt(*columns, _warnings=False)
    return found
