"""The period that fits a few dozen epochs best, and how far chance would go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Period", "best_period", "eccentric_orbit"]

# Frequencies tried within the width of a peak, which is one over the baseline.
SAMPLES_PER_PEAK = 10
# Epochs more than the sine has parameters: with fewer it fits whatever there is.
LEAST_FREEDOM = 2


@dataclass(frozen=True)
class Period:
    """A sine or an eccentric orbit fitted to epochs; errors are standard errors, enlarged where the epochs scatter by more than their own."""

    period_d: float
    e_period_d: float
    false_alarm_probability: float
    mean: float
    semi_amplitude: float
    e_semi_amplitude: float
    mjd_phase_zero: float
    e_mjd_phase_zero: float
    reduced_chi2: float
    eccentricity: float | None = None
    e_eccentricity: float | None = None


def best_period(mjd, value, error, shortest_d, longest_d=None) -> Period | None:
    """The sine of the highest peak of the periodogram of Lomb and Scargle, with a floating mean.

    Parameters
    ----------
    mjd : (n,) float array
        Times, days.
    value, error : (n,) float array
        Measurements and their standard errors.
    shortest_d : float
        Shortest period tried, days.
    longest_d : float, optional
        Longest one; by default the time from the first to the last epoch.

    Returns
    -------
    Period or None
        None where the epochs are at too few times for a sine, or span less than the shortest period.

    References
    ----------
    Zechmeister & Kurster 2009, A&A 496, 577 (floating mean); Baluev 2008, MNRAS 385, 1279 (false-alarm probability).
    """
    from astropy.timeseries import LombScargle  # slow to import

    mjd, value, error = (np.asarray(x, dtype=float) for x in (mjd, value, error))
    baseline_d = np.ptp(mjd) if mjd.size else 0.0
    longest_d = baseline_d if longest_d is None else longest_d
    if np.unique(mjd).size < 4 + LEAST_FREEDOM or longest_d <= shortest_d or np.ptp(value) == 0:
        return None
    middle = 0.5 * (mjd.min() + mjd.max())
    periodogram = LombScargle(mjd - middle, value, error)
    lowest, highest = 1.0 / longest_d, 1.0 / shortest_d
    step = 1.0 / (SAMPLES_PER_PEAK * baseline_d)
    frequency = lowest + step * np.arange(int(np.ceil((highest - lowest) / step)) + 1)
    power = periodogram.power(frequency, assume_regular_frequency=True)
    best = int(np.argmax(power))
    probability = float(
        periodogram.false_alarm_probability(min(power[best], 1.0), method="baluev", maximum_frequency=highest)
    )
    fit = _fitted(mjd - middle, value, error, frequency[best], (lowest, highest))
    return _as_period(fit, middle, min(max(probability, 0.0), 1.0))


def _fitted(day, value, error, frequency, limits):
    """Parameters (frequency, mean, cosine, sine), their covariance, and reduced chi-square."""
    from scipy.optimize import least_squares

    def design(frequency):
        angle = 2 * np.pi * frequency * day
        return np.column_stack((np.ones_like(day), np.cos(angle), np.sin(angle)))

    start, *_ = np.linalg.lstsq(design(frequency) / error[:, None], value / error, rcond=None)

    def deviations(parameters):
        return (value - design(parameters[0]) @ parameters[1:]) / error

    width = 1.0 / np.ptp(day)
    near = (max(limits[0] - 0.5 * width, 1e-9), limits[1] + 0.5 * width)
    bounds = ([max(near[0], frequency - width), *[-np.inf] * 3], [min(near[1], frequency + width), *[np.inf] * 3])
    found = least_squares(
        deviations, [frequency, *start], bounds=bounds, x_scale=[0.1 * width, *[max(np.ptp(value), 1e-9)] * 3]
    )
    reduced = 2 * found.cost / (day.size - 4)
    covariance = np.linalg.pinv(found.jac.T @ found.jac) * max(reduced, 1.0)
    return found.x, covariance, reduced


def _as_period(fit, middle, probability):
    (frequency, mean, cosine, sine), covariance, reduced = fit
    amplitude = np.hypot(cosine, sine)
    phase = np.arctan2(sine, cosine)  # the maximum lies at 2 pi f t = phase
    e_frequency = np.sqrt(covariance[0, 0])
    along = np.array([0.0, 0.0, cosine / amplitude, sine / amplitude])
    # Time of the maximum: phase / (2 pi f), which also moves with f.
    of_time = np.array(
        [-phase / (2 * np.pi * frequency**2), 0.0, *np.array([-sine, cosine]) / (amplitude**2 * 2 * np.pi * frequency)]
    )
    return Period(
        period_d=1.0 / frequency,
        e_period_d=e_frequency / frequency**2,
        false_alarm_probability=probability,
        mean=mean,
        semi_amplitude=amplitude,
        e_semi_amplitude=np.sqrt(along @ covariance @ along),
        mjd_phase_zero=middle + phase / (2 * np.pi * frequency),
        e_mjd_phase_zero=np.sqrt(of_time @ covariance @ of_time),
        reduced_chi2=reduced,
    )


def eccentric_orbit(mjd, velocity, error, circular: Period) -> Period:
    """The orbit near a period that fits velocities better than a sine does, else the sine.

    The orbit has two parameters more; it is taken if Bayes's information criterion says that they are worth it.

    Parameters
    ----------
    mjd, velocity, error : (n,) float array
        As for `best_period`; velocities in km/s.
    circular : Period
        The sine.

    Returns
    -------
    Period
        Of an orbit: the period, K1 as semi_amplitude, the velocity of the centre of mass as mean, the time of the highest velocity,
        and the eccentricity.
    """
    from scipy.optimize import least_squares

    mjd, velocity, error = (np.asarray(x, dtype=float) for x in (mjd, velocity, error))
    n, middle = mjd.size, 0.5 * (mjd.min() + mjd.max())
    if n < 6 + LEAST_FREEDOM:
        return circular
    day, width, frequency = mjd - middle, 1.0 / np.ptp(mjd), 1.0 / circular.period_d

    def design(frequency, eccentricity, phase):
        anomaly = _true_anomaly(2 * np.pi * frequency * day - phase, eccentricity)
        return np.column_stack((np.ones(n), np.cos(anomaly) + eccentricity, -np.sin(anomaly)))

    def deviations(parameters):
        return (velocity - design(*parameters[:3]) @ parameters[3:]) / error

    starts = []
    for eccentricity in (0.1, 0.4, 0.7):
        for phase in np.arange(12) * np.pi / 6:
            linear, *_ = np.linalg.lstsq(
                design(frequency, eccentricity, phase) / error[:, None], velocity / error, rcond=None
            )
            start = np.array([frequency, eccentricity, phase, *linear])
            starts.append((np.sum(deviations(start) ** 2), start))
    start = min(starts, key=lambda pair: pair[0])[1]
    free = [np.inf] * 4
    found = least_squares(
        deviations,
        start,
        bounds=([max(frequency - width, 1e-9), 0.0, *[-np.inf] * 4], [frequency + width, 0.95, *free]),
        x_scale=[0.1 * width, 0.1, 0.3, *[max(np.ptp(velocity), 1e-9)] * 3],
        loss="soft_l1",  # a velocity far off pulls with its error, not with its square
    )
    chi2, of_orbit = np.sum(deviations(found.x) ** 2), found.x
    of_sine = circular.reduced_chi2 * (n - 4)
    if chi2 + 6 * np.log(n) > of_sine + 4 * np.log(n):
        return circular
    reduced = chi2 / (n - 6)
    covariance = np.linalg.pinv(found.jac.T @ found.jac) * max(reduced, 1.0)
    frequency, eccentricity, phase, mean, cosine, sine = of_orbit
    amplitude = np.hypot(cosine, sine)
    along = np.array([0.0, 0.0, 0.0, 0.0, cosine, sine]) / amplitude
    highest = -np.arctan2(sine, cosine)  # true anomaly at the highest velocity
    eccentric = 2 * np.arctan2(
        np.sqrt(1 - eccentricity) * np.sin(highest / 2), np.sqrt(1 + eccentricity) * np.cos(highest / 2)
    )
    turn = (phase + eccentric - eccentricity * np.sin(eccentric)) / (2 * np.pi)
    errors = np.sqrt(np.diag(covariance))
    return Period(
        period_d=1.0 / frequency,
        e_period_d=errors[0] / frequency**2,
        false_alarm_probability=circular.false_alarm_probability,
        mean=mean,
        semi_amplitude=amplitude,
        e_semi_amplitude=np.sqrt(along @ covariance @ along),
        mjd_phase_zero=middle + (turn - np.round(turn)) / frequency,
        e_mjd_phase_zero=np.nan,
        reduced_chi2=reduced,
        eccentricity=eccentricity,
        e_eccentricity=errors[1],
    )


def _true_anomaly(mean_anomaly, eccentricity):
    """True anomaly, by Newton's steps for Kepler's equation from where they converge for every eccentricity."""
    turned = np.mod(mean_anomaly + np.pi, 2 * np.pi) - np.pi
    anomaly = turned + 0.85 * eccentricity * np.sign(turned)
    for _ in range(12):
        anomaly -= (anomaly - eccentricity * np.sin(anomaly) - turned) / (1 - eccentricity * np.cos(anomaly))
    return 2 * np.arctan2(
        np.sqrt(1 + eccentricity) * np.sin(anomaly / 2), np.sqrt(1 - eccentricity) * np.cos(anomaly / 2)
    )
