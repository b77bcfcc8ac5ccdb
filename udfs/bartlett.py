"""Peaks and valleys of H-alpha after smoothing with a Bartlett window whose width depends on S/N."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from becat.udfs.bands import bridgeable, moving_window, pixel_edges, repair
from becat.udfs.equivalent_width import shifted_band

__all__ = [
    "COARSE_POWER",
    "Extrema",
    "Peaks",
    "bartlett_peaks",
    "bartlett_width",
    "local_extrema",
    "noise_length_a",
    "shared_noise",
    "smooth_bartlett",
    "smoothed_error",
]

# Wang et al. 2022, Table 1: S/N from which a width holds, and the width in pixels of the MRS red arm. Below S/N 10,
# where the paper has no spectra, the widest window serves.
_TABLE_SNR = np.array([20.0, 40.0, 60.0, 100.0, 120.0, 150.0])
_TABLE_WIDTH_PX = np.array([15, 10, 9, 8, 7, 6, 5])
MRS_PIXEL_A = 0.12

# Pixels share their noise over this part of the resolution element below this resolving power: instruments of low resolution have pixels that are
# longer than the window. In coadds of LAMOST's medium-resolution survey, which are interpolated, two pixels share it, Angstrom.
_NOISE_ELEMENT, COARSE_POWER = 0.5, 5000.0
_COADD_A = 0.3


def bartlett_width(snr, step_a, pixel_a=MRS_PIXEL_A):
    """Width of the Bartlett window for a S/N.

    Parameters
    ----------
    snr : (n_spectra,) float array
        Signal to noise per pixel of the red arm.
    step_a : float
        Spacing of the pixels to be smoothed, Angstrom.
    pixel_a : float
        Width of the pixels for which the paper's table holds, Angstrom.

    Returns
    -------
    (n_spectra,) int array
        Width in pixels of spacing `step_a`, the same length in Angstrom as in the paper; at least 3, which smooths
        nothing (the window is zero at its ends); 0 where S/N is NaN.

    References
    ----------
    Wang et al. 2022, Table 1.
    """
    snr = np.asarray(snr, dtype=float)
    width_px = _TABLE_WIDTH_PX[np.searchsorted(_TABLE_SNR, np.nan_to_num(snr, nan=0.0), side="right")]
    scaled = np.maximum(np.rint(width_px * pixel_a / step_a).astype(int), 3)
    return np.where(np.isnan(snr), 0, scaled)


def _window(width_px):
    """Normalised window. An even one is averaged with itself moved by one pixel, so that it has a centre."""
    window = np.bartlett(width_px)
    if width_px % 2 == 0:
        window = 0.5 * (np.append(window, 0.0) + np.append(0.0, window))
    return window / window.sum()


def smooth_bartlett(flux, width_px):
    """Flux smoothed with a Bartlett (triangular) window.

    Parameters
    ----------
    flux : (n_spectra, n_pixels) float array
        Flux without masked pixels (see `becat.udfs.bands.repair`).
    width_px : (n_spectra,) int array
        Width of the window as given to ``numpy.bartlett``. A window of even width has no central pixel and would move
        the spectrum by half a pixel: the mean of its two centrings is used. Zero gives NaN.

    Returns
    -------
    (n_spectra, n_pixels) float array
        Smoothed flux in the precision given; the outermost half window at either end repeats the end pixels and is not to be trusted.

    References
    ----------
    Bartlett 1950, Biometrika 37, 1.
    """
    return _convolve(flux, width_px, _window)


def smoothed_error(inverse_variance, width_px):
    """Standard error of the smoothed flux.

    Parameters
    ----------
    inverse_variance : (n_spectra, n_pixels) float array
        Inverse variance of the flux; a masked pixel (zero) takes the variance interpolated from its neighbours.
    width_px : (n_spectra,) int array
        Width of the window, as for `smooth_bartlett`.

    Returns
    -------
    (n_spectra, n_pixels) float64 array
    """
    with np.errstate(divide="ignore"):
        variance, _ = repair(1.0 / np.asarray(inverse_variance, dtype=np.float64), inverse_variance)
    return np.sqrt(_convolve(variance, width_px, lambda width: _window(width) ** 2))


def noise_length_a(resolving_power, wavelength_a, is_lamost_coadd=None):
    """Length over which neighbouring pixels of the grid share their noise.

    Parameters
    ----------
    resolving_power : (n_spectra,) float array
        NaN counts as high.
    wavelength_a : float
        Where, Angstrom.
    is_lamost_coadd : (n_spectra,) bool array, optional
        Coadds of LAMOST; None: there are none.

    Returns
    -------
    (n_spectra,) float64 array
        Length, Angstrom; 0 where each pixel has noise of its own, or nearly: pixels of exposures at high resolution are no longer than two of the grid.
    """
    power = np.nan_to_num(np.asarray(resolving_power, float), nan=np.inf)
    sharp = 0.0 if is_lamost_coadd is None else np.where(is_lamost_coadd, _COADD_A, 0.0)
    return np.where(power < COARSE_POWER, _NOISE_ELEMENT * wavelength_a / power, sharp)


def shared_noise(width_px, length_a, step_a):
    """Error of the smoothed flux over that of `smoothed_error`, which takes the noise of every pixel for its own.

    The inverse variances are those with which sums over whole lines come out right. What pixels share, smoothing does not take away; but
    there is less of it, so that the error of a short window is smaller than by them.

    Parameters
    ----------
    width_px : (n_spectra,) int array
        Width of the window, as for `smooth_bartlett`.
    length_a : (n_spectra,) float array
        As from `noise_length_a`, Angstrom.
    step_a : float
        Spacing of the pixels, Angstrom.

    Returns
    -------
    (n_spectra,) float64 array
        1 where the length is at most a pixel, or the width is zero.
    """
    length_px, factor = np.asarray(length_a) / step_a, np.ones(len(width_px))
    shared = (length_px > 1) & (width_px > 0)
    for width, length in set(zip(width_px[shared], length_px[shared], strict=True)):
        offset = np.arange(-np.ceil(length / 2), np.ceil(length / 2) + 1)
        box = np.clip(length / 2 + 0.5 - np.abs(offset), 0, 1) / length
        window = _window(width)
        both = np.convolve(window, box)
        factor[(width_px == width) & (length_px == length)] = np.sqrt((both**2).sum() / (window**2).sum())
    return factor


def _convolve(values, width_px, window_of):
    """Rows convolved with the symmetric window of their width; ends repeated; NaN where the width is zero."""
    values = np.asarray(values, dtype=np.result_type(values, np.float32))
    smooth = np.full(values.shape, np.nan, dtype=values.dtype)
    n_pixels = values.shape[1]
    for width in np.unique(width_px[width_px > 0]):
        rows = np.flatnonzero(width_px == width)
        window = window_of(width).astype(values.dtype)
        half = len(window) // 2
        padded = np.empty((len(rows), n_pixels + 2 * half), dtype=values.dtype)
        np.take(values, rows, axis=0, out=padded[:, half : half + n_pixels])
        padded[:, :half], padded[:, half + n_pixels :] = values[rows, :1], values[rows, -1:]
        total = window[half] * padded[:, half : half + n_pixels]
        pair = np.empty_like(total)
        for i in np.flatnonzero(window[:half]):  # symmetric: one product serves two pixels
            np.add(padded[:, i : i + n_pixels], padded[:, 2 * half - i : 2 * half - i + n_pixels], out=pair)
            pair *= window[i]
            total += pair
        smooth[rows] = total
    return smooth


@dataclass(frozen=True)
class Extrema:
    """Local maxima and minima: position of each in the arrays, in order of rows and then of pixels."""

    row: np.ndarray
    pixel: np.ndarray
    is_peak: np.ndarray


def local_extrema(values):
    """Strict local maxima and minima along the rows; a plateau counts once, at its middle pixel.

    Parameters
    ----------
    values : (n_rows, n_pixels) float array
        The first and the last pixel are never extrema, nor is a pixel or plateau beside a NaN.

    Returns
    -------
    Extrema
        Plateaus of even length take the left one of the two middle pixels, as ``scipy.signal.find_peaks`` does.
    """
    difference = np.diff(values, axis=1)
    up, down = difference > 0, difference < 0
    turns = up[:, :-1] != up[:, 1:]
    uneven = np.flatnonzero(~(up | down).all(axis=1))  # a plateau or a NaN
    turns[uneven] = False
    # One index, divided afterwards: several times as quick as np.nonzero of two dimensions.
    row, column = np.divmod(np.flatnonzero(turns), max(turns.shape[1], 1))
    found = Extrema(row, column + 1, up[row, column])
    if not uneven.size:
        return found
    slow = _extrema_with_plateaus(difference[uneven])
    row, pixel = np.append(found.row, uneven[slow.row]), np.append(found.pixel, slow.pixel)
    order = np.argsort(row, kind="stable")
    return Extrema(row[order], pixel[order], np.append(found.is_peak, slow.is_peak)[order])


def _extrema_with_plateaus(difference):
    """The extrema of rows from the differences of their pixels, which may be zero or NaN."""
    # 2 marks a step to or from NaN: it is neither up nor down and ends a plateau without making an extremum.
    step = np.where(np.isnan(difference), 2, np.sign(difference)).astype(np.int8)
    last_step = np.maximum.accumulate(np.where(step != 0, np.arange(step.shape[1]), -1), axis=1)
    before = last_step[:, :-1]
    came = np.where(before >= 0, np.take_along_axis(step, np.maximum(before, 0), axis=1), 0)
    row, column = np.nonzero(came * step[:, 1:] == -1)
    return Extrema(row, (before[row, column] + 1 + column + 1) // 2, came[row, column] == 1)


@dataclass(frozen=True)
class Peaks:
    """Peaks and valleys of a batch of spectra.

    Attributes
    ----------
    n_peaks, n_valleys : (n_spectra,) int array
        Counts; -1 where the spectrum could not be searched.
    width_px : (n_spectra,) int array
        Width of the window used, pixels.
    highest_wavelength_a, highest_flux : (n_spectra,) float64 array
        The highest peak; NaN without a peak.
    peak_row, peak_wavelength_a, peak_flux : (n_all_peaks,) array
        Every peak: its spectrum, vacuum wavelength in Angstrom and smoothed flux, in order of spectra.
    valley_row, valley_wavelength_a, valley_flux : (n_all_valleys,) array
        The same of the valleys.
    """

    n_peaks: np.ndarray
    n_valleys: np.ndarray
    width_px: np.ndarray
    highest_wavelength_a: np.ndarray
    highest_flux: np.ndarray
    peak_row: np.ndarray
    peak_wavelength_a: np.ndarray
    peak_flux: np.ndarray
    valley_row: np.ndarray
    valley_wavelength_a: np.ndarray
    valley_flux: np.ndarray


def bartlett_peaks(
    flux, snr, wavelength_a, band_a, *, inverse_variance=None, velocity_shift_km_s=None, masked_fraction_max=0.1
):
    """Peaks and valleys in a band of the smoothed spectrum.

    A wider stretch is smoothed and then cut, so that the limits of the band make no artefacts. Every local maximum
    is a peak, as in the paper: noise that survives the smoothing counts. `becat.udfs.profile_class` counts those above the noise.

    Parameters
    ----------
    flux : (n_spectra, n_pixels) float array
        Rectified flux; NaN where there is none.
    snr : (n_spectra,) float array
        Signal to noise per pixel; NaN leaves the spectrum unsearched.
    wavelength_a : (n_pixels,) float array
        Vacuum wavelength of the pixel centres, Angstrom, uniform.
    band_a : (float, float)
        Limits within which the pixel of an extremum must lie, Angstrom.
    inverse_variance : (n_spectra, n_pixels) float array, optional
        Pixels where it is zero are interpolated. None: every finite pixel is good.
    velocity_shift_km_s : (n_spectra,) float array, optional
        Velocity by which the band is moved, km/s; NaN counts as zero. Wavelengths stay observed ones.
    masked_fraction_max : float
        Longest stretch, as a part of the band, that may be masked in one piece; half of it must be good in any case.

    Returns
    -------
    Peaks

    Raises
    ------
    ValueError
        The grid does not cover the band.

    References
    ----------
    Wang et al. 2022, section 4.1.1 and Table 1.
    """
    wavelength_a = np.asarray(wavelength_a, dtype=float)
    width_px = bartlett_width(snr, wavelength_a[1] - wavelength_a[0])
    low_a, high_a = shifted_band(band_a, velocity_shift_km_s, len(flux))
    margin_px = int(width_px.max(initial=3)) + 2
    window, covered = moving_window(pixel_edges(wavelength_a), band_a, low_a, high_a, margin_px)
    here_a = wavelength_a[window]
    ivar = np.ones((1, here_a.size)) if inverse_variance is None else inverse_variance[:, window]
    repaired, good = repair(flux[:, window], ivar)
    if velocity_shift_km_s is None:
        low_a, high_a = low_a[:1], high_a[:1]  # one band for all
    inside = np.broadcast_to((here_a >= low_a[:, None]) & (here_a <= high_a[:, None]), repaired.shape)
    searched = covered & (width_px > 0) & bridgeable(good, masked_fraction_max, inside)
    smooth = smooth_bartlett(repaired, np.where(searched, width_px, 0))
    found = local_extrema(smooth)
    kept = inside[found.row, found.pixel]
    return _collect(smooth, here_a, width_px, searched, found.row[kept], found.pixel[kept], found.is_peak[kept])


def _collect(smooth, here_a, width_px, searched, row, pixel, is_peak):
    """Counts, lists and the highest peak of each spectrum."""
    n_spectra = len(smooth)
    flux_there, there_a = smooth.ravel()[row * smooth.shape[1] + pixel], here_a[pixel]
    peak_row, peak_flux, peak_a = row[is_peak], flux_there[is_peak], there_a[is_peak]
    highest_a, highest_flux = np.full(n_spectra, np.nan), np.full(n_spectra, np.nan)
    if peak_row.size:
        start = np.flatnonzero(np.diff(peak_row, prepend=-1))
        highest_flux[peak_row[start]] = np.maximum.reduceat(peak_flux, start)
        highest = np.flatnonzero(peak_flux == highest_flux[peak_row])
        highest_a[peak_row[highest]] = peak_a[highest]
    return Peaks(
        n_peaks=np.where(searched, np.bincount(peak_row, minlength=n_spectra), -1),
        n_valleys=np.where(searched, np.bincount(row[~is_peak], minlength=n_spectra), -1),
        width_px=width_px,
        highest_wavelength_a=highest_a,
        highest_flux=highest_flux,
        peak_row=peak_row,
        peak_wavelength_a=peak_a,
        peak_flux=peak_flux,
        valley_row=row[~is_peak],
        valley_wavelength_a=there_a[~is_peak],
        valley_flux=flux_there[~is_peak],
    )
