"""Peculiar tangential velocities from Gaia astrometry, and the speed above which a star runs away.

Proper motions and parallax give the velocity on the sky; the Sun's motion and the rotation of the Galaxy are taken
off in a chosen kinematic model. Formulas: Moffat et al. 1998, A&A 331, 949, as used by Wang et al. 2022, section 6.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

__all__ = [
    "AU_YR_KM_S",
    "KinematicModel",
    "PeculiarVelocity",
    "fit_maxwellian",
    "galactic",
    "peculiar_velocity",
    "velocity_errors",
]

# Astronomical units a year in km/s: 1 mas/yr at 1 kpc moves this fast.
AU_YR_KM_S = 4.740470463533349

# North Galactic pole and longitude of the celestial pole, J2000 (Hipparcos catalogue, ESA SP-1200, section 1.5.3).
POLE_RA_DEG, POLE_DEC_DEG, CELESTIAL_POLE_L_DEG = 192.85948, 27.12825, 122.93192


@dataclass(frozen=True)
class KinematicModel:
    """Solar motion and rotation curve: a row of the table `kinematic_model`.

    The circular speed is ``theta0 + slope * (R - R0)``, flat where the slope is 0.
    """

    kinematic_model: str
    u_sun_km_s: float
    v_sun_km_s: float
    w_sun_km_s: float
    r0_kpc: float
    theta0_km_s: float
    theta_slope_km_s_kpc: float
    z_sun_pc: float
    pole_ra_deg: float = POLE_RA_DEG
    pole_dec_deg: float = POLE_DEC_DEG
    parallax_offset_mas: float | None = None
    distance_source: str | None = None

    @classmethod
    def read_all(cls, connection) -> list[KinematicModel]:
        """Every model of a catalogue, the default one first."""
        names = ", ".join(f.name for f in fields(cls))
        rows = connection.execute(f"select {names} from kinematic_model order by is_default desc, 1").fetchall()
        return [cls(*row) for row in rows]


@dataclass(frozen=True)
class PeculiarVelocity:
    """Where stars are in the Galaxy and how they move against its rotation; arrays of one length."""

    l_deg: np.ndarray
    b_deg: np.ndarray
    v_l_km_s: np.ndarray
    v_b_km_s: np.ndarray
    v_tp_km_s: np.ndarray
    z_pc: np.ndarray


def galactic(ra_deg, dec_deg, pmra_mas_yr, pmdec_mas_yr, pole_deg=(POLE_RA_DEG, POLE_DEC_DEG)):
    """Galactic position and proper motion.

    Parameters
    ----------
    ra_deg, dec_deg : (n,) float array
        ICRS, degrees.
    pmra_mas_yr, pmdec_mas_yr : (n,) float array
        Proper motion, mas/yr; in right ascension with cos(dec).
    pole_deg : (float, float)
        Right ascension and declination of the north Galactic pole.

    Returns
    -------
    l_deg, b_deg, pml_mas_yr, pmb_mas_yr : (n,) float arrays
        Degrees and mas/yr; in longitude with cos(b).
    """
    ra, dec, pole = (np.radians(x) for x in (np.asarray(ra_deg) - pole_deg[0], dec_deg, pole_deg[1]))
    sin_b = np.sin(dec) * np.sin(pole) + np.cos(dec) * np.cos(pole) * np.cos(ra)
    b = np.arcsin(np.clip(sin_b, -1, 1))
    north = np.sin(dec) * np.cos(pole) - np.cos(dec) * np.sin(pole) * np.cos(ra)
    longitude = CELESTIAL_POLE_L_DEG - np.degrees(np.arctan2(np.cos(dec) * np.sin(ra), north))
    # Angle at the star between the two poles turns one proper motion into the other.
    angle = np.arctan2(np.cos(pole) * np.sin(ra), np.sin(pole) * np.cos(dec) - np.cos(pole) * np.sin(dec) * np.cos(ra))
    pml = np.cos(angle) * pmra_mas_yr + np.sin(angle) * pmdec_mas_yr
    pmb = -np.sin(angle) * pmra_mas_yr + np.cos(angle) * pmdec_mas_yr
    return longitude % 360, np.degrees(b), pml, pmb


def peculiar_velocity(ra_deg, dec_deg, pmra_mas_yr, pmdec_mas_yr, parallax_mas, model: KinematicModel):
    """Tangential velocity against the rotation of the Galaxy, and height above its plane.

    Parameters
    ----------
    ra_deg, dec_deg : (n,) float array
        ICRS, degrees.
    pmra_mas_yr, pmdec_mas_yr : (n,) float array
        Proper motion, mas/yr; in right ascension with cos(dec).
    parallax_mas : (n,) float array
        Parallax, mas; the distance is its inverse, and there is none where it is not positive.
    model : KinematicModel

    Returns
    -------
    PeculiarVelocity
        NaN where the parallax is not positive or anything is missing.

    References
    ----------
    Moffat et al. 1998, A&A 331, 949; Wang et al. 2022, section 6.
    """
    pole_deg = (model.pole_ra_deg, model.pole_dec_deg)
    l_deg, b_deg, pml, pmb = galactic(ra_deg, dec_deg, pmra_mas_yr, pmdec_mas_yr, pole_deg)
    parallax = np.asarray(parallax_mas, float)
    r = 1.0 / np.where(parallax > 0, parallax, np.nan)
    sin_l, cos_l = np.sin(np.radians(l_deg)), np.cos(np.radians(l_deg))
    sin_b, cos_b = np.sin(np.radians(b_deg)), np.cos(np.radians(b_deg))
    u, v, w, r0 = model.u_sun_km_s, model.v_sun_km_s, model.w_sun_km_s, model.r0_kpc

    d = r * cos_b
    radius = np.sqrt(r0**2 + d**2 - 2 * r0 * d * cos_l)
    angular = (model.theta0_km_s + model.theta_slope_km_s_kpc * (radius - r0)) / radius
    shear = angular - model.theta0_km_s / r0
    v_l = AU_YR_KM_S * r * pml - (u * sin_l - v * cos_l) - (shear * r0 * cos_l - angular * d)
    v_b = AU_YR_KM_S * r * pmb - ((u * cos_l + v * sin_l) * sin_b - w * cos_b) + shear * r0 * sin_b * sin_l
    return PeculiarVelocity(l_deg, b_deg, v_l, v_b, np.hypot(v_l, v_b), 1000 * r * sin_b + model.z_sun_pc)


def velocity_errors(ra_deg, dec_deg, pmra_mas_yr, pmdec_mas_yr, parallax_mas, covariance, model: KinematicModel):
    """Errors of the tangential velocity and of the height, from the covariance of the astrometry.

    First-order propagation with central differences of a hundredth of an error, which holds while the parallax is
    several times its error; for one known worse, take them as a rough guide.

    Parameters
    ----------
    ra_deg, dec_deg, pmra_mas_yr, pmdec_mas_yr, parallax_mas : (n,) float array
    covariance : (n, 3, 3) float array
        Of pmra, pmdec and parallax: mas^2/yr^2, mas^2/yr and mas^2.
    model : KinematicModel

    Returns
    -------
    e_v_tp_km_s, e_z_pc : (n,) float arrays
    """
    centre = np.stack([np.asarray(x, float) for x in (pmra_mas_yr, pmdec_mas_yr, parallax_mas)], axis=-1)
    step = 0.01 * np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    gradient = np.zeros((2, *centre.shape))
    for i in range(3):
        shift = np.zeros_like(centre)
        shift[:, i] = step[:, i]
        sides = [_at(ra_deg, dec_deg, centre + sign * shift, model) for sign in (1, -1)]
        width = np.where(step[:, i] > 0, 2 * step[:, i], np.inf)
        gradient[0, :, i] = (sides[0].v_tp_km_s - sides[1].v_tp_km_s) / width
        gradient[1, :, i] = (sides[0].z_pc - sides[1].z_pc) / width
    variance = np.einsum("kni,nij,knj->kn", gradient, covariance, gradient)
    return tuple(np.sqrt(variance))


def _at(ra_deg, dec_deg, astrometry, model: KinematicModel) -> PeculiarVelocity:
    """Velocity for (n, 3) pmra, pmdec and parallax."""
    return peculiar_velocity(ra_deg, dec_deg, astrometry[:, 0], astrometry[:, 1], astrometry[:, 2], model)


def fit_maxwellian(v_km_s, bin_km_s: float = 2.0, v_max_km_s: float = 60.0):
    """Fit f(v) = a v^2 exp(-v^2/b^2) to the histogram of speeds.

    Parameters
    ----------
    v_km_s : (n,) float array
        Peculiar tangential velocities, km/s.
    bin_km_s, v_max_km_s : float
        Width of the bins and upper end of the histogram, km/s.

    Returns
    -------
    a, b_km_s, e_a, e_b_km_s : float
        Amplitude (stars a bin, per km^2/s^2) and scale with their errors; the counts are weighted as Poisson counts.

    Raises
    ------
    ValueError
        Fewer than ten speeds, or no fit was found.
    """
    from scipy.optimize import curve_fit  # slow to import

    speeds = np.asarray(v_km_s, float)
    speeds = speeds[np.isfinite(speeds)]
    if len(speeds) < 10:
        raise ValueError(f"a Maxwellian cannot be fitted to {len(speeds)} speeds: ten are the least")
    counts, edges = np.histogram(speeds, np.arange(0, v_max_km_s + bin_km_s, bin_km_s))
    middle = 0.5 * (edges[1:] + edges[:-1])
    scale = np.sqrt(2 / 3 * np.mean(speeds[speeds < np.quantile(speeds, 0.95)] ** 2))
    start = (counts.max() * np.e / scale**2, scale)
    try:
        (a, b), covariance = curve_fit(_maxwellian, middle, counts, start, sigma=np.sqrt(np.maximum(counts, 1)))
    except RuntimeError as error:
        raise ValueError(f"the Maxwellian did not converge: {error}") from None
    e_a, e_b = np.sqrt(np.diag(covariance))
    return float(a), float(abs(b)), float(e_a), float(e_b)


def _maxwellian(v, a, b):
    return a * v**2 * np.exp(-((v / b) ** 2))
