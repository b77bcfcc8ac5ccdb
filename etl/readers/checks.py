"""What an array of a file must satisfy before it becomes an arm."""

from __future__ import annotations

import numpy as np

from becat.etl.readers.noise import der_snr_noise
from becat.etl.readers.problem import Problem
from becat.etl.readers.spectrum import RawArm
from becat.schema.grid import ARMS
from becat.schema.quality import Quality

__all__ = ["NEEDED_A", "WINDOW_A", "ascending", "make_arm", "normal_snr", "stretch_of_arm"]

# The bands that are measured: an arm that does not reach over its own is of no use.
NEEDED_A = {"red": (6548.0, 6578.0), "blue": (5160.0, 5193.0)}
# Pixels kept of a spectrum that is longer than an arm: the grid, and as much again on each side as the
# continuum needs beyond it.
MARGIN_A = 60.0
WINDOW_A = {name: (grid.start_a - MARGIN_A, grid.wavelength_a[-1] + MARGIN_A) for name, grid in ARMS.items()}
PLAUSIBLE_A = (2000.0, 30000.0)
MIN_PIXELS = 50
MAX_SNR = 1e6
MAX_FLUX = 1e18  # its square, and so sums over variances, still fit into float32
MAX_COUNT = 2.0**29  # bits of the float32 1e-19, and of all larger ones
MIN_GOOD_FRACTION = 0.5
MAX_STEP_RATIO = 5.0  # a longest step beyond this many mean ones is a jump, not a dispersion


def ascending(wavelength_a: np.ndarray, detail: str, may_jump: bool = False) -> tuple[slice, bool]:
    """Order that makes wavelengths ascend.

    LAMOST's single red exposures run from red to blue: that is turned round. Anything else that does not ascend is
    damaged, for no order of pixels can be told from another.

    Parameters
    ----------
    wavelength_a : (n,) float array
        Angstrom.
    detail : str
        HDU, for the rejection.
    may_jump : bool
        Leave it to the caller that wavelengths jump.

    Returns
    -------
    slice, bool
        How to index the pixels, and whether that turns them round.

    Raises
    ------
    Problem
        Not finite, repeated, scrambled, with a jump, or not a wavelength in Angstrom.
    """
    if wavelength_a.size < MIN_PIXELS:
        raise Problem(f"only {wavelength_a.size} pixels: not a spectrum", detail)
    step = np.diff(wavelength_a)
    low, high = float(step.min()), float(step.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise Problem("wavelengths are NaN or infinite: fetch the file again", detail)
    if low < 0 < high:
        raise Problem("wavelengths are not in order: fetch the file again", detail)
    if low == 0 or high == 0:
        raise Problem("wavelengths are repeated: fetch the file again", detail)
    turned = high < 0
    first, last = sorted((float(wavelength_a[0]), float(wavelength_a[-1])))
    if first < PLAUSIBLE_A[0] or last > PLAUSIBLE_A[1]:
        raise Problem(f"wavelengths {first:.6g} to {last:.6g} are not optical ones in Angstrom: check the unit", detail)
    longest = max(-low, high)
    if not may_jump and longest > MAX_STEP_RATIO * (last - first) / step.size:
        raise Problem(f"wavelengths jump by {longest:.3g} Angstrom: pixels are missing", detail)
    return slice(None, None, -1) if turned else slice(None), turned


def stretch_of_arm(wavelength_a: np.ndarray, arm: str) -> slice:
    """Pixels around the arm's band that are sampled like it: a spectrum that was put together may be coarser elsewhere.

    Parameters
    ----------
    wavelength_a : (n,) float array
        Angstrom, in order.
    arm : {'red', 'blue'}

    Returns
    -------
    slice
        Inside the window of the arm, from the last jump before the middle of its band to the first behind it.
    """
    inside = np.flatnonzero((wavelength_a > WINDOW_A[arm][0]) & (wavelength_a < WINDOW_A[arm][1]))
    if inside.size < MIN_PIXELS:
        return slice(inside[0], inside[-1] + 1) if inside.size else slice(0, 0)
    first, last = inside[0], inside[-1]
    middle_a = sum(NEEDED_A[arm]) / 2
    step = np.abs(np.diff(wavelength_a[first : last + 1]))
    pixel_a = wavelength_a[first:last]
    in_band = (pixel_a > NEEDED_A[arm][0]) & (pixel_a < NEEDED_A[arm][1])
    usual = float(np.median(step[in_band])) if in_band.any() else float(np.median(step))
    jumps = np.flatnonzero(step > MAX_STEP_RATIO * usual)
    centre = int(np.argmin(np.abs(wavelength_a[first : last + 1] - middle_a)))
    before, after = jumps[jumps < centre], jumps[jumps >= centre]
    start = first + before[-1] + 1 if before.size else first
    stop = first + after[0] + 1 if after.size else last + 1
    return slice(int(start), int(stop))


def make_arm(
    arm: str,
    wavelength_a: np.ndarray,
    flux: np.ndarray,
    ivar: np.ndarray | None,
    flagged: np.ndarray | None,
    snr: float | None,
    detail: str,
) -> tuple[RawArm, int]:
    """Put together an arm from arrays that have been read, if they can be believed.

    Parameters
    ----------
    arm : {'red', 'blue'}
    wavelength_a : (n,) float64 array
        Vacuum, Angstrom.
    flux : (n,) array
    ivar : (n,) array or None
        None: estimated from the scatter of the flux (DER_SNR), the same for all pixels.
    flagged : (n,) array or None
        Not zero: the file says that the pixel is bad.
    snr : float or None
        Signal to noise per pixel of the file; None: the median of flux times root of inverse variance.
    detail : str
        HDU, for the rejection.

    Returns
    -------
    RawArm, int
        The arm, and bits of `becat.schema.quality.Quality`.

    Raises
    ------
    Problem
        The wavelengths are damaged or do not cover the arm's band; flux or inverse variance cannot be used.
    """
    order, turned = ascending(wavelength_a, detail)
    quality = int(Quality.WAVELENGTH_SORTED) if turned else 0
    wavelength_a = wavelength_a[order]
    low, high = NEEDED_A[arm]
    if wavelength_a[0] > low or wavelength_a[-1] < high:
        raise Problem(
            f"covers {wavelength_a[0]:.1f} to {wavelength_a[-1]:.1f} Angstrom, not the {low:.0f} to {high:.0f} of"
            f" the {arm} arm",
            detail,
        )
    cut = slice(*np.searchsorted(wavelength_a, WINDOW_A[arm]))
    wavelength_a = np.ascontiguousarray(wavelength_a[cut])
    _refuse_bits_of_floats(flux, "flux", detail)
    if ivar is not None:
        _refuse_bits_of_floats(ivar, "inverse variance", detail)
    flux = flux[order][cut].astype(np.float32)
    good = np.abs(flux) < MAX_FLUX  # not true of NaN
    if flagged is not None:
        good &= flagged[order][cut] == 0
    if ivar is None:
        quality |= int(Quality.IVAR_ESTIMATED)
        ivar = _estimated_ivar(flux, good, detail)
    else:
        ivar = ivar[order][cut].astype(np.float32)
    good &= (ivar > 0) & (ivar < np.inf)
    bad = ~good
    n_bad = _usable(flux, ivar, good, detail)
    if n_bad:
        ivar[bad] = 0
        flux[~(np.abs(flux) < MAX_FLUX)] = 0
    if snr is None:
        quality |= int(Quality.SNR_ESTIMATED)
        snr = normal_snr(flux, ivar, bad)
        if not snr < MAX_SNR:
            raise Problem(f"S/N comes out as {snr:.3g}: the inverse variance is damaged", detail)
    return RawArm(arm, wavelength_a, flux, ivar, bad, snr), quality


def _usable(flux: np.ndarray, ivar: np.ndarray, good: np.ndarray, detail: str) -> int:
    """Number of bad pixels; raises Problem where too little is left of an arm, or where it holds no light."""
    n_good = np.count_nonzero(good)
    if n_good < MIN_GOOD_FRACTION * good.size:
        if not np.isfinite(flux).any():
            why = "flux is NaN or infinite in every pixel"
        elif not (ivar > 0).any():
            why = "inverse variance is zero in every pixel"
        else:
            why = (
                f"only {n_good / good.size:.0%} of the pixels can be used (flux not finite, no inverse variance, or"
                " flagged)"
            )
        raise Problem(f"{why}: fetch the file again", detail)
    used = flux[good]
    if n_good and used.min() == used.max() != 0:
        raise Problem(f"flux is {used[0]:.6g} in every pixel: there is no spectrum", detail)
    n_positive = np.count_nonzero(used > 0)
    if n_positive == 0:
        empty = not used.any()
        raise Problem(f"flux is {'zero' if empty else 'negative or zero'} in every pixel: there is no spectrum", detail)
    # Noise about zero is a faint star and stops at the first step of the selection; this is not noise.
    if n_positive < good.size / 2 and normal_snr(flux, ivar, ~good) < -1:
        raise Problem("flux is negative: the sky was taken off twice, or the file is damaged", detail)
    return int(good.size - n_good)


def _refuse_bits_of_floats(values: np.ndarray, name: str, detail: str) -> None:
    """Raise Problem for integers that are the bits of 32-bit floats: no detector counts so far."""
    if values.dtype.kind in "iu" and np.median(np.abs(values.astype(np.float64))) > MAX_COUNT:
        raise Problem(
            f"{name} is read as whole numbers but holds others: TFORM or BITPIX is damaged, fetch the file again",
            detail,
        )


def normal_snr(flux: np.ndarray, ivar: np.ndarray, bad: np.ndarray) -> float:
    """Median of flux times root of inverse variance over the good pixels, which is how LAMOST's header gives S/N."""
    return float(np.median(flux[~bad] * np.sqrt(ivar[~bad])))


def _estimated_ivar(flux: np.ndarray, good: np.ndarray, detail: str) -> np.ndarray:
    noise = float(der_snr_noise(flux[None, :].astype(float), good[None, :])[0])
    if not noise > 0:
        raise Problem(
            "flux has no scatter from pixel to pixel, or is not finite: its error cannot be estimated", detail
        )
    return np.full(flux.shape, 1 / noise**2, np.float32)
