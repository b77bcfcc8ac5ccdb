"""The period that fits a few dozen epochs best, and how far chance would go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Period", "best_period"]

# Frequencies tried within the width of a peak, which is one over the baseline.
SAMPLES_PER_PEAK = 10
# Epochs more than the sine has parameters: with fewer it fits whatever there is.
LEAST_FREEDOM = 2


@dataclass(frozen=True)
class Period:
    """A sine fitted to epochs; errors are standard errors, enlarged where the epochs scatter about it by more than their own."""

    period_d: float
    e_period_d: float
    false_alarm_probability: float
    mean: float
    semi_amplitude: float
    e_semi_amplitude: float
    mjd_phase_zero: float
    e_mjd_phase_zero: float
    reduced_chi2: float


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
        None where the epochs are too few for a sine, or span less than the shortest period.

    References
    ----------
    Zechmeister & Kurster 2009, A&A 496, 577 (floating mean); Baluev 2008, MNRAS 385, 1279 (false-alarm probability).
    """
    from astropy.timeseries import LombScargle  # slow to import

    mjd, value, error = (np.asarray(x, dtype=float) for x in (mjd, value, error))
    baseline_d = np.ptp(mjd) if mjd.size else 0.0
    longest_d = baseline_d if longest_d is None else longest_d
    if mjd.size < 4 + LEAST_FREEDOM or longest_d <= shortest_d or np.ptp(value) == 0:
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
