"""A spectrum as it came from a file, before anything is done to it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

__all__ = ["RawArm", "RawSpectrum", "coadd_id", "hashed_id", "single_id"]

LOW_RESOLUTION = 10_000_000_000  # no coadd of the other survey is so large, and every single exposure is larger
MAX_OBSID = 9_000_000_000  # obsid * 1e6 must stay below 2**53, which JavaScript and JSON keep exactly


@dataclass
class RawArm:
    """One arm of a spectrum.

    Attributes
    ----------
    arm : {'red', 'blue'}
    wavelength_a : (n,) float64 array
        Vacuum wavelength of the pixel centres, Angstrom, ascending.
    flux : (n,) float32 array
        Flux in the file's unit; 0 where the file has none.
    ivar : (n,) float32 array
        Inverse variance of the flux; 0 where the pixel cannot be used.
    bad : (n,) bool array
        Flagged in the file, not finite, or without inverse variance.
    snr : float or None
        Signal to noise per pixel.
    """

    arm: str
    wavelength_a: np.ndarray
    flux: np.ndarray
    ivar: np.ndarray
    bad: np.ndarray
    snr: float | None = None


@dataclass
class RawSpectrum:
    """One spectrum: its arms, and what the file says of it.

    Attributes
    ----------
    spectrum_id : int
        Identity, below 2**53 in size: see `coadd_id`, `single_id`, `hashed_id`.
    arms : dict of str to RawArm
        Always ``red``; ``blue`` where the file has it.
    meta : dict
        Columns of the table ``spectrum`` that the file fills.
    quality : int
        Bits of `becat.schema.quality.Quality`.
    """

    spectrum_id: int
    arms: dict[str, RawArm]
    meta: dict
    quality: int = 0


def coadd_id(obsid: int, low_resolution: bool) -> int:
    """Identity of a coadd: its obsid, and in the low-resolution survey, whose numbers overlap with the other's, ten billion more."""
    return obsid + LOW_RESOLUTION if low_resolution else obsid


def single_id(obsid: int, lmjm: int) -> int:
    """Identity of a single exposure: obsid * 1,000,000 + lmjm modulo 1,000,000 (694 days, one night's plate apart)."""
    return obsid * 1_000_000 + lmjm % 1_000_000


def hashed_id(*parts: object) -> int:
    """Identity where the file has no obsid: a negative number of 52 bits made from what identifies the spectrum.

    Parameters
    ----------
    *parts : bytes, bytearray, str or int
        For old LAMOST files lmjd, plan, spectrograph and fibre; for other spectra the content of the file.
    """
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(part if isinstance(part, bytes | bytearray) else str(part).encode())
        digest.update(b"|")
    return -1 - (int.from_bytes(digest.digest(), "big") >> 12)
